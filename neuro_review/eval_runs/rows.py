"""Runs as they are: what was asked, how far each is, what it cost; and the answers of one case beside each other."""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import Role, RunOutcome
from neuro_review.access import Actor
from neuro_review.errors import InvalidError, NotFoundError
from neuro_review.eval_runs.asking import read_way
from neuro_review.eval_runs.storing import stored
from neuro_review.eval_sets import rows as sets
from neuro_review.scorers import JUDGE


@dataclass(frozen=True)
class Run:
    """One run."""

    id: str
    version_id: str
    version: str
    """`NAME@NUMBER`."""
    workflow_id: int
    workflow: str
    models: list[str]
    scorers: list[str]
    judge_hash: str | None
    repeats: int
    budget_micro: int | None
    at_once: int
    prices: str | None
    asked_by: str
    created_at: int
    cancelled_at: int | None
    ended_at: int | None
    outcome: RunOutcome | None
    is_worked_on: bool
    cases: int
    total: int
    """How many answers it takes."""
    done: int
    """How many are stored, failures included."""
    errors: int
    cost_micro: int
    unknown_cost: int
    """Answers whose cost nobody knows."""


@dataclass(frozen=True)
class Candidate:
    """A model as it was asked for in a run."""

    position: int
    model: str
    api_base: str | None
    price: tuple[float, float] | None
    """Dollars for a million tokens in and out, where they were named."""
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """Answers of one candidate that failed in the same way."""

    model: str
    error: str
    answers: int


@dataclass(frozen=True)
class Answer:
    """What one candidate said to a case."""

    model: str
    repeat: int
    error: str | None
    output: str | None
    scores: list[tuple[str, float | None, bool | None, str | None]]
    """Scorer, value, passed, and why."""


_RUN = (
    "SELECT r.id, r.version_id, s.name, n.number, r.workflow_id, w.name AS workflow, r.scorers, r.judge_hash,"
    " r.repeats, r.budget_micro, r.at_once, r.prices, COALESCE(p.name, r.asked_by) AS asked_by, r.created_at,"
    " r.cancelled_at, r.ended_at, r.outcome, r.lease_until, n.cases FROM eval_run r"
    " JOIN eval_version n ON n.id = r.version_id JOIN eval_set s ON s.id = n.set_id"
    " JOIN workflow w ON w.id = r.workflow_id LEFT JOIN person p ON r.asked_by = 'person:' || p.id"
)
WORKFLOWS = sa.text("SELECT id FROM workflow")
ALL = sa.text(f"{_RUN} WHERE r.workflow_id IN :flows ORDER BY r.created_at DESC, r.id DESC LIMIT :most").bindparams(
    sa.bindparam("flows", expanding=True, type_=sa.Integer)
)
OF_A_VERSION = sa.text(f"{_RUN} WHERE r.version_id = :version ORDER BY r.created_at DESC, r.id DESC LIMIT :most")
BETWEEN = sa.text(f"{_RUN} WHERE r.id BETWEEN :low AND :high ORDER BY r.id LIMIT 2")
MODELS = sa.text("SELECT model FROM eval_candidate WHERE run_id = :id ORDER BY position")


def listed(session: Session, by: Actor, *, version_id: str | None = None, most: int = 100) -> list[Run]:
    """Return the runs of this person's workflows, the newest first."""
    connection = session.connection()
    if version_id:
        rows = connection.execute(OF_A_VERSION, {"most": most, "version": version_id}).all()
        return [_run(session, row) for row in rows if by.may(Role.EXPORT, row.workflow_id)]
    flows = [one for one in connection.execute(WORKFLOWS).scalars() if by.may(Role.EXPORT, one)]
    return [_run(session, row) for row in connection.execute(ALL, {"most": most, "flows": flows}).all()]


def run(session: Session, ref: str, by: Actor) -> Run:
    """Return the run with this id, or the beginning of it.

    Raises:
        NotFoundError: there is none.
        InvalidError: several begin like this.
        NotAllowedError: this person may not see labels of its workflow.
    """
    ref = ref.replace("-", "")
    if not 6 <= len(ref) <= 32 or ref.strip("0123456789abcdef"):
        raise NotFoundError(f"There is no run “{ref}”. Its id has 32 hexadecimal digits; the first twelve will do.")
    found = session.connection().execute(BETWEEN, {"low": ref.ljust(32, "0"), "high": ref.ljust(32, "f")}).all()
    if not found:
        raise NotFoundError(f"There is no run “{ref}”.")
    if len(found) > 1:
        raise InvalidError(f"Several runs begin with “{ref}”. Write more of the id.")
    by.require(Role.EXPORT, found[0].workflow_id)
    return _run(session, found[0])


def _run(session: Session, row: Any) -> Run:
    models = [one.model for one in session.connection().execute(MODELS, {"id": row.id})]
    far = stored(session, row.id)
    return Run(
        row.id, row.version_id, f"{row.name}@{row.number}", row.workflow_id, row.workflow, models,
        orjson.loads(row.scorers), row.judge_hash, row.repeats, row.budget_micro, row.at_once, row.prices, row.asked_by,
        row.created_at, row.cancelled_at, row.ended_at, RunOutcome(row.outcome) if row.outcome else None,
        row.ended_at is None and row.lease_until > now(), row.cases, row.cases * len(models) * row.repeats, far.done,
        far.errors, far.cost_micro, far.unknown_cost,
    )  # fmt: skip


CANDIDATES = sa.text("SELECT position, model, reached, parameters FROM eval_candidate WHERE run_id = :id ORDER BY 1")


def candidates(session: Session, run_id: str) -> list[Candidate]:
    """Return how the candidates of a run are asked; who may is the caller's question (`run`)."""
    found = []
    for row in session.connection().execute(CANDIDATES, {"id": run_id}):
        way = read_way(row.model, orjson.loads(row.reached), orjson.loads(row.parameters))
        found.append(Candidate(row.position, row.model, way.api_base, way.price, way.parameters))
    return found


TRIED = sa.text(
    "SELECT c.run_id, c.model FROM eval_run r JOIN eval_candidate c ON c.run_id = r.id WHERE r.version_id = :version"
    " ORDER BY r.created_at DESC, r.id DESC, c.position LIMIT :most"
)


def tried(session: Session, by: Actor, version_id: str, *, most: int = 200) -> list[tuple[str, str]]:
    """Return the run and the model of each candidate that was tried on a version, the newest run first.

    Raises:
        NotFoundError: there is no such version.
        NotAllowedError: this person may not see labels of its workflow.
    """
    sets.version_by_id(session, version_id, by)
    found = session.connection().execute(TRIED, {"version": version_id, "most": most})
    return [(row.run_id, row.model) for row in found]


FAILURES = sa.text(
    "SELECT c.model, r.error, count(*) AS answers FROM eval_result r JOIN eval_candidate c ON c.run_id = r.run_id"
    " AND c.position = r.candidate WHERE r.run_id = :id AND r.error IS NOT NULL GROUP BY c.position, c.model, r.error"
    " ORDER BY c.position, count(*) DESC, r.error"
)


def failures(session: Session, run_id: str) -> list[Failure]:
    """Return what failed in a run, and how often in which way; who may is the caller's question (`run`)."""
    return [Failure(**row._mapping) for row in session.connection().execute(FAILURES, {"id": run_id})]


UNJUDGED = sa.text(
    "SELECT count(*) FROM eval_result r WHERE r.run_id = :id AND r.error IS NULL AND NOT EXISTS"
    " (SELECT 1 FROM eval_score s WHERE s.result_id = r.id AND s.scorer = :judge)"
)


def unjudged(session: Session, run: Run) -> int:
    """Return how many answers of a run its judge has not been heard on; 0 where it has none."""
    bound = {"id": run.id, "judge": JUDGE}
    return 0 if run.judge_hash is None else int(session.connection().execute(UNJUDGED, bound).scalar_one())


ANSWERS = sa.text(
    "SELECT c.model, r.repeat, r.id, r.error, o.output, s.scorer, s.value, s.passed, t.rationale FROM eval_result r"
    " JOIN eval_candidate c ON c.run_id = r.run_id AND c.position = r.candidate"
    " LEFT JOIN eval_result_content o ON o.result_id = r.id LEFT JOIN eval_score s ON s.result_id = r.id"
    " LEFT JOIN eval_score_content t ON t.result_id = s.result_id AND t.scorer = s.scorer"
    " WHERE r.run_id = :run AND r.case_id = :case ORDER BY r.candidate, r.repeat, s.scorer"
)


def answers(session: Session, run_id: str, case_id: str) -> list[Answer]:
    """Return what the candidates of a run said to one case; who may is the caller's question (`run`)."""
    found: dict[str, Answer] = {}
    for row in session.connection().execute(ANSWERS, {"run": run_id, "case": case_id}):
        one = found.setdefault(row.id, Answer(row.model, row.repeat, row.error, row.output, []))
        if row.scorer is not None:
            passed = None if row.passed is None else bool(row.passed)
            one.scores.append((row.scorer, row.value, passed, row.rationale))
    return list(found.values())
