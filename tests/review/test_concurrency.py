"""Many reviewers at once: no item is handed out twice, no verdict is lost, a late one is refused, the chain holds."""

import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, decisions, queue, verify
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import LeaseLostError
from tests.conftest import OPERATOR, Team
from tests.helpers import make_item

ITEMS = 400
OPINIONS = (
    Opinion(Verdict.APPROVE),
    Opinion(Verdict.CORRECT, "A better output."),
    Opinion(Verdict.REJECT, reasons=["Tone"]),
)


def staffed(db: Database, team: Team, reviewers: int) -> list[Actor]:
    """Put the items in place and let this many reviewers in."""
    with db.writing() as session:
        for _ in range(ITEMS):
            make_item(session, team.support.id)
        people = [
            access.add_person(
                session, OPERATOR, f"R{n}", f"r{n}@example.com", Role.REVIEWER, password_hash=None,
                workflow_id=team.support.id,
            )
            for n in range(reviewers)
        ]  # fmt: skip
        return [access.actor(session, person) for person in people]


class Shift:
    """What a number of reviewers did."""

    def __init__(self) -> None:
        self.handed: list[tuple[str, int]] = []
        self.decided: list[str] = []
        self.late = 0
        self.failed: list[str] = []

    def work(self, db: Database, actor: Actor, flow: int, most: int, ponder: Callable[[], None]) -> None:
        """Claim and decide until nothing waits."""
        try:
            while True:
                with db.writing() as session:
                    leases = queue.claim(session, actor, [flow], most=most)
                if not leases:
                    return
                self.handed += [(lease.item_id, lease.lease_n) for lease in leases]
                for lease in leases:
                    self.decide(db, actor, lease, ponder)
        except Exception as error:
            self.failed.append(repr(error))

    def decide(self, db: Database, actor: Actor, lease: queue.Lease, ponder: Callable[[], None]) -> None:
        ponder()
        try:
            with db.writing() as session:
                decisions.decide(session, lease.item_id, actor, lease.lease_n, random.choice(OPINIONS))
            self.decided.append(lease.item_id)
        except LeaseLostError:
            self.late += 1


def all_at_once(db: Database, actors: list[Actor], flow: int, most: int, ponder: Callable[[], None]) -> Shift:
    shift = Shift()
    threads = [threading.Thread(target=shift.work, args=(db, actor, flow, most, ponder)) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return shift


def stored(db: Database) -> Counter[str]:
    """Return how many decisions that stand each item has."""
    with db.reading() as session:
        rows = session.connection().execute(sa.text("SELECT item_id FROM decision")).all()
        return Counter(row.item_id for row in rows)


@pytest.mark.parametrize("reviewers", [8, 64])
def test_no_item_is_handed_out_twice_and_no_verdict_is_lost(db: Database, team: Team, reviewers: int) -> None:
    actors = staffed(db, team, reviewers)

    shift = all_at_once(db, actors, team.support.id, most=2, ponder=lambda: None)

    assert shift.failed == []
    assert shift.late == 0
    assert len(shift.handed) == len({item_id for item_id, _ in shift.handed}) == ITEMS
    assert Counter(shift.decided) == stored(db) == Counter({item_id for item_id, _ in shift.handed})
    assert verify.verify(db).broken == []


def test_late_verdicts_are_refused_and_every_item_is_decided_once(
    db: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LEASE_LASTS", 60_000)  # microseconds
    monkeypatch.setattr(queue, "PASSES_TO_ESCALATE", 1_000)
    actors = staffed(db, team, 8)

    def ponder() -> None:
        time.sleep(0.08 if random.random() < 0.03 else 0)

    shift = all_at_once(db, actors, team.support.id, most=2, ponder=ponder)
    time.sleep(0.07)
    rest = all_at_once(db, actors, team.support.id, most=1, ponder=lambda: None)
    monkeypatch.setattr(queue, "LEASE_LASTS", 10_000_000)
    last = all_at_once(db, actors, team.support.id, most=1, ponder=lambda: None)

    assert shift.failed == rest.failed == last.failed == []
    assert shift.late > 0
    handed = shift.handed + rest.handed + last.handed
    assert len(handed) == len(set(handed)), "a lease number was given twice"
    assert Counter(shift.decided + rest.decided + last.decided) == stored(db)
    assert sorted(stored(db).values()) == [1] * ITEMS
    assert verify.verify(db).broken == []


def test_of_two_equal_clicks_at_once_both_get_the_one_verdict(db: Database, team: Team) -> None:
    click = Opinion(Verdict.APPROVE, client_id="a click")
    with db.writing() as session:
        make_item(session, team.support.id)
        (lease,) = queue.claim(session, team.bo, [team.support.id])
    answers: list[Any] = []
    gate = threading.Barrier(4)

    def press() -> None:
        gate.wait()
        try:
            with db.writing() as session:
                answers.append(decisions.decide(session, lease.item_id, team.bo, lease.lease_n, click))
        except Exception as error:
            answers.append(repr(error))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answers[0]] * 4 == answers
    assert isinstance(answers[0], decisions.Decided)


def work_in_a_process(url: str, actors: list[Actor], flow: int, results: Any) -> None:
    db = Database(url)
    shift = all_at_once(db, actors, flow, most=2, ponder=lambda: None)
    results.put((shift.handed, shift.decided, shift.late, shift.failed))
    db.dispose()


def test_processes_that_share_the_database_hand_out_each_item_once(db: Database, url: str, team: Team) -> None:
    actors = staffed(db, team, 8)
    db.dispose()  # a forked connection must not be used by two
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    workers = [
        fork.Process(target=work_in_a_process, args=(url, actors[n::4], team.support.id, results)) for n in range(4)
    ]

    for worker in workers:
        worker.start()
    shifts = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()

    handed = [item_id for shift in shifts for item_id, _ in shift[0]]
    assert [failed for shift in shifts for failed in shift[3]] == []
    assert len(handed) == len(set(handed)) == ITEMS
    assert Counter(item_id for shift in shifts for item_id in shift[1]) == stored(db)
    assert verify.verify(db).broken == []
