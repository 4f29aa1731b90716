"""Many outputs at once: who gets them and when; and one verdict on outputs that read alike, after each was seen."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import MINUTE, SECOND, now
from db.tables import Role, Status, Verdict
from neuro_review import decisions, likeness, queue, teams
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError
from neuro_review.likeness import Part
from neuro_review.teams import Group, Member

MOST = 50
# A verdict writes six rows; more of them at once would keep other writers waiting on SQLite.
AT_ONCE = 20
MOST_HANDLING = 5 * MINUTE
# A click counts only when its text has been on screen this long: an earlier one was meant for the text before.
DWELL = SECOND // 5


@dataclass(frozen=True)
class Chosen:
    """What a selection holds that is still to be decided, and what this person may do with it."""

    item_ids: list[str]
    """Held, in workflows that this person reviews."""
    escalated: list[str]
    others: int
    """How many were chosen that are not held any more, or are not this person's to review."""
    workflow_ids: list[int]
    owns: bool
    """This person owns every workflow of these."""


HELD = "SELECT id, workflow_id, escalated_at FROM item WHERE status = 'held' AND id "
STATUS = "SELECT id, status FROM item WHERE id "
CONTENT = (
    "SELECT i.id, i.workflow_id, i.model, c.prompt, c.prompt_is_chat, c.context, c.output FROM item i"
    " JOIN item_content c ON c.item_id = i.id WHERE i.status = 'held' AND i.id "
)


def chosen(session: Session, by: Actor, item_ids: Sequence[str]) -> Chosen:
    """Return what of a selection can be worked on, in its order."""
    rows = {row.id: row for row in _rows(session, HELD, item_ids) if by.may(Role.REVIEWER, row.workflow_id)}
    here = [rows[item_id] for item_id in dict.fromkeys(item_ids) if item_id in rows]
    flows = sorted({row.workflow_id for row in here})
    return Chosen(
        [row.id for row in here], [row.id for row in here if row.escalated_at is not None],
        len(set(item_ids)) - len(here), flows, bool(flows) and all(by.may(Role.OWNER, flow) for flow in flows),
    )  # fmt: skip


def recipients(session: Session, workflow_ids: Sequence[int]) -> tuple[list[Member], list[Group]]:
    """Return the people who may review all of these workflows, and the groups in which somebody may."""
    each = [teams.reviewers(session, workflow_id) for workflow_id in workflow_ids]
    people = [one for one in each[0] if all(one in others for others in each)] if each else []
    may = [{one.id for one in some} for some in each]
    groups = [
        group for group in teams.every(session)
        if all(not some.isdisjoint(one.id for one in group.members) for some in may)
    ]  # fmt: skip
    return people, groups if each else []


@dataclass(frozen=True)
class Done:
    """What came of something that was done to many."""

    done: list[str] = field(default_factory=list)
    """The items it was done to."""
    moved: int = 0
    """Decided, or otherwise moved on, in the meantime."""
    in_hands: int = 0
    """Held still: in somebody's hands, or kept for somebody else."""
    undo_until: int = 0

    def __add__(self, other: "Done") -> "Done":
        """Return what came of both."""
        return Done(
            self.done + other.done, self.moved + other.moved, self.in_hands + other.in_hands,
            min(filter(None, (self.undo_until, other.undo_until)), default=0),
        )  # fmt: skip

    def can_be_undone(self) -> bool:
        """Tell whether verdicts among it can still be taken back."""
        return now() < self.undo_until

    def says(self, past: str) -> str:
        """Return it as a sentence; `past` is what was done, as in “approved”."""
        sentences = [f"{len(self.done)} {past}."]
        if self.moved:
            sentences.append(f"{self.moved} moved on meanwhile: somebody else decided or changed it.")
        if self.in_hands:
            sentences.append(
                f"{self.in_hands} stayed held: in somebody’s hands (perhaps yours, on Review) or kept for others."
            )
        return " ".join(sentences)


def assign(
    session: Session, item_ids: Sequence[str], by: Actor, *, person_id: int | None = None, team_id: int | None = None
) -> Done:
    """Reserve items for a person or a group, or for nobody.

    Raises:
        NotAllowedError: not an owner of one of their workflows; nothing was changed.
        InvalidError: more than fifty, or nobody it would be reserved for may review it.
    """
    return _each(
        session, item_ids, by, lambda item_id: queue.assign(session, item_id, by, person_id=person_id, team_id=team_id)
    )


def escalate(session: Session, item_ids: Sequence[str], by: Actor, reason: str) -> Done:
    """Put items into their owner's list, for one of the reasons in `queue.WHY_ESCALATE`.

    Raises:
        NotAllowedError: not an owner of one of their workflows; nothing was changed.
        InvalidError: more than fifty, or no such reason.
    """
    return _each(session, item_ids, by, lambda item_id: queue.escalate(session, item_id, by, reason))


def put_back(session: Session, item_ids: Sequence[str], by: Actor) -> Done:
    """Put escalated items back into the queue, for everybody.

    Raises:
        NotAllowedError: not an owner of one of their workflows; nothing was changed.
        InvalidError: more than fifty.
    """
    return _each(session, item_ids, by, lambda item_id: queue.put_back(session, item_id, by))


def prioritise(session: Session, item_ids: Sequence[str], by: Actor, priority: int) -> Done:
    """Give items another priority, and with it another place in the queue.

    Raises:
        NotAllowedError: not an owner of one of their workflows; nothing was changed.
        InvalidError: more than fifty, or no such priority.
    """
    return _each(session, item_ids, by, lambda item_id: queue.prioritise(session, item_id, by, priority))


def _each(session: Session, item_ids: Sequence[str], by: Actor, step: Callable[[str], Any]) -> Done:
    for row in _rows(session, "SELECT id, workflow_id FROM item WHERE id ", _few(item_ids)):
        by.require(Role.OWNER, row.workflow_id)
    done, moved = [], 0
    # In one order, so that two who work on overlapping selections never wait for each other in a circle.
    for item_id in sorted(set(item_ids)):
        try:
            with session.begin_nested():
                step(item_id)
            done.append(item_id)
        except ConflictError:
            moved += 1
    return Done(done, moved)


def _few(item_ids: Sequence[str]) -> Sequence[str]:
    if not item_ids:
        raise InvalidError("Nothing is chosen. Choose at least one output.")
    if len(item_ids) > MOST:
        raise InvalidError(f"{len(item_ids)} are chosen; at most {MOST} go at a time. Choose fewer.")
    return item_ids


def _rows(session: Session, query: str, item_ids: Sequence[str]) -> list[Any]:
    connection = session.connection()
    ids = [one for one in item_ids if len(one) == 32 and not one.strip("0123456789abcdef")]
    if connection.dialect.name == "postgresql":
        return list(connection.execute(sa.text(f"{query} = ANY(CAST(:ids AS uuid[]))"), {"ids": ids}))
    bound = {"ids": orjson.dumps(ids).decode()}
    return list(connection.execute(sa.text(f"{query} IN (SELECT value FROM json_each(:ids))"), bound))


# --- one verdict on what reads alike ----------------------------------------------------------------------------------


@dataclass
class Reading:
    """A set of outputs that read alike, on its way to one verdict: nothing is decided that was not on screen.

    It holds ids only, so that it can cross a rerun of the screen. Only `begin` makes one; what was submitted never
    changes, so outputs that read alike then do so for ever.
    """

    asked: list[str]
    item_ids: list[str]
    workflow_id: int
    differ: int
    """How many were asked for and left out, because they read differently or lie in another workflow."""
    begun_at: int
    at: int = 0
    seen: set[str] = field(default_factory=set)
    painted: tuple[str, int] = ("", 0)

    @property
    def item_id(self) -> str | None:
        """Return the item on screen; None when all have been seen."""
        return self.item_ids[self.at] if self.at < len(self.item_ids) else None

    def paint(self) -> None:
        """Note that the item has just been drawn, so that its dwell counts from here."""
        if self.item_id is not None and self.painted[0] != self.item_id:
            self.painted = (self.item_id, _steady())

    def too_early(self) -> bool:
        """Tell whether a click now was meant for the text before."""
        return self.painted[0] != self.item_id or _steady() - self.painted[1] < DWELL

    def go_on(self, item_id: str) -> None:
        """Note that an item was read, and go on to the next; nothing happens where it is not the one on screen."""
        if item_id == self.item_id and not self.too_early():
            self.seen.add(item_id)
            self.at += 1

    def leave_out(self, item_id: str) -> None:
        """Take an item out of the set: it is decided on Review."""
        if item_id == self.item_id and not self.too_early():
            self.item_ids.remove(item_id)
            self.seen.discard(item_id)

    def look_again(self) -> None:
        """Go back to the first text; what was seen stays seen."""
        self.at, self.painted = 0, ("", 0)

    def parts(self) -> list[list[str]]:
        """Return the items in sets that are each decided in one go."""
        return [self.item_ids[start : start + AT_ONCE] for start in range(0, len(self.item_ids), AT_ONCE)]


@dataclass(frozen=True)
class Text:
    """What is shown of one output of a set: no risk, no machine hint, and not whether it is an audit."""

    item_id: str
    model: str
    turns: list[tuple[str, str]]
    """Who said what before it."""
    context: str | None
    output: str
    differs: list[Part] | None
    """The output with what differs from the first of the set; None for the first."""


def _steady() -> int:
    return time.monotonic_ns() // 1000


def begin(session: Session, item_ids: Sequence[str], by: Actor) -> Reading:
    """Return the most of a selection that read like one of them, to be seen one by one.

    Raises:
        InvalidError: nothing or too much is chosen, or nothing of it can be decided any more.
        NotAllowedError: not a reviewer of the workflow.
    """
    asked = list(dict.fromkeys(_few(item_ids)))
    rows = {row.id: row for row in _rows(session, CONTENT, asked) if row.output is not None}
    here = [rows[item_id] for item_id in asked if item_id in rows]
    if not here:
        raise InvalidError("None of these is held any more. Choose others.")
    for workflow_id in {one.workflow_id for one in here}:
        by.require(Role.REVIEWER, workflow_id)
    alike = _largest(here)
    return Reading(asked, [one.id for one in alike], alike[0].workflow_id, len(here) - len(alike), now())


def _largest(rows: list[Any]) -> list[Any]:
    """Return the most that read like one of them, that one first."""
    best: list[Any] = []
    while len(rows) > len(best):
        first = rows[0]
        alike = [
            one for one in rows
            if one.workflow_id == first.workflow_id and likeness.near(first.output, one.output)
        ]  # fmt: skip
        best = max(best, alike, key=len)
        rows = [one for one in rows if one not in alike]
    return best


def text(session: Session, reading: Reading, by: Actor) -> Text | None:
    """Return what is on screen; what was decided meanwhile is taken out of the set, None when all have been seen."""
    by.require(Role.REVIEWER, reading.workflow_id)
    while reading.item_id is not None:
        first, item_id = reading.item_ids[0], reading.item_id
        rows = {row.id: row for row in _rows(session, CONTENT, [first, item_id]) if row.output is not None}
        row = rows.get(item_id)
        if row is None:
            reading.item_ids.remove(item_id)
            continue
        before = rows.get(first)
        parts = likeness.differences(before.output, row.output) if before is not None and item_id != first else None
        return Text(row.id, row.model, _turns(row), row.context or None, row.output, parts)
    return None


def _turns(row: Any) -> list[tuple[str, str]]:
    if row.prompt is None:
        return []
    if not row.prompt_is_chat:
        return [("user", row.prompt)]
    said = [(str(one.get("role", "")), one.get("content")) for one in orjson.loads(row.prompt)]
    return [(role, what if isinstance(what, str) else orjson.dumps(what).decode()) for role, what in said]


def decide(
    session: Session, reading: Reading, part: Sequence[str], by: Actor, verdict: Verdict, reasons: Sequence[str] = ()
) -> Done:
    """Give the items of a part (of `reading.parts()`) one verdict, each under a lease of its own.

    What somebody else decided or holds is left as it is, and counted.

    Raises:
        InvalidError: one was not seen, the verdict is a correction, or a rejection has no reason; nothing was decided.
        NotAllowedError: not a reviewer of the workflow.
    """
    by.require(Role.REVIEWER, reading.workflow_id)
    if not set(part) <= reading.seen:
        raise InvalidError("Not all of them were seen. Read each one first.")
    if verdict is Verdict.CORRECT:
        raise InvalidError("A set is approved or rejected. Correct each output by itself, on Review.", "verdict")
    if verdict is Verdict.REJECT and not reasons:
        raise InvalidError("A rejection needs a reason. Choose at least one.", "reasons")
    leases = queue.claim_these(session, by, part)
    # Nobody reads a set for hours: the time it took, in equal shares, each within bounds.
    handling = min(MOST_HANDLING, (now() - reading.begun_at) // max(1, len(reading.seen)))
    done, undo_until = [], 0
    for lease in leases:
        opinion = Opinion(
            verdict, reasons=tuple(reasons) if verdict is Verdict.REJECT else (),
            client_id=f"{lease.item_id}:{lease.lease_n}", shown_at=now() - handling,
        )  # fmt: skip
        try:
            with session.begin_nested():
                decided = decisions.decide(session, lease.item_id, by, lease.lease_n, opinion)
            done.append(lease.item_id)
            undo_until = min(undo_until or decided.undo_until, decided.undo_until)
        except ConflictError:
            queue.give_back(session, by, [(lease.item_id, lease.lease_n)])
    left = [one for one in part if one not in done]
    held = sum(row.status == Status.HELD for row in _rows(session, STATUS, left))
    return Done(done, len(left) - held, held, undo_until)


def undo(session: Session, item_ids: Sequence[str], by: Actor) -> Done:
    """Take back one's own verdicts on these items while they have not left; they wait for everybody again."""
    done, moved = [], 0
    for item_id in sorted(set(_few(item_ids))):
        try:
            with session.begin_nested():
                queue.give_back(session, by, [(item_id, decisions.undo(session, item_id, by))])
            done.append(item_id)
        except (ConflictError, NotAllowedError):  # another decided one meanwhile: the others still go back
            moved += 1
    return Done(done, moved)
