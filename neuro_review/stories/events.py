"""What happened to an item, in words: its audit events, and who let it go without a verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from neuro_review.audit import Action

MOST = 500
EVENTS = sa.text("SELECT at, actor, action, body FROM audit WHERE stream = :id ORDER BY seq LIMIT :most")
PASSES = sa.text("SELECT person_id, kind, at FROM item_pass WHERE item_id = :id ORDER BY at")
PEOPLE = sa.text("SELECT id, name FROM person WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
SOURCES = sa.text("SELECT id, name FROM source WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
GROUPS = sa.text("SELECT id, name FROM team WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))


@dataclass(frozen=True)
class Happened:
    """One thing that happened."""

    at: int
    what: str
    """Words of the house; names of people, groups and sources stand among them."""


Names = dict[tuple[str, int], str]


def happened(session: Session, item_id: str) -> list[Happened]:
    """Return what happened to an item, the first thing first."""
    connection = session.connection()
    rows = connection.execute(EVENTS, {"id": item_id, "most": MOST}).all()
    passes = connection.execute(PASSES, {"id": item_id}).all()
    facts = [orjson.loads(row.body) for row in rows]
    names = _names(connection, rows, facts, [row.person_id for row in passes])
    told = [
        Happened(row.at, _words(str(row.action), who(row.actor, names), said, names))
        for row, said in zip(rows, facts, strict=True)
    ]
    let_go = {"skip": "Skipped by", "lost": "Left lying by"}
    told += [Happened(row.at, f"{let_go[row.kind]} {_name(names, 'person', row.person_id)}") for row in passes]
    # Of equal times the order of the log stands.
    return sorted(told, key=lambda one: one.at)


def _names(connection: sa.Connection, rows: Any, facts: list[dict[str, Any]], people: list[int]) -> Names:
    wanted: dict[str, set[int]] = {"person": set(people), "source": set(), "group": set()}
    for row, said in zip(rows, facts, strict=True):
        kind, _, number = row.actor.partition(":")
        if kind in wanted and number.isdecimal():
            wanted[kind].add(int(number))
        for fact, kind in (("person", "person"), ("team", "group"), ("source", "source")):
            if isinstance(said.get(fact), int):
                wanted[kind].add(said[fact])
    asked = (("person", PEOPLE), ("source", SOURCES), ("group", GROUPS))
    return {
        (kind, row.id): " ".join(row.name.split())
        for kind, query in asked
        if wanted[kind]
        for row in connection.execute(query, {"ids": sorted(wanted[kind])})
    }


def _name(names: Names, kind: str, number: Any) -> str:
    return names.get((kind, number), f"{kind} {number}")


def who(actor: str, names: Names) -> str:
    """Return an actor of the audit log as people call them."""
    kind, _, number = actor.partition(":")
    if kind in ("person", "source") and number.isdecimal():
        name = _name(names, kind, int(number))
        return name if kind == "person" else f"the application {name}"
    return {"policy": "the rules of the workflow", "house": "the house"}.get(
        actor, " ".join(f"{kind} {number}".split())
    )


VERDICTS = {"approve": "approve", "correct": "correct", "reject": "reject"}
TOLD = {
    "released": "Released: it may be sent",
    "rejected": "The rejection is final: nothing is sent",
    "lapsed": "The lapse is final: nothing is sent",
    "withdrawn": "Taken out of the queue",
}  # fmt: skip


def _decided(by: str, said: dict[str, Any], _names: Names) -> str:
    status = str(said.get("status", "decided"))
    if status == "lapsed":
        return "Lapsed at its deadline: an unmet deadline is never an approval"
    if said.get("certificate"):
        return "Let go unseen, under a certificate"
    return f"{status.capitalize()} by {by}"


def _reviewed(by: str, said: dict[str, Any], _names: Names) -> str:
    reviewer = by if said.get("person") is not None else " ".join(str(said.get("reviewer", by)).split())
    return f"Verdict of {reviewer}: {VERDICTS.get(str(said.get('verdict')), 'unknown')}"


def _assigned(by: str, said: dict[str, Any], names: Names) -> str:
    for fact, kind in (("person", "person"), ("team", "group")):
        if said.get(fact) is not None:
            return f"Assigned to {_name(names, kind, said[fact])} by {by}"
    return f"Assigned to nobody any more, by {by}"


def _erased(by: str, _said: dict[str, Any], _names: Names) -> str:
    return f"Texts erased by {by}"


WORDS: dict[str, Callable[[str, dict[str, Any], Names], str]] = {
    Action.ITEM_SUBMITTED: lambda by, said, names: f"Submitted by {by}",
    Action.ITEM_RECORDED: lambda by, said, names: f"Recorded as a label of the past by {by}",
    Action.ITEM_REVIEWED: _reviewed,
    Action.ITEM_DECIDED: _decided,
    Action.ITEM_UNDONE: lambda by, said, names: f"Taken back by {by}: the verdict no longer stands",
    Action.ITEM_RELEASED: lambda by, said, names: TOLD.get(str(said.get("event")), "It left"),
    Action.ITEM_RECALLED: lambda by, said, names: f"Recalled by {by}: the application is told not to use it",
    Action.ITEM_ESCALATED: lambda by, said, names: f"Escalated by {by}: {said.get('reason', 'asked for')}",
    Action.ITEM_ASSIGNED: _assigned,
    Action.ITEM_ERASED: _erased,
}


def _words(action: str, by: str, said: dict[str, Any], names: Names) -> str:
    known = WORDS.get(action)
    if known is not None:
        return known(by, said, names)
    # What a newer version writes is shown all the same.
    subject, _, verb = action.partition(".")
    words = (verb or subject).replace("_", " ").capitalize()
    amounts = [f"{name} {value}" for name, value in said.items() if isinstance(value, int)]
    return f"{words} by {by}" + (f": {', '.join(amounts)}" if amounts else "")
