"""A reviewer's desk: what lies on it, what it shows, and what was decided last.

It holds ids and numbers only, so that it can cross a rerun of the screen; every call reads the rows anew.
"""

from dataclasses import dataclass, field

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, MINUTE, SECOND, now
from db.tables import Origin, Role, Verdict
from neuro_review import decisions, queue, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Decided, Opinion
from neuro_review.errors import LeaseLostError
from neuro_review.queue import Lease, Waiting

# A key counts only when its item has been on screen this long: an earlier one was meant for the item before.
DWELL = SECOND // 5
IDLE = 5 * MINUTE
# What is being typed reaches the server only when the field is left, so longer silence is no sign of absence there.
IDLE_WHILE_TYPING = 30 * MINUTE


@dataclass
class Desk:
    """What one tab of one reviewer works on."""

    workflow_id: int | None = None
    """The workflow chosen; None for all of the reviewer's."""
    current: Lease | None = None
    aside: list[Lease] = field(default_factory=list)
    """Items in this reviewer's hands that come after the current one."""
    shown_at: int = 0
    painted_lease: tuple[str, int] | None = None
    touched_at: int = 0
    decided: str | None = None
    """The item decided last, while its verdict can be undone."""
    undo_until: int = 0
    correcting: bool = False
    reasons: list[str] = field(default_factory=list)

    def seconds_to_undo(self) -> int:
        """Return how many seconds the last verdict can still be undone; 0 when it cannot."""
        return max(0, -(-(self.undo_until - now()) // SECOND)) if self.decided else 0

    def too_early(self) -> bool:
        """Tell whether a key pressed now was meant for the item before."""
        return now() - self.shown_at < DWELL

    def idle(self) -> bool:
        """Tell whether nothing was done for so long that the items should go back."""
        return now() - self.touched_at > (IDLE_WHILE_TYPING if self.correcting else IDLE)

    def correct(self, on: bool) -> None:
        """Begin to correct the output, or let it be."""
        self.correcting, self.touched_at = on, now()

    def toggle(self, reason: str) -> None:
        """Choose a reason, or choose it no longer."""
        self.touched_at = now()
        self.reasons = [one for one in self.reasons if one != reason] + ([] if reason in self.reasons else [reason])

    def painted(self, lease: Lease) -> None:
        """Note that an item has just been drawn, so that its dwell counts from here."""
        if self.painted_lease != (lease.item_id, lease.lease_n):
            self.painted_lease, self.shown_at = (lease.item_id, lease.lease_n), now()

    def put(self, lease: Lease | None) -> None:
        """Lay another item on the desk, clean."""
        self.current, self.shown_at, self.touched_at = lease, now(), now()
        self.correcting, self.reasons = False, []


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


def take_next(session: Session, desk: Desk, by: Actor) -> None:
    """Lay the next item on the desk: one put aside, else the next in the queue; nothing where nothing waits."""
    while desk.aside:
        desk.put(desk.aside.pop(0))
        if holds(session, desk, by):
            return
    chosen = [flow.id for flow in mine(session, by) if desk.workflow_id in (None, flow.id)]
    leases = queue.claim(session, by, chosen, most=1)
    desk.put(leases[0] if leases else None)


def choose(session: Session, desk: Desk, by: Actor, workflow_id: int | None) -> None:
    """Work on another workflow (None: on all): what lies on the desk goes back."""
    clear(session, desk, by)
    desk.workflow_id = workflow_id
    take_next(session, desk, by)


def clear(session: Session, desk: Desk, by: Actor) -> None:
    """Give everything on the desk back to the queue."""
    leases = [*desk.aside, *([desk.current] if desk.current else [])]
    queue.give_back(session, by, [(lease.item_id, lease.lease_n) for lease in leases])
    desk.aside = []
    desk.put(None)


def renew(session: Session, desk: Desk, by: Actor) -> None:
    """Keep what lies on the desk for another while."""
    leases = [*desk.aside, *([desk.current] if desk.current else [])]
    queue.renew(session, by, [(lease.item_id, lease.lease_n) for lease in leases])


def decide(session: Session, desk: Desk, by: Actor, lease: Lease, verdict: Verdict, text: str | None = None) -> Decided:
    """Give a verdict on the item that was on screen, and lay the next one on the desk.

    Raises:
        LeaseLostError: the item is no longer on this desk, or no longer in this person's hands.
    """
    if desk.current is None or (desk.current.item_id, desk.current.lease_n) != (lease.item_id, lease.lease_n):
        raise LeaseLostError("That item is no longer on the screen; the key was ignored.")
    opinion = Opinion(
        verdict, text, tuple(desk.reasons), client_id=f"{lease.item_id}:{lease.lease_n}", shown_at=desk.shown_at
    )
    decided = decisions.decide(session, lease.item_id, by, lease.lease_n, opinion)
    desk.decided, desk.undo_until = lease.item_id, decided.undo_until
    take_next(session, desk, by)
    return decided


def keep(session: Session, desk: Desk, by: Actor, lease: Lease, text: str) -> None:
    """Keep what was typed as a correction of the item on the desk, whatever becomes of its lease."""
    if desk.current is not None and desk.current.item_id == lease.item_id:
        desk.touched_at = now()
        decisions.save_draft(session, lease.item_id, by, text)


def skip(session: Session, desk: Desk, by: Actor, lease: Lease) -> None:
    """Let the item go without a verdict, and lay the next one on the desk."""
    queue.skip(session, lease.item_id, by, lease.lease_n)
    take_next(session, desk, by)


def undo(session: Session, desk: Desk, by: Actor) -> None:
    """Take the last verdict back: its item lies on the desk again, the one before it is put aside.

    Raises:
        ConflictError: it has left.
    """
    if desk.decided is None:
        return
    item_id = desk.decided
    desk.decided = None
    lease_n = decisions.undo(session, item_id, by)
    if desk.current is not None:
        desk.aside.insert(0, desk.current)
    desk.put(Lease(item_id, lease_n, now() + queue.LEASE_LASTS, "undone by you"))


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
    """Return what waits in the chosen workflows."""
    each = [queue.waiting(session, f.id) for f in mine(session, by) if desk.workflow_id in (None, f.id)]
    oldest = [one.oldest_at for one in each if one.oldest_at is not None]
    return Waiting(
        sum(one.held for one in each),
        sum(one.due for one in each),
        sum(one.escalated for one in each),
        min(oldest) if oldest else None,
    )
