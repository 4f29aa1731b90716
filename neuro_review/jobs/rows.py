"""Jobs as a person sees them: their own, and how far each is."""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import JobKind, JobState, Role
from neuro_review.access import Actor
from neuro_review.errors import NotFoundError
from neuro_review.jobs.files import ID, LASTS

MOST_SHOWN = 10
MOST_LOOKED_AT = 1_000
"""More than one person asks for in the day that files are kept."""
NEEDS = {JobKind.IMPORT: Role.OWNER, JobKind.EXPORT: Role.EXPORT, JobKind.EVAL: Role.OWNER}
"""The role in the workflow without which a job is neither taken on, nor run, nor its files given out."""
NOT_THERE = "There is no such job, or it is somebody else's."


@dataclass(frozen=True)
class Job:
    """One job, as it stands."""

    id: str
    kind: JobKind
    state: JobState
    person_id: int
    workflow_id: int
    workflow: str
    asked: dict[str, Any]
    done: int
    total: int | None
    result: dict[str, Any]
    """Counts: of what has been done so far, and in the end of all."""
    error: str | None
    created_at: int
    finished_at: int | None
    lease_until: int
    attempts: int

    @property
    def is_open(self) -> bool:
        """Tell whether there is still something to come."""
        return self.finished_at is None

    @property
    def is_interrupted(self) -> bool:
        """Tell whether the process that worked on it has died, and no other has taken it on yet."""
        return self.state == JobState.RUNNING and self.lease_until <= now()

    @property
    def is_expired(self) -> bool:
        """Tell whether its files are gone."""
        return self.finished_at is not None and self.finished_at + LASTS <= now()

    @property
    def expires_at(self) -> int:
        """Return when its files go."""
        return (self.finished_at or now()) + LASTS

    @property
    def share(self) -> float:
        """Return how much of it is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


COLUMNS = (
    "j.id, j.kind, j.state, j.person_id, j.workflow_id, w.name AS workflow, j.asked, j.done, j.total, j.result,"
    " j.error, j.created_at, j.finished_at, j.lease_until, j.attempts"
)
MINE = sa.text(
    f"SELECT {COLUMNS} FROM job j JOIN workflow w ON w.id = j.workflow_id"
    " WHERE j.person_id = :person AND j.kind = :kind ORDER BY j.created_at DESC, j.id DESC LIMIT :most"
)
ONE = sa.text(f"SELECT {COLUMNS} FROM job j JOIN workflow w ON w.id = j.workflow_id WHERE j.id = :id")
OF_RUNS = sa.text(
    f"SELECT {COLUMNS} FROM job j JOIN workflow w ON w.id = j.workflow_id"
    " WHERE j.kind = 'eval' AND j.asked IN :asked ORDER BY j.created_at, j.id"
).bindparams(sa.bindparam("asked", expanding=True, type_=sa.String))


def mine(
    session: Session, by: Actor, kind: JobKind, *, most: int = MOST_SHOWN, eval_set: str | None = None
) -> list[Job]:  # fmt: skip
    """Return what this person asked for last, the newest first; or of that only what is of a version of an eval set."""
    asked = {"person": by.person_id, "kind": kind, "most": most if eval_set is None else MOST_LOOKED_AT}
    found = [_job(row) for row in session.connection().execute(MINE, asked)]
    return [job for job in found if eval_set in (None, job.asked.get("set"))][:most]


def one(session: Session, job_id: str, by: Actor) -> Job:
    """Return a job of this person's own.

    Raises:
        NotFoundError: there is none, or somebody else asked for it.
    """
    found = find(session, job_id)
    if found is None or by.person_id is None or found.person_id != by.person_id:
        raise NotFoundError(NOT_THERE)
    return found


def find(session: Session, job_id: str) -> Job | None:
    """Return a job, whoever asked for it; None where there is none."""
    row = session.connection().execute(ONE, {"id": job_id}).first() if ID.fullmatch(job_id) else None
    return _job(row) if row else None


def asked_for_run(run_id: str) -> str:
    """Return what is kept of a job that works on an eval run."""
    return orjson.dumps({"run": run_id}).decode()


def of_runs(session: Session, run_ids: list[str]) -> dict[str, Job]:
    """Return the newest job of each eval run that has one, whoever asked for it."""
    rows = session.connection().execute(OF_RUNS, {"asked": [asked_for_run(one) for one in run_ids]})
    return {job.asked["run"]: job for job in map(_job, rows)}


def _job(row: sa.Row[Any]) -> Job:
    facts = dict(row._mapping)
    return Job(
        **facts
        | {
            "kind": JobKind(row.kind),
            "state": JobState(row.state),
            "asked": orjson.loads(row.asked),
            "result": orjson.loads(row.result or "{}"),
        }
    )
