"""Who works on a job: one process at a time, as long as it says that it lives.

The number of the attempt is the fence: whoever lost a job in between can neither report on it nor end it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import SECOND, now
from db.tables import JobKind, JobState
from neuro_review.audit import HOUSE, Action, record

LEASE = 30 * SECOND
MOST_ATTEMPTS = 3
WORN_OUT = (
    f"It was begun {MOST_ATTEMPTS} times and stopped each time before its end. What was stored stays. Try again; if"
    " that fails too, whoever runs the server finds the reason in its log."
)


@dataclass(frozen=True)
class Claim:
    """The right to work on a job, until another attempt begins."""

    job_id: str
    attempt: int


DUE = sa.text(
    "SELECT id FROM job WHERE finished_at IS NULL AND (state = 'waiting' OR lease_until <= :at) AND kind IN :kinds"
    " ORDER BY created_at LIMIT 1"
).bindparams(sa.bindparam("kinds", expanding=True))
CLAIM = sa.text(
    "UPDATE job SET state = 'running', attempts = attempts + 1, lease_until = :until,"
    " started_at = COALESCE(started_at, :at) WHERE id = :id AND finished_at IS NULL AND attempts < :most"
    " AND (state = 'waiting' OR lease_until <= :at) RETURNING attempts"
)
FAIL_WORN_OUT = sa.text(
    "UPDATE job SET state = 'failed', error = :error, finished_at = :at WHERE id = :id AND finished_at IS NULL"
    " AND attempts >= :most AND (state = 'waiting' OR lease_until <= :at) RETURNING workflow_id"
)
MINE = "WHERE id = :id AND attempts = :attempt AND state = 'running'"
REPORT = sa.text(
    f"UPDATE job SET done = :done, total = :total, result = :result, lease_until = :until {MINE} RETURNING id"
)
END = sa.text(
    f"UPDATE job SET state = :state, error = :error, result = :result, done = COALESCE(total, done), finished_at = :at"
    f" {MINE} RETURNING workflow_id"
)
LET_GO = sa.text(f"UPDATE job SET state = 'waiting', lease_until = 0, attempts = attempts - :back {MINE} RETURNING id")


def due(session: Session, kinds: Collection[JobKind] = tuple(JobKind)) -> str | None:
    """Return the job of these kinds that has waited the longest for somebody to work on it, or None."""
    found = session.connection().execute(DUE, {"at": now(), "kinds": [str(kind) for kind in kinds]}).scalar()
    return None if found is None else str(found)


def claim(session: Session, job_id: str) -> Claim | None:
    """Take a job on, where nobody works on it; None where somebody does.

    One that was begun too often ends here, with a sentence.
    """
    at, connection = now(), session.connection()
    bound = {"id": job_id, "at": at, "most": MOST_ATTEMPTS}
    attempt = connection.execute(CLAIM, {**bound, "until": at + LEASE}).scalar()
    if attempt is not None:
        return Claim(job_id, int(attempt))
    given_up = connection.execute(FAIL_WORN_OUT, {**bound, "error": WORN_OUT}).first()
    if given_up is not None:
        _record_end(session, job_id, JobState.FAILED, {})
    return None


def report(session: Session, held: Claim, *, done: int, total: int | None, result: dict[str, Any]) -> bool:
    """Say how far a job is, and that its process lives; False where another attempt has begun."""
    bound = {
        "id": held.job_id, "attempt": held.attempt, "done": done, "total": total, "result": _json(result),
        "until": now() + LEASE,
    }  # fmt: skip
    return session.connection().execute(REPORT, bound).first() is not None


def finish(session: Session, held: Claim, result: dict[str, Any], *, error: str | None = None) -> bool:
    """End a job, well or with a sentence that says why not; False where another attempt has begun."""
    state = JobState.DONE if error is None else JobState.FAILED
    bound = {
        "id": held.job_id, "attempt": held.attempt, "state": state, "error": error, "result": _json(result), "at": now()
    }  # fmt: skip
    if session.connection().execute(END, bound).first() is None:
        return False
    _record_end(session, held.job_id, state, result)
    return True


def let_go(session: Session, held: Claim, *, counts: bool) -> bool:
    """Give a job back before its end, so that it can be taken on at once.

    What was stopped on purpose does not count as an attempt; what broke does.
    """
    bound = {"id": held.job_id, "attempt": held.attempt, "back": 0 if counts else 1}
    return session.connection().execute(LET_GO, bound).first() is not None


def _record_end(session: Session, job_id: str, state: JobState, result: dict[str, Any]) -> None:
    counts = {name: value for name, value in result.items() if isinstance(value, int)}
    record(session, f"job/{job_id}", HOUSE, Action.JOB_ENDED, {"state": state, "counts": counts})


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
