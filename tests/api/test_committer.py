"""Which single submits are stored together."""

import threading
from collections.abc import Iterator

import pytest

from db.engine import Database
from neuro_review.api import committer
from neuro_review.api.committer import Committer

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


def test_nobody_is_waited_for_longer_than_a_moment(gathering: Committer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "A_MOMENT", 0.01)
    put(gathering, 2)
    assert gathering._group(200) == (["one"] * 2, True)


def test_a_group_ends_where_it_is_full_or_the_server_ends(gathering: Committer) -> None:
    put(gathering, committer.MOST_AT_ONCE, 1)
    assert len(gathering._group(400)[0]) == committer.MOST_AT_ONCE
    gathering._waiting.put(None)
    assert gathering._group(400) == (["one"], False)
