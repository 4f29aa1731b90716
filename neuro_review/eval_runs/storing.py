"""What of a run is stored already, and the short transactions in which the rest is: each answer once.

Whoever works on a run counts itself in (`lease_n`); who lost it meanwhile can store nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import SECOND, new_id, now
from db.engine import Database, explained
from db.tables import RunOutcome, ScoredBy
from neuro_review import workflows
from neuro_review.audit import HOUSE, Action, record
from neuro_review.errors import ConflictError, NotFoundError
from neuro_review.eval_runs.asking import judge_of, read_way
from neuro_review.eval_sets.rows import Case, cases
from neuro_review.llm import Way
from neuro_review.scorers import JUDGE

LEASE = 15 * SECOND
CASES_AT_ONCE = 100
BUSY = "Another process works on this run. Wait until it has ended, or cancel it."
LOST = "Another process took this run over. What was stored stays."


@dataclass(frozen=True)
class Run:
    """A run that this process works on."""

    id: str
    version_id: str
    workflow_id: int
    scorers: list[str]
    judge: Way | None
    rubric: str | None
    repeats: int
    budget_micro: int | None
    at_once: int
    lease_n: int
    candidates: list[Way]
    total: int
    """How many answers it takes."""


@dataclass
class Stored:
    """What is stored of a run, as far as it counts for going on."""

    done: int = 0
    errors: int = 0
    cost_micro: int = 0
    unknown_cost: int = 0
    """Answers whose cost nobody knows."""

    def counts(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {
            "ok": self.done - self.errors, "errors": self.errors, "cost_micro": self.cost_micro,
            "unknown_cost": self.unknown_cost,
        }  # fmt: skip


@dataclass(frozen=True)
class Work:
    """One answer that is not there yet, or has not been judged."""

    candidate: int
    case: Case
    repeat: int
    result_id: str | None = None
    """Of an answer that failed, or was not judged."""
    answer: str | None = None
    """What was answered already, and is still to be judged."""

    @property
    def failed_before(self) -> bool:
        """Tell whether it was tried already, and failed."""
        return self.result_id is not None and self.answer is None


@dataclass
class Row:
    """One answer on its way into the database; without `result`, only the judge's score is new."""

    result_id: str
    result: dict[str, Any] | None
    failed_before: bool = False
    output: str | None = None
    scores: list[tuple[str, ScoredBy, float | None, bool | None, int | None, str | None]] = field(default_factory=list)
    """Scorer, who, value, passed, cost, rationale."""


TAKE = sa.text(
    "UPDATE eval_run SET lease_n = lease_n + 1, lease_until = :until, prices = COALESCE(prices, :prices)"
    " WHERE id = :id AND ended_at IS NULL AND (lease_until <= :at OR :anyway) RETURNING lease_n"
)
RUN = sa.text(
    "SELECT r.version_id, r.workflow_id, r.scorers, r.judge, r.repeats, r.budget_micro, r.at_once, r.ended_at,"
    " n.cases FROM eval_run r JOIN eval_version n ON n.id = r.version_id WHERE r.id = :id"
)
CANDIDATES = sa.text("SELECT model, reached, parameters FROM eval_candidate WHERE run_id = :id ORDER BY position")


def take(session: Session, run_id: str, *, prices: str, anyway: bool = False) -> Run:
    """Take a run on; `anyway` where the caller knows that nobody else works on it any more.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: it has ended, or another process works on it.
    """
    connection, at = session.connection(), now()
    row = connection.execute(RUN, {"id": run_id}).first()
    if row is None:
        raise NotFoundError("There is no such run.")
    bound = {"id": run_id, "at": at, "until": at + LEASE, "anyway": anyway, "prices": prices}
    lease_n = connection.execute(TAKE, bound).scalar()
    if lease_n is None:
        raise ConflictError("This run has ended." if row.ended_at is not None else BUSY)
    candidates = [
        read_way(one.model, orjson.loads(one.reached), orjson.loads(one.parameters))
        for one in connection.execute(CANDIDATES, {"id": run_id})
    ]
    return Run(
        run_id, row.version_id, row.workflow_id, orjson.loads(row.scorers), judge_of(row.judge),
        workflows.rubric(session, row.workflow_id), row.repeats, row.budget_micro, row.at_once, int(lease_n),
        candidates, row.cases * len(candidates) * row.repeats,
    )  # fmt: skip


# A judge says one thing of an answer; where nobody knows what that cost, nobody knows what the answer cost.
STORED = sa.text(
    "SELECT count(*) AS done, count(r.error) AS errors, COALESCE(sum(COALESCE(r.cost_micro, 0)"
    " + COALESCE(s.cost_micro, 0)), 0) AS cost, COALESCE(sum(CASE WHEN (r.error IS NULL AND r.cost_micro IS NULL"
    " AND r.tries > 0) OR (s.result_id IS NOT NULL AND s.cost_micro IS NULL) THEN 1 ELSE 0 END), 0) AS unknown"
    " FROM eval_result r LEFT JOIN eval_score s ON s.result_id = r.id AND s.scorer = :judge WHERE r.run_id = :id"
)


def stored(session: Session, run_id: str) -> Stored:
    """Return what is stored of a run; what the judge cost is part of its cost."""
    row = session.connection().execute(STORED, {"id": run_id, "judge": JUDGE}).one()
    return Stored(int(row.done), int(row.errors), int(row.cost), int(row.unknown))


THERE = sa.text(
    "SELECT r.case_id, r.repeat, r.id, r.error, c.output, s.scorer FROM eval_case k"
    " JOIN eval_result r ON r.case_id = k.id AND r.run_id = :run AND r.candidate = :candidate"
    " LEFT JOIN eval_result_content c ON c.result_id = r.id"
    " LEFT JOIN eval_score s ON s.result_id = r.id AND s.scorer = :judge"
    " WHERE k.version_id = :version AND k.position > :first AND k.position <= :last"
)


def to_do(database: Database, run: Run, candidate: int, after: int) -> tuple[list[Work], int | None]:
    """Return what a page of cases after a position still takes, and the last position of the page; None at the end."""
    with explained(), database.reading() as session:
        page = cases(session, run.version_id, after=after, most=CASES_AT_ONCE)
        if not page:
            return [], None
        bound = {
            "run": run.id, "candidate": candidate, "version": run.version_id, "judge": JUDGE, "first": after,
            "last": page[-1].position,
        }  # fmt: skip
        there = {(row.case_id, row.repeat): row for row in session.connection().execute(THERE, bound)}
    work = []
    for case in page:
        for repeat in range(run.repeats):
            row = there.get((case.id, repeat))
            if case.prompt is None:
                continue  # erased: nothing can be asked any more
            if row is None:
                work.append(Work(candidate, case, repeat))
            elif row.error is not None:
                work.append(Work(candidate, case, repeat, row.id))
            elif run.judge is not None and row.scorer is None and row.output is not None:
                work.append(Work(candidate, case, repeat, row.id, row.output))
    return work, page[-1].position


LIVES = sa.text(
    "UPDATE eval_run SET lease_until = :until WHERE id = :id AND lease_n = :lease_n AND ended_at IS NULL"
    " RETURNING cancelled_at"
)
FIELDS = (
    "id run_id candidate case_id repeat error tries latency_ms prompt_tokens completion_tokens cost_micro finish"
    " said_model fingerprint made_at"
)
AGAIN = sa.text(
    "UPDATE eval_result SET "
    + ", ".join(
        f"{name} = :{name}" for name in FIELDS.split() if name not in ["id", "run_id", "candidate", "case_id", "repeat"]
    )
    + " WHERE id = :id"
)


def flush(database: Database, run: Run, rows: Sequence[Row]) -> bool:
    """Store answers in one short transaction, and say that this process lives; returns whether it shall stop.

    Raises:
        ConflictError: another process took the run over; nothing of this was stored.
    """
    with database.writing() as session:
        bound = {"id": run.id, "lease_n": run.lease_n, "until": now() + LEASE}
        row = session.connection().execute(LIVES, bound).first()
        if row is None:
            raise ConflictError(LOST)
        _store(session, rows)
        return row.cancelled_at is not None


def _store(session: Session, rows: Sequence[Row]) -> None:
    at = now()
    results = [
        one.result | {"id": one.result_id, "made_at": at} for one in rows if one.result and not one.failed_before
    ]
    insert_rows(session, "eval_result", FIELDS, [tuple(one.get(name) for name in FIELDS.split()) for one in results])
    for one in rows:
        if one.result and one.failed_before:
            session.connection().execute(
                AGAIN, {name: (one.result | {"id": one.result_id, "made_at": at}).get(name) for name in FIELDS.split()}
            )
    insert_rows(
        session, "eval_result_content", "result_id output",
        [(one.result_id, one.output) for one in rows if one.result and one.output is not None],
    )  # fmt: skip
    scores = [(one.result_id, *score) for one in rows for score in one.scores]
    insert_rows(
        session, "eval_score", "result_id scorer source value passed cost_micro made_at",
        [(*(str(part) if isinstance(part, ScoredBy) else part for part in score[:-1]), at) for score in scores],
    )  # fmt: skip
    insert_rows(
        session, "eval_score_content", "result_id scorer rationale",
        [(score[0], score[1], score[-1]) for score in scores if score[-1] is not None],
    )  # fmt: skip


def result(run: Run, work: Work, *, tries: int, error: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the row of an answer."""
    return {
        "run_id": run.id, "candidate": work.candidate, "case_id": work.case.id, "repeat": work.repeat,
        "error": error, "tries": tries, **more,
    }  # fmt: skip


def fresh_id() -> str:
    """Return the id of a new answer."""
    return new_id()


END = sa.text(
    "UPDATE eval_run SET ended_at = :at, outcome = :outcome, lease_until = 0"
    " WHERE id = :id AND lease_n = :lease_n AND ended_at IS NULL RETURNING id"
)
LET_GO = sa.text("UPDATE eval_run SET lease_until = 0 WHERE id = :id AND lease_n = :lease_n AND ended_at IS NULL")


def end(session: Session, run: Run, outcome: RunOutcome) -> None:
    """End a run; nothing happens where another process took it over."""
    at = now()
    bound = {"id": run.id, "lease_n": run.lease_n, "at": at, "outcome": str(outcome)}
    if session.connection().execute(END, bound).first() is not None:
        facts = {"outcome": str(outcome), **stored(session, run.id).counts()}
        record(session, f"evalrun/{run.id}", HOUSE, Action.EVALRUN_ENDED, facts, at)


def let_go(session: Session, run: Run) -> None:
    """Give a run back before its end, so that it can be taken on at once."""
    session.connection().execute(LET_GO, {"id": run.id, "lease_n": run.lease_n})
