"""Which message is whose to send now, and how it went.

Several workers may send at once: a message is claimed by compare-and-set, and where its worker dies another one sends
it again after a while, under the same id. Of one item the messages go to one endpoint in order.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import HOUR, SECOND, now
from db.tables import PausedFor
from neuro_review.audit import Action, record
from neuro_review.outbound import PATIENCE, Reply
from neuro_review.settings import settings

AT_ONCE = 8
"""Tries of one endpoint at the same time."""
CLAIM_LASTS = 2 * int(PATIENCE) * SECOND
MOST_TRIES = 12
GROWS = 4
LONGEST_PAUSE = 6 * HOUR
GONE = 410


@dataclass(frozen=True)
class Claim:
    """A message that this worker sends, and where to."""

    endpoint_id: int
    outbox_seq: int
    attempt: int
    url: str
    nonces: tuple[str, ...]


# The first that is due, of each endpoint in use: an endpoint that is down keeps no other waiting.
_DUE = (
    "SELECT e.id, e.url, e.nonce, e.old_nonce, e.old_until, (SELECT min(d.next_at) FROM delivery d WHERE"
    " d.endpoint_id = e.id AND d.delivered_at IS NULL AND d.dead_at IS NULL) AS next_at FROM endpoint e"
    " WHERE e.paused_at IS NULL AND e.removed_at IS NULL"
)
SOONEST = f"SELECT min(next_at) FROM ({_DUE}) due"
ENDPOINTS = sa.text(f"SELECT * FROM ({_DUE}) due WHERE next_at <= :now ORDER BY next_at")
_MESSAGES = (
    "SELECT d.outbox_seq, d.attempts FROM delivery d WHERE d.endpoint_id = :endpoint AND d.delivered_at IS NULL"
    " AND d.dead_at IS NULL AND d.next_at <= :now AND NOT EXISTS (SELECT 1 FROM delivery b WHERE"
    " b.endpoint_id = d.endpoint_id AND b.item_id = d.item_id AND b.outbox_seq < d.outbox_seq"
    " AND b.delivered_at IS NULL AND b.dead_at IS NULL) ORDER BY d.next_at, d.outbox_seq LIMIT :most"
)
MESSAGES = {
    "sqlite": sa.text(_MESSAGES),
    "postgresql": sa.text(_MESSAGES + " FOR UPDATE OF d SKIP LOCKED"),
}
TAKE = sa.text(
    "UPDATE delivery SET attempts = attempts + 1, next_at = :until, tried_at = :now WHERE endpoint_id = :endpoint"
    " AND outbox_seq = :seq AND attempts = :attempts AND next_at <= :now AND delivered_at IS NULL AND dead_at IS NULL"
)


def due(session: Session, in_flight: Mapping[int, int]) -> bool:
    """Tell whether an endpoint with room for more has something to be sent."""
    rows = session.connection().execute(ENDPOINTS, {"now": now()})
    return any(in_flight.get(row.id, 0) < AT_ONCE for row in rows)


def take(session: Session, in_flight: Mapping[int, int], most: int) -> list[Claim]:
    """Claim what is due, `AT_ONCE` of an endpoint less what it has in flight, and `most` in all."""
    connection, at = session.connection(), now()
    claims: list[Claim] = []
    for endpoint in connection.execute(ENDPOINTS, {"now": at}).all():
        room = min(AT_ONCE - in_flight.get(endpoint.id, 0), most - len(claims))
        if room <= 0:
            continue
        bound = {"endpoint": endpoint.id, "now": at, "until": at + CLAIM_LASTS}
        for row in connection.execute(MESSAGES[connection.dialect.name], bound | {"most": room}).all():
            taken = connection.execute(TAKE, bound | {"seq": row.outbox_seq, "attempts": row.attempts})
            if taken.rowcount == 1:
                claims.append(Claim(endpoint.id, row.outbox_seq, row.attempts + 1, endpoint.url, _nonces(endpoint, at)))
    return claims


def _nonces(endpoint: Any, at: int) -> tuple[str, ...]:
    both = endpoint.old_nonce is not None and at < endpoint.old_until
    return (endpoint.nonce, endpoint.old_nonce) if both else (endpoint.nonce,)


ARRIVED = sa.text(
    "UPDATE delivery SET delivered_at = :now, dead_at = NULL, status = :status, took_ms = :took, error = NULL"
    " WHERE endpoint_id = :endpoint AND outbox_seq = :seq AND delivered_at IS NULL"
)
# Of a try that took so long that another one was begun, only the success counts.
FAILED = sa.text(
    "UPDATE delivery SET status = :status, took_ms = :took, error = :error, next_at = :next_at, dead_at = :dead_at"
    " WHERE endpoint_id = :endpoint AND outbox_seq = :seq AND attempts = :attempt AND delivered_at IS NULL"
    " AND dead_at IS NULL"
)


def settle(session: Session, claim: Claim, reply: Reply | None, why: str = "") -> None:
    """Write down how a try went; without a reply `why` says why there is none."""
    at = now()
    bound: dict[str, Any] = {
        "endpoint": claim.endpoint_id, "seq": claim.outbox_seq, "attempt": claim.attempt, "now": at,
        "status": reply.status if reply else None, "took": reply.took_ms if reply else None,
    }  # fmt: skip
    if reply is not None and 200 <= reply.status < 300:
        session.connection().execute(ARRIVED, bound)
        return
    gone = reply is not None and reply.status == GONE
    dead = claim.attempt >= MOST_TRIES and not gone
    pause = 0 if gone else pause_after(claim.attempt, reply.retry_after if reply else None)
    bound |= {
        "error": says(reply) if reply else why, "next_at": at + pause, "dead_at": at if dead else None,
    }  # fmt: skip
    session.connection().execute(FAILED, bound)
    if gone:
        _rest(session, claim.endpoint_id, at)


def pause_after(attempt: int, retry_after: float | None = None) -> int:
    """Return how long to wait after a failed try, in microseconds: four times as long each time, never all at once."""
    grown = min(settings().webhook_retry_seconds * SECOND * GROWS ** (attempt - 1), LONGEST_PAUSE)
    scattered = int(grown * random.uniform(0.5, 1.5))
    return max(scattered, min(int((retry_after or 0) * SECOND), LONGEST_PAUSE))


def says(reply: Reply) -> str:
    """Return what was wrong with a reply, as a sentence."""
    if reply.status == GONE:
        return "It answered 410: nobody is there any more. The endpoint is paused; correct the address, then resume it."
    if 300 <= reply.status < 400:
        return f"It answered {reply.status}, which leads elsewhere. Redirects are not followed; give the last address."
    if reply.status in (401, 403):
        return f"It answered {reply.status}: it refuses our signature. Give it this endpoint's secret."
    if reply.status == 404:
        return "It answered 404: nothing is at this address. Correct it."
    return f"It answered {reply.status}. A receiver answers 2xx once it has kept the message."


REST = sa.text(
    "UPDATE endpoint SET paused_at = :now, paused_for = :why WHERE id = :id AND paused_at IS NULL RETURNING id"
)


def _rest(session: Session, endpoint_id: int, at: int) -> None:
    why = str(PausedFor.GONE)
    if session.connection().execute(REST, {"now": at, "why": why, "id": endpoint_id}).first() is not None:
        record(session, f"endpoint/{endpoint_id}", "policy", Action.ENDPOINT_CHANGED, {"paused": why}, at)
