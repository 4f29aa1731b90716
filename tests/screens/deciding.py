"""Verdicts without a queue: an item put into somebody's hands, and decided there."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import Verdict
from neuro_review import decisions, queue
from neuro_review.access import Actor
from neuro_review.decisions import Decided, Opinion


def lease(session: Session, item_id: str, by: Actor) -> int:
    """Put an item into somebody's hands and return the lease number."""
    row = session.connection().execute(
        sa.text("UPDATE item SET lease_by = :me, lease_until = :until, lease_n = lease_n + 1 WHERE id = :id RETURNING lease_n"),  # noqa: E501
        {"me": by.person_id, "until": now() + queue.LEASE_LASTS, "id": item_id},
    ).one()  # fmt: skip
    return int(row.lease_n)


def judge(session: Session, item_id: str, by: Actor, verdict: Verdict, text: str | None = None, **more: Any) -> Decided:
    """Let somebody decide an item."""
    opinion = Opinion(verdict, text, **more)
    return decisions.decide(session, item_id, by, lease(session, item_id, by), opinion)


def without_grace(session: Session, workflow_id: int) -> None:
    """Let every verdict of a workflow leave at once."""
    session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0 WHERE id = :id"), {"id": workflow_id})
