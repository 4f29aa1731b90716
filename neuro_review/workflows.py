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


COLUMNS = "id, name, grace_ms, sla_ms, panel_rate, rubric_version, policy_version"
BY_NAME = sa.text(f"SELECT {COLUMNS} FROM workflow WHERE name = :name")
BY_ID = sa.text(f"SELECT {COLUMNS} FROM workflow WHERE id = :id")
ALL = sa.text(f"SELECT {COLUMNS} FROM workflow WHERE archived_at IS NULL ORDER BY name")


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


def add(
    session: Session, by: Actor, name: str, *, owner_id: int | None = None, panel_rate: float = PANEL_RATE
) -> Workflow:
    """Add a workflow with the defaults and a starting list of reasons.

    Raises:
        ConflictError: there is one of this name.
        InvalidError: the name cannot be used.
    """
    name = " ".join(name.split())
    check_text(name, "workflow")
    if not name or len(name) > 100:
        raise InvalidError("A workflow's name has 1 to 100 characters.", "workflow")
    if find(session, name):
        raise ConflictError(f"There is a workflow “{name}” already.")
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


def write_rubric(session: Session, by: Actor, workflow_id: int, text: str) -> int:
    """Put a new version of the rubric in force and return its number; earlier ones are kept.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    check_text(text, "The rubric", 100_000)
    version = by_id(session, workflow_id).rubric_version + 1
    rows = [(workflow_id, version, text, now(), by.audit_name)]
    insert_rows(session, "rubric", "workflow_id version text written_at written_by", rows)
    session.connection().execute(
        sa.text("UPDATE workflow SET rubric_version = :version WHERE id = :id"), {"version": version, "id": workflow_id}
    )
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, {"rubric": version})
    return version


def archive(session: Session, by: Actor, workflow_id: int) -> None:
    """Put a workflow away: it is offered nowhere any more, and everything in it is kept.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    session.connection().execute(
        sa.text("UPDATE workflow SET archived_at = :at WHERE id = :id"), {"at": now(), "id": workflow_id}
    )
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, {"archived": True})
