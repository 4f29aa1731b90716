"""Who works on a job: one process at a time, and another one once that has died."""

import threading
from collections.abc import Callable

from db.engine import Database
from db.tables import JobState
from neuro_review.jobs import leases
from neuro_review.jobs.leases import LEASE, MOST_ATTEMPTS, Claim
from tests.conftest import Clock
from tests.jobs.conftest import find, value

Ask = Callable[..., str]


def claim(db: Database, job_id: str) -> Claim | None:
    with db.writing() as session:
        return leases.claim(session, job_id)


def due(db: Database) -> str | None:
    with db.reading() as session:
        return leases.due(session)


def test_of_many_workers_at_once_one_gets_the_job(db: Database, url: str, ask_export: Ask) -> None:
    job_id = ask_export()
    workers = [Database(url) for _ in range(8)]
    gate = threading.Barrier(len(workers))
    got: list[Claim | None] = []

    def take(worker: Database) -> None:
        gate.wait()
        got.append(claim(worker, job_id))

    threads = [threading.Thread(target=take, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.dispose()

    assert len(got) == 8
    assert [one for one in got if one] == [Claim(job_id, 1)]
    assert find(db, job_id).attempts == 1


def test_the_job_that_waited_the_longest_is_due_and_one_at_work_is_not(db: Database, ask_export: Ask) -> None:
    first, second = ask_export(), ask_export()

    assert due(db) == first
    claim(db, first)
    assert due(db) == second
    claim(db, second)
    assert due(db) is None


def test_a_job_whose_process_died_is_taken_anew_and_the_old_one_can_neither_report_nor_end_it(
    db: Database, ask_export: Ask, moved_clock: Clock
) -> None:
    job_id = ask_export()
    old = claim(db, job_id)
    assert old
    assert not find(db, job_id).is_interrupted
    moved_clock.forward(LEASE)
    assert find(db, job_id).is_interrupted
    new = claim(db, job_id)

    assert new == Claim(job_id, 2)
    with db.writing() as session:
        assert not leases.report(session, old, done=9, total=9, result={})
        assert not leases.finish(session, old, {"rows": 9})
        assert not leases.let_go(session, old, counts=True)
    assert (find(db, job_id).state, find(db, job_id).done) == (JobState.RUNNING, 0)
    with db.writing() as session:
        assert leases.finish(session, new, {"rows": 1})
    assert find(db, job_id).result == {"rows": 1}


def test_who_reports_keeps_the_job(db: Database, ask_export: Ask, moved_clock: Clock) -> None:
    job_id = ask_export()
    held = claim(db, job_id)
    assert held
    for step in range(1, 4):
        moved_clock.forward(LEASE - 1_000_000)
        with db.writing() as session:
            assert leases.report(session, held, done=step, total=4, result={"read": step})
        assert due(db) is None

    job = find(db, job_id)
    assert (job.share, job.result) == (0.75, {"read": 3})


def test_a_job_that_breaks_each_time_ends_with_a_sentence(db: Database, ask_export: Ask) -> None:
    job_id = ask_export()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        held = claim(db, job_id)
        assert held == Claim(job_id, attempt)
        with db.writing() as session:
            leases.let_go(session, held, counts=True)

    assert due(db) == job_id
    assert claim(db, job_id) is None

    job = find(db, job_id)
    assert (job.state, job.error, job.is_open) == (JobState.FAILED, leases.WORN_OUT, False)
    assert due(db) is None
    assert value(db, "SELECT count(*) FROM audit WHERE action = 'job.ended'") == 1


def test_a_job_that_was_stopped_on_purpose_has_lost_no_attempt(db: Database, ask_export: Ask) -> None:
    job_id = ask_export()
    for _ in range(MOST_ATTEMPTS + 1):
        held = claim(db, job_id)
        assert held == Claim(job_id, 1)
        with db.writing() as session:
            assert leases.let_go(session, held, counts=False)

    assert find(db, job_id).state == JobState.WAITING
