"""What is sent: one event of the feed, with its item as it is now.

It is written when it is sent and not when it happened: a release that was recalled or erased meanwhile carries no text
any more, and no second copy of a text lies anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import iso, new_id, now
from db.tables import Status
from neuro_review.gate import views
from neuro_review.sources import Caller

TEST = "test"
EVENTS = {
    "sqlite": "IN (SELECT value FROM json_each(:seqs))",
    "postgresql": "= ANY(:seqs)",
}
_EVENT = "SELECT seq, xid, event, item_id, source_id, workflow_id, decision_id FROM outbox WHERE seq "


@dataclass(frozen=True)
class Message:
    """What is sent, and the id by which a receiver knows it again."""

    webhook_id: str
    body: bytes


def messages(session: Session, seqs: Sequence[int]) -> dict[int, Message]:
    """Return messages by their number in the outbox."""
    connection = session.connection()
    dialect = connection.dialect.name
    listed: Any = orjson.dumps(list(seqs)).decode() if dialect == "sqlite" else list(seqs)
    rows = connection.execute(sa.text(_EVENT + EVENTS[dialect]), {"seqs": listed}).all()
    found: dict[int, Message] = {}
    for source_id, workflow_id in {(row.source_id, row.workflow_id) for row in rows}:
        mine = [row for row in rows if (row.source_id, row.workflow_id) == (source_id, workflow_id)]
        caller = Caller(source_id, "", workflow_id, can_submit=False, can_read=True)
        items = views.views(session, caller, [_id(row.item_id) for row in mine])
        for row in mine:
            event = {"cursor": f"{row.xid}-{row.seq}", "type": row.event, "item": items[_id(row.item_id)]}
            # Of the decision, not of the row: after a restored backup a number would mean another message.
            found[row.seq] = Message(f"msg_{_id(row.decision_id)}_{row.event}", orjson.dumps(event))
    return found


def test_message(workflow: str) -> Message:
    """Return a message that shows a receiver the form, says that it is a test, and is about no item there is."""
    item = {
        "id": "0" * 32, "external_id": TEST, "workflow": workflow, "model": TEST, "status": str(Status.HELD),
        "final": False, "verdict": None, "released": False, "output": None, "fallback": None, "reasons": [],
        "release": None, "recalled": False, "created_at": iso(now()), "due_at": None, "decided_at": None,
        "released_at": None,
    }  # fmt: skip
    event = {"cursor": "0-0", "type": TEST, "item": item}
    return Message(f"msg_{new_id()}_{TEST}", orjson.dumps(event))


def _id(given: Any) -> str:
    return str(given).replace("-", "")
