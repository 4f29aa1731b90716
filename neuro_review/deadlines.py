"""What happens at a deadline: the owner is given the output, and after the time that is agreed it lapses.

Never an approval: an output that lapses releases nothing, and its application is told so, with the fallback if there is
one. A verdict that comes first wins; one that comes later is refused, and what was typed is kept.
"""

import logging

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from neuro_review import queue, releases
from neuro_review.errors import ConflictError

LOG = logging.getLogger(__name__)
AT_ONCE = 64
# Each is read from an index of its own, so that what waits long with its owner is not passed over again and again;
# CROSS keeps SQLite from starting at the items, which it would all look at.
_LAPSE = (
    "SELECT i.id FROM workflow w CROSS JOIN item i WHERE i.workflow_id = w.id AND i.status = 'held'"
    " AND i.due_at IS NOT NULL AND i.due_at <= :now - coalesce(w.lapse_ms, 0) * 1000 AND i.origin = 'gate'"
    " ORDER BY i.due_at LIMIT :most"
)
_ESCALATE = (
    "SELECT i.id FROM workflow w CROSS JOIN item i WHERE i.workflow_id = w.id AND i.status = 'held'"
    " AND i.due_at IS NOT NULL AND i.overdue_at IS NULL AND i.due_at <= :now AND w.lapse_ms > 0 AND i.origin = 'gate'"
    " ORDER BY i.due_at LIMIT :most"
)
LAPSE, ESCALATE = sa.text(_LAPSE), sa.text(_ESCALATE)
PASSED = sa.text(f"SELECT EXISTS ({_LAPSE}) OR EXISTS ({_ESCALATE})")


def passed(session: Session) -> bool:
    """Tell whether a deadline has passed that nothing was done about yet."""
    return bool(session.connection().execute(PASSED, {"now": now(), "most": 1}).scalar())


def keep(session: Session, most: int = AT_ONCE) -> int:
    """Let lapse what is to lapse, then give owners what is overdue, at most `most` of each; returns how many moved."""
    connection, bound = session.connection(), {"now": now(), "most": most}
    lapsing = [row.id for row in connection.execute(LAPSE, bound)]
    moved = sum(_try(session, item_id, lapse=True) for item_id in lapsing)
    overdue = [row.id for row in connection.execute(ESCALATE, bound)]
    return moved + sum(_try(session, item_id, lapse=False) for item_id in overdue)


def _try(session: Session, item_id: str, *, lapse: bool) -> bool:
    try:
        with session.begin_nested():
            if lapse:
                releases.lapse(session, item_id)
            else:
                queue.overdue(session, item_id)
    except ConflictError:  # somebody decided it in this very moment
        return False
    except sa.exc.IntegrityError as error:
        LOG.error("Item %s cannot pass its deadline; run verify-audit. %s", item_id, str(error).splitlines()[0][:200])
        return False
    return True
