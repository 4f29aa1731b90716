"""Eval sets as they are: what there is, the cases of a version, what differs between two, what is held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.tables import CaseKind, Role
from neuro_review.access import Actor
from neuro_review.errors import InvalidError, NotFoundError

MOST_NAMED = 3


@dataclass(frozen=True)
class Version:
    """One version of a set."""

    id: str
    set_id: int
    name: str
    number: int
    workflow_id: int
    workflow: str
    held_out: bool
    asked: dict[str, Any]
    left_out: dict[str, int]
    """How many labels became no case, by why."""
    cases: int
    content_hash: str | None
    """None while it is a draft."""
    made_at: int
    made_by: str
    frozen_at: int | None
    is_whole: bool
    """False of a draft that is being made or thrown away, and where that broke off."""
    gates: int
    """How often the gate was asked on it: a set that was asked often is learnt by heart."""

    @property
    def ref(self) -> str:
        """Return how it is named at the command line."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Case:
    """One case, with where it came from; texts are None once its item was erased."""

    id: str
    position: int
    item_id: str
    review_id: str
    kind: CaseKind
    model: str
    verdict: str
    reviewer: str
    reasons: list[str]
    rubric_version: int
    inclusion: float | None
    hash: str
    prompt: str | None
    prompt_is_chat: bool
    context: str | None
    output: str | None
    target: str | None


@dataclass(frozen=True)
class Difference:
    """What the second version has that the first has not, and the other way round; by item."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    """The item is in both, and its label or its text is another."""
    same: int


UNFINISHED = "unfinished"
"""In what was asked for, as it is stored: what is being done to a draft."""
_VERSION = (
    "SELECT n.id, n.set_id, s.name, n.number, s.workflow_id, w.name AS workflow, s.held_out, n.asked, n.left_out,"
    " COALESCE(n.cases, (SELECT count(*) FROM eval_case k WHERE k.version_id = n.id)) AS cases, n.content_hash,"
    " n.made_at, COALESCE(p.name, n.made_by) AS made_by, n.frozen_at,"
    " (SELECT count(*) FROM eval_gate g WHERE g.version_id = n.id) AS gates"
    " FROM eval_version n JOIN eval_set s ON s.id = n.set_id JOIN workflow w ON w.id = s.workflow_id"
    " LEFT JOIN person p ON n.made_by = 'person:' || p.id"
)
ALL = sa.text(f"{_VERSION} ORDER BY s.name, n.number DESC")
BY_ID = sa.text(f"{_VERSION} WHERE n.id = :id")
BY_NAME = sa.text(f"{_VERSION} WHERE s.name = :name ORDER BY n.frozen_at IS NULL, n.number DESC")


def listed(session: Session, by: Actor) -> list[Version]:
    """Return every version of every set of this person's workflows, by name, the newest version first."""
    found = [_version(row) for row in session.connection().execute(ALL)]
    return [one for one in found if by.may(Role.EXPORT, one.workflow_id)]


def version_by_id(session: Session, version_id: str, by: Actor) -> Version:
    """Return a version.

    Raises:
        NotFoundError: there is none.
        NotAllowedError: this person may not see labels of its workflow.
    """
    row = session.connection().execute(BY_ID, {"id": version_id}).first()
    if row is None:
        raise NotFoundError("There is no such version.")
    by.require(Role.EXPORT, row.workflow_id)
    return _version(row)


def version(session: Session, ref: str, by: Actor) -> Version:
    """Return the version that `NAME@NUMBER` names; `NAME` alone is the newest frozen one, else the newest draft.

    Raises:
        NotFoundError: there is none.
        InvalidError: that names no version.
        NotAllowedError: this person may not see labels of its workflow.
    """
    name, _, number = ref.partition("@")
    if number and not (number.isascii() and number.isdecimal() and len(number) < 9):
        raise InvalidError(f"“{ref}” names no version. Write NAME@NUMBER, like support@3.")
    every = list(session.connection().execute(BY_NAME, {"name": name}))
    rows = [row for row in every if not number or row.number == int(number)]
    if not rows and any(by.may(Role.EXPORT, row.workflow_id) for row in every):
        there = ", ".join(f"{name}@{row.number}" for row in sorted(every, key=lambda one: -one.number)[:MOST_NAMED])
        raise NotFoundError(f"The eval set “{name}” has no version {number}. The newest are: {there}.")
    if not rows:
        raise NotFoundError(f"There is no eval set “{ref}”. Make one with: evalset create NAME --workflow W.")
    by.require(Role.EXPORT, rows[0].workflow_id)
    return _version(rows[0])


def _version(row: Any) -> Version:
    facts, asked = dict(row._mapping), orjson.loads(row.asked)
    whole = asked.pop(UNFINISHED, None) is None
    return Version(
        **facts
        | {"asked": asked, "left_out": orjson.loads(row.left_out), "held_out": bool(row.held_out), "is_whole": whole}
    )


_CASE = (
    "SELECT k.id, k.position, k.item_id, k.review_id, k.kind, k.model, k.verdict, k.reviewer, k.reasons,"
    " k.rubric_version, k.inclusion, k.hash, c.prompt, c.prompt_is_chat, c.context, c.output, c.target"
    " FROM eval_case k JOIN eval_case_content c ON c.case_id = k.id"
)
PAGE = sa.text(f"{_CASE} WHERE k.version_id = :version AND k.position > :after ORDER BY k.position LIMIT :most")


def cases(session: Session, version_id: str, *, after: int = 0, most: int = 200) -> list[Case]:
    """Return the cases of a version after a position, in order; who may is the caller's question (`version`)."""
    rows = session.connection().execute(PAGE, {"version": version_id, "after": after, "most": most})
    return [case_of(row) for row in rows]


def every_case(session: Session, version_id: str) -> Iterator[Case]:
    """Yield every case of a version in order, read page by page."""
    after = 0
    while page := cases(session, version_id, after=after):
        yield from page
        after = page[-1].position


def case_of(row: Any) -> Case:
    """Return a case out of a row that has its columns."""
    facts = dict(row._mapping)
    return Case(
        **facts
        | {"kind": CaseKind(row.kind), "reasons": orjson.loads(row.reasons), "prompt_is_chat": bool(row.prompt_is_chat)}
    )


def counts(session: Session, version_id: str) -> dict[str, int]:
    """Return how many cases a version has of each verdict."""
    found = session.connection().execute(
        sa.text("SELECT verdict, count(*) AS many FROM eval_case WHERE version_id = :id GROUP BY verdict"),
        {"id": version_id},
    )
    return {row.verdict: int(row.many) for row in found}


def difference(session: Session, before: str, after: str) -> Difference:
    """Return what differs between two versions."""
    query = sa.text("SELECT item_id, hash FROM eval_case WHERE version_id = :id")
    old, new = ({row.item_id: row.hash for row in session.connection().execute(query, {"id": one})}
                for one in (before, after))  # fmt: skip
    both = old.keys() & new.keys()
    changed = sorted(item for item in both if old[item] != new[item])
    return Difference(
        sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys()), changed, len(both) - len(changed)
    )


HELD_OUT = sa.text(
    "SELECT k.item_id, k.id AS case_id, c.prompt, c.prompt_is_chat, c.output, c.target, s.name, n.number"
    " FROM eval_set s JOIN eval_version n ON n.set_id = s.id JOIN eval_case k ON k.version_id = n.id"
    " JOIN eval_case_content c ON c.case_id = k.id WHERE s.workflow_id = :workflow AND s.held_out"
    " AND n.frozen_at IS NOT NULL ORDER BY s.name, n.number, k.position"
)


def held_out(session: Session, workflow_id: int) -> Iterator[Any]:
    """Yield the cases of every frozen version that is held out, for whoever writes training files.

    item_id, case_id, prompt, prompt_is_chat, output, target, name, number; `known.Known` finds what is near them.
    They are read in pieces: their texts need not fit into memory.
    """
    in_pieces = session.connection().execution_options(yield_per=200)
    yield from in_pieces.execute(HELD_OUT, {"workflow": workflow_id})


HOW_MANY_HELD_OUT = sa.text(
    "SELECT COALESCE(sum(n.cases), 0) FROM eval_set s JOIN eval_version n ON n.set_id = s.id"
    " WHERE s.workflow_id = :workflow AND s.held_out AND n.frozen_at IS NOT NULL"
)


def held_out_cases(session: Session, workflow_id: int) -> int:
    """Return how many cases `held_out` would yield, without reading them."""
    return int(session.connection().execute(HOW_MANY_HELD_OUT, {"workflow": workflow_id}).scalar_one())


HELD_OUT_VERSIONS = sa.text(
    "SELECT s.name, n.number FROM eval_set s JOIN eval_version n ON n.set_id = s.id WHERE s.workflow_id = :workflow"
    " AND s.held_out AND n.frozen_at IS NOT NULL ORDER BY s.name, n.number"
)


def held_out_versions(session: Session, workflow_id: int) -> list[str]:
    """Return the frozen versions that are held out, as they are named at the command line."""
    found = session.connection().execute(HELD_OUT_VERSIONS, {"workflow": workflow_id})
    return [f"{row.name}@{row.number}" for row in found]
