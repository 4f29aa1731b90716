"""What waits, workflow by workflow and for the person who looks, and who works on it."""

from collections import defaultdict
from dataclasses import dataclass, field

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.tables import Role
from neuro_review import queue, workflows
from neuro_review.access import Actor
from neuro_review.queue import Waiting

MOST_ESCALATED = 20


@dataclass(frozen=True)
class Row:
    """One workflow and what waits in it."""

    id: int
    name: str
    waiting: Waiting
    overdue: int
    owned: bool
    """This person answers for it."""


# A deadline that has passed is one of those within the hour, so this reads no more rows than they are.
OVERDUE = sa.text(
    "SELECT count(*) AS overdue, min(due_at) AS since FROM item WHERE status = 'held' AND due_at IS NOT NULL"
    " AND workflow_id = :workflow AND due_at < :now"
)


def workflow_names(session: Session, by: Actor) -> list[str]:
    """Return the names of the workflows that this person may review."""
    return [flow.name for flow in workflows.every(session) if by.may(Role.REVIEWER, flow.id)]


def workflows_of(session: Session, by: Actor) -> list[Row]:
    """Return the workflows that this person may review, by name, with what waits in each."""
    return [
        Row(
            flow.id, flow.name, queue.waiting(session, flow.id), overdue(session, flow.id)[0],
            by.may(Role.OWNER, flow.id),
        )
        for flow in workflows.every(session)
        if by.may(Role.REVIEWER, flow.id)
    ]  # fmt: skip


def overdue(session: Session, workflow_id: int) -> tuple[int, int | None]:
    """Return how much is past its deadline in a workflow, and since when the first of it is."""
    row = session.connection().execute(OVERDUE, {"workflow": workflow_id, "now": now()}).one()
    return row.overdue, row.since


@dataclass(frozen=True)
class Mine:
    """What waits for this very person, and what they have done."""

    held: int
    due: int
    oldest_at: int | None
    assigned: int
    """Held for this person, or for a group of theirs."""
    escalated: int
    """In the list of an owner, in the workflows this person owns."""
    today: int
    week: int


ASSIGNED = sa.text(
    "SELECT (SELECT count(*) FROM item i JOIN workflow w ON w.id = i.workflow_id WHERE i.status = 'held'"
    " AND i.assigned_to = :me AND w.archived_at IS NULL) + (SELECT count(*) FROM item i"
    " JOIN workflow w ON w.id = i.workflow_id WHERE i.status = 'held' AND i.team_id IS NOT NULL AND i.team_id IN"
    " (SELECT m.team_id FROM team_member m WHERE m.person_id = :me) AND i.assigned_to IS NULL"
    " AND w.archived_at IS NULL)"
)
VERDICTS = sa.text(
    "SELECT coalesce(sum(CASE WHEN v.created_at >= :today THEN 1 ELSE 0 END), 0) AS today, count(*) AS week"
    " FROM review v WHERE v.person_id = :me AND v.created_at >= :since AND NOT EXISTS"
    " (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id WHERE d.review_id = v.id)"
)


def mine(session: Session, by: Actor, rows: list[Row]) -> Mine:
    """Return what waits for this person in these workflows, and their verdicts since midnight and since Monday, UTC."""
    midnight = now() // DAY * DAY
    # The first of January 1970 was a Thursday.
    monday = midnight - (midnight // DAY + 3) % 7 * DAY
    connection = session.connection()
    done = connection.execute(VERDICTS, {"me": by.person_id, "today": midnight, "since": monday}).one()
    oldest = [row.waiting.oldest_at for row in rows if row.waiting.oldest_at is not None]
    return Mine(
        sum(row.waiting.held for row in rows), sum(row.waiting.due for row in rows), min(oldest, default=None),
        int(connection.execute(ASSIGNED, {"me": by.person_id}).scalar_one()),
        sum(row.waiting.escalated for row in rows if row.owned), int(done.today), done.week,
    )  # fmt: skip


@dataclass(frozen=True)
class Working:
    """Somebody with items in their hands."""

    name: str
    items: int
    verdict_at: int | None
    """When they gave their last verdict, wherever."""


WORKING = sa.text(
    "SELECT i.workflow_id, p.name, count(*) AS items,"
    " (SELECT max(v.created_at) FROM review v WHERE v.person_id = p.id) AS verdict_at FROM item i"
    " JOIN person p ON p.id = i.lease_by WHERE i.status = 'held' AND i.lease_by IS NOT NULL AND i.lease_until >= :now"
    " GROUP BY i.workflow_id, p.id, p.name ORDER BY p.name, p.id"
)


@dataclass(frozen=True)
class Mix:
    """How many verdicts of each kind people gave."""

    approve: int = 0
    correct: int = 0
    reject: int = 0

    @property
    def all(self) -> int:
        """Return how many there were."""
        return self.approve + self.correct + self.reject


# By person, not by workflow: so the index leaves out labels of the past, of which there may be a million. SQLite keeps
# the order of a CROSS JOIN; without a word from us it would read every review.
MIX = sa.text(
    "SELECT v.workflow_id, v.verdict, v.created_at >= :week AS this_week, max(v.created_at) AS latest, count(*) AS n"
    " FROM person p CROSS JOIN review v WHERE v.person_id = p.id AND v.created_at >= :since AND NOT EXISTS"
    " (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id WHERE d.review_id = v.id)"
    " GROUP BY 1, 2, 3"
)


@dataclass(frozen=True)
class Owned:
    """What the owner of a workflow looks after."""

    working: list[Working] = field(default_factory=list)
    this_week: Mix = Mix()
    """Of the last seven days."""
    week_before: Mix = Mix()
    latest_at: int | None = None
    """When the last verdict was given, if that was within two weeks."""


def owned(session: Session, rows: list[Row]) -> dict[int, Owned]:
    """Return, for those of these workflows that this person owns, who works there and what verdicts were given."""
    connection, at = session.connection(), now()
    working: dict[int, list[Working]] = defaultdict(list)
    for row in connection.execute(WORKING, {"now": at}):
        working[row.workflow_id].append(Working(row.name, row.items, row.verdict_at))
    counts: dict[tuple[int, bool], dict[str, int]] = defaultdict(dict)
    latest: dict[int, int] = {}
    for row in connection.execute(MIX, {"week": at - 7 * DAY, "since": at - 14 * DAY}):
        counts[row.workflow_id, bool(row.this_week)][row.verdict] = row.n
        latest[row.workflow_id] = max(row.latest, latest.get(row.workflow_id, 0))
    return {
        row.id: Owned(
            working[row.id], Mix(**counts[row.id, True]), Mix(**counts[row.id, False]), latest.get(row.id)
        )
        for row in rows if row.owned
    }  # fmt: skip


@dataclass(frozen=True)
class Escalated:
    """An item in its owner's list."""

    item_id: str
    model: str
    at: int
    why: str
    by: str


ESCALATED = sa.text(
    "SELECT id, model, escalated_at FROM item WHERE status = 'held' AND escalated_at IS NOT NULL"
    " AND workflow_id = :workflow ORDER BY escalated_at, id LIMIT :most"
)
WHY = sa.text(
    "SELECT a.body, p.name FROM audit a LEFT JOIN person p ON a.actor = 'person:' || p.id WHERE a.stream = :id"
    " AND a.action = 'item.escalated' ORDER BY a.seq DESC LIMIT 1"
)


def escalated(session: Session, by: Actor, workflow_id: int, most: int = MOST_ESCALATED) -> list[Escalated]:
    """Return what was escalated in a workflow, the longest ago first, with who did it and why.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    connection, found = session.connection(), []
    for row in connection.execute(ESCALATED, {"workflow": workflow_id, "most": most}).all():
        event = connection.execute(WHY, {"id": row.id}).first()
        why = str(orjson.loads(event.body).get("reason", "")) if event else ""
        found.append(Escalated(row.id, row.model, row.escalated_at, why, event.name if event and event.name else ""))
    return found
