"""A reviewer's desk: what lies on it, what it shows, and what was decided last.

It holds ids and numbers only, so that it can cross a rerun of the screen; every call reads the rows anew.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, MINUTE, SECOND, now
from db.tables import Origin, Role, Verdict
from neuro_review import decisions, queue, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Decided, Opinion
from neuro_review.errors import ConflictError, LeaseLostError
from neuro_review.queue import Lease, Waiting

# A key counts only when its item has been on screen this long: an earlier one was meant for the item before.
DWELL = SECOND // 5
IDLE = 5 * MINUTE
# Who corrects may read elsewhere for a while, so longer silence is no sign of absence there.
IDLE_WHILE_TYPING = 30 * MINUTE
RENEWED_EVERY = 25 * SECOND
COUNTED_EVERY = 10 * SECOND


def steady() -> int:
    """Return microseconds that only go forward, whatever happens to the clock of the house."""
    return time.monotonic_ns() // 1000


@dataclass
class Desk:
    """What one tab of one reviewer works on."""

    browser: str = ""
    """The sign-in that the tab belongs to."""
    workflow_id: int | None = None
    """The workflow chosen; None for all of the reviewer's."""
    current: Lease | None = None
    aside: list[Lease] = field(default_factory=list)
    """Items in this reviewer's hands that come after the current one."""
    away: bool = False
    """Nobody was there for so long that everything went back; nothing comes until somebody says so."""
    shown_at: int = 0
    seen_since: int = 0
    """As `shown_at`, of the steady clock, like every instant below but `undo_until`."""
    painted_lease: tuple[str, int] | None = None
    touched_at: int = 0
    renewed_at: int = 0
    decided: str | None = None
    """The item decided last, while its verdict can be undone."""
    undo_until: int = 0
    correcting: bool = False
    reasons: list[str] = field(default_factory=list)
    counted: Waiting | None = None
    counted_at: int = 0
    gone: int = 0
    """How many this desk has decided since it was counted what waits."""

    def undo_left(self) -> int:
        """Return for how long (microseconds) the last verdict can still be undone; 0 when it cannot."""
        return max(0, self.undo_until - now()) if self.decided else 0

    def too_early(self) -> bool:
        """Tell whether a key pressed now was meant for the item before."""
        return steady() - self.seen_since < DWELL

    def idle(self) -> bool:
        """Tell whether nothing was done for so long that the items should go back."""
        silence = steady() - self.touched_at
        return bool(self.leases()) and silence > (IDLE_WHILE_TYPING if self.correcting else IDLE)

    def should_renew(self) -> bool:
        """Tell whether it is time to keep what lies here for another while."""
        return bool(self.leases()) and steady() - self.renewed_at > RENEWED_EVERY

    def leases(self) -> list[Lease]:
        """Return everything in this reviewer's hands."""
        return [*self.aside, *([self.current] if self.current else [])]

    def correct(self, on: bool) -> None:
        """Begin to correct the output, or let it be."""
        self.correcting, self.touched_at = on, steady()

    def toggle(self, reason: str) -> None:
        """Choose a reason, or choose it no longer."""
        self.touched_at = steady()
        self.reasons = [one for one in self.reasons if one != reason] + ([] if reason in self.reasons else [reason])

    def painted(self, lease: Lease) -> None:
        """Note that an item has just been drawn, so that its dwell counts from here."""
        if self.painted_lease != (lease.item_id, lease.lease_n):
            self.painted_lease = (lease.item_id, lease.lease_n)
            self.shown_at, self.seen_since = now(), steady()

    def put(self, lease: Lease | None) -> None:
        """Lay another item on the desk, clean."""
        self.current, self.shown_at = lease, now()
        self.seen_since = self.touched_at = steady()
        self.correcting, self.reasons, self.away = False, [], False

    def leave(self) -> list[Lease]:
        """Empty the desk of somebody who went away; returns what is to go back."""
        leases = self.leases()
        self.put(None)
        self.aside, self.away = [], True
        return leases

    def take_over(self, other: "Desk") -> None:
        """Go on where the desk of a closed tab was left; that one stays empty, should its tab come back after all."""
        self.workflow_id, self.aside = other.workflow_id, other.aside
        self.decided, self.undo_until = other.decided, other.undo_until
        self.put(other.current)
        other.aside, other.decided = [], None
        other.put(None)


# The desk of each tab of this process. A tab's session holds its desk; the two go together, soon after the tab is gone.
DESKS: WeakValueDictionary[str, Desk] = WeakValueDictionary()


def sit_down(tab: str, browser: str, is_open: Callable[[str], bool]) -> Desk:
    """Return the desk of a new tab: empty, or what a tab of the same browser left that was closed or reloaded."""
    desk = Desk(browser=browser)
    left = {name: one for name, one in list(DESKS.items()) if one.browser == browser and name != tab}
    for name in sorted(left, key=lambda name: left[name].touched_at, reverse=True):
        # Taken out before it is used: two tabs at once never take the same.
        if not is_open(name) and DESKS.pop(name, None) is left[name]:
            desk.take_over(left[name])
            break
    DESKS[tab] = desk
    return desk


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: str
    text: str


@dataclass(frozen=True)
class Card:
    """What is shown of an item before the verdict: no risk, no machine hint, and not whether it is an audit."""

    item_id: str
    workflow: str
    model: str
    turns: list[Turn]
    context: str | None
    output: str
    cost_micro: int | None
    latency_ms: int | None
    created_at: int
    due_at: int | None
    draft: str | None
    reasons: list[str]
    rubric: str | None
    rubric_version: int
    is_sample: bool


def mine(session: Session, by: Actor) -> list[workflows.Workflow]:
    """Return the workflows this person reviews, by name."""
    return [flow for flow in workflows.every(session) if by.may(Role.REVIEWER, flow.id)]


STILL_MINE = sa.text(
    "SELECT 1 FROM item WHERE id = :id AND status = 'held' AND lease_by = :me AND lease_n = :n AND lease_until >= :now"
)


def holds(session: Session, desk: Desk, by: Actor) -> bool:
    """Tell whether the item on the desk is still in this person's hands."""
    lease = desk.current
    if lease is None:
        return False
    bound = {"id": lease.item_id, "me": by.person_id, "n": lease.lease_n, "now": now()}
    return session.connection().execute(STILL_MINE, bound).first() is not None


def _chosen(session: Session, desk: Desk, by: Actor) -> list[int]:
    """Return the workflows to work on; one that went away, or may not be reviewed any more, is no longer chosen."""
    flows = [flow.id for flow in mine(session, by)]
    if desk.workflow_id is None:
        return flows
    if desk.workflow_id in flows:
        return [desk.workflow_id]
    desk.workflow_id = desk.counted = None
    return flows


def take_next(session: Session, desk: Desk, by: Actor) -> None:
    """Lay the next item on the desk: one put aside, else the next in the queue; nothing where nothing waits."""
    while desk.aside:
        desk.put(desk.aside.pop(0))
        if holds(session, desk, by):
            return
    leases = queue.claim(session, by, _chosen(session, desk, by), most=1)
    if not leases:
        desk.counted = None  # beside an empty desk an old number would be a riddle
    desk.put(leases[0] if leases else None)


def choose(session: Session, desk: Desk, by: Actor, workflow_id: int | None) -> None:
    """Work on another workflow (None: on all); what lies on the desk goes back."""
    hand_back(session, desk.leave(), by)
    desk.workflow_id, desk.counted = workflow_id, None
    take_next(session, desk, by)


def hand_back(session: Session, leases: list[Lease], by: Actor) -> None:
    """Give items back to the queue."""
    queue.give_back(session, by, [(lease.item_id, lease.lease_n) for lease in leases])


def renew(session: Session, desk: Desk, by: Actor) -> None:
    """Keep what lies on the desk for another while."""
    queue.renew(session, by, [(lease.item_id, lease.lease_n) for lease in desk.leases()])
    desk.renewed_at = steady()


def decide(session: Session, desk: Desk, by: Actor, lease: Lease, verdict: Verdict, text: str | None = None) -> Decided:
    """Give a verdict on the item that was on screen, and lay the next one on the desk.

    Raises:
        LeaseLostError: the item is no longer on this desk, or no longer in this person's hands.
    """
    if desk.current is None or (desk.current.item_id, desk.current.lease_n) != (lease.item_id, lease.lease_n):
        raise LeaseLostError("That item is no longer on the screen; the key was ignored.")
    if verdict is Verdict.CORRECT and text == _output(session, lease):
        verdict, text = Verdict.APPROVE, None
    # Reasons say what is wrong; nothing is wrong with what is approved.
    reasons = () if verdict is Verdict.APPROVE else tuple(desk.reasons)
    opinion = Opinion(verdict, text, reasons, client_id=f"{lease.item_id}:{lease.lease_n}", shown_at=desk.shown_at)
    decided = decisions.decide(session, lease.item_id, by, lease.lease_n, opinion)
    desk.decided, desk.undo_until = lease.item_id, decided.undo_until
    desk.gone += 1
    take_next(session, desk, by)
    return decided


def _output(session: Session, lease: Lease) -> str | None:
    row = session.connection().execute(decisions.CONTENT, {"id": lease.item_id}).first()
    return row.output if row else None


def keep(session: Session, desk: Desk, by: Actor, lease: Lease, text: str) -> None:
    """Keep what was typed as a correction of the item on the desk, whatever becomes of its lease."""
    if desk.current is not None and desk.current.item_id == lease.item_id:
        desk.touched_at = steady()
        decisions.save_draft(session, lease.item_id, by, text)


def put_off(session: Session, desk: Desk, by: Actor, lease: Lease, text: str | None) -> bool:
    """Correct no longer; tells whether something was typed, which is kept as a draft."""
    desk.correct(False)
    if text is None or text == _output(session, lease):
        return False
    keep(session, desk, by, lease, text)
    return True


def skip(session: Session, desk: Desk, by: Actor, lease: Lease) -> None:
    """Let the item go without a verdict, and lay the next one on the desk."""
    queue.skip(session, lease.item_id, by, lease.lease_n)
    take_next(session, desk, by)


LAST_TEXT = sa.text(
    "SELECT t.text FROM item i JOIN decision d ON d.id = i.decision_id"
    " JOIN review_content t ON t.review_id = d.review_id WHERE i.id = :id"
)


def undo(session: Session, desk: Desk, by: Actor) -> bool:
    """Take the last verdict back: its item lies on the desk again, the one before it is put aside.

    Returns whether it was a correction, whose text is a draft now.

    Raises:
        ConflictError: it has left.
    """
    if desk.decided is None:
        return False
    if not desk.undo_left():
        raise ConflictError("The time to undo has ended; the verdict stands.")
    item_id, desk.decided = desk.decided, None
    text = session.connection().execute(LAST_TEXT, {"id": item_id}).scalar()
    lease_n = decisions.undo(session, item_id, by)
    if text is not None:
        decisions.save_draft(session, item_id, by, text)
    desk.gone -= 1
    if desk.current is not None:
        desk.aside.insert(0, desk.current)
    desk.put(Lease(item_id, lease_n, now() + queue.LEASE_LASTS, "undone by you"))
    return text is not None


CARD = sa.text(
    "SELECT i.id, w.id AS workflow_id, w.name, w.rubric_version, i.model, i.origin, i.cost_micro, i.latency_ms,"
    " i.created_at, i.due_at, c.prompt, c.prompt_is_chat, c.context, c.output, d.text AS draft FROM item i"
    " JOIN workflow w ON w.id = i.workflow_id JOIN item_content c ON c.item_id = i.id"
    " LEFT JOIN draft d ON d.item_id = i.id AND d.person_id = :me WHERE i.id = :id"
)


def card(session: Session, item_id: str, by: Actor) -> Card:
    """Return what the review screen shows of an item."""
    row = session.connection().execute(CARD, {"id": item_id, "me": by.person_id}).one()
    by.require(Role.REVIEWER, row.workflow_id)
    return Card(
        item_id=row.id, workflow=row.name, model=row.model, turns=_turns(row.prompt, row.prompt_is_chat),
        context=row.context or None, output=row.output or "", cost_micro=row.cost_micro, latency_ms=row.latency_ms,
        created_at=row.created_at, due_at=row.due_at, draft=row.draft,
        reasons=workflows.reasons(session, row.workflow_id), rubric=workflows.rubric(session, row.workflow_id),
        rubric_version=row.rubric_version, is_sample=row.origin == Origin.SAMPLE,
    )  # fmt: skip


def _turns(prompt: str | None, is_chat: bool) -> list[Turn]:
    if prompt is None:
        return []
    if not is_chat:
        return [Turn("user", prompt)]
    turns = []
    for message in orjson.loads(prompt):
        said = message.get("content")
        text = said if isinstance(said, str) else orjson.dumps(said, option=orjson.OPT_INDENT_2).decode()
        turns.append(Turn(str(message.get("role", "")), text))
    return turns


TODAY = sa.text(
    "SELECT count(*) FROM review v WHERE v.person_id = :me AND v.created_at >= :since AND NOT EXISTS"
    " (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id WHERE d.review_id = v.id)"
)


def today(session: Session, by: Actor) -> int:
    """Return how many verdicts this person gave since midnight, UTC; what was undone is none."""
    bound = {"me": by.person_id, "since": now() // DAY * DAY}
    return int(session.connection().execute(TODAY, bound).scalar_one())


def waiting(session: Session, desk: Desk, by: Actor) -> Waiting:
    """Return what waits in the chosen workflows: counted every few seconds, and less what was decided here since."""
    flows = _chosen(session, desk, by)
    if desk.counted is None or steady() - desk.counted_at > COUNTED_EVERY:
        desk.counted, desk.counted_at, desk.gone = _count(session, flows), steady(), 0
    return replace(desk.counted, held=max(0, desk.counted.held - desk.gone))


def _count(session: Session, flows: list[int]) -> Waiting:
    each = [queue.waiting(session, workflow_id) for workflow_id in flows]
    oldest = [one.oldest_at for one in each if one.oldest_at is not None]
    return Waiting(
        sum(one.held for one in each),
        sum(one.due for one in each),
        sum(one.escalated for one in each),
        min(oldest) if oldest else None,
    )
