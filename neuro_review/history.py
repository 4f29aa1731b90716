"""Labels of the past: reviews made elsewhere, counted in quality and eval sets, never released.

Rows with the same external id and different reviewers are several reviews of one item; an adjudication settles it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import new_id, now
from db.tables import Label, Origin, Purpose, Verdict
from neuro_review import rollups
from neuro_review.audit import COLUMNS as AUDIT_COLUMNS
from neuro_review.audit import Action, event_hash
from neuro_review.content import as_json, check_text, text_hash
from neuro_review.errors import InvalidError
from neuro_review.intake import (
    CONTENT_COLUMNS,
    ITEM_COLUMNS,
    OTHER_CONTENT,
    Door,
    Instant,
    Known,
    Name,
    Outcome,
    Prepared,
    against_origin,
    check_past,
    counted,
    known,
)
from neuro_review.likeness import changed
from neuro_review.rollups.counting import Said
from neuro_review.settings import settings

NO_NAME = "imported"
OUTPUT = 2
"""Where the output stands among the parts of a submission."""
SPELLINGS = {"approved": "approve", "corrected": "correct", "rejected": "reject"}


def _as_verdict(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return SPELLINGS.get(word, word)


def _as_list(value: Any) -> Any:
    """Read reasons from a cell: a JSON list, or names with semicolons between them."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return orjson.loads(value)
    return [part.strip() for part in value.split(";") if part.strip()]


class PastReview(BaseModel):
    """What somebody said of an output, before or elsewhere."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    verdict: Annotated[Verdict, BeforeValidator(_as_verdict)]
    correction: str | None = None
    reasons: Annotated[list[Name], BeforeValidator(_as_list), Field(max_length=50)] = []
    reviewer: Name | None = None
    decided_at: Instant | None = None
    adjudication: bool = False

    @property
    def name(self) -> str:
        """Return the reviewer's name; an adjudication without one is the adjudication's."""
        return self.reviewer or (Purpose.ADJUDICATION if self.adjudication else NO_NAME)

    @property
    def purpose(self) -> Purpose:
        """Return why this review was made."""
        return Purpose.ADJUDICATION if self.adjudication else Purpose.HISTORY


def check(review: PastReview, output: str) -> None:
    """Let a review pass that says something of this output.

    Raises:
        InvalidError: the correction is missing, changes nothing, or stands beside another verdict; or it is decided
            in the future.
    """
    check_past("decided_at", review.decided_at, now())
    if review.verdict is Verdict.CORRECT:
        if not (review.correction or "").strip():
            raise InvalidError("The verdict is correct, but correction is missing.", "correction")
        if review.correction == output:
            raise InvalidError("The correction equals the output. Say approve instead.", "correction")
    elif review.correction:
        raise InvalidError(
            f"A correction stands beside the verdict {review.verdict}. Say correct instead.", "correction"
        )
    check_text(review.correction or "", "correction", settings().max_output_bytes)
    check_text(review.name, "reviewer")
    for reason in review.reasons:
        check_text(reason, "reasons")


@dataclass(slots=True)
class _Given:
    """A review as it is stored or about to be."""

    reviewer: str
    purpose: str
    verdict: str
    text_hash: str
    reviewed_at: int
    review_id: str
    reasons: str = "[]"
    edited: int | None = None

    def said(self) -> Said:
        """Return what the counts need to know of it."""
        return Said(
            self.review_id, self.reviewer, self.purpose, self.verdict, self.reasons, None, self.edited, self.reviewed_at
        )


@dataclass(slots=True)
class _Item:
    """An item that rows of this batch are about."""

    item_id: str
    salt: str
    output_hash: str
    prepared: Prepared | None
    seq: int
    head: str
    given: list[_Given] = field(default_factory=list)
    touched: bool = False

    def label(self) -> Label | None:
        """Return what the reviews say together: the latest adjudication, else what all agree on."""
        settled = [one for one in self.given if one.purpose == Purpose.ADJUDICATION]
        if settled:
            return Label(max(settled, key=lambda one: (one.reviewed_at, one.review_id)).verdict)
        verdicts = {one.verdict for one in self.given}
        return None if not verdicts else Label(verdicts.pop()) if len(verdicts) == 1 else Label.DISPUTED


@dataclass(slots=True)
class _Rows:
    """What a batch adds."""

    reviews: list[tuple[Any, ...]] = field(default_factory=list)
    contents: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)


REVIEW_COLUMNS = (
    "id workflow_id item_id reviewer purpose verdict text_hash reasons rubric_version reviewed_at created_at edited"
)


def store(session: Session, door: Door, batch: Sequence[tuple[Prepared, PastReview]]) -> list[tuple[Outcome, str]]:
    """Record each review of a batch that is not there yet; returns what became of each, with a sentence on conflict."""
    there = known(session, door, list({one.external_id for one, _ in batch}))
    items = _existing(session, there)
    rows, outcomes, at = _Rows(), [], now()
    for one, review in batch:
        before = there.get(one.external_id)
        if before is not None and (against := against_origin(before, door)):
            outcomes.append((Outcome.CONFLICT, against))
            continue
        item = items.get(one.external_id)
        if item is None:
            item = items[one.external_id] = _Item(one.item_id, one.salt, one.output_hash, one, 1, one.event[-1])
        if not (
            before.says_the_same(one.parts) if before else item.prepared is None or item.prepared.parts == one.parts
        ):
            outcomes.append((Outcome.CONFLICT, OTHER_CONTENT))
            continue
        outcomes.append(_add(door, item, one, review, rows, at))
    _write(session, items.values(), rows)
    return outcomes


def _add(door: Door, item: _Item, one: Prepared, review: PastReview, rows: _Rows, at: int) -> tuple[Outcome, str]:
    judged = {
        Verdict.APPROVE: item.output_hash,
        Verdict.CORRECT: text_hash(item.salt, review.correction or ""),
        Verdict.REJECT: "",
    }[review.verdict]
    for earlier in item.given:
        if (earlier.reviewer, earlier.purpose) == (review.name, review.purpose):
            if (earlier.verdict, earlier.text_hash) == (review.verdict, judged):
                return Outcome.DUPLICATE, ""
            return Outcome.CONFLICT, f"{review.name} gave another verdict on this external_id already."
    reviewed_at = review.decided_at if review.decided_at is not None else one.item[6]
    review_id, reasons = new_id(), as_json(review.reasons)
    edited = changed(one.parts[OUTPUT] or "", review.correction) if review.correction else None
    item.given.append(
        _Given(review.name, review.purpose, review.verdict, judged, reviewed_at, review_id, reasons, edited)
    )
    item.touched = True
    rows.reviews.append(
        (review_id, door.workflow.id, item.item_id, review.name, str(review.purpose), str(review.verdict), judged,
         reasons, door.workflow.rubric_version, reviewed_at, at, edited)
    )  # fmt: skip
    if review.verdict is Verdict.CORRECT:
        rows.contents.append((review_id, review.correction, None))
    facts = {
        "review": review_id, "verdict": review.verdict, "text": judged, "reviewer": review.name,
        "purpose": review.purpose, "reasons": reasons, "reviewed_at": reviewed_at,
    }  # fmt: skip
    body = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    item.seq += 1
    action, previous = str(Action.ITEM_REVIEWED), item.head
    item.head = event_hash(previous, item.item_id, item.seq, at, door.actor, action, body)
    rows.events.append((item.item_id, item.seq, at, door.actor, action, body, previous, item.head))
    return Outcome.STORED, ""


_GIVEN = "SELECT item_id, reviewer, purpose, verdict, text_hash, reviewed_at, id FROM review WHERE item_id "
_HEADS = "SELECT a.stream, a.hash FROM audit a JOIN item i ON a.seq = i.audit_seq WHERE "
EXISTING = {
    "sqlite": (
        sa.text(_GIVEN + "IN (SELECT value FROM json_each(:ids))"),
        sa.text(_HEADS + "i.id IN (SELECT value FROM json_each(:ids)) AND a.stream = i.id"),
    ),
    "postgresql": (
        sa.text(_GIVEN + "= ANY(CAST(:ids AS uuid[]))"),
        sa.text(_HEADS + "i.id = ANY(CAST(:ids AS uuid[])) AND a.stream = replace(i.id::text, '-', '')"),
    ),
}
LOCK = sa.text("SELECT id FROM item WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")


def _existing(session: Session, there: dict[str, Known]) -> dict[str, _Item]:
    """Return the history items that are there already, with their reviews and the heads of their chains."""
    past = {name: one for name, one in there.items() if one.origin == Origin.HISTORY}
    if not past:
        return {}
    connection = session.connection()
    ids: Any = [one.item_id for one in past.values()]
    if connection.dialect.name == "postgresql":
        connection.execute(LOCK, {"ids": ids})
    else:
        ids = orjson.dumps(ids).decode()
    reviews, heads = EXISTING[connection.dialect.name]
    given: dict[str, list[_Given]] = defaultdict(list)
    for item_id, *facts in connection.execute(reviews, {"ids": ids}):
        given[item_id].append(_Given(*facts))
    head = {row.stream: row.hash for row in connection.execute(heads, {"ids": ids})}
    return {
        name: _Item(
            one.item_id, one.salt or "", one.output_hash, None, one.audit_seq, head[one.item_id], given[one.item_id]
        )
        for name, one in past.items()
    }


RELABEL = sa.text("UPDATE item SET label = :label, audit_seq = :seq WHERE id = :id")


def _write(session: Session, items: Iterable[_Item], rows: _Rows) -> None:
    new = [item for item in items if item.prepared is not None and item.touched]
    old = [item for item in items if item.prepared is None and item.touched]
    prepared = [(item, item.prepared) for item in new if item.prepared is not None]
    rollups.touch(session, [item.item_id for item in old])
    insert_rows(session, "item", ITEM_COLUMNS, [(*one.item, item.label(), item.seq) for item, one in prepared])
    insert_rows(session, "item_content", CONTENT_COLUMNS, [one.content for _, one in prepared])
    insert_rows(session, "review", REVIEW_COLUMNS, rows.reviews)
    insert_rows(session, "review_content", "review_id text note", rows.contents)
    # A chain is written in its own order; the first events of new items come before what follows them.
    insert_rows(session, "audit", AUDIT_COLUMNS, [one.event for _, one in prepared] + rows.events)
    if old:
        session.connection().execute(
            RELABEL, [{"label": item.label(), "seq": item.seq, "id": item.item_id} for item in old]
        )
    rollups.born(session, [counted(one, item.label(), [two.said() for two in item.given]) for item, one in prepared])
