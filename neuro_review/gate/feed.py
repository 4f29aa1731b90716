"""The feed: what became of everything an application submitted, in order, each once, resumable for ever."""

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.tables import Event
from db.xids import SETTLED
from neuro_review.errors import InvalidError
from neuro_review.gate.views import views
from neuro_review.sources import Caller

MOST_EVENTS = 1000
CURSOR = r"^([0-9]{1,18}-[0-9]{1,18})?$"
NO_CURSOR = "This cursor was not given out by the feed. Leave `after` out to read from the beginning."

_FEED = (
    "SELECT xid, seq, event, item_id FROM outbox WHERE source_id = :source AND workflow_id = :workflow"
    " AND (xid, seq) > (:xid, :seq)"
)
_IN_ORDER = " ORDER BY xid, seq LIMIT :most"
FEED = {
    "sqlite": sa.text(_FEED + _IN_ORDER),
    # Nothing behind a transaction that is still open: it may commit a lower number than what is seen already.
    "postgresql": sa.text(f"{_FEED} AND xid < {SETTLED}{_IN_ORDER}"),
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
    return told, told[-1].cursor if told else after or None


def _place(cursor: str | None) -> tuple[int, int]:
    if not cursor:
        return -1, 0
    if not re.fullmatch(CURSOR, cursor):
        raise InvalidError(NO_CURSOR, "after")
    xid, _, seq = cursor.partition("-")
    return int(xid), int(seq)
