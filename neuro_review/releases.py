"""What leaves: after grace the release and the message; lapsing and withdrawing, which release nothing."""

import logging

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import DecidedBy, Origin, Status
from neuro_review import lifecycle
from neuro_review.content import text_hash
from neuro_review.errors import ConflictError, NeuroReviewError, NotFoundError
from neuro_review.lifecycle import Grounds, Verb

LOG = logging.getLogger(__name__)
DUE = {
    "sqlite": sa.text(
        "SELECT id FROM item WHERE leaves_at IS NOT NULL AND leaves_at <= :now ORDER BY leaves_at LIMIT :most"
    ),
    "postgresql": sa.text(
        "SELECT id FROM item WHERE leaves_at IS NOT NULL AND leaves_at <= :now ORDER BY leaves_at LIMIT :most"
        " FOR UPDATE SKIP LOCKED"
    ),
}


def release_due(session: Session, most: int = 64, broken: set[str] | None = None) -> int:
    """Let everything leave whose grace has ended, at most `most` items; returns how many left.

    One that cannot leave keeps no other: it is put into `broken`, and passed over while it is in there.
    """
    connection = session.connection()
    at, broken = now(), set() if broken is None else broken
    rows = connection.execute(DUE[connection.dialect.name], {"now": at, "most": most + len(broken)})
    left = 0
    for item_id in [row.id for row in rows if row.id not in broken]:
        try:
            with session.begin_nested():
                lifecycle.leave(session, lifecycle.lock(session, item_id), at=at)
            left += 1
        except (NeuroReviewError, sa.exc.IntegrityError) as error:
            LOG.error("Item %s cannot leave; run verify-audit. %s", item_id, str(error).splitlines()[0][:200])
            broken.add(item_id)
    return left


def release(session: Session, item_id: str) -> str | None:
    """Let one decided item leave now that its grace has ended; returns the id of the release, if it releases.

    Raises:
        ConflictError: it is held, still in grace, or has left.
    """
    item = lifecycle.lock(session, item_id)
    lifecycle.allow(item, Verb.RELEASE)
    return lifecycle.leave(session, item, at=now())


def lapse(session: Session, item_id: str) -> None:
    """Let a held item lapse at its deadline: decided by policy, never an approval, nothing is released.

    Raises:
        ConflictError: it has been decided.
    """
    _close(session, item_id, Verb.LAPSE, Grounds(DecidedBy.POLICY, Status.LAPSED, "policy"))


def withdraw(session: Session, item_id: str, source_id: int) -> None:
    """Take a held item back for the application that submitted it.

    Raises:
        NotFoundError: another source submitted it.
        ConflictError: it has been decided.
    """
    item = lifecycle.lock(session, item_id)
    if item.source_id != source_id:
        raise NotFoundError("There is no item by that id.")
    _close(session, item_id, Verb.WITHDRAW, Grounds(DecidedBy.SOURCE, Status.WITHDRAWN, f"source:{source_id}"))


def _close(session: Session, item_id: str, verb: Verb, grounds: Grounds) -> None:
    item = lifecycle.lock(session, item_id)
    lifecycle.allow(item, verb)
    at = now()
    lifecycle.decide(session, item, grounds, at=at, final_at=at)
    if item.origin == Origin.GATE:
        lifecycle.leave(session, lifecycle.lock(session, item_id), at=at)


RELEASED = sa.text(
    "SELECT r.id, r.text_hash, d.status, c.salt, c.output, t.text, k.at AS recalled_at FROM release r"
    " JOIN decision d ON d.id = r.decision_id JOIN item_content c ON c.item_id = r.item_id"
    " LEFT JOIN review_content t ON t.review_id = d.review_id LEFT JOIN recall k ON k.release_id = r.id"
    " WHERE r.item_id = :id"
)


def released_text(session: Session, item_id: str) -> str:
    """Return the text that may be sent, after comparing it with the hash the release carries.

    Raises:
        NotFoundError: the item has not been released.
        ConflictError: it was recalled, or erased, or is not the text that was reviewed; it is not handed out.
    """
    row = session.connection().execute(RELEASED, {"id": item_id}).first()
    if row is None:
        raise NotFoundError("Nothing was released for this item.")
    if row.recalled_at is not None:
        raise ConflictError("This release was recalled; its text is not to be sent.")
    text: str | None = row.text if row.status == Status.CORRECTED else row.output
    if text is None or row.salt is None:
        raise ConflictError("The text of this release was erased.")
    if text_hash(row.salt, text) != row.text_hash:
        raise ConflictError("The stored text is not the one that was reviewed. It is not sent. Run verify-audit.")
    return text
