"""Several workers, and workers that die: everything arrives, and only what a dead one had in hand comes twice."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import sqlalchemy as sa

from db.engine import Database
from db.watch import Watch
from neuro_review import settings, worker
from neuro_review.deliveries import claims, messages, run, signing
from neuro_review.outbound import Client, Reply
from tests.conftest import Clock
from tests.deliveries.receiver import Got, Receiver, after, plain, receiver

Add = Callable[..., str]
Decided = Callable[..., str]
PATIENCE = 60  # seconds


def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)


def send_with(url: str, workers: int, stop: threading.Event) -> list[threading.Thread]:
    """Send with several workers, each over connections of its own, until told to stop."""

    def work() -> None:
        database = Database(url)
        run.run(database, stop)
        database.dispose()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    return threads


def open_ones(db: Database) -> int:
    with db.reading() as session:
        query = "SELECT count(*) FROM delivery WHERE delivered_at IS NULL"
        return int(session.connection().execute(sa.text(query)).scalar_one())


def test_of_two_workers_at_once_each_message_is_sent_by_one(
    db: Database, url: str, there: Receiver, add: Add, decided: Decided
) -> None:
    there.answer = after(0.02, plain(200))
    secret = add(there.url)
    for _ in range(12):
        decided()
    stop = threading.Event()
    threads = send_with(url, 2, stop)
    for _ in range(12):
        decided()

    until(lambda: open_ones(db) == 0)
    stop.set()
    for thread in threads:
        thread.join()

    assert len(there.got) == 24
    assert len({one.id for one in there.got}) == 24
    assert len(there.verified(secret)) == 24


def test_what_a_dead_worker_had_sent_and_not_noted_comes_again_under_the_same_id_and_nothing_else_does(
    db: Database, there: Receiver, add: Add, decided: Decided, send: Callable[[], int], moved_clock: Clock
) -> None:
    add(there.url)
    decided()
    other = decided()
    with db.writing() as session:
        first, _ = claims.take(session, {}, 8)
    with db.reading() as session:
        message = messages.messages(session, [first.outbox_seq])[first.outbox_seq]

    async def send_and_die() -> None:
        client = Client()
        headers = signing.headers(message.webhook_id, message.body, list(first.nonces), 0)
        await client.post(first.url, message.body, headers)
        await client.close()

    asyncio.run(send_and_die())
    assert send() == 0, "it is taken to be alive for a while"
    moved_clock.forward(claims.CLAIM_LASTS)

    assert send() == 2

    assert Counter(Counter(one.id for one in there.got).values()) == {2: 1, 1: 1}
    assert [one.event["item"]["id"] for one in there.got].count(other) == 1


def test_a_late_answer_counts_when_it_is_a_success_and_not_when_another_try_has_begun(
    db: Database, there: Receiver, add: Add, decided: Decided, deliveries: Callable[[], list[Any]], moved_clock: Clock
) -> None:
    add(there.url)
    decided()
    with db.writing() as session:
        (late,) = claims.take(session, {}, 8)
    moved_clock.forward(claims.CLAIM_LASTS)
    with db.writing() as session:
        (again,) = claims.take(session, {}, 8)
        claims.settle(session, late, Reply(500, 1, b""))
    (row,) = deliveries()
    assert (row.attempts, row.error) == (2, None)
    with db.writing() as session:
        claims.settle(session, late, Reply(200, 1, b""))
        claims.settle(session, again, Reply(500, 1, b""))

    (row,) = deliveries()
    assert (row.status, row.delivered_at is not None, row.error) == (200, True, None)


def test_a_receiver_that_fails_one_time_in_five_misses_nothing(
    db: Database, url: str, add: Add, decided: Decided, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    many = 300 if request.config.getoption("--long") else 30
    monkeypatch.setenv("NEURO_REVIEW_WEBHOOK_RETRY_SECONDS", "0.01")
    settings.settings.cache_clear()
    chance, kept, lock = random.Random(5), Counter[str](), threading.Lock()

    def answer(handler: BaseHTTPRequestHandler, got: Got) -> None:
        with lock:
            fails = chance.random() < 0.2
            kept[got.id] += not fails
        plain(503 if fails else 200)(handler, got)

    stop = threading.Event()
    with receiver(answer) as there:
        add(there.url)
        for _ in range(many):
            decided()
        threads = send_with(url, 2, stop)
        until(lambda: open_ones(db) == 0)
        stop.set()
        for thread in threads:
            thread.join()

    assert len(there.got) > many, "some failed"
    assert set(kept.values()) == {1}
    assert len(kept) == many


def test_the_worker_tells_while_verdicts_leave_and_goes_on_after_a_failure(
    db: Database, there: Receiver, add: Add, decided: Decided, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "AFTER_A_FAILURE", 0.05)
    real = claims.due
    left = [RuntimeError("Broken."), RuntimeError("Broken.")]

    def due(*given: Any) -> bool:
        if left:
            raise left.pop()
        return real(*given)

    monkeypatch.setattr(claims, "due", due)
    add(there.url)
    stop = threading.Event()
    working = threading.Thread(target=worker.run, args=(db, stop))
    working.start()
    decided()

    until(lambda: len(there.got) == 1)
    stop.set()
    working.join()
    assert left == []


def test_nothing_is_asked_of_the_database_while_nobody_writes(db: Database, add: Add, there: Receiver) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL is asked each time")
    add(there.url)
    watch = Watch(db, claims.SOONEST)
    assert watch.look() is None
    statements: list[str] = []
    watch._connection.driver_connection.set_trace_callback(statements.append)
    for _ in range(5):
        watch.look()
    quiet = list(statements)
    other = Database(str(db.url))
    with other.writing() as session:
        session.connection().execute(sa.text("UPDATE endpoint SET url = url || '2'"))
    watch.look()
    other.dispose()
    watch.close()

    assert set(quiet) == {"PRAGMA data_version"}
    assert len(statements) == len(quiet) + 2
