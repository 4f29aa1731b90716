"""What an owner sees of the telling: how each endpoint does, what was given up and why, and what was sent of late."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import HOUR, now
from db.tables import Role
from neuro_review import outbound
from neuro_review.access import Actor

MOST_LISTED = 50
LATE = HOUR  # a receiver that is away for less comes back by itself
TEST_ARRIVED = '{"test":true}'  # the event that `endpoints.note_test` writes


@dataclass(frozen=True)
class Health:
    """One endpoint, and how it does."""

    id: int
    workflow_id: int
    workflow: str
    application: str | None
    """Whose items it is told of; none is of all of the workflow."""
    address: str
    """Without its query."""
    url: str
    paused_at: int | None
    paused_for: str | None
    both_until: int | None
    """Until when messages are also signed with the secret before; none where they are not."""
    arrived_at: int | None
    """When a message last arrived."""
    tested_at: int | None
    """When a test last arrived; it is no message, and stands in the audit log only."""
    waiting: int
    failing: int
    """Those of the waiting that were tried in vain."""
    waiting_since: int | None
    dead: int
    error: str | None
    """What was wrong with the last try that failed, of those that still wait."""


_OPEN = "d.endpoint_id = e.id AND d.delivered_at IS NULL AND d.dead_at IS NULL"
HEALTH = sa.text(
    "SELECT e.id, e.workflow_id, w.name AS workflow, s.name AS application, e.url, e.paused_at, e.paused_for,"
    " e.old_until, (SELECT max(d.delivered_at) FROM delivery d WHERE d.endpoint_id = e.id"
    "  AND d.delivered_at IS NOT NULL) AS arrived_at,"
    " (SELECT max(a.at) FROM audit a WHERE a.stream = 'endpoint/' || e.id AND a.body = :tested) AS tested_at,"
    f" (SELECT count(*) FROM delivery d WHERE {_OPEN}) AS waiting,"
    f" (SELECT count(*) FROM delivery d WHERE {_OPEN} AND d.error IS NOT NULL) AS failing,"
    f" (SELECT min(d.created_at) FROM delivery d WHERE {_OPEN}) AS waiting_since,"
    " (SELECT count(*) FROM delivery d WHERE d.endpoint_id = e.id AND d.dead_at IS NOT NULL) AS dead,"
    f" (SELECT d.error FROM delivery d WHERE {_OPEN} AND d.error IS NOT NULL ORDER BY d.tried_at DESC LIMIT 1) AS error"
    " FROM endpoint e JOIN workflow w ON w.id = e.workflow_id LEFT JOIN source s ON s.id = e.source_id"
    " WHERE e.removed_at IS NULL ORDER BY lower(w.name), w.id, e.id"
)


def mine(session: Session, by: Actor) -> list[Health]:
    """Return the endpoints of the workflows that this person owns, and how each does.

    Raises:
        NotAllowedError: not an owner of anything.
    """
    by.require(Role.OWNER)
    at = now()
    return [
        Health(
            row.id, row.workflow_id, row.workflow, row.application, outbound.shown(row.url), row.url, row.paused_at,
            row.paused_for, row.old_until if (row.old_until or 0) > at else None, row.arrived_at, row.tested_at,
            row.waiting, row.failing, row.waiting_since, row.dead, row.error,
        )
        for row in session.connection().execute(HEALTH, {"tested": TEST_ARRIVED}) if by.may(Role.OWNER, row.workflow_id)
    ]  # fmt: skip


@dataclass(frozen=True)
class Unheard:
    """An endpoint that does not hear what it is to be told, and that somebody should look at."""

    workflow_id: int
    address: str
    is_gone: bool
    """It answered that nobody is there any more, and rests."""
    dead: int


UNHEARD = sa.text(
    "SELECT * FROM (SELECT e.workflow_id, e.url, e.paused_at, e.paused_for,"
    " (SELECT count(*) FROM delivery d WHERE d.endpoint_id = e.id AND d.dead_at IS NOT NULL) AS dead,"
    f" EXISTS (SELECT 1 FROM delivery d WHERE {_OPEN} AND d.error IS NOT NULL AND d.created_at < :before) AS is_late"
    " FROM endpoint e WHERE e.removed_at IS NULL ORDER BY e.id) found"
    " WHERE paused_for = 'gone' OR dead > 0 OR (is_late AND paused_at IS NULL)"
)


def unheard(session: Session) -> list[Unheard]:
    """Return the endpoints, of all workflows, that gave up, rest because nobody is there, or fail for an hour."""
    rows = session.connection().execute(UNHEARD, {"before": now() - LATE})
    return [Unheard(row.workflow_id, outbound.shown(row.url), row.paused_for == "gone", row.dead) for row in rows]


@dataclass(frozen=True)
class Sent:
    """One message on its way to one endpoint, or there."""

    seq: int
    item_id: str
    external_id: str
    event: str
    created_at: int
    attempts: int
    next_at: int
    tried_at: int | None
    delivered_at: int | None
    dead_at: int | None
    status: int | None
    took_ms: int | None
    error: str | None

    @property
    def state(self) -> str:
        """Return how far it is, in a word or two."""
        if self.delivered_at is not None:
            return "arrived"
        if self.dead_at is not None:
            return "given up"
        return "tried again" if self.error else "waiting"


_SENT = (
    "SELECT d.outbox_seq AS seq, d.item_id, i.external_id, o.event, d.created_at, d.attempts, d.next_at, d.tried_at,"
    " d.delivered_at, d.dead_at, d.status, d.took_ms, d.error FROM delivery d JOIN outbox o ON o.seq = d.outbox_seq"
    " JOIN item i ON i.id = d.item_id WHERE d.endpoint_id = :endpoint"
)
DEAD = sa.text(_SENT + " AND d.dead_at IS NOT NULL ORDER BY d.dead_at DESC, d.outbox_seq DESC LIMIT :most")
RECENT = sa.text(_SENT + " ORDER BY d.outbox_seq DESC LIMIT :most")


def dead(session: Session, by: Actor, health: Health, most: int = MOST_LISTED) -> list[Sent]:
    """Return what was given up at an endpoint, the latest first.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    return _listed(session, by, health, DEAD, most)


def recent(session: Session, by: Actor, health: Health, most: int = MOST_LISTED) -> list[Sent]:
    """Return the latest messages to an endpoint, the latest first.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    return _listed(session, by, health, RECENT, most)


def _listed(session: Session, by: Actor, health: Health, query: Any, most: int) -> list[Sent]:
    by.require(Role.OWNER, health.workflow_id)
    rows = session.connection().execute(query, {"endpoint": health.id, "most": most})
    return [Sent(**{**row._mapping, "item_id": str(row.item_id).replace("-", "")}) for row in rows]
