"""Which single submits are stored together."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from db.clock import HOUR
from db.engine import Database
from neuro_review import sources
from neuro_review.api import committer, forms
from neuro_review.api.committer import Asked, Committer
from neuro_review.api.together import Outcome
from neuro_review.errors import UnavailableError
from neuro_review.gate.entering import Answer
from tests.api.conftest import add_key
from tests.conftest import Clock, Team

LONG = 30.0  # seconds; a test that waits for so long has failed


@pytest.fixture
def gathering(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Committer]:
    """One that waits as long as a test needs, whose groups the test takes itself."""
    monkeypatch.setattr(committer, "A_MOMENT", LONG)
    yield Committer(lambda: db)


def put(gathering: Committer, *parts: int) -> None:
    for many in parts:
        gathering._waiting.put(["one"] * many)  # type: ignore[list-item]


def test_what_waits_is_stored_together_and_a_caller_alone_waits_for_nobody(gathering: Committer) -> None:
    put(gathering, 1, 2, 3)
    assert gathering._group(0) == (["one"] * 6, True)
    put(gathering, 1)
    assert gathering._group(1) == (["one"], True)


def test_several_callers_who_were_just_answered_are_waited_for(gathering: Committer) -> None:
    put(gathering, 2)
    late = threading.Timer(0.05, put, (gathering, 1, 2))
    late.start()
    assert gathering._group(3) == (["one"] * 5, True)
    late.join()


def test_once_all_who_were_just_answered_are_back_nobody_waits_any_more(gathering: Committer) -> None:
    comings = [threading.Timer(after, put, (gathering, many)) for after, many in ((0.05, 1), (0.1, 2), (LONG / 2, 1))]
    for one in comings:
        one.start()
    try:
        assert gathering._group(3) == (["one"] * 3, True)
    finally:
        comings[-1].cancel()
    put(gathering, 1, 1)
    assert gathering._group(0) == (["one"] * 2, True)


def test_nobody_is_waited_for_longer_than_a_moment(gathering: Committer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "A_MOMENT", 0.01)
    put(gathering, 2)
    assert gathering._group(200) == (["one"] * 2, True)


def test_a_group_ends_where_it_is_full_or_the_server_ends(gathering: Committer) -> None:
    put(gathering, committer.MOST_AT_ONCE, 1)
    assert len(gathering._group(400)[0]) == committer.MOST_AT_ONCE
    gathering._waiting.put(None)
    assert gathering._group(400) == (["one"], False)


@pytest.fixture
def asked(db: Database, team: Team) -> Asked:
    given = forms.handed({"workflow": "support", "model": "larch", "output": "Model text."})
    return Asked(sources.key_hash(add_key(db, team, "shop")), given)


@pytest.fixture
def storing(db: Database) -> Iterator[Committer]:
    storing = Committer(lambda: db)
    yield storing
    storing.end()


def submitted(asked: Awaitable[Outcome]) -> Outcome:
    async def within_long() -> Outcome:
        return await asyncio.wait_for(asked, LONG)

    return asyncio.run(within_long())


def test_what_came_in_as_the_server_ends_is_stored_and_answered(storing: Committer, asked: Asked) -> None:
    async def at_the_end() -> Outcome:
        coming = asyncio.ensure_future(storing.submit(asked))
        await asyncio.sleep(0)  # it has come in, and is handed over in the next turn
        storing.end()
        return await coming

    assert isinstance(submitted(at_the_end()), Answer)


def test_what_comes_in_while_the_server_ends_is_told_so_and_waits_for_nothing(
    storing: Committer, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = storing._start

    def start_and_end() -> None:
        start()
        storing.end()

    monkeypatch.setattr(storing, "_start", start_and_end)

    with pytest.raises(UnavailableError, match="ending"):
        submitted(storing.submit(asked))


def test_an_event_loop_that_closes_in_this_moment_ends_nobody_elses_submits(
    storing: Committer, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.SelectorEventLoop()
    closed.close()
    monkeypatch.setattr(closed, "is_closed", lambda: False)  # as it was when it was asked
    storing._waiting.put([(asked, asyncio.Future(loop=closed), closed)])

    assert isinstance(submitted(storing.submit(asked)), Answer)


def test_after_a_moment_without_a_thread_to_be_had_submits_are_stored_again(
    storing: Committer, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    start: Callable[[threading.Thread], None] = threading.Thread.start

    def none_to_be_had(thread: threading.Thread) -> None:
        if thread.name == "submits":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", none_to_be_had)
        with pytest.raises(UnavailableError):
            submitted(storing.submit(asked))

    assert isinstance(submitted(storing.submit(asked)), Answer)


def test_a_clock_that_is_put_back_keeps_nothing_known_for_longer(
    storing: Committer, asked: Asked, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing.entries.of({asked.key})
    assert storing.entries.known({asked.key})[1] == set()

    moved_clock.forward(-HOUR)
    monkeypatch.setattr(committer, "KNOWN_FOR", 0)

    assert storing.entries.known({asked.key})[1] == {asked.key}
