"""Who reviews what next: the order, leases, skips, escalation, assignment, and that it stays quick when it is long."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import DAY, HOUR, MINUTE, SECOND, new_id, now
from db.engine import Database
from neuro_review import decisions, queue, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, LeaseLostError, NotAllowedError
from neuro_review.queue import Lease
from tests.conftest import Clock, Team
from tests.helpers import claim_one, make_item


def put(db: Database, team: Team, **facts: Any) -> str:
    with db.writing() as session:
        return make_item(session, team.support.id, **facts)


def claim(db: Database, actor: Actor, team: Team, most: int = queue.WINDOW) -> list[Lease]:
    with db.writing() as session:
        return queue.claim(session, actor, [team.support.id], most=most)


def ids(leases: list[Lease]) -> list[str]:
    return [lease.item_id for lease in leases]


def fact(db: Database, item_id: str, column: str) -> Any:
    with db.reading() as session:
        return session.connection().execute(
            sa.text(f"SELECT {column} FROM item WHERE id = :id"), {"id": item_id}
        ).scalar_one()  # fmt: skip


# --- order ----------------------------------------------------------------------------------------------------------


def test_what_is_due_comes_first_then_the_panel_then_priority_and_age(db: Database, team: Team) -> None:
    at = now()
    plain = put(db, team, created_at=at)
    urgent = put(db, team, created_at=at, priority=9)
    panel = put(db, team, created_at=at, panel=True, priority=0)
    due_soon = put(db, team, created_at=at, priority=0, due_at=at + MINUTE)
    overdue = put(db, team, created_at=at, priority=0, due_at=at - MINUTE)
    due_later = put(db, team, created_at=at, priority=8, due_at=at + DAY)

    leases = claim(db, team.bo, team)

    assert ids(leases) == [overdue, due_soon, panel, urgent, due_later, plain]


def test_each_step_of_priority_is_worth_an_hour_so_nothing_starves(db: Database, team: Team) -> None:
    at = now()
    old = put(db, team, created_at=at - 9 * HOUR - MINUTE, priority=0)
    fresh = [put(db, team, created_at=at + n, priority=9) for n in range(3)]

    leases = claim(db, team.bo, team)

    assert ids(leases) == [old, *fresh]


def test_of_equals_the_one_that_waits_longest_comes_first(db: Database, team: Team) -> None:
    made = [put(db, team, created_at=now() + n) for n in range(5)]

    assert ids(claim(db, team.bo, team)) == made


def test_a_reviewer_gets_a_window_of_ten(db: Database, team: Team) -> None:
    made = [put(db, team, created_at=now() + n) for n in range(12)]

    first, second = claim(db, team.bo, team), claim(db, team.cy, team)

    assert ids(first) == made[:10]
    assert ids(second) == made[10:]


def test_with_nothing_waiting_the_list_is_empty(db: Database, team: Team) -> None:
    assert claim(db, team.bo, team) == []


def test_a_reviewer_is_offered_only_their_workflows(db: Database, team: Team) -> None:
    put(db, team)

    with db.writing() as session, pytest.raises(NotAllowedError):
        queue.claim(session, team.eve, [team.support.id])
    with db.writing() as session:
        assert queue.claim(session, team.eve, [team.other.id]) == []


def test_two_workflows_are_served_in_one_order(db: Database, team: Team) -> None:
    at = now()
    with db.writing() as session:
        second = make_item(session, team.other.id, created_at=at + 1)
    first, third = put(db, team, created_at=at), put(db, team, created_at=at + 2)

    with db.writing() as session:
        leases = queue.claim(session, team.ada, [team.support.id, team.other.id])

    assert ids(leases) == [first, second, third]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"due_at": 1}, "due"),
        ({"created_at": 1}, "next in line"),
        ({"panel": True, "created_at": 1}, "next in line"),
    ],
)
def test_why_it_comes_now_names_neither_the_risk_nor_the_audit(
    db: Database, team: Team, facts: dict[str, Any], why: str
) -> None:
    put(db, team, **facts)

    assert claim(db, team.bo, team)[0].why == why


def test_history_is_never_offered(db: Database, team: Team) -> None:
    put(db, team, origin="history")

    assert claim(db, team.bo, team) == []


# --- leases ---------------------------------------------------------------------------------------------------------


def test_an_item_in_somebodys_hands_is_not_offered_to_another(db: Database, team: Team) -> None:
    put(db, team)
    claim(db, team.bo, team)

    assert claim(db, team.cy, team) == []
    assert claim(db, team.bo, team) == []


def test_a_claim_that_ran_out_goes_back_to_the_queue(db: Database, team: Team, moved_clock: Clock) -> None:
    put(db, team)
    (first,) = claim(db, team.bo, team)
    moved_clock.forward(queue.LEASE_LASTS + SECOND)

    (second,) = claim(db, team.cy, team)

    assert (second.item_id, second.lease_n) == (first.item_id, first.lease_n + 1)


def test_a_renewed_lease_lasts_longer(db: Database, team: Team, moved_clock: Clock) -> None:
    put(db, team)
    (lease,) = claim(db, team.bo, team)
    moved_clock.forward(queue.LEASE_LASTS - SECOND)

    with db.writing() as session:
        kept = queue.renew(session, team.bo, [(lease.item_id, lease.lease_n)])
    moved_clock.forward(queue.LEASE_LASTS - SECOND)

    assert kept == [lease.item_id]
    assert claim(db, team.cy, team) == []


def test_a_lease_that_ran_out_is_not_renewed(db: Database, team: Team, moved_clock: Clock) -> None:
    put(db, team)
    (lease,) = claim(db, team.bo, team)
    moved_clock.forward(queue.LEASE_LASTS + SECOND)

    with db.writing() as session:
        assert queue.renew(session, team.bo, [(lease.item_id, lease.lease_n)]) == []


@pytest.mark.parametrize(("who", "n"), [("cy", 1), ("bo", 0), ("bo", 2)])
def test_nobody_renews_or_gives_back_a_lease_that_is_not_theirs(db: Database, team: Team, who: str, n: int) -> None:
    put(db, team)
    (lease,) = claim(db, team.bo, team)
    before = fact(db, lease.item_id, "lease_until")

    with db.writing() as session:
        assert queue.renew(session, getattr(team, who), [(lease.item_id, n)]) == []
        queue.give_back(session, getattr(team, who), [(lease.item_id, n)])

    assert fact(db, lease.item_id, "lease_until") == before


def test_an_item_that_was_given_back_is_offered_at_once(db: Database, team: Team) -> None:
    put(db, team)
    (lease,) = claim(db, team.bo, team)

    with db.writing() as session:
        queue.give_back(session, team.bo, [(lease.item_id, lease.lease_n)])

    assert ids(claim(db, team.cy, team)) == [lease.item_id]


# --- skip and escalate ----------------------------------------------------------------------------------------------


def skip_next(db: Database, actor: Actor, team: Team) -> bool:
    with db.writing() as session:
        lease = claim_one(session, actor, team.support)
        return queue.skip(session, lease.item_id, actor, lease.lease_n)


def test_a_skipped_item_is_not_offered_to_the_same_person_for_a_day(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    item_id = put(db, team)
    skip_next(db, team.bo, team)

    assert claim(db, team.bo, team) == []
    moved_clock.forward(DAY + MINUTE)
    assert ids(claim(db, team.bo, team)) == [item_id]


def test_a_skipped_item_is_offered_to_others_at_once(db: Database, team: Team) -> None:
    item_id = put(db, team)
    skip_next(db, team.bo, team)

    assert ids(claim(db, team.cy, team)) == [item_id]


def test_three_skips_by_different_people_escalate(db: Database, team: Team) -> None:
    item_id = put(db, team)

    escalated = [skip_next(db, actor, team) for actor in (team.bo, team.cy, team.olu)]

    assert escalated == [False, False, True]
    assert fact(db, item_id, "escalated_at") is not None
    assert fact(db, item_id, "status") == "held"


def test_three_skips_by_one_person_do_not_escalate(db: Database, team: Team, moved_clock: Clock) -> None:
    item_id = put(db, team)

    for _ in range(4):
        skip_next(db, team.bo, team)
        moved_clock.forward(DAY + MINUTE)

    assert fact(db, item_id, "escalated_at") is None


def test_three_lost_leases_of_different_people_escalate(db: Database, team: Team, moved_clock: Clock) -> None:
    item_id = put(db, team)
    for actor in (team.bo, team.cy, team.olu):
        assert ids(claim(db, actor, team)) == [item_id]
        moved_clock.forward(queue.LEASE_LASTS + SECOND)

    assert claim(db, team.bo, team) == []
    assert fact(db, item_id, "escalated_at") is not None


def test_what_is_escalated_instead_of_handed_out_leaves_no_hand_empty(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    lost, following = put(db, team, created_at=1), put(db, team)
    for actor in (team.bo, team.cy, team.olu):
        with db.writing() as session:
            assert ids(queue.claim(session, actor, [team.support.id], most=1)) == [lost]
        moved_clock.forward(queue.LEASE_LASTS + SECOND)

    with db.writing() as session:
        assert ids(queue.claim(session, team.bo, [team.support.id], most=1)) == [following]


def test_three_lost_leases_of_one_person_do_not_escalate(db: Database, team: Team, moved_clock: Clock) -> None:
    item_id = put(db, team)

    for _ in range(5):
        assert ids(claim(db, team.bo, team)) == [item_id]
        moved_clock.forward(queue.LEASE_LASTS + SECOND)


def test_an_escalated_item_is_held_and_offered_to_no_reviewer_and_its_deadline_stays(db: Database, team: Team) -> None:
    item_id = put(db, team, due_at=now() + MINUTE)

    with db.writing() as session:
        queue.escalate(session, item_id, team.bo)

    assert claim(db, team.cy, team) == []
    assert fact(db, item_id, "status") == "held"
    assert fact(db, item_id, "due_at") is not None


def test_an_escalated_item_is_no_longer_in_anybodys_hands(db: Database, team: Team) -> None:
    put(db, team)
    (lease,) = claim(db, team.bo, team)

    with db.writing() as session:
        queue.escalate(session, lease.item_id, team.bo)

    with pytest.raises(LeaseLostError), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, Opinion(decisions.Verdict.APPROVE))


def test_a_skip_under_a_lease_that_ended_is_refused(db: Database, team: Team, moved_clock: Clock) -> None:
    put(db, team)
    (lease,) = claim(db, team.bo, team)
    moved_clock.forward(queue.LEASE_LASTS + SECOND)

    with pytest.raises(ConflictError), db.writing() as session:
        queue.skip(session, lease.item_id, team.bo, lease.lease_n)


# --- assignment -----------------------------------------------------------------------------------------------------


def test_an_item_of_one_person_is_offered_to_nobody_else(db: Database, team: Team) -> None:
    item_id = put(db, team)
    with db.writing() as session:
        queue.assign(session, item_id, team.olu, person_id=team.bo.person_id)

    assert claim(db, team.cy, team) == []
    (lease,) = claim(db, team.bo, team)
    assert lease.why == "assigned to you"


def test_an_item_of_a_group_is_offered_to_its_members_only(db: Database, team: Team) -> None:
    item_id = put(db, team)
    with db.writing() as session:
        group = (
            session.connection().exec_driver_sql("INSERT INTO team (name) VALUES ('night') RETURNING id").scalar_one()
        )
        insert_rows(session, "team_member", "team_id person_id", [(group, team.cy.person_id)])
        queue.assign(session, item_id, team.olu, team_id=group)

    assert claim(db, team.bo, team) == []
    assert ids(claim(db, team.cy, team)) == [item_id]


def test_an_assignment_can_be_taken_back(db: Database, team: Team) -> None:
    item_id = put(db, team)
    with db.writing() as session:
        queue.assign(session, item_id, team.olu, person_id=team.bo.person_id)
        queue.assign(session, item_id, team.olu)

    assert ids(claim(db, team.cy, team)) == [item_id]


def test_only_an_owner_assigns(db: Database, team: Team) -> None:
    item_id = put(db, team)

    with pytest.raises(NotAllowedError, match="owner"), db.writing() as session:
        queue.assign(session, item_id, team.bo, person_id=team.bo.person_id)


def test_what_waits_is_counted(db: Database, team: Team) -> None:
    at = now()
    put(db, team, created_at=at - DAY)
    put(db, team, due_at=at + MINUTE)
    escalated = put(db, team)
    with db.writing() as session:
        queue.escalate(session, escalated, team.bo)

    with db.reading() as session:
        found = queue.waiting(session, team.support.id)

    assert found == queue.Waiting(held=3, due=1, escalated=1, oldest_at=at - DAY)


# --- how it is found ------------------------------------------------------------------------------------------------

MANY = 20_000


def fill(session: Session, team: Team) -> None:
    """Let 20,000 items wait, one in ten with a deadline, in two workflows."""
    source, at = workflows.source_id(session, "many"), now()
    columns = (
        "id workflow_id source_id external_id origin model created_at output_hash content_hash panel_u panel_rate panel"
        " rubric_version status priority queue_band queue_at due_at lease_until lease_n audit_seq"
    )
    rows = [
        (
            new_id(), (team.support.id, team.other.id)[n % 2], source, str(n), "gate", "m", at + n, "h", "h", 0.5, 0.1,
            False, 0, "held", 5, n % 10 > 0, at + n, at + n if n % 10 == 0 else None, 0, 0, 1,
        )
        for n in range(MANY)
    ]  # fmt: skip
    insert_rows(session, "item", columns, [(*row[:15], int(row[15]), *row[16:]) for row in rows])


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize(
    ("query", "index"), [pytest.param(0, "ix_item_due", id="due"), pytest.param(1, "ix_item_queue", id="next")]
)
def test_the_next_item_is_found_by_the_partial_index_without_sorting(
    db: Database, team: Team, query: int, index: str, analyzed: bool
) -> None:
    with db.writing() as session:
        fill(session, team)
    if analyzed or not db.is_sqlite:
        with db.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
    bound = {"workflow": team.support.id, "me": team.bo.person_id, "now": now(), "most": 10, "skipped_since": 0,
             "due_before": now() + HOUR}  # fmt: skip

    with db.engine.connect() as connection:
        asked = queue.CANDIDATES[connection.dialect.name][query].text
        explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(line) for line in connection.execute(sa.text(explain + asked), bound))

    assert index in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def test_no_parameter_stands_where_a_partial_index_needs_a_word(db: Database) -> None:
    with db.engine.connect() as connection:
        for query in queue.CANDIDATES[connection.dialect.name]:
            assert "status = 'held'" in query.text


def test_what_was_escalated_comes_to_an_owner_and_to_nobody_else(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        make_item(session, team.support.id)
        queue.escalate(session, item_id, team.bo)

    with db.writing() as session:
        bos = queue.claim(session, team.bo, [team.support.id])
        olus = queue.claim(session, team.olu, [team.support.id])

    assert item_id not in [lease.item_id for lease in bos]
    assert [(lease.item_id, lease.why) for lease in olus] == [(item_id, "escalated to you")]
