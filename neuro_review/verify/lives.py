"""That an item is what its events made of it: each item's events are lived through again, then its row must agree."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from db.clock import is_id
from db.tables import Label, Origin, Purpose, Status
from neuro_review.audit import Action
from neuro_review.content import parts_hash, prompt_hash, text_hash
from neuro_review.intake import BORN_WITH, FIXED
from neuro_review.verify.report import Report
from neuro_review.verify.rows import Facts, fetch

BORN = (Action.ITEM_SUBMITTED, Action.ITEM_RECORDED)


@dataclass(slots=True)
class _Life:
    """One item, as its events so far say."""

    id: str
    born_at: int
    born: Facts
    status: str
    seq: int = 1
    at: int = 0
    decision: Facts = field(default_factory=dict)
    leaves_at: int | None = None
    released_at: int | None = None
    recalled_at: int | None = None
    reviews: dict[str, Facts] = field(default_factory=dict)
    priorities: list[Facts] = field(default_factory=list)
    """How its priority was changed."""

    def live(self, event: Any, facts: Facts) -> None:
        """Go on by one event."""
        self.seq, self.at = event.seq, event.at
        match event.action:
            case Action.ITEM_REVIEWED:
                self.reviews[facts["review"]] = facts
            case Action.ITEM_DECIDED:
                self.decision, self.status = facts, facts["status"]
                self.leaves_at = facts["final_at"] if self.born["origin"] == Origin.GATE else None
            case Action.ITEM_UNDONE:
                # What was taken back labels nothing, also where nothing follows it.
                self.reviews.pop(self.decision.get("review") or "", None)
                self.decision, self.status, self.leaves_at = {}, Status.HELD, None
            case Action.ITEM_RELEASED:
                self.released_at, self.leaves_at = event.at if facts["release"] else None, None
            case Action.ITEM_RECALLED:
                self.recalled_at = event.at
            case Action.ITEM_PRIORITISED:
                self.priorities.append(facts)

    def label(self) -> str | None:
        """Return the item's label: its latest adjudication, else the decision that stands, else what all agree on."""
        if not self.reviews:
            return None
        settled = [one for one in self.reviews.values() if one["purpose"] == Purpose.ADJUDICATION]
        if settled:
            return str(max(settled, key=lambda one: (one["reviewed_at"], one["review"]))["verdict"])
        if self.decision.get("verdict"):
            return str(self.decision["verdict"])
        verdicts = {one["verdict"] for one in self.reviews.values()}
        return str(verdicts.pop()) if len(verdicts) == 1 else str(Label.DISPUTED)


class Lives:
    """Follows the items in the order of the events, and compares those whose last event has been seen."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.now: _Life | None = None
        self.over: list[_Life] = []

    def follow(self, event: Any, facts: Facts) -> None:
        """Go on by one event; an item whose chain does not start with its birth has been reported already."""
        life = self.now
        if life is not None and life.id != event.stream:
            self.over.append(life)
            life = self.now = None
        try:
            if life is not None:
                life.live(event, facts)
            elif event.action in BORN and is_id(event.stream):
                status = Status.RECORDED if facts["origin"] == Origin.HISTORY else Status.HELD
                self.now = _Life(event.stream, event.at, facts, status, at=event.at)
        except (KeyError, TypeError):
            self.now = None
            self.report.add(event.stream, event.seq, event.at, "This event was edited: it lacks what its action says.")

    def compare(self, connection: sa.Connection, *, ended: bool) -> None:
        """Compare the items whose lives are over with their rows, in the snapshot that showed their last events."""
        if ended and self.now is not None:
            self.over.append(self.now)
        lives = {life.id: life for life in self.over}
        for row in fetch(connection, ITEMS, list(lives)):
            life = lives.pop(row.id)
            if what := _born(life, row):
                self.report.add(life.id, 1, life.born_at, what)
            # Where an event is missing at the end, the row is ahead of it; that is told as such.
            elif row.audit_seq <= life.seq and not _agrees(life, row):
                self.report.add(life.id, life.seq, life.at, "The item was edited: it is not what its events say.")
        for life in lives.values():
            self.report.add(life.id, 1, life.born_at, "What this event speaks of was deleted.")
        self.over = []


# What a row is compared with as a whole stands side by side: it is done for every item there is.
_AS_BORN, _AS_LIVED = slice(1, 6), slice(6, 15)
ITEMS = (
    "SELECT i.id, i.origin, i.output_hash, i.content_hash, i.source_id, i.workflow_id,"
    " i.status, i.decision_id, i.decided_by, i.decided_at, i.leaves_at, i.released_at, i.recalled_at, i.label,"
    " i.audit_seq, c.salt, c.prompt, c.output, c.context, c.metadata,"
    " e.item_id IS NOT NULL AS erased, i." + ", i.".join(FIXED + BORN_WITH) + " FROM item i"
    " LEFT JOIN item_content c ON c.item_id = i.id LEFT JOIN erasure e ON e.item_id = i.id WHERE i.id"
)


def _born(life: _Life, row: Any) -> str | None:
    facts = life.born
    said = (facts.get("origin"), facts.get("output"), facts.get("content"), facts.get("source"), facts.get("workflow"))
    if said != row[_AS_BORN]:
        return "The item was edited: it is not what was submitted."
    return _text(row) or _facts(life, row)


def _facts(life: _Life, row: Any) -> str | None:
    """Compare what was submitted beside the texts; once these are erased, their salt is gone and nothing can be."""
    if row.salt is None or (row.erased and row.end_user is None):
        return None
    # An event of before knows of fewer columns, the earliest of none.
    names, said = (FIXED + BORN_WITH, life.born["born"]) if "born" in life.born else (FIXED, life.born.get("facts"))
    given = {name: getattr(row, name) for name in names} | {"panel": bool(row.panel)}
    if life.priorities and "was" not in life.priorities[0]:
        return None
    if life.priorities:
        given["priority"] = life.priorities[0]["was"]
    if row.routed_at != life.born_at:  # routed later, by the worker
        given |= {"routed_at": None, "stratum": None, "inclusion": None}
    if said is None or parts_hash(row.salt, [given[name] for name in names]) == said:
        return None
    return "The item was edited: its name, times, costs, routing or numbers are not what came in."


def _text(row: Any) -> str | None:
    if row.salt is None or row.output is None:
        return None if row.erased else "The output is gone without an erasure."
    parts = [row.model, row.prompt, row.output, row.context, row.metadata, row.prompt_version]
    if parts_hash(row.salt, parts) == row.content_hash and prompt_hash(row.prompt) == row.prompt_hash:
        return None
    if text_hash(row.salt, row.output) != row.output_hash:
        return "The output was edited: its text does not have the hash it came in with."
    if row.erased:  # and not every text of it is gone yet
        return None
    return "The item was edited: its model, prompt, context or metadata are not what came in."


def _agrees(life: _Life, row: Any) -> bool:
    decision = life.decision
    try:
        label = life.label()
    except (KeyError, TypeError):  # a verdict that lacks what one says
        return False
    said = (
        life.status, decision.get("decision"), decision.get("by"), decision.get("decided_at"), life.leaves_at,
        life.released_at, life.recalled_at, label, life.seq,
    )  # fmt: skip
    placed = not life.priorities or life.priorities[-1].get("priority") == row.priority
    return bool(said == row[_AS_LIVED]) and placed
