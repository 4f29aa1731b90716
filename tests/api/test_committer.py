"""Which single submits are stored together, by whom, and what becomes of them when that one dies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from anyio import CapacityLimiter, to_thread
from pydantic import ValidationError
from sqlmodel import Session

from db.clock import HOUR
from db.driver import driver
from db.engine import AWAY, Database, DatabaseUnusableError
from neuro_review import sources
from neuro_review.api import answers, committer, forms, keys, storing
from neuro_review.api.committer import Committer, _Groups
from neuro_review.api.storing import Answered, Asked, stored
from neuro_review.errors import UnavailableError
from tests.api.conftest import add_key
from tests.conftest import Clock, Team

LONG = 30.0  # seconds; a test that waits for so long has failed


def asked(key: str, name: str, output: str = "Model text.", **more: Any) -> Asked:
    said = {"workflow": "support", "model": "larch", "output": output, "external_id": name, **more}
    return key, orjson.dumps(said)


@pytest.fixture
def key(db: Database, team: Team) -> str:
    return sources.key_hash(add_key(db, team, "shop"))


def run(scenario: Awaitable[None]) -> None:
    async def within_long() -> None:
        await asyncio.wait_for(scenario, LONG)

    asyncio.run(within_long())


async def until(there: Callable[[], bool]) -> None:
    while not there():
        await asyncio.sleep(0.01)


def names(db: Database) -> list[str]:
    with db.reading() as session:
        return sorted(session.connection().execute(sa.text("SELECT external_id FROM item")).scalars())


class Slow:
    """Stores nothing: keeps each group until it is let go, and answers with the bodies."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = asyncio.Semaphore(0)
        self.breaks = False

    async def store(self, group: Sequence[Asked], _writer: CapacityLimiter) -> list[Answered]:
        self.sizes.append(len(group))
        await self.go.acquire()
        if self.breaks:
            raise ConnectionError
        return [(201, body) for _, body in group]

    def groups(self) -> _Groups:
        return _Groups(asyncio.get_running_loop(), self.store)


def handed_in(groups: _Groups, *bodies: bytes) -> list[asyncio.Task[Answered]]:
    return [asyncio.ensure_future(groups.add(("key", body))) for body in bodies]


def test_what_comes_in_while_a_group_is_stored_is_the_next_group() -> None:
    async def scenario() -> None:
        slow = Slow()
        groups = slow.groups()
        first = handed_in(groups, b"1", b"2", b"3")
        await until(lambda: slow.sizes == [3])
        rest = handed_in(groups, b"4") + handed_in(groups, b"5")
        await asyncio.sleep(0)
        assert (slow.sizes, groups.is_busy) == ([3], True)
        slow.go.release()
        assert await asyncio.gather(*first) == [(201, b"1"), (201, b"2"), (201, b"3")]
        slow.go.release()
        assert await asyncio.gather(*rest) == [(201, b"4"), (201, b"5")]
        assert slow.sizes == [3, 2]
        await until(lambda: not groups.is_busy)

    run(scenario())


def test_a_group_ends_where_it_is_full_by_number_or_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(committer, "MOST_BYTES", 10)

    async def scenario() -> None:
        slow = Slow()
        tasks = handed_in(slow.groups(), *[b"."] * 4, b"." * 10, b".")
        for _ in range(3):
            slow.go.release()
        await asyncio.gather(*tasks)
        assert slow.sizes == [3, 2, 1]

    run(scenario())


def test_who_hangs_up_keeps_nobody_elses_answer_back() -> None:
    async def scenario() -> None:
        slow = Slow()
        gone, stays = handed_in(slow.groups(), b"gone", b"stays")
        await until(lambda: slow.sizes == [2])
        gone.cancel()
        slow.go.release()
        assert await stays == (201, b"stays")

    run(scenario())


def test_a_group_that_breaks_off_is_answered_and_the_next_is_stored() -> None:
    async def scenario() -> None:
        slow = Slow()
        slow.breaks = True
        groups = slow.groups()
        first = handed_in(groups, b"1", b"2")
        await until(lambda: slow.sizes == [2])
        then = handed_in(groups, b"3")
        slow.go.release()
        for status, said in await asyncio.gather(*first):
            assert (status, orjson.loads(said)["error"]["message"]) == (503, committer.LOST)
        slow.breaks = False
        slow.go.release()
        assert await then[0] == (201, b"3")

    run(scenario())


def test_who_comes_when_too_many_wait_or_at_the_end_is_told_so(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "MOST_WAITING", 2)

    async def scenario() -> None:
        full, slow = Committer(lambda: db), Slow()
        monkeypatch.setattr(full, "_store", slow.store)
        tasks = [asyncio.ensure_future(full.submit(("key", b"."))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="More outputs come in"):
            await tasks[2]
        ending = asyncio.ensure_future(to_thread.run_sync(full.end))
        await until(lambda: full._ended)
        with pytest.raises(UnavailableError, match="ending"):
            await full.submit(("key", b"."))
        assert not ending.done(), "what was handed in is still to be stored"
        slow.go.release()
        assert await asyncio.gather(*tasks[:2]) == [(201, b".")] * 2
        await ending

    run(scenario())


def test_each_of_a_group_is_held_or_refused_by_itself(db: Database, key: str) -> None:
    group = [
        asked(key, "one"), (key, b"{"), asked("0" * 64, "two"), asked(key, "three", priority=99),
        asked(key, "four"), asked(key, "one"), asked(key, "one", "Other text."), asked(key, "five", workflow="legal"),
    ]  # fmt: skip

    told = stored(db, keys.Entries(lambda: db), group)

    assert [status for status, _ in told] == [201, 422, 401, 422, 201, 200, 409, 403]
    assert names(db) == ["four", "one"]


def test_where_the_database_fails_nothing_is_stored_and_each_is_told_so(
    db: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = keys.Entries(lambda: db)
    for error, says in ((DatabaseUnusableError(AWAY), answers.AWAY), (KeyError("what"), storing.BROKEN)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(storing.entering, "hold", fail)
            told = stored(db, entries, [asked(key, "one"), (key, b"{"), asked(key, "two")])
        assert [status for status, _ in told] == [503, 422, 503]
        assert says in orjson.loads(told[0][1])["error"]["message"]
    assert names(db) == []


@asynccontextmanager
async def beside(db: Database) -> AsyncIterator[Committer]:
    """Give one whose process is there."""
    there = Committer(lambda: db)
    there.beside = True
    assert (await there.submit(("no key", b"{")))[0] == 422, "a thread stores meanwhile"
    try:
        await until(there.storer.is_here)
        yield there
    finally:
        await to_thread.run_sync(there.end)


def process_of(there: Committer) -> int:
    assert there.storer._beside is not None
    return there.storer._beside.process.pid


def test_what_the_process_stores_is_answered_as_what_is_stored_here(
    db: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [asked(key, "one"), (key, b"["), asked(key, "two", "ẞ \U0001f9ea"), asked("0" * 64, "three")]
    told: list[list[Answered]] = []

    async def scenario() -> None:
        async with beside(db) as there:
            with monkeypatch.context() as nowhere:
                nowhere.setattr(committer, "stored", None)  # nobody here stores
                told.append(list(await asyncio.gather(*map(there.submit, group))))

    run(scenario())
    assert names(db) == ["one", "two"]
    again = stored(db, keys.Entries(lambda: db), group)
    assert [status for status, _ in told[0]] == [201, 422, 201, 401]
    assert [status for status, _ in again] == [200, 422, 200, 401]
    assert [said for _, said in told[0]] == [said for _, said in again]


def test_the_process_dies_in_the_middle_and_nothing_is_lost_that_was_acknowledged(
    db: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "AGAIN_AFTER", 0)

    async def scenario() -> None:
        async with beside(db) as there:
            assert (await there.submit(asked(key, "before")))[0] == 201
            died = process_of(there)
            os.kill(died, signal.SIGSTOP)
            lost = asyncio.ensure_future(there.submit(asked(key, "meanwhile")))
            await asyncio.sleep(0.05)
            os.kill(died, signal.SIGKILL)
            status, said = await lost
            assert (status, orjson.loads(said)["error"]["message"]) == (503, committer.LOST)
            assert (await there.submit(asked(key, "meanwhile")))[0] in (200, 201), "a thread stores"
            await until(there.storer.is_here)
            assert process_of(there) != died
            assert (await there.submit(asked(key, "before")))[0] == 200
            assert (await there.submit(asked(key, "after")))[0] == 201

    run(scenario())
    assert names(db) == ["after", "before", "meanwhile"]


def test_where_the_process_died_with_nothing_to_do_a_thread_stores_and_nobody_notices(
    db: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "AGAIN_AFTER", 0)

    async def scenario() -> None:
        async with beside(db) as there:
            died = process_of(there)
            os.kill(died, signal.SIGKILL)
            await asyncio.sleep(0.1)
            assert (await there.submit(asked(key, "one")))[0] == 201
            await until(there.storer.is_here)
            assert process_of(there) != died
            assert (await there.submit(asked(key, "one")))[0] == 200

    run(scenario())


def test_a_process_that_does_not_answer_is_given_up(db: Database, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "ANSWERS_WITHIN", 0.2)

    async def scenario() -> None:
        async with beside(db) as there:
            stuck = process_of(there)
            os.kill(stuck, signal.SIGSTOP)
            assert (await there.submit(asked(key, "one")))[0] == 503
            assert (await there.submit(asked(key, "one")))[0] == 201
            await until(lambda: not Path(f"/proc/{stuck}").exists())

    run(scenario())


def test_what_fails_in_the_process_is_counted_here(db: Database, key: str) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text("ALTER TABLE rollup_day RENAME TO elsewhere"))

    async def scenario() -> None:
        async with beside(db) as there:
            before = db.errors
            assert (await there.submit(asked(key, "one")))[0] == 503
            assert db.errors == before + 1

    run(scenario())
    assert names(db) == []


def test_while_no_process_can_be_had_a_thread_stores_and_one_is_started_once_it_can(
    db: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "AGAIN_AFTER", 0.01)
    real, tries = committer.Beside, []

    def full(module: str, **environment: str) -> object:
        tries.append(module)
        if len(tries) < 3:
            raise BlockingIOError("Resource temporarily unavailable")
        return real(module, **environment)

    monkeypatch.setattr(committer, "Beside", full)

    async def scenario() -> None:
        there = Committer(lambda: db)
        there.beside = True
        assert not there.storer.is_here()
        assert (await there.submit(asked(key, "one")))[0] == 201
        await until(there.storer.is_here)
        assert (await there.submit(asked(key, "one")))[0] == 200
        await to_thread.run_sync(there.end)

    run(scenario())
    assert len(tries) == 3


def test_the_process_ends_with_the_one_that_serves(db: Database) -> None:
    async def scenario() -> None:
        async with beside(db) as there:
            ends = process_of(there)
        with pytest.raises(ProcessLookupError):
            os.kill(ends, 0)

        async with beside(db) as there:
            left = there.storer._beside
            assert left is not None
            assert there.storer._line is not None
            there.storer._line[1].transport.abort()  # as where the one that serves is killed
            assert await to_thread.run_sync(left.process.wait, LONG) == 0

    run(scenario())


def test_a_clock_that_is_put_back_keeps_nothing_known_for_longer(
    db: Database, key: str, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = keys.Entries(lambda: db)
    entries.of({key})
    assert entries.known({key})[1] == set()

    moved_clock.forward(-HOUR)
    monkeypatch.setattr(keys, "KNOWN_FOR", 0)

    assert entries.known({key})[1] == {key}


def test_a_line_to_postgres_that_breaks_while_it_stores_is_explained(db: Database, key: str) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has no line")
    entries = keys.Entries(lambda: db)
    entries.of({key})
    broken: list[str] = []

    def cut(session: Session, batch: Sequence[object]) -> list[object]:
        pid = driver(session).run("SELECT pg_backend_pid()").fetchone()[0]
        with db.reading() as other:
            driver(other).run("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        broken.append("cut")
        return hold(session, batch)

    hold = storing.entering.hold
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(storing.entering, "hold", cut)
        ((status, said),) = stored(db, entries, [asked(key, "one")])

    assert (status, orjson.loads(said)["error"]["message"], broken) == (503, answers.AWAY, ["cut"])
    ((status, _),) = stored(db, entries, [asked(key, "one")])
    assert status == 201


def test_of_a_million_messages_that_are_none_the_first_is_named_and_no_other() -> None:
    with pytest.raises(ValidationError) as raised:
        forms.Handed.model_validate({"workflow": "w", "model": "m", "output": "o", "prompt": [0] * 1_000})

    assert raised.value.error_count() <= 2


def test_the_process_is_none_of_the_current_folders_and_hears_no_ctrl_c(
    db: Database, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "__init__.py").write_text("raise SystemExit('Somebody else’s package.')")
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        async with beside(db) as there:
            pid = process_of(there)
            assert (os.getpgid(pid), os.getsid(pid)) == (pid, os.getsid(0))
            os.kill(pid, signal.SIGTERM)  # as a service ends: all are told
            assert (await there.submit(asked(key, "one")))[0] == 201
            assert process_of(there) == pid

    run(scenario())
