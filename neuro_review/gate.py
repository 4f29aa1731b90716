"""What an application sees of what it submitted: one item, and the feed of what became of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import is_id, iso
from db.tables import Event, Status
from neuro_review.content import text_hash
from neuro_review.errors import InvalidError, NotFoundError
from neuro_review.lifecycle import RELEASABLE
from neuro_review.sources import Caller

MOST_EVENTS = 1000
FALLS_BACK = frozenset({Status.REJECTED, Status.LAPSED})
NO_ITEM = "There is no item by that id that this application submitted."
NO_CURSOR = "This cursor was not given out by the feed. Leave `after` out to read from the beginning."

_VIEW = (
    "SELECT i.id, i.external_id, i.model, i.status, i.created_at, i.due_at, i.released_at, i.recalled_at, i.decided_at,"
    " w.name AS workflow, w.fallback, v.verdict, v.reasons, d.text_hash, r.id AS release_id, c.salt, c.output, t.text"
    " FROM item i JOIN workflow w ON w.id = i.workflow_id JOIN item_content c ON c.item_id = i.id"
    " LEFT JOIN decision d ON d.id = i.decision_id LEFT JOIN review v ON v.id = d.review_id"
    " LEFT JOIN review_content t ON t.review_id = d.review_id LEFT JOIN release r ON r.item_id = i.id"
    " WHERE i.source_id = :source AND i.workflow_id = :workflow AND i.id "
)
VIEW = {
    "sqlite": sa.text(_VIEW + "IN (SELECT value FROM json_each(:ids))"),
    "postgresql": sa.text(_VIEW + "= ANY(:ids)"),
}


def view(session: Session, by: Caller, item_id: str) -> dict[str, Any]:
    """Return one item as its application sees it; its text only where it may be sent.

    Raises:
        NotFoundError: this application did not submit it.
    """
    found = views(session, by, [item_id]) if is_id(item_id) else {}
    if item_id not in found:
        raise NotFoundError(NO_ITEM)
    return found[item_id]


def views(session: Session, by: Caller, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return items as their application sees them, by id; what it did not submit is left out."""
    connection = session.connection()
    dialect = connection.dialect.name
    listed: Any = orjson.dumps(list(ids)).decode() if dialect == "sqlite" else list(ids)
    bound = {"source": by.source_id, "workflow": by.workflow_id, "ids": listed}
    return {row.id: _shown(row) for row in connection.execute(VIEW[dialect], bound)}


def _shown(row: Any) -> dict[str, Any]:
    status = Status(row.status)
    text = _sendable(row, status)
    return {
        "id": row.id,
        "external_id": row.external_id,
        "workflow": row.workflow,
        "model": row.model,
        "status": str(status),
        "verdict": row.verdict,
        "released": text is not None,
        "output": text,
        "fallback": row.fallback if status in FALLS_BACK else None,
        "reasons": orjson.loads(row.reasons) if row.reasons else [],
        "release": {"id": row.release_id, "text_hash": row.text_hash} if text is not None else None,
        "recalled": row.recalled_at is not None,
        "created_at": iso(row.created_at),
        "due_at": _iso(row.due_at),
        "decided_at": _iso(row.decided_at),
        "released_at": _iso(row.released_at),
    }


def _sendable(row: Any, status: Status) -> str | None:
    """Return the text that may be sent; None where nothing was released, and where it is not the text that was."""
    if row.release_id is None or row.released_at is None or row.recalled_at is not None or status not in RELEASABLE:
        return None
    text: str | None = row.text if status is Status.CORRECTED else row.output
    if text is None or row.salt is None or text_hash(row.salt, text) != row.text_hash:
        return None
    return text


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)


_FEED = (
    "SELECT xid, seq, event, item_id FROM outbox WHERE source_id = :source AND workflow_id = :workflow"
    " AND (xid, seq) > (:xid, :seq)"
)
_IN_ORDER = " ORDER BY xid, seq LIMIT :most"
FEED = {
    "sqlite": sa.text(_FEED + _IN_ORDER),
    # Nothing behind a transaction that is still open: it may commit a lower number than what is seen already.
    "postgresql": sa.text(_FEED + " AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint" + _IN_ORDER),
}


@dataclass(frozen=True)
class Told:
    """One event of the feed: what happened, and the item as it is now."""

    cursor: str
    event: Event
    item: dict[str, Any]


def feed(session: Session, by: Caller, after: str | None = None, most: int = 100) -> tuple[list[Told], str | None]:
    """Return what became of what an application submitted, in order, each once, and where to go on.

    The cursor is good for ever; with nothing new it is the one that was given.

    Raises:
        InvalidError: the cursor was not given out here, or `most` is out of 1 to MOST_EVENTS.
    """
    if not 1 <= most <= MOST_EVENTS:
        raise InvalidError(f"`limit` is 1 to {MOST_EVENTS:,}.", "limit")
    xid, seq = _place(after)
    connection = session.connection()
    bound = {"source": by.source_id, "workflow": by.workflow_id, "xid": xid, "seq": seq, "most": most}
    rows = connection.execute(FEED[connection.dialect.name], bound).all()
    items = views(session, by, [row.item_id for row in rows])
    told = [Told(f"{row.xid}-{row.seq}", Event(row.event), items[row.item_id]) for row in rows]
    return told, told[-1].cursor if told else after


def _place(cursor: str | None) -> tuple[int, int]:
    if not cursor:
        return -1, 0
    xid, _, seq = cursor.partition("-")
    if not (xid.isascii() and seq.isascii() and xid.isdecimal() and seq.isdecimal() and len(cursor) <= 37):
        raise InvalidError(NO_CURSOR, "after")
    place = int(xid), int(seq)
    if max(place) >= 1 << 63:
        raise InvalidError(NO_CURSOR, "after")
    return place
