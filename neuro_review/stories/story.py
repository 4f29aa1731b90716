"""The whole story of one item: what was submitted, said, decided and sent, and what became of it."""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import Origin, Role, Status, Verdict
from neuro_review import decisions, workflows
from neuro_review.access import Actor
from neuro_review.desk.cards import turns
from neuro_review.errors import NotFoundError
from neuro_review.stories.events import Happened, happened
from neuro_review.stories.search import as_id


@dataclass(frozen=True)
class Said:
    """What one reviewer said of the output."""

    reviewer: str
    """The person's name, or the name in the imported file."""
    verdict: Verdict
    reasons: list[str]
    note: str | None
    text: str | None
    """The corrected text; None also where it was erased."""
    at: int
    handling_ms: int | None
    rubric_version: int
    undone_at: int | None
    settles: bool
    """An adjudication: of a recall, or of several labels of the past."""
    of_the_past: bool


@dataclass(frozen=True)
class Routing:
    """How an item was treated before its verdict; shown only after it, because it anchors people."""

    risk: float | None
    panel: bool
    inclusion: float | None


@dataclass(frozen=True)
class Story:
    """An item and all that happened to it."""

    item_id: str
    external_id: str
    workflow: str
    source: str
    status: Status
    label: str | None
    model: str
    facts: dict[str, Any]
    """What else the application said of it, by column; only what is known."""
    turns: list[dict[str, Any]]
    context: str | None
    output: str | None
    """None where it was erased."""
    said: list[Said]
    happened: list[Happened]
    released_at: int | None
    leaves_at: int | None
    recalled_at: int | None
    recall_reason: str | None
    erased: str | None
    """Why the texts are gone."""
    routing: Routing | None
    sent: str | None
    """What the application was given to send."""
    told_at: int | None
    """When the application took the recall in; None while that is not known."""
    recallable: bool
    """This person may recall it now."""
    reasons: list[str]
    """What a verdict in this workflow can be given for."""


ITEM = sa.text(
    "SELECT i.*, w.name AS workflow, s.name AS source, c.prompt, c.prompt_is_chat, c.output, c.context, c.metadata,"
    " e.reason AS erased, k.reason AS recall_reason, d.actor AS decider, o.delivered_at AS told_at FROM item i"
    " JOIN workflow w ON w.id = i.workflow_id JOIN source s ON s.id = i.source_id"
    " LEFT JOIN item_content c ON c.item_id = i.id LEFT JOIN erasure e ON e.item_id = i.id"
    " LEFT JOIN recall k ON k.item_id = i.id LEFT JOIN decision d ON d.id = i.decision_id"
    " LEFT JOIN outbox o ON o.item_id = i.id AND o.event = 'recalled' WHERE i.id = :id"
)
FACTS = ("created_at", "end_user", "prompt_version", "trace_url", "cost_micro", "latency_ms", "prompt_tokens",
         "completion_tokens", "priority", "due_at", "parameters")  # fmt: skip
# An application may have put a score of its own in there.
SWAYING = ("metadata",)
# What is a test of reviewers, or comes from a candidate, is not told apart.
SPOKEN_OF = (Origin.HISTORY, Origin.SAMPLE)
HIDDEN = "There is no item by that id among those you may see. Check that the link was copied whole."


def tell(session: Session, item_id: str, by: Actor) -> Story:
    """Return the whole story of an item.

    Raises:
        NotFoundError: there is no such item, or this person may not know of it.
    """
    found = as_id(item_id)
    row = session.connection().execute(ITEM, {"id": found}).first() if found else None
    if row is None or not by.may(Role.REVIEWER, row.workflow_id):
        raise NotFoundError(HIDDEN)
    said = _said(session, row.id)
    status = Status(row.status)
    names = FACTS if status is Status.HELD else FACTS + SWAYING
    facts = {name: value for name in names if (value := getattr(row, name)) is not None}
    if row.origin in SPOKEN_OF:
        facts["origin"] = row.origin
    routing = Routing(row.risk, bool(row.panel), row.inclusion)
    return Story(
        item_id=row.id, external_id=row.external_id, workflow=row.workflow, source=row.source, status=status,
        label=row.label, model=row.model, facts=facts, turns=turns(row.prompt, is_chat=bool(row.prompt_is_chat)),
        context=row.context or None, output=row.output, said=said, happened=happened(session, row.id),
        released_at=row.released_at, leaves_at=row.leaves_at, recalled_at=row.recalled_at,
        recall_reason=row.recall_reason, erased=row.erased, routing=None if status is Status.HELD else routing,
        sent=_sent(row, said), told_at=row.told_at, recallable=_recallable(row, by),
        reasons=workflows.reasons(session, row.workflow_id),
    )  # fmt: skip


SAID = sa.text(
    "SELECT v.reviewer, p.name, v.verdict, v.reasons, v.purpose, t.note, t.text, v.reviewed_at, v.handling_ms,"
    " v.rubric_version, x.at AS undone_at FROM review v LEFT JOIN person p ON p.id = v.person_id"
    " LEFT JOIN review_content t ON t.review_id = v.id LEFT JOIN decision d ON d.review_id = v.id"
    " LEFT JOIN retraction x ON x.decision_id = d.id WHERE v.item_id = :id ORDER BY v.created_at, v.id"
)


def _said(session: Session, item_id: str) -> list[Said]:
    return [
        Said(
            reviewer=row.name or row.reviewer, verdict=Verdict(row.verdict), reasons=orjson.loads(row.reasons),
            note=row.note, text=row.text, at=row.reviewed_at, handling_ms=row.handling_ms,
            rubric_version=row.rubric_version, undone_at=row.undone_at, settles=row.purpose == "adjudication",
            of_the_past=row.name is None,
        )
        for row in session.connection().execute(SAID, {"id": item_id})
    ]  # fmt: skip


def _sent(row: Any, said: list[Said]) -> str | None:
    if row.released_at is None:
        return None
    if row.status == Status.APPROVED:
        return str(row.output) if row.output is not None else None
    corrections = [one.text for one in said if one.verdict is Verdict.CORRECT and not one.settles and not one.undone_at]
    return corrections[-1] if corrections else None


def _recallable(row: Any, by: Actor) -> bool:
    if row.released_at is None or row.recalled_at is not None or row.output is None:
        return False
    return decisions.may_recall(
        by, workflow_id=row.workflow_id, decider=row.decider, released_at=row.released_at, at=now()
    )
