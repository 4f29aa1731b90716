"""What a browser asks of the desk: verdicts and the like, each in a transaction of its own, and then what comes next.

Everything can be sent twice: a verdict is named by its click, and what is done already is answered as if done now. A
browser therefore sends again until it hears an answer, and nothing is lost or doubled when a line breaks.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from db.clock import MINUTE, now
from db.engine import Database, DatabaseUnusableError, explained
from db.tables import Id, Role, Status, Verdict
from neuro_review import decisions, lifecycle, queue, sessions
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.desk import cards
from neuro_review.errors import (
    RACED,
    ConflictError,
    InvalidError,
    LeaseLostError,
    NeuroReviewError,
    NotAllowedError,
    NotFoundError,
    NotSignedInError,
)
from neuro_review.queue import Lease
from neuro_review.workflows import Workflow

MOST_OPS = 50
LONGEST_LOOK = 5 * MINUTE
SOMEBODY_ELSE = "Somebody else has signed in in this browser. Load the page again."
ItemId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
LeaseN = Annotated[int, Field(ge=0, lt=1 << 31)]
Leases = Annotated[list[tuple[ItemId, LeaseN]], Field(max_length=2 * queue.WINDOW)]


class Kind(StrEnum):
    """What a key does."""

    DECIDE = "decide"
    SKIP = "skip"
    UNDO = "undo"
    DRAFT = "draft"
    ESCALATE = "escalate"
    GIVE_BACK = "give_back"


class Op(BaseModel):
    """One thing that a reviewer did."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(min_length=8, max_length=80)]
    kind: Kind
    item: ItemId
    lease: LeaseN = 0
    verdict: Verdict | None = None
    text: str | None = None
    reasons: Annotated[list[str], Field(max_length=50)] = []
    given: Annotated[str, Field(max_length=80)] | None = None
    looked: Annotated[int, Field(ge=0, lt=1 << 40)] = 0
    """Milliseconds that the item was in sight."""


class Ask(BaseModel):
    """What a browser says in one message."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    person: int | None = None
    """Whose desk this is; None before the first answer. What one person did is never done in another's name."""
    ops: Annotated[list[Op], Field(max_length=MOST_OPS)] = []
    want: Annotated[int, Field(ge=0, le=queue.WINDOW)] = 0
    """So many items more."""
    workflow: int | None = None
    renew: Leases | None = None
    """What lies there and is to be kept for another while."""
    resume: Leases = []
    """What lay there before the page was loaded again."""
    count: bool = False
    """Say what waits and what was done."""
    here: bool = False
    """Somebody was there since the last message."""


class SomebodyElseError(NeuroReviewError):
    """Another person has signed in than the one whose desk this is."""


@dataclass(frozen=True)
class Desk:
    """The door of one signed-in browser to the house."""

    database: Database
    session_id: str

    def answer(self, ask: Ask) -> dict[str, Any]:
        """Do what is asked, one after the other, and say what came of it.

        Raises:
            NotSignedInError: the session has ended; what was not answered was not done.
            SomebodyElseError: another person has signed in in this browser; nothing was done.
            DatabaseUnusableError: the database is away; the browser asks again.
        """
        person, flows = self._person(touch=ask.here)
        if ask.person not in (None, person.person_id):
            raise SomebodyElseError(SOMEBODY_ELSE)
        acks = [self._acknowledged(op) for op in ask.ops]
        said: dict[str, Any] = {"person": person.person_id, "acks": acks}
        choice = cards.chosen(flows, ask.workflow)
        kept, leases = self._leases(ask, choice)
        if ask.renew is not None:
            said["kept"] = kept
        with explained(), self.database.reading() as session:
            said["cards"] = cards.cards(session, leases, person)
            if ask.count:
                said |= {
                    "counts": cards.waiting(session, choice.ids), "today": cards.today(session, person),
                    "recent": cards.recent(session, person), "workflow": choice.chosen,
                    "workflows": [[flow.id, flow.name] for flow in flows],
                }  # fmt: skip
        return said | {"now": now() // cards.MS}

    def _person(self, *, touch: bool = False) -> tuple[Actor, list[Workflow]]:
        """Return who is signed in, and the workflows they review."""
        with explained(), self.database.reading() as session:
            visit = sessions.visit(session, self.session_id)
            if visit is None:
                raise NotSignedInError(sessions.ENDED)
            flows = cards.mine(session, visit.person)
        if touch and visit.is_stale:
            with contextlib.suppress(DatabaseUnusableError), self.database.writing() as session:
                sessions.touch(session, self.session_id)
        return visit.person, flows

    def _acknowledged(self, op: Op) -> dict[str, Any]:
        try:
            with self.database.writing() as session:
                by = sessions.person_of(session, self.session_id)  # with the roles of this very moment
                if by is None:
                    raise NotSignedInError(sessions.ENDED)
                done = VERBS[op.kind](session, op, by)
        except (NotSignedInError, DatabaseUnusableError):
            raise
        except sa.exc.IntegrityError:
            return self._refused(op, "conflict", RACED)
        except NeuroReviewError as error:
            code = next((code for kind, code in CODES if isinstance(error, kind)), "refused")
            return self._refused(op, code, str(error) or (type(error).__doc__ or ""))
        return {"id": op.id, "ok": True, **done}

    def _refused(self, op: Op, code: str, says: str) -> dict[str, Any]:
        """Return why something was not done; what was typed is kept as a draft all the same."""
        kept = False
        if op.kind is Kind.DECIDE and op.text is not None and op.verdict is Verdict.CORRECT:
            with contextlib.suppress(NeuroReviewError, sa.exc.IntegrityError), self.database.writing() as session:
                by = sessions.person_of(session, self.session_id)
                if by is not None:
                    decisions.save_draft(session, op.item, by, op.text)
                    kept = True
        return {"id": op.id, "ok": False, "code": code, "says": says, "kept": kept}

    def _leases(self, ask: Ask, choice: cards.Choice) -> tuple[list[str], list[Lease]]:
        """Keep, take up again and claim; returns the ids of what was kept, and the leases that are to be shown."""
        if not (ask.renew or ask.resume or ask.want):
            return [], []
        with self.database.writing() as session:
            by = sessions.person_of(session, self.session_id)
            if by is None:
                raise NotSignedInError(sessions.ENDED)
            kept = queue.renew(session, by, _reviewed(session, by, ask.renew or []))
            again = dict(ask.resume)
            resumed = queue.renew(session, by, _reviewed(session, by, ask.resume))
            leases = [Lease(one, again[one], 0, "in your hands") for one in resumed]
            if ask.want > len(leases):
                leases += queue.claim(session, by, choice.ids, most=ask.want - len(leases))
        return kept, leases


WORKFLOW_OF = sa.text("SELECT id, workflow_id FROM item WHERE id IN :ids").bindparams(
    sa.bindparam("ids", expanding=True, type_=Id())
)


def _reviewed(session: Session, by: Actor, leases: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return what of these this person may still review: a role can go while an item is in somebody's hands."""
    if not leases:
        return []
    rows = session.connection().execute(WORKFLOW_OF, {"ids": [item_id for item_id, _ in leases]})
    mine = {row.id.replace("-", "") for row in rows if by.may(Role.REVIEWER, row.workflow_id)}
    return [lease for lease in leases if lease[0] in mine]


CODES: tuple[tuple[type[NeuroReviewError], str], ...] = (
    (LeaseLostError, "lease_lost"),
    (ConflictError, "conflict"),
    (InvalidError, "invalid"),
    (NotAllowedError, "not_allowed"),
    (NotFoundError, "not_found"),
)


FORGET = sa.text("DELETE FROM draft WHERE item_id = :item AND person_id = :me")


def _decide(session: Session, op: Op, by: Actor) -> dict[str, Any]:
    if op.verdict is None:
        raise InvalidError("A verdict is missing.", "verdict")
    # Reasons say what is wrong; nothing is wrong with what is approved.
    reasons = () if op.verdict is Verdict.APPROVE else tuple(op.reasons)
    opinion = Opinion(op.verdict, op.text, reasons, client_id=op.id, shown_at=_shown_at(op))
    decided = decisions.decide(session, op.item, by, op.lease, opinion)
    # Also where it was decided before: sent again, the draft that came ahead of it was stored again.
    session.connection().execute(FORGET, {"item": op.item, "me": by.person_id})
    return {"verdict": decided.verdict, "undo": max(0, decided.undo_until - now()) // cards.MS}


def _shown_at(op: Op) -> int:
    """Return since when the item was looked at: not before it was handed out, and five minutes at the most."""
    at = now()
    since = cards.given_at(op.item, op.lease, op.given)
    return at - min(op.looked * cards.MS, LONGEST_LOOK, max(0, at - since) if since is not None else 0)


def _skip(session: Session, op: Op, by: Actor) -> dict[str, Any]:
    with contextlib.suppress(ConflictError):  # it went already
        queue.skip(session, op.item, by, op.lease)
    return {}


LAST_TEXT = sa.text(
    "SELECT t.text FROM item i JOIN decision d ON d.id = i.decision_id"
    " JOIN review_content t ON t.review_id = d.review_id WHERE i.id = :id"
)


def _undo(session: Session, op: Op, by: Actor) -> dict[str, Any]:
    item = lifecycle.lock(session, op.item)
    if item.status is Status.HELD and item.lease_by == by.person_id and item.lease_until >= now():
        lease_n = item.lease_n  # it was undone already
    else:
        text = session.connection().execute(LAST_TEXT, {"id": op.item}).scalar()
        lease_n = decisions.undo(session, op.item, by)
        if text is not None:
            decisions.save_draft(session, op.item, by, text)
    (card,) = cards.cards(session, [Lease(op.item, lease_n, 0, "undone by you")], by)
    return {"card": card}


def _draft(session: Session, op: Op, by: Actor) -> dict[str, Any]:
    decisions.save_draft(session, op.item, by, op.text or "")
    return {}


def _escalate(session: Session, op: Op, by: Actor) -> dict[str, Any]:
    item = lifecycle.lock(session, op.item)
    if item.escalated_at is None:
        queue.own(item, by, op.lease)  # else a late one would take the item out of somebody else's hands
        queue.escalate(session, op.item, by)
    return {}


def _give_back(session: Session, op: Op, by: Actor) -> dict[str, Any]:
    queue.give_back(session, by, [(op.item, op.lease)])
    return {}


VERBS: dict[Kind, Callable[[Session, Op, Actor], dict[str, Any]]] = {
    Kind.DECIDE: _decide,
    Kind.SKIP: _skip,
    Kind.UNDO: _undo,
    Kind.DRAFT: _draft,
    Kind.ESCALATE: _escalate,
    Kind.GIVE_BACK: _give_back,
}
