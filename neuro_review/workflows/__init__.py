"""Workflows: what each stream of outputs has agreed, and the reasons its reviewers can give."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import now
from db.tables import Role
from neuro_review.access import Actor, grant
from neuro_review.audit import Action, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError, NotFoundError

FIRST_REASONS = ("Wrong fact or number", "Invented policy", "Unsafe promise", "Tone", "Leaks data", "Needless refusal")
PANEL_RATE = 0.10
LONGEST_RUBRIC = 50_000  # characters
IMPORT_SOURCE = "import"
SAMPLE_SOURCE = "sample"


@dataclass(frozen=True)
class Workflow:
    """What the verbs need to know of a workflow."""

    id: int
    name: str
    grace_ms: int
    sla_ms: int | None
    panel_rate: float
    rubric_version: int
    policy_version: int
    fallback: str | None = None
    archived_at: int | None = None
    lapse_ms: int | None = None


COLUMNS = "id, name, grace_ms, sla_ms, panel_rate, rubric_version, policy_version, fallback, archived_at, lapse_ms"
BY_NAME = sa.text(f"SELECT {COLUMNS} FROM workflow WHERE name = :name")
BY_ID = sa.text(f"SELECT {COLUMNS} FROM workflow WHERE id = :id")
ALL = sa.text(f"SELECT {COLUMNS} FROM workflow WHERE archived_at IS NULL ORDER BY name")
PUT_AWAY_TOO = sa.text(f"SELECT {COLUMNS} FROM workflow ORDER BY archived_at IS NOT NULL, lower(name), name")


def find(session: Session, name: str) -> Workflow | None:
    """Return the workflow of this name, or None."""
    row = session.connection().execute(BY_NAME, {"name": name}).first()
    return Workflow(*row) if row else None


def by_name(session: Session, name: str) -> Workflow:
    """Return the workflow of this name.

    Raises:
        NotFoundError: there is none.
    """
    found = find(session, name)
    if found is None:
        raise NotFoundError(f"There is no workflow “{name}”. Add it with: workflow add, or import into it.")
    return found


def by_id(session: Session, workflow_id: int) -> Workflow:
    """Return the workflow of this id.

    Raises:
        NotFoundError: there is none.
    """
    row = session.connection().execute(BY_ID, {"id": workflow_id}).first()
    if row is None:
        raise NotFoundError("There is no such workflow.")
    return Workflow(*row)


def every(session: Session) -> list[Workflow]:
    """Return all workflows in use, by name."""
    return [Workflow(*row) for row in session.connection().execute(ALL)]


def owned(session: Session, by: Actor) -> list[Workflow]:
    """Return the workflows that this person owns, by name; those put away come last.

    Raises:
        NotAllowedError: not an owner of anything.
    """
    by.require(Role.OWNER)
    flows = [Workflow(*row) for row in session.connection().execute(PUT_AWAY_TOO)]
    return [flow for flow in flows if by.may(Role.OWNER, flow.id)]


def seen(session: Session, by: Actor) -> list[Workflow]:
    """Return the workflows that this person reviews or owns, by name; those put away come last."""
    flows = [Workflow(*row) for row in session.connection().execute(PUT_AWAY_TOO)]
    return [flow for flow in flows if by.may(Role.REVIEWER, flow.id)]


def open_for(session: Session, by: Actor, name: str) -> Workflow:
    """Return the workflow of this name to bring something in, made without an owner if there is none.

    Raises:
        NotAllowedError: there is none, and this person is no admin; or not an owner of it.
        ConflictError: it is put away.
        InvalidError: the name cannot be used.
    """
    found = find(session, name)
    if found is not None and found.archived_at is not None:
        raise ConflictError(f"The workflow “{name}” is put away. Bring it back on the Workflows screen first.")
    if found is None:
        return add(session, by, name)
    by.require(Role.OWNER, found.id)
    return found


def add(
    session: Session, by: Actor, name: str, *, owner_id: int | None = None, panel_rate: float = PANEL_RATE
) -> Workflow:
    """Add a workflow with the defaults and a starting list of reasons.

    Raises:
        NotAllowedError: not an admin.
        ConflictError: there is one of this name.
        InvalidError: the name cannot be used.
    """
    by.require(Role.ADMIN)
    name = free_name(session, name)
    connection = session.connection()
    workflow_id = connection.execute(
        sa.text(
            "INSERT INTO workflow (name, created_at, grace_ms, panel_rate, data_policy, rubric_version, policy_version)"
            " VALUES (:name, :at, 5000, :panel_rate, 'flag', 0, 0) RETURNING id"
        ),
        {"name": name, "at": now(), "panel_rate": panel_rate},
    ).scalar_one()
    reasons = [(workflow_id, reason, position) for position, reason in enumerate(FIRST_REASONS, 1)]
    insert_rows(session, "reason", "workflow_id name position", reasons)
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_ADDED, {"name": name})
    if owner_id is not None:
        grant(session, by.audit_name, owner_id, Role.OWNER, workflow_id)
    return by_id(session, workflow_id)


def free_name(session: Session, name: str) -> str:
    """Return a name as it is stored, once it is certain that no workflow has it.

    Raises:
        ConflictError: there is one of this name.
        InvalidError: the name cannot be used.
    """
    name = " ".join(name.split())
    check_text(name, "workflow")
    if not name or len(name) > 100:
        raise InvalidError("A workflow's name has 1 to 100 characters.", "workflow")
    found = find(session, name)
    if found is not None:
        away = ", put away. Bring it back, or choose another name" if found.archived_at else " already"
        raise ConflictError(f"There is a workflow “{name}”{away}.")
    return name


def take(session: Session, by: Actor, workflow_id: int) -> Workflow:
    """Return a workflow that this person owns, and let nobody else change it until the transaction ends.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such workflow.
    """
    by.require(Role.OWNER, workflow_id)
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(sa.text("SELECT 1 FROM workflow WHERE id = :id FOR UPDATE"), {"id": workflow_id})
    return by_id(session, workflow_id)


def reasons(session: Session, workflow_id: int) -> list[str]:
    """Return the reasons a reviewer of this workflow can give, in order."""
    rows = session.connection().execute(
        sa.text("SELECT name FROM reason WHERE workflow_id = :id AND retired_at IS NULL ORDER BY position, name"),
        {"id": workflow_id},
    )
    return [row.name for row in rows]


def rubric(session: Session, workflow_id: int) -> str | None:
    """Return the rubric in force, or None while none is written."""
    row = session.connection().execute(
        sa.text(
            "SELECT r.text FROM rubric r JOIN workflow w ON w.id = r.workflow_id AND w.rubric_version = r.version"
            " WHERE w.id = :id"
        ),
        {"id": workflow_id},
    ).first()  # fmt: skip
    return str(row.text) if row else None


def source_id(session: Session, name: str) -> int:
    """Return the id of a source, making it at its first use."""
    connection = session.connection()
    row = connection.execute(sa.text("SELECT id FROM source WHERE name = :name"), {"name": name}).first()
    if row:
        return int(row.id)
    made = connection.execute(
        sa.text("INSERT INTO source (name, created_at) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING RETURNING id"),
        {"name": name, "at": now()},
    ).first()
    if made is None:  # somebody else made it in this moment
        return int(connection.execute(sa.text("SELECT id FROM source WHERE name = :name"), {"name": name}).scalar_one())
    record(session, f"source/{made.id}", "house", Action.SOURCE_ADDED, {"name": name})
    return int(made.id)


@dataclass(frozen=True)
class Rubric:
    """One version of what reviewers go by."""

    version: int
    text: str
    written_at: int
    written_by: str


def rubrics(session: Session, by: Actor, workflow_id: int) -> list[Rubric]:
    """Return every version of the rubric, the one in force first.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    rows = session.connection().execute(
        sa.text(
            "SELECT r.version, r.text, r.written_at, coalesce(p.name, r.written_by) AS written_by FROM rubric r"
            " LEFT JOIN person p ON r.written_by = 'person:' || p.id WHERE r.workflow_id = :id ORDER BY r.version DESC"
        ),
        {"id": workflow_id},
    )
    return [Rubric(*row) for row in rows]


def write_rubric(session: Session, by: Actor, workflow_id: int, text: str, *, after: int | None = None) -> int:
    """Put a text in force as the next version of the rubric and return its number; earlier ones are kept.

    The same text again is no new version. `after` names the version that was read before this one was written.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: somebody else has written a version meanwhile.
        InvalidError: the text cannot be stored, or is too long.
    """
    flow = take(session, by, workflow_id)
    check_text(text, "The rubric")
    if len(text) > LONGEST_RUBRIC:
        raise InvalidError(f"A rubric has at most {LONGEST_RUBRIC:,} characters. Shorten it.", "rubric")
    if after is not None and after != flow.rubric_version:
        raise ConflictError(
            f"Somebody wrote version {flow.rubric_version} meanwhile. Copy what you typed, read theirs, and save again."
        )
    if text.strip() == (rubric(session, workflow_id) or "").strip():
        return flow.rubric_version
    version = flow.rubric_version + 1
    rows = [(workflow_id, version, text, now(), by.audit_name)]
    insert_rows(session, "rubric", "workflow_id version text written_at written_by", rows)
    session.connection().execute(
        sa.text("UPDATE workflow SET rubric_version = :version WHERE id = :id"), {"version": version, "id": workflow_id}
    )
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, {"rubric": version})
    return version


HELD = sa.text(
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM item WHERE status = 'held' AND escalated_at IS NULL AND workflow_id = :id)"
    " OR EXISTS (SELECT 1 FROM item WHERE status = 'held' AND escalated_at IS NOT NULL AND workflow_id = :id)"
)
IN_GRACE = sa.text("SELECT 1 FROM item WHERE leaves_at IS NOT NULL AND workflow_id = :id LIMIT 1")
# What it still brings in would be held where nobody is offered it.
IMPORTING = sa.text("SELECT 1 FROM job WHERE finished_at IS NULL AND kind = 'import' AND workflow_id = :id LIMIT 1")


def archive(session: Session, by: Actor, workflow_id: int) -> None:
    """Put a workflow away: it is offered nowhere any more, and everything in it is kept.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: outputs wait in it, an import is under way, or a verdict has not left yet.
    """
    flow = take(session, by, workflow_id)
    connection = session.connection()
    if connection.execute(IMPORTING, {"id": workflow_id}).first():
        raise ConflictError(f"An import into “{flow.name}” is under way. Try again once it has ended.")
    if connection.execute(HELD, {"id": workflow_id}).first():
        raise ConflictError(f"Outputs are still held in “{flow.name}”. Review them first; then put it away.")
    if connection.execute(IN_GRACE, {"id": workflow_id}).first():
        raise ConflictError(f"Verdicts of “{flow.name}” can still be undone. Try again once they have left.")
    _set_archived(session, by, flow, now())


def bring_back(session: Session, by: Actor, workflow_id: int) -> None:
    """Offer a workflow again that was put away.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    _set_archived(session, by, take(session, by, workflow_id), None)


def _set_archived(session: Session, by: Actor, flow: Workflow, at: int | None) -> None:
    if (flow.archived_at is None) is (at is None):
        return
    session.connection().execute(
        sa.text("UPDATE workflow SET archived_at = :at WHERE id = :id"), {"at": at, "id": flow.id}
    )
    record(session, f"workflow/{flow.id}", by.audit_name, Action.WORKFLOW_CHANGED, {"archived": at is not None})
