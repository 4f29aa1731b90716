"""Who reviews what next, and for how long it is theirs.

An item stays `held` while it is leased: the lease is three columns on its row, so one that ran out needs no sweeper,
and `lease_n` fences: a verdict must name the lease it was given under. Order: overdue and due first, then the audit
panel, then priority and age in one number, so that nothing starves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, HOUR, SECOND, now
from db.tables import PassOver, Role
from neuro_review import lifecycle, teams
from neuro_review.access import Actor
from neuro_review.audit import Action
from neuro_review.errors import ConflictError, InvalidError, LeaseLostError
from neuro_review.lifecycle import State, Verb

LEASE_LASTS = 120 * SECOND
WINDOW = 10
DUE_SOON = HOUR
SKIP_LASTS = DAY
PASSES_TO_ESCALATE = 3
# One step of priority is worth an hour of waiting: urgent goes first, and nothing waits for ever.
PRIORITY_STEP = HOUR
FIRST_PRIORITY = 9


def queue_at(created_at: int, priority: int) -> int:
    """Return the place in the queue: earlier first."""
    return created_at + (FIRST_PRIORITY - priority) * PRIORITY_STEP


@dataclass(frozen=True)
class Lease:
    """An item in a reviewer's hands."""

    item_id: str
    lease_n: int
    until: int
    why: str


# 'held' and the other words are literals, never parameters: a generic plan could not use the partial indexes.
_OPEN = (
    "lease_until < :now AND (assigned_to IS NULL OR assigned_to = :me"
    # What belongs to somebody who cannot come any more is for everybody: nothing starves.
    " OR assigned_to IN (SELECT a.id FROM person a WHERE a.disabled_at IS NOT NULL))"
    " AND (team_id IS NULL OR team_id IN (SELECT m.team_id FROM team_member m WHERE m.person_id = :me))"
)
_FREE = (
    _OPEN
    + " AND NOT EXISTS (SELECT 1 FROM item_pass p WHERE p.item_id = item.id AND p.person_id = :me AND p.kind = 'skip'"
    " AND p.at > :skipped_since)"
)
_COLUMNS = "id, due_at, queue_band, queue_at, assigned_to, escalated_at, lease_by"
DUE = (
    f"SELECT {_COLUMNS} FROM item WHERE status = 'held' AND due_at IS NOT NULL AND escalated_at IS NULL"
    f" AND workflow_id = :workflow AND due_at < :due_before AND {_FREE} ORDER BY due_at LIMIT :most"
)
NEXT = (
    f"SELECT {_COLUMNS} FROM item WHERE status = 'held' AND escalated_at IS NULL AND workflow_id = :workflow"
    f" AND {_FREE} ORDER BY queue_band, queue_at, id LIMIT :most"
)
ESCALATED = (
    f"SELECT {_COLUMNS} FROM item WHERE status = 'held' AND escalated_at IS NOT NULL AND workflow_id = :workflow"
    f" AND {_FREE} ORDER BY escalated_at, id LIMIT :most"
)
_SKIP_LOCKED = " FOR UPDATE OF item SKIP LOCKED"
CANDIDATES = {
    "sqlite": tuple(map(sa.text, (DUE, NEXT, ESCALATED))),
    "postgresql": tuple(sa.text(query + _SKIP_LOCKED) for query in (DUE, NEXT, ESCALATED)),
}
TAKE = sa.text(
    "UPDATE item SET lease_by = :me, lease_until = :until, lease_n = lease_n + 1"
    " WHERE id = :id AND status = 'held' AND lease_until < :now RETURNING lease_n"
)


def claim(session: Session, by: Actor, workflow_ids: Sequence[int], *, most: int = WINDOW) -> list[Lease]:
    """Give a reviewer the next items of these workflows, at most `most`; an empty list when nothing waits.

    Who owns a workflow also gets what was escalated there, after what is due.

    Raises:
        NotAllowedError: not a reviewer of one of them.
    """
    for workflow_id in workflow_ids:
        by.require(Role.REVIEWER, workflow_id)
    at = now()
    leases: list[Lease] = []
    # An item that is escalated instead of handed out must not leave a hand empty while others wait.
    while not leases and _take(session, by, _candidates(session, by, workflow_ids, at, most), at, most, leases):
        pass
    return leases


def _take(session: Session, by: Actor, rows: list[Any], at: int, most: int, leases: list[Lease]) -> bool:
    """Lease what is free of these; tell whether some were escalated, so that others have come up behind them."""
    escalated = False
    for row in rows:
        if row.lease_by is not None and _lost(session, row.id, row.lease_by, at):
            escalated = True
            continue
        taken = session.connection().execute(
            TAKE, {"me": by.person_id, "until": at + LEASE_LASTS, "id": row.id, "now": at}
        ).first()  # fmt: skip
        if taken is not None:
            leases.append(Lease(row.id, taken.lease_n, at + LEASE_LASTS, _why(row, at, by)))
        if len(leases) == most:
            break
    return escalated


_THESE = f"SELECT {_COLUMNS}, workflow_id FROM item WHERE status = 'held' AND {_OPEN} AND id "
THESE = {
    "sqlite": sa.text(f"{_THESE} IN (SELECT value FROM json_each(:ids)) ORDER BY id"),
    "postgresql": sa.text(f"{_THESE} = ANY(CAST(:ids AS uuid[])) ORDER BY id {_SKIP_LOCKED}"),
}


def claim_these(session: Session, by: Actor, item_ids: Sequence[str]) -> list[Lease]:
    """Give a reviewer these very items; what is decided, in other hands or of somebody else is left out.

    What was escalated is handed only to an owner.

    Raises:
        NotAllowedError: not a reviewer of a workflow of theirs.
    """
    connection, at = session.connection(), now()
    listed: Any = list(item_ids) if connection.dialect.name == "postgresql" else orjson.dumps(list(item_ids)).decode()
    rows = connection.execute(THESE[connection.dialect.name], {"ids": listed, "me": by.person_id, "now": at}).all()
    for row in rows:
        by.require(Role.REVIEWER, row.workflow_id)
    mine = [row for row in rows if row.escalated_at is None or by.may(Role.OWNER, row.workflow_id)]
    leases: list[Lease] = []
    _take(session, by, mine, at, len(mine), leases)
    return leases


def _candidates(session: Session, by: Actor, workflow_ids: Iterable[int], at: int, most: int) -> list[Any]:
    connection = session.connection()
    due, following, escalated = CANDIDATES[connection.dialect.name]
    rows: dict[str, Any] = {}
    for workflow_id in workflow_ids:
        bound = {
            "workflow": workflow_id, "me": by.person_id, "now": at, "most": most,
            "skipped_since": at - SKIP_LASTS, "due_before": at + DUE_SOON,
        }  # fmt: skip
        mine = (due, following, escalated) if by.may(Role.OWNER, workflow_id) else (due, following)
        for query in mine:
            rows.update((row.id, row) for row in connection.execute(query, bound))
    late = 1 << 62

    def order(row: Any) -> tuple[int, int, int, int, str]:
        due_first = row.due_at if row.due_at is not None and row.due_at < at + DUE_SOON else late
        escalated_first = row.escalated_at if row.escalated_at is not None else late
        return (due_first, escalated_first, row.queue_band, row.queue_at, row.id)

    return sorted(rows.values(), key=order)


def _why(row: Any, at: int, by: Actor) -> str:
    """Say why this item comes now; never its risk, and not whether it is an audit."""
    if row.due_at is not None and row.due_at < at + DUE_SOON:
        return "due"
    if row.assigned_to is not None and row.assigned_to == by.person_id:
        return "assigned to you"
    if row.escalated_at is not None:
        return "escalated to you"
    # "Waiting longest" would be true of some and not of audits, and so tell which are audits.
    return "next in line"


RENEW = sa.text(
    "UPDATE item SET lease_until = :until WHERE id = :id AND status = 'held' AND lease_by = :me AND lease_n = :n"
    " AND lease_until >= :now"
)
GIVE_BACK = sa.text(
    "UPDATE item SET lease_by = NULL, lease_until = 0"
    " WHERE id = :id AND status = 'held' AND lease_by = :me AND lease_n = :n"
)


def renew(session: Session, by: Actor, leases: Iterable[tuple[str, int]]) -> list[str]:
    """Keep leases (item id, lease number) for another while; returns the ids of those still held by this person."""
    at = now()
    kept = []
    for item_id, lease_n in leases:
        bound = {"until": at + LEASE_LASTS, "id": item_id, "me": by.person_id, "n": lease_n, "now": at}
        if session.connection().execute(RENEW, bound).rowcount == 1:
            kept.append(item_id)
    return kept


def give_back(session: Session, by: Actor, leases: Iterable[tuple[str, int]]) -> None:
    """Put leased items (item id, lease number) back into the queue; what is no longer held by this person is left."""
    for item_id, lease_n in leases:
        session.connection().execute(GIVE_BACK, {"id": item_id, "me": by.person_id, "n": lease_n})


def skip(session: Session, item_id: str, by: Actor, lease_n: int) -> bool:
    """Let an item go without a verdict: not offered to this person for a day. Returns whether it was escalated by it.

    Raises:
        LeaseLostError: the lease has ended.
        ConflictError: the item has been decided.
    """
    item = lifecycle.lock(session, item_id)
    lifecycle.allow(item, Verb.SKIP)
    own(item, by, lease_n)
    give_back(session, by, [(item_id, lease_n)])
    return _pass_over(session, item_id, by.person_id, PassOver.SKIP, now())


# Words of ours, not a free text: the audit log keeps them for ever.
ASKED_FOR = "asked for"
WHY_ESCALATE = ("needs a second opinion", "the rubric does not say", "could do harm", "looks like an attack", ASKED_FOR)


def escalate(session: Session, item_id: str, by: Actor, reason: str = ASKED_FOR) -> None:
    """Put an item into its owner's list; it stays held and its deadline runs on.

    Raises:
        ConflictError: the item has been decided.
        InvalidError: the reason is none of `WHY_ESCALATE`.
    """
    item = lifecycle.lock(session, item_id)
    by.require(Role.REVIEWER, item.workflow_id)
    lifecycle.allow(item, Verb.ESCALATE)
    if reason not in WHY_ESCALATE:
        raise InvalidError("That is not a reason to escalate. Choose one from the list.", "reason")
    _escalate(session, item, by.audit_name, reason)


def overdue(session: Session, item_id: str) -> None:
    """Put an item whose deadline has passed into its owner's list, once; who has it in their hands can still decide it.

    Raises:
        ConflictError: the item has been decided.
    """
    item = lifecycle.lock(session, item_id)
    lifecycle.allow(item, Verb.ESCALATE)
    lifecycle.note(
        session, item, "policy", Action.ITEM_ESCALATED, {"reason": "its deadline has passed"},
        "escalated_at = coalesce(escalated_at, :at), overdue_at = :at", at=now(),
    )  # fmt: skip


def put_back(session: Session, item_id: str, by: Actor) -> None:
    """Put an escalated item back into the queue, for everybody: that they let it go before is forgotten.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: the item has been decided, or is not escalated.
    """
    item = lifecycle.lock(session, item_id)
    by.require(Role.OWNER, item.workflow_id)
    lifecycle.allow(item, Verb.PUT_BACK)
    if item.escalated_at is None:
        raise ConflictError("This item is not escalated; it is in the queue already.")
    lifecycle.note(session, item, by.audit_name, Action.ITEM_PUT_BACK, {}, "escalated_at = NULL")
    # Else the next person who lets it go would escalate it at once.
    session.connection().execute(sa.text("DELETE FROM item_pass WHERE item_id = :id"), {"id": item_id})


def prioritise(session: Session, item_id: str, by: Actor, priority: int) -> None:
    """Give an item another priority, 0 to 9, and with it another place in the queue.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: the item has been decided.
        InvalidError: there is no such priority.
    """
    if not 0 <= priority <= FIRST_PRIORITY:
        raise InvalidError(f"A priority goes from 0 to {FIRST_PRIORITY}; {FIRST_PRIORITY} comes first.", "priority")
    item = lifecycle.lock(session, item_id)
    by.require(Role.OWNER, item.workflow_id)
    lifecycle.allow(item, Verb.PRIORITISE)
    lifecycle.note(
        session, item, by.audit_name, Action.ITEM_PRIORITISED, {"priority": priority, "was": item.priority},
        "priority = :priority, queue_at = queue_at + (priority - :priority) * :step",
        priority=priority, step=PRIORITY_STEP,
    )  # fmt: skip


def assign(
    session: Session, item_id: str, by: Actor, *, person_id: int | None = None, team_id: int | None = None
) -> None:
    """Reserve an item for a person or a group, or for nobody.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: the item has been decided.
        InvalidError: nobody it would be reserved for may review it.
    """
    item = lifecycle.lock(session, item_id)
    by.require(Role.OWNER, item.workflow_id)
    lifecycle.allow(item, Verb.ASSIGN)
    reviewers = {one.id for one in teams.reviewers(session, item.workflow_id)}
    if person_id is not None and person_id not in reviewers:
        raise InvalidError("This person may not review this workflow. Give them the role first.", "person")
    if team_id is not None and reviewers.isdisjoint(one.id for one in teams.members(session, team_id)):
        raise InvalidError("Nobody in this group may review this workflow. Add a reviewer to it first.", "team")
    facts = {"person": person_id, "team": team_id}
    columns = "assigned_to = :person, team_id = :team"
    lifecycle.note(session, item, by.audit_name, Action.ITEM_ASSIGNED, facts, columns, person=person_id, team=team_id)


def own(item: State, by: Actor, lease_n: int) -> None:
    """Let only the person pass in whose hands the item is, under this very lease.

    Raises:
        LeaseLostError: the lease has ended, or somebody else has the item.
    """
    if item.lease_by != by.person_id or item.lease_n != lease_n:
        raise LeaseLostError("Somebody else has this item now. Your verdict was not stored; go on with the next one.")
    if item.lease_until < now():
        raise LeaseLostError("Your time with this item ran out. Your verdict was not stored; the item may come back.")


def _escalate(session: Session, item: State, actor: str, reason: str) -> None:
    lifecycle.note(
        session, item, actor, Action.ITEM_ESCALATED, {"reason": reason},
        "escalated_at = :at, lease_by = NULL, lease_until = 0", at=now(),
    )  # fmt: skip


PASS = sa.text(
    "INSERT INTO item_pass (item_id, person_id, kind, at) VALUES (:item, :person, :kind, :at)"
    " ON CONFLICT (item_id, person_id, kind) DO UPDATE SET at = excluded.at"
)
PASSES = sa.text("SELECT count(DISTINCT person_id) FROM item_pass WHERE item_id = :item AND kind = :kind")


def _lost(session: Session, item_id: str, person_id: int, at: int) -> bool:
    """Note that a person let a lease run out; tell whether the item was escalated by it."""
    return _pass_over(session, item_id, person_id, PassOver.LOST, at)


def _pass_over(session: Session, item_id: str, person_id: int | None, kind: PassOver, at: int) -> bool:
    connection = session.connection()
    connection.execute(PASS, {"item": item_id, "person": person_id, "kind": kind, "at": at})
    if connection.execute(PASSES, {"item": item_id, "kind": kind}).scalar_one() < PASSES_TO_ESCALATE:
        return False
    item = lifecycle.lock(session, item_id)
    if item.escalated_at is not None:
        return False
    why = "skipped" if kind is PassOver.SKIP else "let go"
    _escalate(session, item, "policy", f"{why} by {PASSES_TO_ESCALATE} people")
    return True


@dataclass(frozen=True)
class Waiting:
    """What waits in a workflow."""

    held: int
    due: int
    escalated: int
    oldest_at: int | None


# Each part is answered from a partial index alone; counted in one go it would read every row that waits.
COUNTS = sa.text(
    "SELECT (SELECT count(*) FROM item WHERE status = 'held' AND escalated_at IS NULL AND workflow_id = :workflow)"
    " AS free, (SELECT count(*) FROM item WHERE status = 'held' AND due_at IS NOT NULL AND workflow_id = :workflow"
    " AND due_at < :due_before) AS due, (SELECT count(*) FROM item WHERE status = 'held' AND escalated_at IS NOT NULL"
    " AND workflow_id = :workflow) AS escalated"
)
OLDEST = sa.text(
    "SELECT created_at FROM item WHERE status = 'held' AND escalated_at IS NULL AND workflow_id = :workflow"
    " AND queue_band = :band ORDER BY queue_at LIMIT 1"
)


def waiting(session: Session, workflow_id: int) -> Waiting:
    """Return how much waits in a workflow, how much of it is due within the hour, and since when the oldest waits."""
    connection = session.connection()
    row = connection.execute(COUNTS, {"workflow": workflow_id, "due_before": now() + DUE_SOON}).one()
    first = [connection.execute(OLDEST, {"workflow": workflow_id, "band": band}).scalar() for band in (0, 1)]
    waits_since = min((at for at in first if at is not None), default=None)
    return Waiting(row.free + row.escalated, row.due, row.escalated, waits_since)
