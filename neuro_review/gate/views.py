"""What an application sees of an item that it submitted; its text only where it may be sent."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import is_id, iso
from db.tables import Status
from neuro_review.content import text_hash
from neuro_review.errors import NotFoundError
from neuro_review.intake import ITEM_COLUMNS, Prepared
from neuro_review.lifecycle import RELEASABLE
from neuro_review.sources import Caller
from neuro_review.workflows import Workflow

FALLS_BACK = frozenset({Status.REJECTED, Status.LAPSED})
NO_ITEM = "There is no item by that id that this application submitted."

_VIEW = (
    "SELECT i.id, i.external_id, i.model, i.status, i.created_at, i.due_at, i.released_at, i.recalled_at, i.decided_at,"
    " i.leaves_at, w.name AS workflow, w.fallback, v.verdict, v.reasons, d.text_hash, r.id AS release_id, c.salt,"
    " c.output, t.text FROM item i JOIN workflow w ON w.id = i.workflow_id JOIN item_content c ON c.item_id = i.id"
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
        "final": status is not Status.HELD and row.leaves_at is None,
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


_asked_of = itemgetter(*map(ITEM_COLUMNS.split().index, ("model", "created_at", "due_at")))


def just_held(flow: Workflow, one: Prepared) -> dict[str, Any]:
    """Return an item as its application sees it, right after it was stored."""
    model, created_at, due_at = _asked_of(one.item)
    return {
        "id": one.item_id,
        "external_id": one.external_id,
        "workflow": flow.name,
        "model": model,
        "status": str(Status.HELD),
        "final": False,
        "verdict": None,
        "released": False,
        "output": None,
        "fallback": None,
        "reasons": [],
        "release": None,
        "recalled": False,
        "created_at": iso(created_at),
        "due_at": _iso(due_at),
        "decided_at": None,
        "released_at": None,
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
