"""The life of an item, and the one way to move it.

    submitted ──> held ──approve──> approved ──┐
                   │ ├───correct──> corrected ─┼──(grace ends)──> the application is told; released
                   │ ├───reject───> rejected ──┘
                   │ ├───lapse────> lapsed
                   │ └──withdraw──> withdrawn
                   └────undo (while nothing has left)

Only this module writes a status. Each move locks the row, compares before it sets, and writes its decision and its
audit event in the same transaction; the database's guards refuse what this module would not do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import is_id, new_id, now
from db.tables import DecidedBy, Event, Id, Origin, Status, Verdict
from neuro_review import rollups
from neuro_review.audit import Action, record
from neuro_review.errors import ConflictError, NotFoundError


class Verb(StrEnum):
    """What can be done to an item."""

    CLAIM = "claim"
    RENEW = "renew"
    GIVE_BACK = "give back"
    SKIP = "skip"
    ASSIGN = "assign"
    ESCALATE = "escalate"
    PUT_BACK = "put back"
    PRIORITISE = "prioritise"
    APPROVE = "approve"
    CORRECT = "correct"
    REJECT = "reject"
    LAPSE = "lapse"
    WITHDRAW = "withdraw"
    UNDO = "undo"
    RELEASE = "release"
    RECALL = "recall"


DECIDED = frozenset({Status.APPROVED, Status.CORRECTED, Status.REJECTED})
RELEASABLE = frozenset({Status.APPROVED, Status.CORRECTED})
# Each verb and the statuses in which it is legal; UNDO, RELEASE and RECALL also ask whether the item has left.
LEGAL: dict[Verb, frozenset[Status]] = {
    **{verb: frozenset({Status.HELD}) for verb in Verb},
    Verb.UNDO: DECIDED,
    Verb.RELEASE: RELEASABLE,
    Verb.RECALL: RELEASABLE,
}
SAYS: dict[Status, str] = {
    Status.HELD: "is still held",
    Status.APPROVED: "was approved",
    Status.CORRECTED: "was corrected",
    Status.REJECTED: "was rejected",
    Status.LAPSED: "lapsed at its deadline",
    Status.WITHDRAWN: "was withdrawn by its application",
    Status.RECORDED: "is a label of the past",
}
NEXT_STEP: dict[Status, str] = {
    Status.HELD: "Decide it first.",
    Status.APPROVED: "Undo it while it has not left, or recall it afterwards.",
    Status.CORRECTED: "Undo it while it has not left, or recall it afterwards.",
    Status.REJECTED: "Undo it while it has not left; afterwards submit a new output.",
    Status.LAPSED: "If it is still wanted, submit it again with another external_id.",
    Status.WITHDRAWN: "If it is still wanted, submit it again with another external_id.",
    Status.RECORDED: "It counts in quality and eval sets only.",
}
# Who withdraws is an application, and can neither undo nor recall.
NEXT_STEP_OF_ITS_APPLICATION: dict[Status, str] = NEXT_STEP | {
    Status.APPROVED: "Ask its reviewer to undo that while it has not left, or an owner to recall it afterwards.",
    Status.CORRECTED: "Ask its reviewer to undo that while it has not left, or an owner to recall it afterwards.",
    Status.REJECTED: "Nothing of it is released.",
}


@dataclass(frozen=True)
class State:
    """The part of an item that its moves depend on."""

    id: str
    workflow_id: int
    source_id: int
    origin: str
    model: str
    status: Status
    decision_id: str | None
    decided_by: str | None
    decided_at: int | None
    leaves_at: int | None
    released_at: int | None
    recalled_at: int | None
    output_hash: str
    rubric_version: int
    lease_by: int | None
    lease_until: int
    lease_n: int
    escalated_at: int | None
    priority: int


FIELDS = ", ".join(State.__dataclass_fields__)
LOCK = {
    "sqlite": sa.text(f"SELECT {FIELDS} FROM item WHERE id = :id"),
    "postgresql": sa.text(f"SELECT {FIELDS} FROM item WHERE id = :id FOR UPDATE"),
}


def lock(session: Session, item_id: str) -> State:
    """Return an item's state and keep everybody else from moving it until the transaction ends.

    Raises:
        NotFoundError: there is no such item.
    """
    connection = session.connection()
    row = connection.execute(LOCK[connection.dialect.name], {"id": item_id}).first() if is_id(item_id) else None
    if row is None:
        raise NotFoundError("There is no item by that id.")
    values = dict(row._mapping)
    values["status"] = Status(values["status"])
    return State(**values)


def allow(item: State, verb: Verb) -> None:
    """Let a verb pass where it is legal.

    Raises:
        ConflictError: it is not; the text says what the item's status is and what can be done instead.
    """
    if item.status not in LEGAL[verb]:
        steps = NEXT_STEP_OF_ITS_APPLICATION if verb is Verb.WITHDRAW else NEXT_STEP
        raise ConflictError(f"This item {SAYS[item.status]}; it cannot be {_past(verb)}. {steps[item.status]}")
    if verb is Verb.UNDO and (item.leaves_at is None and item.origin == Origin.GATE):
        raise ConflictError("This verdict has left already; it cannot be undone. Recall it instead, with a reason.")
    if verb is Verb.UNDO and item.decided_by != DecidedBy.HUMAN:
        raise ConflictError("No person decided this item; there is nothing to undo.")
    if verb in (Verb.RELEASE, Verb.RECALL) and item.origin != Origin.GATE:
        raise ConflictError(f"This item is {_article(item.origin)}; it is never released.")
    if verb is Verb.RELEASE and item.released_at is not None:
        raise ConflictError("This item was released already; each is released once.")
    if verb is Verb.RECALL and item.released_at is None:
        raise ConflictError("This item has not been released; there is nothing to recall. Undo the verdict instead.")
    if verb is Verb.RECALL and item.recalled_at is not None:
        raise ConflictError("This item was recalled already.")


def _past(verb: Verb) -> str:
    irregular = {
        Verb.GIVE_BACK: "given back", Verb.SKIP: "skipped", Verb.WITHDRAW: "withdrawn", Verb.UNDO: "undone",
        Verb.PUT_BACK: "put back",
    }  # fmt: skip
    return irregular.get(verb) or (f"{verb}d" if verb.endswith("e") else f"{verb}ed")


def _article(origin: str) -> str:
    return {"history": "a label of the past", "sample": "a sample", "gold": "a test of reviewers"}.get(
        origin, "a candidate's output"
    )


INSERT_DECISION = sa.text(
    "INSERT INTO decision (id, item_id, seq, by, status, review_id, verdict, certificate_id, releases, text_hash,"
    " actor, decided_at, final_at) VALUES (:id, :item_id, (SELECT 1 + count(*) FROM decision WHERE item_id = :item_id),"
    " :by, :status, :review_id, :verdict, :certificate_id, :releases, :text_hash, :actor, :decided_at, :final_at)"
)
SET_DECIDED = sa.text(
    "UPDATE item SET status = :status, decision_id = :decision_id, decided_by = :by, decided_at = :at,"
    " leaves_at = :leaves_at, label = :label, lease_by = NULL, lease_until = 0, audit_seq = :seq"
    " WHERE id = :id AND status = 'held'"
)
SET_HELD = sa.text(
    "UPDATE item SET status = 'held', decision_id = NULL, decided_by = NULL, decided_at = NULL, leaves_at = NULL,"
    " label = NULL, lease_by = :person, lease_until = :until, lease_n = lease_n + 1, audit_seq = :seq"
    " WHERE id = :id AND decision_id = :decision_id RETURNING lease_n"
)


@dataclass(frozen=True)
class Grounds:
    """On what an item is decided."""

    by: DecidedBy
    status: Status
    actor: str
    review_id: str | None = None
    verdict: Verdict | None = None
    certificate_id: str | None = None
    text_hash: str = ""


def decide(session: Session, item: State, grounds: Grounds, *, at: int, final_at: int) -> str:
    """Move a held item to what was decided, and return the id of the decision."""
    rollups.touch(session, [item.id])
    decision_id = new_id()
    releases = grounds.status in RELEASABLE
    session.connection().execute(
        INSERT_DECISION,
        {
            "id": decision_id, "item_id": item.id, "by": grounds.by, "status": grounds.status,
            "review_id": grounds.review_id, "verdict": grounds.verdict, "certificate_id": grounds.certificate_id,
            "releases": releases, "text_hash": grounds.text_hash, "actor": grounds.actor,
            "decided_at": at, "final_at": final_at,
        },
    )  # fmt: skip
    facts = {
        "decision": decision_id, "by": grounds.by, "status": grounds.status, "review": grounds.review_id,
        "verdict": grounds.verdict, "certificate": grounds.certificate_id, "text": grounds.text_hash,
        "decided_at": at, "final_at": final_at,
    }  # fmt: skip
    seq = record(session, item.id, grounds.actor, Action.ITEM_DECIDED, facts, at)
    moved = session.connection().execute(
        SET_DECIDED,
        {
            "status": grounds.status, "decision_id": decision_id, "by": grounds.by, "at": at,
            "leaves_at": final_at if item.origin == Origin.GATE else None,
            "label": grounds.verdict, "seq": seq, "id": item.id,
        },
    )  # fmt: skip
    _must_move(moved)
    return decision_id


def undo(session: Session, item: State, person_id: int, actor: str, *, at: int, lease_until: int) -> int:
    """Take a decision back that has not left; the item is held again and leased to the person. Returns the lease."""
    rollups.touch(session, [item.id])
    connection = session.connection()
    facts = {"decision_id": item.decision_id, "item_id": item.id, "person_id": person_id, "at": at}
    connection.execute(
        sa.text(
            "INSERT INTO retraction (decision_id, item_id, person_id, at)"
            " VALUES (:decision_id, :item_id, :person_id, :at)"
        ),
        facts,
    )
    seq = record(session, item.id, actor, Action.ITEM_UNDONE, {"decision": item.decision_id}, at)
    moved = connection.execute(
        SET_HELD,
        {"person": person_id, "until": lease_until, "seq": seq, "id": item.id, "decision_id": item.decision_id},
    ).first()
    if moved is None:
        raise ConflictError("Somebody else moved this item in this moment. Load it again.")
    return int(moved.lease_n)


DECISION = sa.text("SELECT id, status, releases, text_hash, final_at FROM decision WHERE id = :id")
INSERT_RELEASE = sa.text(
    "INSERT INTO release (id, item_id, origin, decision_id, releases, text_hash, at)"
    " VALUES (:id, :item_id, 'gate', :decision_id, TRUE, :text_hash, :at)"
)
INSERT_OUTBOX = sa.text(
    "INSERT INTO outbox (item_id, origin, source_id, workflow_id, event, decision_id, release_id, created_at, attempts,"
    " next_at) VALUES (:item_id, 'gate', :source_id, :workflow_id, :event, :decision_id, :release_id, :at, 0, :at)"
    " RETURNING seq"
)
# To each endpoint in use: with the message, or neither is there.
INSERT_DELIVERIES = sa.text(
    "INSERT INTO delivery (endpoint_id, outbox_seq, item_id, created_at, attempts, next_at)"
    " SELECT e.id, :seq, :item_id, :at, 0, :at FROM endpoint e WHERE e.workflow_id = :workflow_id"
    " AND e.removed_at IS NULL AND coalesce(e.source_id, :source_id) = :source_id"
).bindparams(sa.bindparam("item_id", type_=Id()))
SET_LEFT = sa.text(
    "UPDATE item SET leaves_at = NULL, released_at = :released_at, audit_seq = :seq"
    " WHERE id = :id AND decision_id = :decision_id AND leaves_at IS NOT NULL"
)
SET_RECALLED = sa.text("UPDATE item SET recalled_at = :at, label = :label, audit_seq = :seq WHERE id = :id")


def leave(session: Session, item: State, *, at: int) -> str | None:
    """Let a decided item leave: its application is told, and where the decision releases, the release is written.

    Returns the id of the release, or None where nothing may be sent.

    Raises:
        ConflictError: grace has not ended, or it has left already.
    """
    connection = session.connection()
    decision = connection.execute(DECISION, {"id": item.decision_id}).first()
    if decision is None or item.leaves_at is None:
        raise ConflictError("There is nothing that could leave: no decision stands, or it has left already.")
    if decision.final_at > at:
        raise ConflictError("The verdict can still be undone; it leaves when its grace ends.")
    rollups.touch(session, [item.id])
    release_id = new_id() if decision.releases else None
    if release_id:
        connection.execute(
            INSERT_RELEASE,
            {
                "id": release_id,
                "item_id": item.id,
                "decision_id": decision.id,
                "text_hash": decision.text_hash,
                "at": at,
            },
        )
    event = Event.RELEASED if decision.releases else Event(decision.status)
    _tell(session, item, event, decision.id, release_id, at)
    facts: dict[str, Any] = {"event": event, "decision": decision.id, "release": release_id, "text": decision.text_hash}
    seq = record(session, item.id, "policy", Action.ITEM_RELEASED, facts, at)
    released_at = at if release_id else None
    moved = connection.execute(
        SET_LEFT, {"released_at": released_at, "seq": seq, "id": item.id, "decision_id": item.decision_id}
    )
    _must_move(moved)
    return release_id


def recall(session: Session, item: State, *, person_id: int, actor: str, review_id: str, verdict: Verdict, reason: str,
           reason_hash: str, at: int) -> None:  # fmt: skip
    """Take a release back after it has left; the new review replaces the label."""
    connection = session.connection()
    release = connection.execute(sa.text("SELECT id FROM release WHERE item_id = :id"), {"id": item.id}).one()
    connection.execute(
        sa.text(
            "INSERT INTO recall (release_id, item_id, review_id, person_id, reason, at)"
            " VALUES (:release, :item, :review, :person, :reason, :at)"
        ),
        {"release": release.id, "item": item.id, "review": review_id, "person": person_id, "reason": reason, "at": at},
    )
    _tell(session, item, Event.RECALLED, item.decision_id, release.id, at)
    facts = {"release": release.id, "review": review_id, "reason": reason_hash}
    seq = record(session, item.id, actor, Action.ITEM_RECALLED, facts, at)
    connection.execute(SET_RECALLED, {"at": at, "label": verdict, "seq": seq, "id": item.id})


def note(
    session: Session, item: State, actor: str, action: Action, facts: dict[str, Any], columns: str, **values: Any
) -> None:
    """Write an event about an item that stays held, and set the columns it is about (`name = :name, …`)."""
    seq = record(session, item.id, actor, action, facts, now())
    moved = session.connection().execute(
        sa.text(f"UPDATE item SET {columns}, audit_seq = :seq WHERE id = :id AND status = 'held'"),
        {**values, "seq": seq, "id": item.id},
    )
    _must_move(moved)


def _tell(
    session: Session, item: State, event: Event, decision_id: str | None, release_id: str | None, at: int
) -> None:
    facts = {
        "item_id": item.id, "source_id": item.source_id, "workflow_id": item.workflow_id, "event": event,
        "decision_id": decision_id, "release_id": release_id, "at": at,
    }  # fmt: skip
    seq = session.connection().execute(INSERT_OUTBOX, facts).scalar_one()
    session.connection().execute(INSERT_DELIVERIES, facts | {"seq": seq})


def _must_move(result: sa.CursorResult[Any]) -> None:
    if result.rowcount != 1:
        raise ConflictError("Somebody else moved this item in this moment. Load it again.")
