"""The background work: what keeps it alive, and that one broken item keeps no other."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import engine
from db.engine import Database, DatabaseUnusableError
from db.migrate import migrate
from db.tables import Verdict
from neuro_review import decisions, releases, settings, worker
from neuro_review.decisions import Opinion
from tests.conftest import Clock, Team
from tests.helpers import claim_one, make_item


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        wait_for_the_end = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        started.append(subprocess.Popen(wait_for_the_end, stdin=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(worker, "start_child", start)
    monkeypatch.setattr(worker, "AFTER_A_FAILURE", 0.01)
    monkeypatch.setattr(worker, "LOOKED_AFTER_EVERY", 0.02)
    yield started
    for child in started:
        child.kill()


def test_a_worker_that_ends_by_itself_is_started_again(children: list[subprocess.Popen[bytes]]) -> None:
    ended = threading.Event()
    keeper = threading.Thread(target=worker.keep_alive, args=(ended,))
    keeper.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(children) < 2:
        for child in children[:1]:
            child.kill()
        time.sleep(0.02)
    ended.set()
    keeper.join(60)

    assert len(children) == 2
    assert [child.poll() is not None for child in children] == [True, True]


def test_a_worker_is_started_again_also_after_a_moment_in_which_the_machine_had_room_for_none(
    children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, tried, start = threading.Event(), [], worker.start_child

    def no_room_at_first() -> subprocess.Popen[bytes]:
        tried.append(1)
        if len(tried) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start()

    monkeypatch.setattr(worker, "start_child", no_room_at_first)
    keeper = threading.Thread(target=worker.keep_alive, args=(ended,))
    keeper.start()

    while keeper.is_alive() and not children:
        time.sleep(0.01)
    ended.set()
    keeper.join(20)

    assert children


def test_an_item_that_cannot_leave_keeps_no_other(
    db: Database, team: Team, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.writing() as session:
        ids = [make_item(session, team.support.id) for _ in range(3)]
        for _ in ids:
            lease = claim_one(session, team.bo, team.support)
            decisions.decide(session, lease.item_id, team.bo, lease.lease_n, Opinion(Verdict.APPROVE))
    moved_clock.forward(60_000_000)
    real = releases.lifecycle.leave

    def leave(session: object, item: releases.lifecycle.State, *, at: int) -> str | None:
        if item.id == ids[1]:
            raise releases.ConflictError("Broken.")
        return real(session, item, at=at)  # type: ignore[arg-type]

    monkeypatch.setattr(releases.lifecycle, "leave", leave)
    broken: set[str] = set()
    with db.writing() as session:
        first = releases.release_due(session, broken=broken)
        second = releases.release_due(session, broken=broken)

    assert (first, second, broken) == (2, 0, {ids[1]})
    with db.reading() as session:
        left = session.connection().execute(sa.text("SELECT item_id FROM release")).scalars().all()
    assert sorted(left) == sorted([ids[0], ids[2]])


def test_who_holds_the_database_and_does_not_go_on_is_named(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL has no such turn")
    monkeypatch.setattr(engine, "TURN_COMES_WITHIN", 0.1)
    stopped = Database(f"sqlite:///{db.path}")

    with (
        stopped.writing(),
        pytest.raises(DatabaseUnusableError, match="Another process holds the database"),
        db.writing(),
    ):
        pass

    with db.writing() as session:
        assert session.connection().execute(sa.text("SELECT 1")).scalar() == 1


def test_of_many_first_starts_one_secret_stays(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEURO_REVIEW_SECRET")
    settings.settings.cache_clear()
    folder = settings.settings().folder
    found: list[bytes] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        found.append(settings._kept_secret.__wrapped__(folder))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600


def test_the_worker_works_on_what_the_environment_names_from_the_current_folder_and_runs_nothing_that_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "__init__.py").write_text("raise SystemExit('Somebody else’s package.')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", "sqlite:///here.db")
    database = Database.from_environment()
    migrate(database)
    child = worker.start_child()
    try:
        deadline, beats = time.monotonic() + 60, 0
        while not beats:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
            with database.reading() as session:
                beats = session.connection().execute(sa.text("SELECT count(*) FROM worker_beat")).scalar_one()
    finally:
        worker.stop(child)
        database.dispose()

    assert (tmp_path / "here.db").is_file()
