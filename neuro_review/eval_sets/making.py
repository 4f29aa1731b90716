"""A version of an eval set: drafted out of labels in short transactions, then frozen once and for ever."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import new_id, now
from db.engine import Database
from db.tables import Id, Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import as_json, check_text
from neuro_review.errors import ConflictError, InvalidError, NotFoundError
from neuro_review.eval_sets.choosing import Case, Choice, Progress, Wanted, choose
from neuro_review.eval_sets.rows import UNFINISHED, Version, version_by_id

CASES_AT_ONCE = 128  # two rows each: what one writing transaction may take
CASE_COLUMNS = (
    "id version_id position item_id review_id kind model verdict reviewer reasons rubric_version inclusion hash"
)
CONTENT_COLUMNS = "case_id salt prompt prompt_is_chat context output target"
NOT_WHOLE = (
    "This draft is not whole: it is being made or thrown away at this moment, or that broke off. Discard it, and make"
    " another."
)
THROWN_AWAY = "Somebody has thrown this draft away meanwhile. Make another."
NONE_LEFT = "No label can become a case{}. Narrow less, or wait until verdicts have left their time to undo."


class Unfinished(StrEnum):
    """What is being done to a draft, in several transactions."""

    MADE = "made"
    DISCARDED = "discarded"


def make(
    database: Database, by: Actor, name: str, workflow: str, wanted: Wanted, *, held_out: bool | None = None,
    freeze_it: bool = True, progress: Progress | None = None,
) -> Version:  # fmt: skip
    """Make the next version of an eval set out of labels, and the set with its first one; a door calls it.

    The cases are chosen and written in short transactions of their own, so that nobody waits; what breaks off half-way
    leaves a draft that nobody can freeze.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such workflow.
        ConflictError: a set of another workflow has this name, or somebody threw the draft away meanwhile.
        InvalidError: no label matches, or the name cannot be used.
        DatabaseUnusableError: the database is away or damaged.
    """
    with database.reading() as session:
        flow = workflows.by_name(session, workflow)
        by.require(Role.OWNER, flow.id)
        _named(session, name, flow.id)
    choice = choose(database, flow.id, wanted, progress)
    if not choice.cases:
        counted = ", ".join(f"{many} {why.replace('_', ' ')}" for why, many in sorted(choice.left_out.items()))
        raise InvalidError(NONE_LEFT.format(f" ({counted})" if counted else ""))
    with database.writing() as session:
        version_id = _draft(session, by, name, flow.id, wanted, choice, held_out)
    for start in range(0, len(choice.cases), CASES_AT_ONCE):
        with database.writing() as session:
            draft = _still_made(session, version_id, by)
            _add(session, version_id, start, choice.cases[start : start + CASES_AT_ONCE])
            if start + CASES_AT_ONCE >= len(choice.cases):
                _note(session, draft, None)
    if freeze_it:
        with database.writing() as session:
            freeze(session, version_id, by)
    with database.reading() as session:
        return version_by_id(session, version_id, by)


SET = sa.text("SELECT id, workflow_id FROM eval_set WHERE name = :name")
ADD_SET = sa.text(
    "INSERT INTO eval_set (workflow_id, name, held_out, created_at, created_by)"
    " VALUES (:workflow, :name, :held_out, :at, :by) RETURNING id"
)
LOCK_SET = sa.text("SELECT id FROM eval_set WHERE id = :id FOR UPDATE")
LAST_NUMBER = sa.text("SELECT COALESCE(max(number), 0) FROM eval_version WHERE set_id = :set")
ADD_VERSION = sa.text(
    "INSERT INTO eval_version (id, set_id, number, asked, left_out, made_at, made_by)"
    " VALUES (:id, :set, :number, :asked, :left_out, :at, :by)"
)


def _named(session: Session, name: str, workflow_id: int) -> int | None:
    """Return the set of this name, where there is one."""
    check_text(name, "name")
    if not name.strip() or len(name) > 100 or "@" in name or name != name.strip():
        raise InvalidError("A set's name has 1 to 100 characters, no @, and no blank at either end.", "name")
    row = session.connection().execute(SET, {"name": name}).first()
    if row is not None and row.workflow_id != workflow_id:
        raise ConflictError(f"The eval set “{name}” belongs to another workflow. Choose another name.")
    return None if row is None else int(row.id)


def _draft(
    session: Session, by: Actor, name: str, workflow_id: int, wanted: Wanted, choice: Choice, held_out: bool | None
) -> str:
    connection, at = session.connection(), now()
    set_id = _named(session, name, workflow_id)
    if set_id is None:
        bound = {"workflow": workflow_id, "name": name, "held_out": bool(held_out), "at": at, "by": by.audit_name}
        set_id = int(connection.execute(ADD_SET, bound).scalar_one())
    elif held_out is not None:
        hold_out(session, set_id, by, held_out)
    if connection.dialect.name == "postgresql":
        connection.execute(LOCK_SET, {"id": set_id})
    number = int(connection.execute(LAST_NUMBER, {"set": set_id}).scalar_one()) + 1
    version_id = new_id()
    left_out = as_json({str(why): many for why, many in choice.left_out.items()})
    asked = orjson.loads(wanted.as_json())
    row = {"id": version_id, "set": set_id, "number": number, "asked": as_json(asked | {UNFINISHED: Unfinished.MADE}),
           "left_out": left_out, "at": at, "by": by.audit_name}  # fmt: skip
    connection.execute(ADD_VERSION, row)
    facts = {"name": name, "version": number, "workflow": workflow_id, "asked": asked}
    record(session, f"evalset/{set_id}", by.audit_name, Action.EVALSET_MADE, facts, at)
    return version_id


def _add(session: Session, version_id: str, start: int, cases: list[Case]) -> None:
    rows: list[tuple[Any, ...]] = [
        (one.id, version_id, start + place, *one[1:-1]) for place, one in enumerate(cases, 1)
    ]  # fmt: skip
    insert_rows(session, "eval_case", CASE_COLUMNS, [tuple(map(_plain, row)) for row in rows])
    insert_rows(session, "eval_case_content", CONTENT_COLUMNS, [(one.id, *one.content) for one in cases])


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


HASHES = sa.text("SELECT position, hash FROM eval_case WHERE version_id = :id ORDER BY position")
LOCK_VERSION = "SELECT id, set_id, number, frozen_at, asked FROM eval_version WHERE id = :id"
NOTE = sa.text("UPDATE eval_version SET asked = :asked WHERE id = :id")
FREEZE = sa.text(
    "UPDATE eval_version SET frozen_at = :at, frozen_by = :by, cases = :cases, content_hash = :hash WHERE id = :id"
)


def freeze(session: Session, version_id: str, by: Actor) -> str:
    """Freeze a draft and return the hash of its content; from then on nothing of it changes.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such version.
        ConflictError: it is frozen already, empty, or not whole.
    """
    version = _taken(session, version_id, by)
    if version.unfinished is not None:
        raise ConflictError(NOT_WHOLE)
    connection, at = session.connection(), now()
    digest, cases = hashlib.sha256(), 0
    for position, hashed in connection.execute(HASHES, {"id": version_id}):
        digest.update(f"{position} {hashed}\n".encode())
        cases += 1
    if not cases:
        raise ConflictError("The version has no case. Add labels first.")
    bound = {"id": version_id, "at": at, "by": by.audit_name, "cases": cases, "hash": digest.hexdigest()}
    connection.execute(FREEZE, bound)
    facts = {"version": version.number, "cases": cases, "hash": bound["hash"]}
    record(session, f"evalset/{version.set_id}", by.audit_name, Action.EVALSET_FROZEN, facts, at)
    return str(bound["hash"])


@dataclass(frozen=True)
class _Draft:
    id: str
    set_id: int
    number: int
    asked: dict[str, Any]
    unfinished: str | None


def _note(session: Session, draft: _Draft, unfinished: Unfinished | None) -> None:
    """Write down in a draft what of it is not finished: its cases come and go in several transactions."""
    asked = draft.asked if unfinished is None else draft.asked | {UNFINISHED: unfinished}
    session.connection().execute(NOTE, {"id": draft.id, "asked": as_json(asked)})


def _taken(session: Session, version_id: str, by: Actor) -> _Draft:
    """Return a draft that this person may change, and let nobody else change it until the transaction ends."""
    connection = session.connection()
    lock = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    row = connection.execute(sa.text(LOCK_VERSION + lock), {"id": version_id}).first()
    if row is None:
        raise NotFoundError("There is no such version.")
    by.require(Role.OWNER, _workflow(session, row.set_id))
    if row.frozen_at is not None:
        raise ConflictError("This version is frozen. Make the next one.")
    asked = orjson.loads(row.asked)
    return _Draft(row.id, int(row.set_id), int(row.number), asked, asked.pop(UNFINISHED, None))


def _still_made(session: Session, version_id: str, by: Actor) -> _Draft:
    try:
        draft = _taken(session, version_id, by)
    except NotFoundError as error:
        raise ConflictError(THROWN_AWAY) from error
    if draft.unfinished != Unfinished.MADE:
        raise ConflictError(THROWN_AWAY)
    return draft


def _workflow(session: Session, set_id: int) -> int:
    found = session.connection().execute(sa.text("SELECT workflow_id FROM eval_set WHERE id = :id"), {"id": set_id})
    workflow_id = found.scalar()
    if workflow_id is None:
        raise NotFoundError("There is no such eval set.")
    return int(workflow_id)


def drop_case(session: Session, case_id: str, by: Actor) -> None:
    """Take a case out of a draft.

    Raises:
        NotAllowedError, NotFoundError, ConflictError: as for `freeze`.
    """
    connection = session.connection()
    version_id = connection.execute(
        sa.text("SELECT version_id FROM eval_case WHERE id = :id"), {"id": case_id}
    ).scalar()
    if version_id is None:
        raise NotFoundError("There is no such case.")
    _taken(session, str(version_id), by)
    for table, column in (("eval_case_content", "case_id"), ("eval_case", "id")):
        connection.execute(sa.text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": case_id})


LAST_CASES = sa.text(
    "SELECT id FROM eval_case WHERE version_id = :id ORDER BY position DESC LIMIT :most"
)  # fmt: skip
DROP_CASES = [
    sa.text(f"DELETE FROM {table} WHERE {column} IN :ids").bindparams(sa.bindparam("ids", expanding=True, type_=Id()))
    for table, column in (("eval_case_content", "case_id"), ("eval_case", "id"))
]


def discard(database: Database, version_id: str, by: Actor) -> None:
    """Throw a draft away, in short transactions as it was made; a door calls it.

    Raises:
        NotAllowedError, NotFoundError, ConflictError: as for `freeze`.
        DatabaseUnusableError: the database is away or damaged.
    """
    while True:
        with database.writing() as session:
            version, connection = _taken(session, version_id, by), session.connection()
            _note(session, version, Unfinished.DISCARDED)
            ids = [row.id for row in connection.execute(LAST_CASES, {"id": version_id, "most": CASES_AT_ONCE})]
            for statement in DROP_CASES if ids else ():
                connection.execute(statement, {"ids": ids})
            if len(ids) < CASES_AT_ONCE:
                connection.execute(sa.text("DELETE FROM eval_version WHERE id = :id"), {"id": version_id})
                facts = {"discarded": version.number}
                record(session, f"evalset/{version.set_id}", by.audit_name, Action.EVALSET_CHANGED, facts)
                return


def hold_out(session: Session, set_id: int, by: Actor, held_out: bool) -> None:
    """Say whether all cases of a set are kept out of every training file.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such set.
    """
    by.require(Role.OWNER, _workflow(session, set_id))
    changed = session.connection().execute(
        sa.text("UPDATE eval_set SET held_out = :held_out WHERE id = :id AND held_out <> :held_out RETURNING id"),
        {"id": set_id, "held_out": held_out},
    ).first()  # fmt: skip
    if changed:
        record(session, f"evalset/{set_id}", by.audit_name, Action.EVALSET_CHANGED, {"held_out": held_out})
