"""A deadline that passes: first the owner, then a lapse, never an approval; and a verdict that came first stands."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import HOUR, MINUTE, now
from db.engine import Database
from db.tables import Verdict
from neuro_review import audit, deadlines, decisions, queue, verify, worker
from neuro_review.decisions import Opinion
from neuro_review.errors import InvalidError, LeaseLostError
from neuro_review.gate import views
from neuro_review.sources import Caller
from neuro_review.workflows import agreed
from neuro_review.workflows.agreed import Terms
from tests.conftest import Clock, Team
from tests.helpers import claim_one, make_item

Agree = Callable[..., None]


@pytest.fixture
def agree(db: Database, team: Team) -> Agree:
    def call(**terms: Any) -> None:
        with db.writing() as session:
            agreed.change(session, team.olu, team.support.id, Terms("support", **terms))

    return call


def state(db: Database, item_id: str) -> Any:
    with db.reading() as session:
        return session.connection().execute(sa.text("SELECT * FROM item WHERE id = :id"), {"id": item_id}).one()


def told(db: Database) -> list[str]:
    with db.reading() as session:
        return list(session.connection().execute(sa.text("SELECT event FROM outbox ORDER BY seq")).scalars())


def due(db: Database, team: Team, at: int, **more: Any) -> str:
    with db.writing() as session:
        return make_item(session, team.support.id, due_at=at, **more)


def test_at_the_deadline_an_output_lapses_and_its_application_gets_the_fallback_and_no_release(
    db: Database, team: Team, agree: Agree, moved_clock: Clock
) -> None:
    agree(deadline=1, unit="hours", fallback="Somebody will call you.")
    item_id = due(db, team, now() + HOUR)
    assert worker.keep_deadlines(db) == 0
    moved_clock.forward(HOUR)

    assert worker.keep_deadlines(db) == 1
    assert worker.keep_deadlines(db) == 0

    row = state(db, item_id)
    assert (row.status, row.decided_by, row.released_at) == ("lapsed", "policy", None)
    assert told(db) == ["lapsed"]
    with db.reading() as session:
        seen = views.view(session, Caller(row.source_id, "", team.support.id, can_submit=True, can_read=True), item_id)
        releases = session.connection().execute(sa.text("SELECT count(*) FROM release")).scalar_one()
    assert (seen["output"], seen["released"], seen["fallback"]) == (None, False, "Somebody will call you.")
    assert releases == 0


def test_with_a_time_for_its_owner_it_is_escalated_first_and_lapses_after(
    db: Database, team: Team, agree: Agree, moved_clock: Clock
) -> None:
    agree(deadline=1, unit="hours", lapse=30, lapse_unit="minutes")
    item_id = due(db, team, now() + HOUR)
    moved_clock.forward(HOUR)

    assert worker.keep_deadlines(db) == 1
    assert worker.keep_deadlines(db) == 0
    assert (state(db, item_id).status, state(db, item_id).escalated_at is not None) == ("held", True)
    with db.writing() as session:
        assert queue.claim(session, team.bo, [team.support.id]) == []
        assert [one.item_id for one in queue.claim(session, team.olu, [team.support.id])] == [item_id]
    moved_clock.forward(31 * MINUTE)
    assert worker.keep_deadlines(db) == 1

    assert state(db, item_id).status == "lapsed"
    with db.writing() as session:
        audit.seal(session)
    assert verify.verify(db).broken == []


def test_what_an_owner_puts_back_is_not_escalated_again(
    db: Database, team: Team, agree: Agree, moved_clock: Clock
) -> None:
    agree(deadline=1, unit="hours", lapse=1, lapse_unit="days")
    item_id = due(db, team, now() + HOUR)
    moved_clock.forward(HOUR)
    worker.keep_deadlines(db)
    with db.writing() as session:
        queue.put_back(session, item_id, team.olu)

    assert worker.keep_deadlines(db) == 0
    with db.writing() as session:
        (lease,) = queue.claim(session, team.bo, [team.support.id])
    assert (lease.item_id, lease.why) == (item_id, "due")


def test_who_has_it_in_hand_when_it_is_escalated_can_still_decide_it(
    db: Database, team: Team, agree: Agree, moved_clock: Clock
) -> None:
    agree(deadline=1, unit="hours", lapse=1, lapse_unit="days")
    item_id = due(db, team, now() + MINUTE)
    with db.writing() as session:
        lease = claim_one(session, team.bo, team.support)
    moved_clock.forward(MINUTE)
    worker.keep_deadlines(db)
    with db.writing() as session:
        decisions.decide(session, item_id, team.bo, lease.lease_n, Opinion(Verdict.APPROVE))

    assert state(db, item_id).status == "approved"


def test_a_verdict_after_the_lapse_is_refused_and_told_why(
    db: Database, team: Team, agree: Agree, moved_clock: Clock
) -> None:
    agree(deadline=1, unit="hours")
    item_id = due(db, team, now() + MINUTE)
    with db.writing() as session:
        lease = claim_one(session, team.bo, team.support)
    moved_clock.forward(MINUTE)
    worker.keep_deadlines(db)

    with db.writing() as session, pytest.raises(LeaseLostError, match=r"lapsed.*Your verdict was not stored"):
        decisions.decide(session, item_id, team.bo, lease.lease_n, Opinion(Verdict.CORRECT, "Typed."))
    with db.writing() as session:
        decisions.save_draft(session, item_id, team.bo, "Typed.")
    assert told(db) == ["lapsed"]


def test_of_a_verdict_and_a_lapse_at_the_same_time_one_wins(
    db: Database, team: Team, agree: Agree, moved_clock: Clock
) -> None:
    agree(deadline=1, unit="hours", grace_seconds=0)
    ids = [due(db, team, now() + MINUTE) for _ in range(12)]
    with db.writing() as session:
        leases = queue.claim(session, team.bo, [team.support.id], most=12)
    assert {one.item_id for one in leases} == set(ids)
    moved_clock.forward(MINUTE)
    start, refused = threading.Barrier(3), []

    def decide() -> None:
        start.wait()
        for lease in leases:
            try:
                with db.writing() as session:
                    decisions.decide(session, lease.item_id, team.bo, lease.lease_n, Opinion(Verdict.APPROVE))
            except LeaseLostError:
                refused.append(lease.item_id)

    def lapse() -> None:
        start.wait()
        while worker.keep_deadlines(db):
            pass

    threads = [threading.Thread(target=one) for one in (decide, lapse, lapse)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    after = {item_id: state(db, item_id).status for item_id in ids}
    assert set(after.values()) <= {"approved", "lapsed"}
    assert {item_id for item_id, status in after.items() if status == "lapsed"} == set(refused)
    assert sorted(told(db)) == sorted("lapsed" if one == "lapsed" else "released" for one in after.values())


def test_only_what_an_application_waits_for_lapses(db: Database, team: Team, agree: Agree, moved_clock: Clock) -> None:
    agree(deadline=1, unit="hours")
    sample, later = due(db, team, now(), origin="sample"), due(db, team, now() + 2 * HOUR)
    moved_clock.forward(HOUR)

    assert worker.keep_deadlines(db) == 0
    assert [state(db, one).status for one in (sample, later)] == ["held", "held"]


def test_the_times_are_read_back_as_they_were_given(db: Database, team: Team, agree: Agree) -> None:
    given = {"deadline": 90, "unit": "minutes", "lapse": 2, "lapse_unit": "days", "fallback": "Wait."}
    agree(**given)

    with db.reading() as session:
        from neuro_review import workflows

        assert agreed.terms(workflows.by_id(session, team.support.id)) == Terms("support", **given)
    with pytest.raises(InvalidError, match="Without a deadline nothing lapses"):
        agree(lapse=1)


def test_what_is_looked_for_many_times_a_second_is_found_in_an_index(db: Database, team: Team) -> None:
    if not db.is_sqlite:
        pytest.skip("an empty table is read whole on PostgreSQL")
    with db.reading() as session:
        for query in (deadlines.LAPSE, deadlines.ESCALATE):
            plan = session.connection().execute(sa.text(f"EXPLAIN QUERY PLAN {query}"), {"now": 1, "most": 1})
            steps = [row.detail for row in plan if "item" in row.detail or " i " in row.detail]
            assert any("SEARCH i USING INDEX" in step for step in steps), steps
