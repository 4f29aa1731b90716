"""Which labels become cases: by filter, in an order drawn by seed, near-duplicates left out; what was left out counts.

Only labels that have left grace: a verdict that can still be undone is none yet. Everything here only reads.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import new_id, now
from db.engine import Database, explained
from db.tables import CaseKind, Id, Label, Origin, Role, Verdict
from neuro_review.access import Actor
from neuro_review.content import parts_hash
from neuro_review.errors import InvalidError
from neuro_review.eval_sets.known import Known
from neuro_review.labels import LEFT_GRACE, label_givers

Progress = Callable[[int, int], None]
"""Called with how many labels were looked at, of how many; where a sample is drawn, with its cases."""
MOST_CASES = 50_000
MOST_LABELS = 300_000
TEXTS_AT_ONCE = 200
TOLD_EVERY = 100  # labels


class Stratum(StrEnum):
    """By what a sample is drawn in equal shares."""

    VERDICT = "verdict"
    MODEL = "model"
    REASON = "reason"


class Left(StrEnum):
    """Why a label became no case."""

    DISPUTED = "disputed"
    ERASED = "erased"
    NO_PROMPT = "no_prompt"
    NEAR_DUPLICATE = "near_duplicate"
    NOT_SAMPLED = "not_sampled"


@dataclass(frozen=True)
class Wanted:
    """Which labels are wanted; all of a workflow unless told otherwise."""

    models: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    reason: str | None = None
    since: int | None = None
    """Items submitted at or after this instant."""
    until: int | None = None
    panel_only: bool = False
    """Only the audit panel, which chance has chosen."""
    sample: int | None = None
    """How many cases at most."""
    shares: Stratum | None = None
    """In equal shares of what: without it every label has the same chance."""
    seed: int = 0

    def as_json(self) -> str:
        """Return what is stored with the version."""
        return orjson.dumps(
            {name: value for name, value in asdict(self).items() if value not in (None, (), [])}
        ).decode()


class Case(NamedTuple):
    """A label on its way to becoming a case."""

    id: str
    item_id: str
    review_id: str
    kind: CaseKind
    model: str
    verdict: str
    reviewer: str
    reasons: str
    rubric_version: int
    inclusion: float | None
    hash: str
    content: tuple[Any, ...]
    """Salt, prompt, whether it is a chat, context, output, target."""


@dataclass
class Choice:
    """What was chosen, and how many were not, by why."""

    cases: list[Case] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


# CROSS JOIN fixes the order on SQLite, as in an export.
_LABELS = (
    "SELECT v.id, v.item_id, v.purpose, v.verdict, v.reviewed_at, i.label, i.model, v.reviewer, v.reasons,"
    " v.rubric_version, i.inclusion FROM review v CROSS JOIN item i"
    " LEFT JOIN decision g ON g.id = i.decision_id WHERE v.workflow_id = :workflow AND i.id = v.item_id"
    f" AND i.origin IN ('{Origin.GATE}', '{Origin.HISTORY}', '{Origin.SAMPLE}') AND i.label IS NOT NULL"
    f" AND (v.verdict = i.label OR i.label = '{Label.DISPUTED}') AND {LEFT_GRACE}"
)
RULES = {
    "since": "i.created_at >= :since",
    "until": "i.created_at < :until",
}
TEXTS = sa.text(
    "SELECT v.id AS review_id, c.salt, c.prompt, c.prompt_is_chat, c.context, c.output, t.text AS correction"
    " FROM review v JOIN item_content c ON c.item_id = v.item_id LEFT JOIN review_content t ON t.review_id = v.id"
    " WHERE v.id IN :ids"
).bindparams(sa.bindparam("ids", expanding=True, type_=Id()))


def choose(database: Database, workflow_id: int, wanted: Wanted, progress: Progress | None = None) -> Choice:
    """Return the cases that a filter asks for, in an order that the seed alone decides.

    Raises:
        InvalidError: the sample is none, or more labels match than one set can take.
        DatabaseUnusableError: the database is away or damaged.
    """
    if wanted.sample is not None and not 1 <= wanted.sample <= MOST_CASES:
        raise InvalidError(f"A sample has 1 to {MOST_CASES:,} cases.", "sample")
    choice = Choice()
    with explained(), database.reading() as session:
        strata = _strata(_labels(session, workflow_id, wanted, choice), wanted)
    most = wanted.sample or sum(map(len, strata.values()))
    if most > MOST_CASES:
        raise InvalidError(f"{most:,} labels match; a set has at most {MOST_CASES:,} cases. Draw a sample.", "sample")
    looking = _Looking(database, choice, wanted, most, progress)
    streams = {name: looking.usable(labels) for name, labels in sorted(strata.items())}
    taken: Counter[str] = Counter()
    # One of each in turn: equal shares as far as there are enough, and the others fill up.
    while streams and len(choice.cases) < most:
        for name in list(streams):
            case = next(streams[name], None)
            if case is None:
                del streams[name]
            elif len(choice.cases) < most:
                choice.cases.append(case)
                taken[name] += 1
    looked_at = sum(map(len, strata.values()))
    rest = looked_at - len(choice.cases) - sum(choice.left_out[why] for why in Left if why is not Left.DISPUTED)
    if rest:
        choice.left_out[Left.NOT_SAMPLED] += rest
    shares = {name: taken[name] / len(labels) for name, labels in strata.items()}
    choice.cases = [_weighted(case, shares, wanted) for case in choice.cases]
    return choice


def matching(session: Session, workflow_id: int, by: Actor, wanted: Wanted) -> int:
    """Return how many labels a filter matches; which of them become cases, only `choose` says.

    Raises:
        NotAllowedError: this person may not see labels of the workflow.
        InvalidError: more match than one set can take.
    """
    by.require(Role.EXPORT, workflow_id)
    return len(_labels(session, workflow_id, wanted, Choice()))


def _labels(session: Session, workflow_id: int, wanted: Wanted, choice: Choice) -> list[Any]:
    """Return the rows of the reviews that give their items the label, as many as match."""
    bound: dict[str, Any] = {"workflow": workflow_id, "as_of": now()}
    query = _LABELS
    for name, rule in RULES.items():
        if getattr(wanted, name) is not None:
            query, bound[name] = f"{query} AND {rule}", getattr(wanted, name)
    if wanted.panel_only:
        query += " AND i.panel"
    for column, words in (("i.model", wanted.models), ("v.verdict", wanted.verdicts)):
        if words:
            name = column[2:]
            query += f" AND {column} IN ({', '.join(f':{name}{n}' for n in range(len(words)))})"
            bound |= {f"{name}{n}": str(word) for n, word in enumerate(words)}
    rows = session.connection().execute(sa.text(f"{query} LIMIT {MOST_LABELS + 1}"), bound).all()
    if len(rows) > MOST_LABELS:
        raise InvalidError(f"More than {MOST_LABELS:,} labels match. Narrow them by date or model.", "since")
    disputed = {row.item_id for row in rows if row.label == Label.DISPUTED}
    if disputed:
        choice.left_out[Left.DISPUTED] = len(disputed)
    giving = label_givers((r.item_id, r.id, r.purpose, r.verdict, r.reviewed_at, r.label) for r in rows)
    found = [row for row in rows if row.id in giving]
    if wanted.reason is not None:
        found = [row for row in found if wanted.reason in orjson.loads(row.reasons)]
    return sorted(found, key=lambda row: _lot(wanted.seed, row.item_id))


def _lot(seed: int, item_id: str) -> str:
    """Return the place of an item in the order of a seed: the same on both engines, whenever it came in."""
    return hashlib.sha256(f"{seed} {item_id}".encode()).hexdigest()


def _stratum(row: Any, by: Stratum | None) -> str:
    if by is Stratum.REASON:
        return str(next(iter(orjson.loads(row.reasons)), ""))
    return str(getattr(row, by)) if by else ""


def _strata(rows: list[Any], wanted: Wanted) -> dict[str, list[Any]]:
    strata: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        strata[_stratum(row, wanted.shares)].append(row)
    return strata


class _Looking:
    """What is looked at for one choice: its texts are read as they are needed, and how far it is, is told."""

    def __init__(
        self, database: Database, choice: Choice, wanted: Wanted, most: int, progress: Progress | None
    ) -> None:  # fmt: skip
        self.database, self.choice, self.most = database, choice, most
        self.draws, self.progress = wanted.sample is not None, progress
        self.known = Known()
        self.looked_at = 0

    def usable(self, labels: list[Any]) -> Iterator[Case]:
        """Yield the cases of a stratum one by one."""
        for start in range(0, len(labels), TEXTS_AT_ONCE):
            some = labels[start : start + TEXTS_AT_ONCE]
            with explained(), self.database.reading() as session:
                rows = session.connection().execute(TEXTS, {"ids": [row.id for row in some]})
                texts = {row.review_id: row for row in rows}
            for row in some:
                text = texts[row.id]
                why = _unfit(row, text, self.known)
                self._tell()
                if why:
                    self.choice.left_out[why] += 1
                else:
                    self.known.add(asked(text.prompt, is_chat=text.prompt_is_chat))
                    yield _case(row, text)

    def _tell(self) -> None:
        self.looked_at += 1
        if self.progress and self.looked_at % TOLD_EVERY == 0:
            self.progress(len(self.choice.cases) if self.draws else self.looked_at, self.most)


def _unfit(row: Any, text: Any, known: Known) -> Left | None:
    if text.output is None or (row.verdict == Verdict.CORRECT and text.correction is None):
        return Left.ERASED
    if not (text.prompt or "").strip():
        return Left.NO_PROMPT
    if known.nearest(asked(text.prompt, is_chat=text.prompt_is_chat)) is not None:
        return Left.NEAR_DUPLICATE
    return None


def said(prompt: str, *, is_chat: bool) -> str:
    """Return the words of a prompt: of a chat all its texts in order, whoever said them."""
    if not is_chat:
        return prompt
    texts = (message.get("content") for message in orjson.loads(prompt))
    return "\n".join(text if isinstance(text, str) else orjson.dumps(text).decode() for text in texts if text)


def asked(prompt: str, *, is_chat: bool) -> str:
    """Return what makes a prompt its own: `said`, but for instructions that all prompts of an application share."""
    if not is_chat:
        return prompt
    own = [message for message in orjson.loads(prompt) if message.get("role") not in ("system", "developer")]
    return said(orjson.dumps(own).decode(), is_chat=True) or said(prompt, is_chat=True)


def _case(row: Any, text: Any) -> Case:
    target = {Verdict.APPROVE: text.output, Verdict.CORRECT: text.correction}.get(row.verdict)
    kind = CaseKind.MUST_NOT if target is None else CaseKind.TARGET
    is_chat = bool(text.prompt_is_chat)
    says = [text.prompt, is_chat, text.context, text.output, target, row.verdict, row.reviewer, row.reasons, row.model]
    return Case(
        new_id(), row.item_id, row.id, kind, row.model, row.verdict, row.reviewer, row.reasons, row.rubric_version,
        row.inclusion, parts_hash(text.salt, [*says, row.rubric_version]),
        (text.salt, text.prompt, is_chat, text.context, text.output, target),
    )  # fmt: skip


def _weighted(case: Case, shares: dict[str, float], wanted: Wanted) -> Case:
    """Return a case with the chance that it had, as far as it is known."""
    if case.inclusion is None:
        return case
    return case._replace(inclusion=case.inclusion * shares[_stratum(case, wanted.shares)])
