"""What an owner should look at now: each alert is a sentence, with the page on which to take the next step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, MINUTE, now
from db.tables import Role
from neuro_review import audit, phrases
from neuro_review.access import Actor
from neuro_review.deliveries import health
from neuro_review.deliveries.health import Unheard
from neuro_review.overview import Owned, Row, overdue
from neuro_review.phrases import are, were
from neuro_review.quality import drift

QUALITY = "pages/quality.py"
QUIET = DAY
# The worker releases within a second and seals every minute; later than this, it does not run.
LATE = 5 * MINUTE


@dataclass(frozen=True)
class Alert:
    """Something that does not mend itself."""

    sentence: str
    page: str = ""
    """Where the next step is taken; nothing where it is not on a page."""
    link: str = ""
    workflow_id: int | None = None


FACTS = sa.text(
    "SELECT w.id, w.created_at, w.rubric_version, EXISTS (SELECT 1 FROM audit a WHERE a.stream = 'workflow/' || w.id"
    " AND a.action = 'sample.loaded') AS is_sample,"
    " EXISTS (SELECT 1 FROM role_grant g JOIN person p ON p.id = g.person_id WHERE p.disabled_at IS NULL"
    "  AND g.role = 'owner' AND (g.workflow_id = w.id OR g.workflow_id IS NULL)) AS has_owner,"
    " EXISTS (SELECT 1 FROM role_grant g JOIN person p ON p.id = g.person_id WHERE p.disabled_at IS NULL"
    "  AND g.role IN ('reviewer', 'owner') AND (g.workflow_id = w.id OR g.workflow_id IS NULL)) AS has_reviewer"
    " FROM workflow w WHERE w.archived_at IS NULL"
)
# Items that are kept for somebody who may not, or for nobody: no reviewer is ever offered them.
_MAY = (
    "SELECT 1 FROM role_grant g WHERE g.person_id = p.id AND g.role IN ('reviewer', 'owner', 'admin')"
    " AND (g.workflow_id IS NULL OR g.workflow_id = i.workflow_id)"
)
STRANDED = sa.text(
    "SELECT workflow_id, count(*) AS n FROM ("
    "SELECT i.workflow_id FROM item i JOIN person p ON p.id = i.assigned_to WHERE i.status = 'held'"
    f" AND i.assigned_to IS NOT NULL AND (p.disabled_at IS NOT NULL OR NOT EXISTS ({_MAY}))"
    " UNION ALL SELECT i.workflow_id FROM item i WHERE i.status = 'held' AND i.team_id IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM team_member m JOIN person p ON p.id = m.person_id AND p.disabled_at IS NULL"
    f"  WHERE m.team_id = i.team_id AND EXISTS ({_MAY}))) stranded GROUP BY workflow_id"
)
LAST_CHECK = sa.text("SELECT differences, first FROM count_check ORDER BY day DESC LIMIT 1")
LEAVES = sa.text("SELECT min(leaves_at) FROM item WHERE leaves_at IS NOT NULL")
UNSEALED = {
    "sqlite": sa.text("SELECT at FROM audit WHERE position > :position ORDER BY position LIMIT 1"),
    "postgresql": sa.text(
        "SELECT at FROM audit WHERE (xid, position) > (:xid, :position) ORDER BY xid, position LIMIT 1"
    ),
}


def alerts(session: Session, by: Actor, rows: list[Row], looked_after: dict[int, Owned]) -> list[Alert]:
    """Return what this person should look at in the workflows they own; in the house too where they are an admin."""
    connection = session.connection()
    facts = {row.id: row for row in connection.execute(FACTS)}
    stranded = {row.workflow_id: row.n for row in connection.execute(STRANDED)}
    unheard = health.unheard(session)
    found = list(_house(session)) if by.everywhere(Role.ADMIN) else []
    for row in rows:
        if row.id in looked_after and row.id in facts:
            found += [Alert(one.sentence, QUALITY, "Open Quality", row.id) for one in drift.alarms(session, by, row.id)]
            found += _waits(session, row, looked_after[row.id], facts[row.id])
            found += [_told(row, one) for one in unheard if one.workflow_id == row.id]
            found += _staff(row, facts[row.id], stranded.get(row.id, 0))
    return found


def _house(session: Session) -> Iterator[Alert]:
    connection, at = session.connection(), now()
    leaves = connection.execute(LEAVES).scalar()
    seal = connection.execute(audit.LAST_SEAL).first()
    after = {"xid": seal.last_xid, "position": seal.last_position} if seal else {"xid": -1, "position": 0}
    unsealed = connection.execute(UNSEALED[connection.dialect.name], after).scalar()
    late = [since for since in (leaves, unsealed) if since is not None and at - since > LATE]
    if late:
        what = "verdicts do not leave" if leaves in late else "the audit log is not sealed"
        yield Alert(
            f"The background work has not run for {phrases.ago(min(late))}: {what}. Start the app again, or run "
            "python -m neuro_review worker beside it where NEURO_REVIEW_WORKER is false."
        )
    checked = connection.execute(LAST_CHECK).first()
    if checked is not None and checked.differences:
        yield Alert(
            f"The counts behind the charts were checked last night: {checked.first} Find out who changed rows by hand,"
            " then run python -m neuro_review check-counts --repair."
        )


def _waits(session: Session, row: Row, owned: Owned, facts: Any) -> Iterator[Alert]:
    if row.overdue:
        _, since = overdue(session, row.id)
        by_how_much = f", the first by {phrases.ago(since)}" if since is not None else ""
        yield Alert(
            f"{phrases.count(row.overdue, 'output')} of “{row.name}” {are(row.overdue)} past the deadline"
            f"{by_how_much}. Review now: what is overdue comes first.",
            "pages/review.py", "Review", row.id,
        )  # fmt: skip
    at, oldest = now(), row.waiting.oldest_at
    quiet = owned.latest_at is None or at - owned.latest_at > QUIET
    if quiet and oldest is not None and at - oldest > QUIET and at - facts.created_at > QUIET:
        yield Alert(
            f"Nothing of “{row.name}” was reviewed in the last 24 h, and {phrases.count(row.waiting.held, 'output')}"
            f" {'waits' if row.waiting.held == 1 else 'wait'}. Review some, or find somebody who does.",
            "pages/review.py", "Review", row.id,
        )  # fmt: skip


def _told(row: Row, one: Unheard) -> Alert:
    if one.is_gone:
        says = f"{one.address} answered that nobody is there any more, so it is told nothing of “{row.name}”."
        step = "Correct its address, then resume it."
    elif one.dead:
        says = f"{phrases.count(one.dead, 'message')} of “{row.name}” to {one.address} {were(one.dead)} given up."
        step = "See why, mend the receiver, then send again."
    else:
        says = f"For more than an hour messages of “{row.name}” have not arrived at {one.address}."
        step = "See why; once the receiver is mended, send what waits."
    return Alert(f"{says} {step}", "pages/deliveries.py", "Open Deliveries", row.id)


def _staff(row: Row, facts: Any, stranded: int) -> Iterator[Alert]:
    if stranded:
        yield Alert(
            f"{phrases.count(stranded, 'output')} of “{row.name}” {are(stranded)} assigned to somebody who may not"
            " review it any more, so nobody is offered them. Assign them to somebody else.",
            "pages/history.py", "Find them", row.id,
        )  # fmt: skip
    if facts.is_sample:
        return
    if not facts.has_owner:
        yield Alert(
            f"“{row.name}” has no owner: nobody answers for it, and no application can submit to it. Name one.",
            "pages/workflows.py", "Open Workflows", row.id,
        )  # fmt: skip
    if not facts.has_reviewer and row.waiting.held:
        yield Alert(
            f"Only admins may review “{row.name}”. Give somebody the role of a reviewer.",
            "pages/people.py", "Open People", row.id,
        )  # fmt: skip
    if not facts.rubric_version:
        yield Alert(
            f"“{row.name}” has no rubric: each reviewer goes by their own measure. Write down what counts as good.",
            "pages/workflows.py", "Open Workflows", row.id,
        )  # fmt: skip
