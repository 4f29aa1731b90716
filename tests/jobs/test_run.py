"""A job from start to end: what comes of it, on whose word, and that no crash loses or doubles a row."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from db.engine import Database
from db.tables import JobState, Verdict
from neuro_review.exports.formats import Format
from neuro_review.exports.rows import Filter
from neuro_review.jobs import downloads, files, keeper, leases
from neuro_review.jobs import run as process
from neuro_review.jobs.leases import MOST_ATTEMPTS, WORN_OUT
from neuro_review.jobs.rows import Job
from neuro_review.verify import verify
from tests.conftest import Team
from tests.exports.stock import past
from tests.jobs.conftest import csv_of, find, until, value

Ask = Callable[..., str]
Do = Callable[[str], Job]
ROOT = Path(__file__).resolve().parent.parent.parent
MANY = 20_000


def items(db: Database) -> int:
    return int(value(db, "SELECT count(*) FROM item"))


@contextmanager
def kept(db: Database) -> Iterator[None]:
    """Run the keeper in this process."""
    stop = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(db, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


@contextmanager
def in_the_middle(db: Database) -> Iterator[int]:
    """Hold an import up after its first rows, and say how many are stored; on a fast machine it would be over."""
    until(lambda: items(db) > 0)
    with db.writing() as session:
        if not db.is_sqlite:
            session.connection().execute(sa.text("LOCK TABLE item IN EXCLUSIVE MODE"))
        stored = items(db)
        assert 0 < stored < MANY
        yield stored


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that the keeper has started."""
    started: list[subprocess.Popen[bytes]] = []
    real = keeper.start

    def start(database: Database, held: leases.Claim) -> subprocess.Popen[bytes]:
        started.append(real(database, held))
        return started[-1]

    monkeypatch.setattr(keeper, "start", start)
    monkeypatch.setattr(keeper, "AFTER_A_FAILURE", 0.01)
    return started


def test_an_import_holds_every_row_and_sets_the_bad_ones_aside(db: Database, ask_import: Ask, do: Do) -> None:
    job = do(ask_import(csv_of(3) + b'9,"no answer",,larch-1\n'))

    assert job.state == JobState.DONE
    assert job.result == {"read": 4, "held": 3, "history": 0, "duplicates": 0, "rejected": 1}
    assert [(one.line, one.reason) for one in downloads.asides(job)] == [
        (5, "output is missing. Fill it in, or leave the row out.")
    ]
    assert items(db) == 3
    with pytest.raises(files.NotFoundError):
        files.upload(job.id)
    assert value(db, "SELECT body FROM audit WHERE action = 'job.ended'") == (
        '{"counts":{"duplicates":0,"held":3,"history":0,"read":4,"rejected":1},"state":"done"}'
    )


def test_the_same_file_again_adds_nothing(db: Database, ask_import: Ask, do: Do) -> None:
    do(ask_import(csv_of(3)))

    again = do(ask_import(csv_of(3)))

    assert (again.result["held"], again.result["duplicates"], items(db)) == (0, 3, 3)


def test_an_import_goes_by_the_name_of_who_asked(db: Database, team: Team, ask_import: Ask, do: Do) -> None:
    do(ask_import(csv_of(1)))

    assert value(db, "SELECT actor FROM audit WHERE action = 'item.submitted'") == team.olu.audit_name


def test_who_lost_the_role_in_between_gets_a_sentence_and_nothing_comes_in(
    db: Database, team: Team, ask_import: Ask, ask_export: Ask, do: Do
) -> None:
    job_ids = [ask_import(csv_of(1)), ask_export()]
    with db.writing() as session:
        session.connection().execute(
            sa.text("DELETE FROM role_grant WHERE person_id = :id"), {"id": team.olu.person_id}
        )

    ended = [do(job_id) for job_id in job_ids]

    assert [job.state for job in ended] == [JobState.FAILED] * 2
    assert [job.error for job in ended] == [
        "That needs the role owner in this workflow. Ask an admin for it.",
        "That needs the role export in this workflow. Ask an admin for it.",
    ]
    assert items(db) == 0
    assert not list(files.folder(job_ids[1]).glob("*"))


def test_a_disabled_account_imports_nothing(db: Database, team: Team, ask_import: Ask, do: Do) -> None:
    job_id = ask_import(csv_of(1))
    with db.writing() as session:
        session.connection().execute(
            sa.text("UPDATE person SET disabled_at = 1 WHERE id = :i"), {"i": team.olu.person_id}
        )

    assert do(job_id).error == "This account is disabled. Ask an admin."
    assert items(db) == 0


def test_what_fails_is_told_without_paths_and_commands(db: Database, ask_import: Ask, do: Do) -> None:
    job_id = ask_import(csv_of(1))
    files.upload(job_id).write_bytes(b"")

    job = do(job_id)

    assert (job.state, job.error) == (JobState.FAILED, "outputs.csv is empty. Nothing was imported.")


def test_an_export_is_written_logged_and_described(db: Database, team: Team, ask_export: Ask, do: Do) -> None:
    past(db, team.support, [{"verdict": "approve", "reviewer": "bo"}], model="larch", external_id="1")
    past(db, team.support, [{"verdict": "reject", "reviewer": "cy"}], model="elm", external_id="2")

    job = do(ask_export(form=Format.JSONL, choice=Filter(model="larch", verdict=Verdict.APPROVE)))

    assert job.state == JobState.DONE
    with db.reading() as session:
        file = downloads.download(session, job.id, team.olu, part="data")
    rows = [orjson.loads(line) for line in file.path.read_bytes().splitlines()]
    assert [row["model"] for row in rows] == ["larch"]
    assert file.name.startswith("support-")
    manifest = downloads.manifest(job)
    assert manifest is not None
    assert manifest["filter"] == {"model": "larch", "verdict": "approve"}
    logged = orjson.loads(value(db, "SELECT body FROM audit WHERE action = 'export.written'"))
    assert (logged["rows"], logged["filter"], logged["sha256"]) == (1, manifest["filter"], job.result["sha256"])
    assert value(db, "SELECT actor FROM audit WHERE action = 'export.written'") == team.olu.audit_name


def test_jobs_are_done_one_after_the_other_by_processes_of_their_own(
    db: Database, ask_import: Ask, ask_export: Ask, children: list[subprocess.Popen[bytes]]
) -> None:
    job_ids = [ask_import(csv_of(2)), ask_export()]

    with kept(db):
        until(lambda: not any(find(db, one).is_open for one in job_ids))
        until(lambda: children[-1].poll() is not None)

    assert verify(db).first is None
    assert [find(db, one).state for one in job_ids] == [JobState.DONE] * 2
    assert [child.returncode for child in children] == [process.DONE] * 2
    assert items(db) == 2


def test_an_import_whose_process_is_killed_begins_again_and_loses_and_doubles_nothing(
    db: Database, ask_import: Ask, children: list[subprocess.Popen[bytes]]
) -> None:
    job_id = ask_import(csv_of(MANY) + b"broken\n")

    with kept(db):
        with in_the_middle(db) as stored:
            children[0].kill()
            children[0].wait()
        job = until(lambda: (found := find(db, job_id)).finished_at and found)
        until(lambda: children[-1].poll() is not None)  # it tidies up after the job has ended

    assert (job.state, job.attempts, children[-1].returncode) == (JobState.DONE, 2, process.DONE)
    assert items(db) == MANY
    assert job.result["held"] + job.result["duplicates"] == MANY
    assert job.result["duplicates"] >= stored
    assert job.result["resumed"]
    assert (job.result["read"], job.result["rejected"]) == (MANY + 1, 1)
    assert sorted(path.name for path in files.folder(job_id).iterdir()) == [files.REJECTED]


@pytest.mark.skipif(not process.GROUP.exists(), reason="This kernel does not share processors by session.")
def test_a_job_gives_way_to_the_screens_of_another_session(
    db: Database, ask_import: Ask, children: list[subprocess.Popen[bytes]]
) -> None:
    ours = Path("/proc/self/autogroup")
    ask_import(csv_of(MANY))
    before = ours.read_text()

    with kept(db), in_the_middle(db):
        pid = children[0].pid
        nice, group = os.getpriority(os.PRIO_PROCESS, pid), Path(f"/proc/{pid}/autogroup").read_text().split()[-1]

    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + process.GIVES_WAY)
    assert (group, ours.read_text()) == (str(process.GIVES_WAY), before)


def test_an_import_whose_worker_is_killed_is_taken_on_by_the_next(db: Database, url: str, ask_import: Ask) -> None:
    job_id = ask_import(csv_of(MANY))
    command = [sys.executable, "-m", "neuro_review", "worker"]
    environment = {**os.environ, "NEURO_REVIEW_DATABASE_URL": url}
    first = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        with in_the_middle(db):
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        until(lambda: find(db, job_id).state == JobState.WAITING)
        assert 0 < items(db) < MANY
        assert find(db, job_id).attempts == 0
        second = subprocess.Popen(command, cwd=ROOT, env=environment)
        try:
            job = until(lambda: (found := find(db, job_id)).finished_at and found)
        finally:
            second.terminate()
            assert second.wait(20) == 0
    finally:
        first.kill()

    assert (job.state, items(db)) == (JobState.DONE, MANY)
    assert job.result["held"] + job.result["duplicates"] == MANY
    assert job.result["resumed"]


def test_a_worker_that_ends_gives_the_job_back(
    db: Database, ask_import: Ask, children: list[subprocess.Popen[bytes]]
) -> None:
    job_id = ask_import(csv_of(MANY))

    with kept(db):
        until(lambda: items(db) > 0)

    assert children[0].returncode == process.STOPPED
    assert (find(db, job_id).state, find(db, job_id).attempts) == (JobState.WAITING, 0)
    assert items(db) < MANY


def test_a_worker_that_ends_before_the_job_has_begun_gives_it_back(db: Database, ask_import: Ask) -> None:
    job_id = ask_import(csv_of(1))
    held = keeper.next_one(db)
    assert held is not None
    child = keeper.start(db, held)

    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == process.STOPPED

    assert (find(db, job_id).state, find(db, job_id).attempts) == (JobState.WAITING, 0)


def test_a_job_that_is_too_busy_to_hear_that_its_worker_ends_has_not_failed(
    db: Database, ask_import: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    monkeypatch.setattr(keeper, "start", lambda *_: subprocess.Popen(deaf, stdin=subprocess.PIPE))
    monkeypatch.setattr(keeper, "PATIENCE", 0.01)
    job_id = ask_import(csv_of(1))

    for _ in range(MOST_ATTEMPTS + 1):
        with kept(db):
            until(lambda: find(db, job_id).state == JobState.RUNNING)
        assert (find(db, job_id).state, find(db, job_id).attempts) == (JobState.WAITING, 0)


def test_a_job_whose_process_breaks_each_time_ends_with_a_sentence(
    db: Database, ask_import: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def start(_database: Database, held: leases.Claim) -> subprocess.Popen[bytes]:
        begun.append(held.attempt)
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(4)"], stdin=subprocess.PIPE)

    monkeypatch.setattr(keeper, "start", start)
    monkeypatch.setattr(keeper, "AFTER_A_FAILURE", 0.01)
    job_id = ask_import(csv_of(1))

    with kept(db):
        job = until(lambda: (found := find(db, job_id)).finished_at and found)

    assert (job.state, job.error) == (JobState.FAILED, WORN_OUT)
    assert begun == list(range(1, MOST_ATTEMPTS + 1))


def test_a_job_for_which_the_machine_has_no_room_waits_and_has_not_failed(
    db: Database, ask_import: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, start = [], keeper.start

    def no_room_at_first(database: Database, held: leases.Claim) -> subprocess.Popen[bytes]:
        tried.append(held.attempt)
        if len(tried) <= MOST_ATTEMPTS:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(database, held)

    monkeypatch.setattr(keeper, "start", no_room_at_first)
    monkeypatch.setattr(keeper, "AFTER_A_FAILURE", 0.01)
    job_id = ask_import(csv_of(1))

    with kept(db):
        job = until(lambda: (found := find(db, job_id)).finished_at and found)

    assert (job.state, tried) == (JobState.DONE, [1] * (MOST_ATTEMPTS + 1))


def test_progress_is_told_while_it_lasts(db: Database, ask_import: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TOLD_EVERY", 0.01)
    job_id, seen = ask_import(csv_of(MANY // 4)), []
    with db.writing() as session:
        held = leases.claim(session, job_id)
    assert held
    thread = threading.Thread(target=process.run, args=(db, held))
    thread.start()
    while thread.is_alive():
        job = find(db, job_id)
        if job.is_open and job.done:
            seen.append((job.share, job.result.get("read", 0)))
    thread.join()

    assert seen == sorted(seen)
    assert 0 < seen[0][0] < 1
    assert find(db, job_id).share == 1
