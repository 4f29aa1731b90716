"""The audit log: who did what to what; each event carries the hash of the one before it.

Why a chain per thing and not one for all: a global chain makes every commit wait for the one before it (measured on
PostgreSQL with 8 writers: 299 events/s against 1,679). What a chain per thing cannot show, that a whole thing or its
last events were deleted, the seals show: every so often a Merkle root over all events so far joins a chain of its own.

hash = SHA-256 of the canonical JSON [prev, stream, seq, at, actor, action, body].
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import now
from db.xids import SETTLED

COLUMNS = "stream seq at actor action body prev hash"
HOUSE = "house"


class Action(StrEnum):
    """What can happen, as `subject.verb`."""

    ITEM_SUBMITTED = "item.submitted"
    ITEM_RECORDED = "item.recorded"
    ITEM_REVIEWED = "item.reviewed"
    ITEM_DECIDED = "item.decided"
    ITEM_UNDONE = "item.undone"
    ITEM_RELEASED = "item.released"
    ITEM_RECALLED = "item.recalled"
    ITEM_ESCALATED = "item.escalated"
    ITEM_ASSIGNED = "item.assigned"
    ITEM_PUT_BACK = "item.put_back"
    ITEM_PRIORITISED = "item.prioritised"
    ITEM_ERASED = "item.erased"
    WORKFLOW_ADDED = "workflow.added"
    WORKFLOW_CHANGED = "workflow.changed"
    PERSON_ADDED = "person.added"
    PERSON_CHANGED = "person.changed"
    PERSON_SIGNED_IN = "person.signed_in"
    PERSON_SIGNED_OUT = "person.signed_out"
    PERSON_REFUSED = "person.refused"
    TEAM_ADDED = "team.added"
    TEAM_CHANGED = "team.changed"
    SOURCE_ADDED = "source.added"
    SOURCE_CHANGED = "source.changed"
    ENDPOINT_ADDED = "endpoint.added"
    ENDPOINT_CHANGED = "endpoint.changed"
    DELIVERY_REPLAYED = "delivery.replayed"
    VIEW_SAVED = "view.saved"
    VIEW_DELETED = "view.deleted"
    ALARM_RAISED = "alarm.raised"
    ALARM_SEEN = "alarm.seen"
    EXPORT_WRITTEN = "export.written"
    JOB_ASKED = "job.asked"
    JOB_ENDED = "job.ended"
    EVALSET_MADE = "evalset.made"
    EVALSET_FROZEN = "evalset.frozen"
    EVALSET_CHANGED = "evalset.changed"
    EVALRUN_ASKED = "evalrun.asked"
    EVALRUN_CANCELLED = "evalrun.cancelled"
    EVALRUN_ENDED = "evalrun.ended"
    EVALRUN_REVIEWED = "evalrun.reviewed"
    EVALGATE_ASKED = "evalgate.asked"
    MODEL_CHANGED = "model.changed"
    SAMPLE_LOADED = "sample.loaded"
    SAMPLE_REMOVED = "sample.removed"


LAST = sa.text("SELECT seq, hash FROM audit WHERE stream = :stream ORDER BY seq DESC LIMIT 1")
# Streams that are not items have no row of their own to lock; the event before is what two writers would race for.
LOCK_STREAM = sa.text("SELECT pg_advisory_xact_lock(7, hashtext(:stream))")


def event_hash(prev: str, stream: str, seq: int, at: int, actor: str, action: str, body: str) -> str:
    """Return the hash of one event."""
    return hashlib.sha256(orjson.dumps([prev, stream, seq, at, actor, action, body])).hexdigest()


def first_event(stream: str, at: int, actor: str, action: str, body: str) -> tuple[Any, ...]:
    """Return the row of a thing's first event, in the order of `COLUMNS`."""
    return (stream, 1, at, actor, action, body, "", event_hash("", stream, 1, at, actor, action, body))


def record(
    session: Session, stream: str, actor: str, action: Action, facts: dict[str, Any], at: int | None = None
) -> int:
    """Add an event to a thing's chain, in the caller's transaction, and return its number in the chain.

    The caller holds the row of the item, if the thing is one; other things are locked here.
    """
    connection = session.connection()
    if "/" in stream or stream == HOUSE:
        lock_stream(session, stream)
    last = connection.execute(LAST, {"stream": stream}).first()
    seq, prev = (last.seq + 1, last.hash) if last else (1, "")
    moment = now() if at is None else at
    body = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    row = (stream, seq, moment, actor, action, body, prev, event_hash(prev, stream, seq, moment, actor, action, body))
    insert_rows(session, "audit", COLUMNS, [row])
    return int(seq)


def lock_stream(session: Session, stream: str) -> None:
    """Let one writer at a time add to a chain that has no row of its own."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(LOCK_STREAM, {"stream": stream})


def record_first(session: Session, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add the first events of many new things at once."""
    insert_rows(session, "audit", COLUMNS, list(rows))


def merkle_root(hashes: list[str]) -> str:
    """Return the root of a Merkle tree over hashes (hexadecimal); an odd one is carried up (RFC 6962 splits alike).

    Leaves and nodes are hashed with different first bytes, so that a node cannot pose as a leaf.
    """
    if not hashes:
        return hashlib.sha256(b"").hexdigest()
    level = [hashlib.sha256(b"\0" + bytes.fromhex(one)).digest() for one in hashes]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0].hex()


def seal_hash(prev: str, root: str, last_xid: int, last_position: int, events: int) -> str:
    """Return the hash of one seal."""
    return hashlib.sha256(orjson.dumps([prev, root, last_xid, last_position, events])).hexdigest()


LAST_SEAL = sa.text("SELECT last_xid, last_position, hash FROM seal ORDER BY n DESC LIMIT 1")
# On PostgreSQL an event of a transaction still open could appear before one that is sealed already.
TO_SEAL = {
    "sqlite": sa.text("SELECT xid, position, hash FROM audit WHERE position > :position ORDER BY position LIMIT :most"),
    "postgresql": sa.text(
        "SELECT xid, position, hash FROM audit WHERE (xid, position) > (:xid, :position)"
        f" AND xid < {SETTLED} ORDER BY xid, position LIMIT :most"
    ),
}


def seal(session: Session, most: int = 20_000) -> int:
    """Seal the events since the last seal and return how many there were; at most `most` in one seal."""
    connection = session.connection()
    lock_stream(session, "seal")
    last = connection.execute(LAST_SEAL).first()
    xid, position, prev = (last.last_xid, last.last_position, last.hash) if last else (-1, 0, "")
    query = TO_SEAL[connection.dialect.name]
    rows = connection.execute(query, {"xid": xid, "position": position, "most": most}).all()
    if not rows:
        return 0
    root = merkle_root([row.hash for row in rows])
    last_xid, last_position = rows[-1].xid, rows[-1].position
    row = (
        last_xid,
        last_position,
        len(rows),
        root,
        prev,
        seal_hash(prev, root, last_xid, last_position, len(rows)),
        now(),
    )
    insert_rows(session, "seal", "last_xid last_position events root prev hash at", [row])
    return len(rows)
