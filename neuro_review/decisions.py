"""The verdict: approve, correct or reject what was claimed; undo it while it has not left, recall it afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, new_id, now
from db.tables import VERDICT_STATUS, DecidedBy, Origin, Purpose, Role, Status, Verdict
from neuro_review import lifecycle, queue, rollups, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import as_json, check_text, text_hash
from neuro_review.errors import ConflictError, InvalidError, LeaseLostError, NotAllowedError
from neuro_review.lifecycle import Grounds, State, Verb
from neuro_review.likeness import changed
from neuro_review.settings import settings

RECALL_WITHIN = DAY
PURPOSE = {Origin.GATE: Purpose.GATE, Origin.SAMPLE: Purpose.GATE, Origin.GOLD: Purpose.GOLD,
           Origin.CANDIDATE: Purpose.CANDIDATE}  # fmt: skip
VERB = {Verdict.APPROVE: Verb.APPROVE, Verdict.CORRECT: Verb.CORRECT, Verdict.REJECT: Verb.REJECT}


@dataclass(frozen=True)
class Opinion:
    """What a reviewer says of one output."""

    verdict: Verdict
    text: str | None = None
    """The whole corrected text; only with `correct`."""
    reasons: Sequence[str] = ()
    note: str | None = None
    client_id: str | None = None
    """Names the click: the same opinion sent again is stored once."""
    shown_at: int | None = None


@dataclass(frozen=True)
class Decided:
    """What came of an opinion."""

    decision_id: str
    verdict: Verdict
    """`approve` where a correction turned out to be the output unchanged."""
    undo_until: int
    """Microseconds; from then on it leaves. Equal to the time of the verdict where there is no grace."""


SAME_CLICK = sa.text(
    "SELECT d.id, v.verdict, d.final_at, v.person_id, v.item_id FROM review v JOIN decision d ON d.review_id = v.id"
    " WHERE v.client_id = :client_id"
)
CONTENT = sa.text("SELECT salt, output FROM item_content WHERE item_id = :id")


def decide(session: Session, item_id: str, by: Actor, lease_n: int, opinion: Opinion) -> Decided:
    """Record a reviewer's verdict on an item in their hands, and move the item by it.

    Raises:
        LeaseLostError: the lease has ended, or somebody else has or decided the item; nothing was stored.
        ConflictError: the item cannot be decided at all, or its content was erased.
        InvalidError: the correction is empty, or a rejection has no reason.
        NotAllowedError: not a reviewer of the workflow.
    """
    item = lifecycle.lock(session, item_id)
    # Behind the lock, so that of two equal clicks at once the second sees what the first stored.
    repeated = _same_click(session, item_id, by, opinion)
    if repeated is not None:
        return repeated
    by.require(Role.REVIEWER, item.workflow_id)
    if item.status not in (Status.HELD, Status.RECORDED):
        says = lifecycle.SAYS[item.status]
        raise LeaseLostError(f"This item {says} meanwhile. Your verdict was not stored; go on with the next one.")
    lifecycle.allow(item, VERB[opinion.verdict])
    queue.own(item, by, lease_n)
    judged = _judged(session, item, opinion)
    verdict = judged.verdict
    _check_reasons(session, item, verdict, opinion.reasons)
    at = now()
    rollups.touch(session, [item.id])
    review_id = _add_review(session, item, by, judged, opinion, PURPOSE[Origin(item.origin)], at)
    grounds = Grounds(
        DecidedBy.HUMAN, VERDICT_STATUS[verdict], by.audit_name,
        review_id=review_id, verdict=verdict, text_hash=judged.text_hash,
    )  # fmt: skip
    grace = workflows.by_id(session, item.workflow_id).grace_ms * 1000
    decision_id = lifecycle.decide(session, item, grounds, at=at, final_at=at + grace)
    if grace == 0 and item.origin == Origin.GATE:
        lifecycle.leave(session, lifecycle.lock(session, item_id), at=at)
    session.connection().execute(
        sa.text("DELETE FROM draft WHERE item_id = :item AND person_id = :person"),
        {"item": item_id, "person": by.person_id},
    )
    return Decided(decision_id, verdict, at + grace)


def _same_click(session: Session, item_id: str, by: Actor, opinion: Opinion) -> Decided | None:
    if opinion.client_id is None:
        return None
    row = session.connection().execute(SAME_CLICK, {"client_id": opinion.client_id}).first()
    if row is None:
        return None
    if row.person_id != by.person_id or row.item_id != item_id:
        raise InvalidError("This click id was used for another item. Load the page again.", "client_id")
    return Decided(row.id, Verdict(row.verdict), row.final_at)


@dataclass(frozen=True)
class _Judged:
    """An opinion, held against the text that it is about."""

    verdict: Verdict
    text: str | None
    """The corrected text."""
    text_hash: str
    """Of the text the reviewer stands behind."""
    salt: str
    edited: int | None = None
    """How much of the output the correction changed, in thousandths."""


def _judged(session: Session, item: State, opinion: Opinion) -> _Judged:
    """Return the verdict as it is meant, with its text.

    Raises:
        ConflictError: the content was erased.
        InvalidError: the correction is empty or cannot be stored.
    """
    content = session.connection().execute(CONTENT, {"id": item.id}).one()
    if content.output is None:
        raise ConflictError("The content of this item was erased; there is nothing to judge. Escalate it.")
    verdict, text = _settled(opinion, content.output)
    if verdict is Verdict.APPROVE:
        return _Judged(verdict, None, item.output_hash, content.salt)
    if text is None:
        return _Judged(verdict, None, "", content.salt)
    return _Judged(verdict, text, text_hash(content.salt, text), content.salt, changed(content.output, text))


def _settled(opinion: Opinion, output: str) -> tuple[Verdict, str | None]:
    """Return the verdict as it is meant: a correction that changes nothing is an approval."""
    if opinion.verdict is not Verdict.CORRECT:
        return opinion.verdict, None
    text = opinion.text or ""
    if not text.strip():
        raise InvalidError("A correction needs a text. To send nothing, reject the output.", "text")
    check_text(text, "The correction", settings().max_output_bytes)
    return (Verdict.APPROVE, None) if text == output else (Verdict.CORRECT, text)


def _check_reasons(session: Session, item: State, verdict: Verdict, reasons: Sequence[str]) -> None:
    if verdict is Verdict.REJECT and not reasons:
        raise InvalidError("A rejection needs a reason. Choose at least one.", "reasons")
    unknown = set(reasons) - set(workflows.reasons(session, item.workflow_id)) if reasons else set()
    if unknown:
        raise InvalidError(f"“{sorted(unknown)[0]}” is not a reason of this workflow. Choose from its list.", "reasons")


INSERT_REVIEW = sa.text(
    "INSERT INTO review (id, workflow_id, item_id, person_id, reviewer, purpose, verdict, text_hash, reasons,"
    " rubric_version, shown_at, handling_ms, reviewed_at, created_at, edited, client_id) VALUES (:id, :workflow_id,"
    " :item_id, :person_id, :reviewer, :purpose, :verdict, :text_hash, :reasons, :rubric_version, :shown_at,"
    " :handling_ms, :at, :at, :edited, :client_id)"
)
INSERT_CONTENT = sa.text("INSERT INTO review_content (review_id, text, note) VALUES (:id, :text, :note)")


def _add_review(
    session: Session, item: State, by: Actor, judged: _Judged, opinion: Opinion, purpose: Purpose, at: int
) -> str:  # fmt: skip
    shown_at = min(opinion.shown_at, at) if opinion.shown_at is not None else None
    note = opinion.note or None
    if note is not None:
        check_text(note, "The note", 10_000)
    # What the row and its event both say.
    facts: dict[str, Any] = {
        "verdict": judged.verdict, "reviewer": by.email, "purpose": purpose, "shown_at": shown_at,
        "handling_ms": (at - shown_at) // 1000 if shown_at is not None else None,
        "reasons": as_json(list(dict.fromkeys(opinion.reasons))),
    }  # fmt: skip
    review_id = new_id()
    session.connection().execute(
        INSERT_REVIEW,
        {
            **facts, "id": review_id, "workflow_id": item.workflow_id, "item_id": item.id, "person_id": by.person_id,
            "text_hash": judged.text_hash, "at": at, "edited": judged.edited, "client_id": opinion.client_id,
            "rubric_version": workflows.by_id(session, item.workflow_id).rubric_version,
        },
    )  # fmt: skip
    if judged.text is not None or note is not None:
        session.connection().execute(INSERT_CONTENT, {"id": review_id, "text": judged.text, "note": note})
    facts |= {
        "review": review_id, "text": judged.text_hash, "person": by.person_id, "reviewed_at": at,
        "note": text_hash(judged.salt, note) if note is not None else "",
    }  # fmt: skip
    record(session, item.id, by.audit_name, Action.ITEM_REVIEWED, facts, at)
    return review_id


def undo(session: Session, item_id: str, by: Actor) -> int:
    """Take back one's own verdict while it has not left; the item is in one's hands again. Returns the lease number.

    Raises:
        ConflictError: it has left, or somebody else decided it.
    """
    item = lifecycle.lock(session, item_id)
    by.require(Role.REVIEWER, item.workflow_id)
    lifecycle.allow(item, Verb.UNDO)
    decided = session.connection().execute(
        sa.text("SELECT actor, final_at FROM decision WHERE id = :id"), {"id": item.decision_id}
    ).one()  # fmt: skip
    if decided.actor != by.audit_name:
        raise NotAllowedError("Only who gave a verdict can undo it. An owner can recall it after it has left.")
    at = now()
    if decided.final_at <= at:
        raise ConflictError("The time to undo has ended. Recall the verdict instead, with a reason.")
    person_id = by.person_id
    if person_id is None:
        raise NotAllowedError("Only a signed-in person can undo a verdict.")
    return lifecycle.undo(session, item, person_id, by.audit_name, at=at, lease_until=at + queue.LEASE_LASTS)


def may_recall(by: Actor, *, workflow_id: int, decider: str | None, released_at: int | None, at: int) -> bool:
    """Tell whether somebody may recall a release: who decided it for a day, an owner always."""
    in_time = released_at is not None and at - released_at <= RECALL_WITHIN
    if decider == by.audit_name and in_time and by.may(Role.REVIEWER, workflow_id):
        return True
    return by.person_id is not None and by.may(Role.OWNER, workflow_id)


def recall(session: Session, item_id: str, by: Actor, *, reason: str, opinion: Opinion) -> None:
    """Take a release back: its application is told, and a new review replaces the label.

    The decider may within 24 hours, an owner always.

    Raises:
        ConflictError: it was not released, or was recalled already.
        NotAllowedError: neither the decider in time nor an owner.
        InvalidError: no reason is given.
    """
    item = lifecycle.lock(session, item_id)
    lifecycle.allow(item, Verb.RECALL)
    at = now()
    decision = session.connection().execute(
        sa.text("SELECT actor FROM decision WHERE id = :id"), {"id": item.decision_id}
    ).one()  # fmt: skip
    if by.person_id is None or not may_recall(
        by, workflow_id=item.workflow_id, decider=decision.actor, released_at=item.released_at, at=at
    ):
        raise NotAllowedError("Only who decided it (within 24 hours) or an owner can recall it.")
    if not reason.strip():
        raise InvalidError("A recall needs a reason; the application is told.", "reason")
    check_text(reason, "The reason", 10_000)
    judged = _judged(session, item, opinion)
    rollups.touch(session, [item.id])
    review_id = _add_review(session, item, by, judged, opinion, Purpose.ADJUDICATION, at)
    lifecycle.recall(
        session, item, person_id=by.person_id, actor=by.audit_name, review_id=review_id, verdict=judged.verdict,
        reason=reason, reason_hash=text_hash(judged.salt, reason), at=at,
    )  # fmt: skip


def save_draft(session: Session, item_id: str, by: Actor, text: str) -> None:
    """Keep what a reviewer has typed, so that nothing is lost when the lease or the network ends.

    Raises:
        InvalidError: the text cannot be stored.
    """
    check_text(text, "The draft", settings().max_output_bytes)
    item = lifecycle.lock(session, item_id)
    by.require(Role.REVIEWER, item.workflow_id)
    session.connection().execute(
        sa.text(
            "INSERT INTO draft (item_id, person_id, text, saved_at) VALUES (:item, :person, :text, :at)"
            " ON CONFLICT (item_id, person_id) DO UPDATE SET text = excluded.text, saved_at = excluded.saved_at"
        ),
        {"item": item_id, "person": by.person_id, "text": text, "at": now()},
    )
