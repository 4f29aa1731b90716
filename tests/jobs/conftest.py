"""Files that somebody uploads, and jobs asked for and looked at."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import new_id
from db.engine import Database
from neuro_review.access import Actor
from neuro_review.exports.formats import Format
from neuro_review.exports.rows import Filter
from neuro_review.jobs import asking, columns, files, leases, rows
from neuro_review.jobs import run as process
from neuro_review.jobs.rows import Job
from tests.conftest import Team

PATIENCE = 60  # seconds


def csv_of(many: int, start: int = 0) -> bytes:
    """Return a file of outputs under the names that other tools use."""
    lines = [f'{i},"Question {i}?","Answer {i}, at length.",larch-1' for i in range(start, start + many)]
    return "\n".join(["id,question,answer,model", *lines, ""]).encode()


def find(db: Database, job_id: str) -> Job:
    with db.reading() as session:
        job = rows.find(session, job_id)
    assert job is not None
    return job


def value(db: Database, sql: str, **bound: Any) -> Any:
    with db.reading() as session:
        return session.connection().execute(sa.text(sql), bound).scalar()


def until(happened: Callable[[], Any]) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


@pytest.fixture
def ask_import(db: Database, team: Team) -> Callable[..., str]:
    """Upload a file and ask that it be imported, as its owner would who changes nothing in the form."""

    def ask(data: bytes, by: Actor | None = None, *, name: str = "outputs.csv", **more: Any) -> str:
        job_id = new_id()
        sample = columns.look(files.keep(job_id, name, data), name)
        asked = {"fields": columns.mapped(dict(columns.guessed(sample)), []), "workflow_id": team.support.id} | more
        with db.writing() as session:
            asking.ask_import(session, job_id, by or team.olu, file=name, **asked)
        return job_id

    return ask


@pytest.fixture
def ask_export(db: Database, team: Team) -> Callable[..., str]:
    def ask(by: Actor | None = None, form: Format = Format.JSONL, choice: Filter | None = None) -> str:
        job_id = new_id()
        with db.writing() as session:
            asking.ask_export(
                session, job_id, by or team.olu, workflow_id=team.support.id, form=form, choice=choice or Filter()
            )
        return job_id

    return ask


@pytest.fixture
def do(db: Database) -> Callable[[str], Job]:
    """Take a job on and do it in this process."""

    def run(job_id: str) -> Job:
        with db.writing() as session:
            held = leases.claim(session, job_id)
        assert held is not None
        assert process.run(db, held) == process.DONE
        return find(db, job_id)

    return run
