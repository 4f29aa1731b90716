"""Power loss, argued: an acknowledgement is written only after the disk has the commit.

SQLite promises that a commit whose WAL frames reached the disk (`fdatasync`) is there after power loss, and one whose
frames did not is not there at all. strace shows that sync, and that of the folder in which a new WAL appears, between
the last frame and the line that acknowledges it. On PostgreSQL `synchronous_commit=on` in our sessions says the same.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from db.engine import Database
from tests.engines import Postgres, skip_or_fail
from tests.faults.load import REVIEWERS, ROOT, SUBMITTER, furnish

CALL = re.compile(r"^(?:\d+ +)?(?P<call>\w+)\(\d+<(?P<path>[^>]*)>(?:, \"(?P<text>.*)\")?.* = (?P<result>-?\d+)")
CALLS = "write,pwrite64,fdatasync,fsync"
ACKNOWLEDGED = ("submitted", "imported", "claimed", "decided", "undone", "left")


@dataclass
class Trace:
    """What a writer asked of the system, call by call, read as a disk would see it."""

    acknowledged: list[str]
    unsynced: list[str]
    """Acknowledgements written while a frame of the WAL, or the name of the WAL itself, was not on the disk."""
    frames: int


def read_trace(text: str, database: Path) -> Trace:
    trace = Trace([], [], 0)
    waiting_frames = waiting_name = False
    for line in text.splitlines():
        found = CALL.match(line)
        if not found:
            continue
        call, path = found["call"], found["path"]
        synced = call in ("fdatasync", "fsync") and found["result"] == "0"
        if call == "pwrite64" and path == f"{database}-wal":
            trace.frames += 1
            waiting_name = waiting_name or trace.frames == 1
            waiting_frames = True
        elif synced and path == f"{database}-wal":
            waiting_frames = False
        elif synced and path == str(database.parent):
            waiting_name = False
        elif call == "write" and path.startswith("pipe:"):
            did = re.match(r'{\\"did\\":\\"(\w+)\\"', found["text"] or "")
            if did and did[1] in ACKNOWLEDGED:
                trace.acknowledged.append(did[1])
                trace.unsynced += [did[1]] * (waiting_frames or waiting_name)
    return trace


@pytest.fixture
def sqlite(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "traced.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    furnish(database)
    database.dispose()
    yield database
    database.dispose()


def watch(database: Database, *options: str, steps: int) -> Trace:
    """Run a writer under strace; the WAL is new, because nobody else has the database open."""
    if not shutil.which("strace"):
        skip_or_fail("strace is not here: apt-get install strace")
    out = database.path.parent / "trace"
    strace = ["strace", "-f", "-y", "-s", "40", "-e", f"trace={CALLS}", "-o", str(out)]
    command = [sys.executable, "-m", "tests.faults.writer", str(database.url), "--seed", "7", "--steps", str(steps)]
    ran = subprocess.run([*strace, *command, *options], cwd=ROOT, capture_output=True, check=False)
    if b"Operation not permitted" in ran.stderr:
        skip_or_fail("strace may not trace here.")
    assert ran.returncode == 0, ran.stderr.decode()[-2_000:]
    return read_trace(out.read_text(errors="replace"), database.path)


def test_a_submit_is_on_the_disk_before_it_is_acknowledged(sqlite: Database) -> None:
    trace = watch(sqlite, "--role", "submitter", "--email", SUBMITTER, steps=52)

    assert trace.acknowledged.count("submitted") == 51
    assert trace.acknowledged.count("imported") == 1
    assert trace.unsynced == []


def test_a_verdict_is_on_the_disk_before_it_is_acknowledged(sqlite: Database) -> None:
    watch(sqlite, "--role", "submitter", "--email", SUBMITTER, steps=50)

    trace = watch(sqlite, "--email", REVIEWERS[0], steps=40)

    assert trace.acknowledged.count("decided") >= 20
    assert "undone" in trace.acknowledged
    assert trace.unsynced == []


def test_a_verdict_that_is_not_on_the_disk_would_be_noticed(sqlite: Database) -> None:
    watch(sqlite, "--role", "submitter", "--email", SUBMITTER, steps=50)

    trace = watch(sqlite, "--email", REVIEWERS[0], "--synchronous", "NORMAL", steps=40)

    assert len(trace.unsynced) > len(trace.acknowledged) / 2


def test_every_connection_waits_for_the_disk(sqlite: Database) -> None:
    with sqlite.writing() as session, sqlite.reading() as other:
        found = [one.connection().exec_driver_sql("PRAGMA synchronous").scalar() for one in (session, other)]
        journal = session.connection().exec_driver_sql("PRAGMA journal_mode").scalar()

    assert found == [2, 2]  # FULL
    assert journal == "wal"


def test_our_sessions_on_postgresql_wait_for_the_disk_whatever_the_database_says(postgres: Postgres) -> None:
    name = postgres.create()
    with postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    database = Database(postgres.url(name))

    with database.writing() as session:
        ours = session.connection().execute(sa.text("SHOW synchronous_commit")).scalar_one()
    with psycopg.connect(postgres.url(name)) as stranger:
        others = stranger.execute("SHOW synchronous_commit").fetchone()

    database.dispose()
    postgres.drop(name)
    assert (ours, others) == ("on", ("off",))


def test_only_the_server_of_the_tests_may_forget() -> None:
    careless = re.compile(r"fsync\s*=\s*off|full_page_writes\s*=\s*off|synchronous_commit\s*=\s*off", re.I)
    product = [ROOT / "app.py", *(path for part in ("db", "neuro_review") for path in (ROOT / part).rglob("*.py"))]

    assert [path.name for path in product if careless.search(path.read_text())] == []
