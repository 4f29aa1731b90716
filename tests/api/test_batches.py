"""Batches: checked by a process beside, and stored together with what came at the same time."""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from db.engine import Database, DatabaseUnusableError
from neuro_review import sources
from neuro_review.api import checking
from neuro_review.api.checking import Checker
from neuro_review.api.together import MOST_AT_ONCE, Together, _Part
from neuro_review.gate import entering
from neuro_review.gate.entering import Answer, Entry, Ready
from neuro_review.intake import Output
from neuro_review.web.door import Door
from tests.api.conftest import Shop
from tests.client.conftest import until

STORED = "SELECT external_id, output FROM item_content c JOIN item i ON i.id = c.item_id"
TEXT = "An answer of the model. " * 40


def rows(many: int) -> list[dict[str, Any]]:
    """Return submissions that are too many bytes to be checked here."""
    return [
        {"workflow": "support", "model": "larch", "output": f"{TEXT}{n}", "external_id": f"t{n}"} for n in range(many)
    ]


def statuses(shop: Shop, batch: list[dict[str, Any]]) -> list[int]:
    answer = shop.post("items/batch", batch)
    assert answer.status_code == 200, answer.text
    return [row["status"] for row in answer.json()]


def process_of(door: Door) -> int:
    beside = door.gate.batches.checker._beside
    assert beside is not None
    return beside.process.pid


def test_what_is_checked_beside_is_answered_and_stored_as_what_is_checked_here(
    shop: Shop, door: Door, db: Database
) -> None:
    bad = [
        {"workflow": "support", "model": "larch"}, "no row", {"workflow": "other", "model": "m", "output": "t"},
        {"workflow": "support", "model": "larch", "output": "t\0t"},
    ]  # fmt: skip
    here = shop.post("items/batch", bad).json()
    assert door.gate.batches.checker._beside is None
    beside = shop.post("items/batch", rows(100) + bad).json()
    assert process_of(door)

    assert [row["status"] for row in beside] == [201] * 100 + [422, 422, 403, 422]
    assert beside[100:] == here
    with db.reading() as session:
        stored = {row.external_id: row.output for row in session.connection().execute(sa.text(STORED))}
    assert stored == {row["external_id"]: row["output"] for row in rows(100)}


@pytest.mark.parametrize("body", [b"[" + b" " * checking.WORTH_IT, b"{}" + b" " * checking.WORTH_IT])
def test_a_large_body_that_is_no_batch_is_refused_with_its_reason(shop: Shop, body: bytes) -> None:
    headers = shop.headers | {"Content-Type": "application/json"}
    answer = shop.http.post("/api/v1/items/batch", content=body, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(("The body is no JSON", "Send a JSON array"))


def test_a_batch_is_taken_while_the_process_that_checks_is_dead_and_by_a_new_one_after(shop: Shop, door: Door) -> None:
    assert statuses(shop, rows(100)) == [201] * 100
    first = process_of(door)
    os.kill(first, signal.SIGKILL)

    assert statuses(shop, rows(200)) == [200] * 100 + [201] * 100
    assert door.gate.batches.checker._beside is None
    assert statuses(shop, rows(200)) == [200] * 200
    assert process_of(door) != first


def test_a_process_that_does_not_answer_costs_a_batch_its_patience_and_nothing_else(
    shop: Shop, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert statuses(shop, rows(100)) == [201] * 100
    stopped = process_of(door)
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr(checking, "PATIENCE", 0.1)

    assert statuses(shop, rows(100)) == [200] * 100
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)


class Turn:
    """A lock that notes what is left behind when it is let go."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.left: list[object] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.left.append(self.checker._beside)


def test_nobody_gets_the_answer_to_a_batch_that_was_given_up(
    shop: Shop, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses(shop, rows(100))
    checker = door.gate.batches.checker
    turn = Turn(checker)
    monkeypatch.setattr(checker, "_lock", turn)
    monkeypatch.setattr(checking, "PATIENCE", 0.0)  # given up before it can answer
    os.kill(process_of(door), signal.SIGSTOP)

    assert statuses(shop, rows(150)) == [200] * 100 + [201] * 50
    assert turn.left == [None]


def test_the_process_ends_with_the_one_that_serves(door: Door, shop: Shop) -> None:
    statuses(shop, rows(100))
    process = process_of(door)
    door.gate.end()

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def entry_of(door: Door, shop: Shop) -> Entry:
    key = sources.key_hash(shop.key)
    return door.gate.committer.entries.of({key})[key]


def ready(door: Door, shop: Shop, names: Sequence[str]) -> list[Ready]:
    key, entry = sources.key_hash(shop.key), entry_of(door, shop)
    said = [Output(model="larch", output="Model text.", external_id=name) for name in names]
    return [Ready(key, entry, entering.ready(entry, "support", one)) for one in said]


class Watched(Together):
    """Its first turn lasts until every part was handed in."""

    def __init__(self, db: Database, parts: int) -> None:
        super().__init__(lambda: db)
        self.parts, self.taken, self.turns = parts, 0, 0

    def _next(self) -> list[_Part]:
        taken = super()._next()
        self.taken, self.turns = self.taken + len(taken), self.turns + 1
        until(lambda: self.taken + len(self._waiting) == self.parts)
        return taken


def test_what_comes_at_the_same_time_is_stored_together_and_each_hears_of_its_own(
    door: Door, shop: Shop, db: Database
) -> None:
    parts = [ready(door, shop, [f"{part}-{n}" for n in range(20)]) for part in range(8)]
    together = Watched(db, len(parts))
    with ThreadPoolExecutor(len(parts)) as pool:
        for part, held in zip(parts, list(pool.map(together.hold, parts)), strict=True):
            ids = [answer.item["id"] for answer in held if isinstance(answer, Answer)]
            assert ids == [one.prepared.item_id for one in part]

    assert together.turns <= 2
    with db.reading() as session:
        assert session.connection().scalar(sa.text("SELECT count(*) FROM item")) == 160


def test_more_than_fit_in_one_turn_are_stored_in_several(door: Door, shop: Shop, db: Database) -> None:
    many = ready(door, shop, [str(n) for n in range(MOST_AT_ONCE + 10)])

    assert len(Together(lambda: db).hold(many)) == MOST_AT_ONCE + 10


def test_what_fails_is_told_to_each_and_the_next_is_stored(door: Door, shop: Shop, db: Database) -> None:
    failures: list[Exception] = [RuntimeError("A bug."), DatabaseUnusableError("The disk is full.")]

    def database() -> Database:
        if failures:
            raise failures.pop()
        return db

    together, one = Together(database), ready(door, shop, ["a"])
    assert [str(outcome) for outcome in together.hold(one)] == ["The disk is full."]
    with pytest.raises(RuntimeError, match="A bug"):
        together.hold(one)
    assert isinstance(together.hold(one)[0], Answer)
