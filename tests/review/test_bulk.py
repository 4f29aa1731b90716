"""Many at once: who may, in which order they come then, and that a verdict on many is on each one, after seeing it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import HOUR, MINUTE, SECOND, now
from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, bulk, decisions, people, queue, releases, teams, verify
from neuro_review.access import Actor
from neuro_review.bulk import Done, Reading
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError
from tests.conftest import OPERATOR, Clock, Team
from tests.helpers import SOURCE, claim_one, make_item

TEXT = "Your order {} is on its way. It comes to your door on Friday, before noon, with the post."


@pytest.fixture(autouse=True)
def quick_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "DWELL", 0)


def put(db: Database, team: Team, number: int = 1, **facts: Any) -> list[str]:
    """Put this many near-identical outputs in place."""
    with db.writing() as session:
        return [
            make_item(session, team.support.id, **{"output": TEXT.format(1000 + n), "created_at": now() + n} | facts)
            for n in range(number)
        ]


def fact(db: Database, item_id: str, column: str) -> Any:
    with db.reading() as session:
        return session.connection().execute(
            sa.text(f"SELECT {column} FROM item WHERE id = :id"), {"id": item_id}
        ).scalar_one()  # fmt: skip


def statuses(db: Database, item_ids: list[str]) -> list[str]:
    return [fact(db, item_id, "status") for item_id in item_ids]


def claimed(db: Database, actor: Actor, team: Team) -> list[str]:
    with db.writing() as session:
        return [lease.item_id for lease in queue.claim(session, actor, [team.support.id], most=50)]


def begun(db: Database, by: Actor, item_ids: list[str]) -> Reading:
    with db.reading() as session:
        return bulk.begin(session, item_ids, by)


def read_through(db: Database, by: Actor, reading: Reading) -> Reading:
    """Look at each text as a person does: it is drawn, then comes the next."""
    while True:
        with db.reading() as session:
            shown = bulk.text(session, reading, by)
        if shown is None:
            return reading
        reading.paint()
        reading.go_on(shown.item_id)


def decided(db: Database, by: Actor, reading: Reading, verdict: Verdict, *reasons: str) -> Done:
    came = Done()
    for part in reading.parts():
        with db.writing() as session:
            came += bulk.decide(session, reading, part, by, verdict, reasons)
    return came


# --- assign, escalate, put back, re-prioritise ------------------------------------------------------------------------


def test_what_is_assigned_is_offered_to_that_person_and_to_nobody_else(db: Database, team: Team) -> None:
    items = put(db, team, 5)
    with db.writing() as session:
        came = bulk.assign(session, items[2:4], team.olu, person_id=team.bo.person_id)

    assert came.done == sorted(items[2:4])
    assert claimed(db, team.cy, team) == [items[0], items[1], items[4]]
    assert claimed(db, team.bo, team) == items[2:4]


def test_what_is_assigned_to_a_group_is_offered_to_its_members_only(db: Database, team: Team) -> None:
    items = put(db, team, 2)
    with db.writing() as session:
        night = teams.add(session, team.olu, "night")
        teams.set_members(session, night, team.olu, [team.cy.person_id or 0])
        bulk.assign(session, items, team.olu, team_id=night)

    assert claimed(db, team.bo, team) == []
    assert claimed(db, team.cy, team) == items


def test_an_output_is_never_reserved_for_somebody_who_may_not_review_it(db: Database, team: Team) -> None:
    items = put(db, team, 2)
    with db.writing() as session:
        strangers = teams.add(session, team.olu, "strangers")
        teams.set_members(session, strangers, team.olu, [team.eve.person_id or 0])

    for whom in ({"person_id": team.eve.person_id}, {"team_id": strangers}):
        with pytest.raises(InvalidError, match="review this workflow"), db.writing() as session:
            bulk.assign(session, items, team.olu, **whom)
    assert [fact(db, one, "assigned_to") for one in items] == [None, None]
    with db.reading() as session:
        may, groups = bulk.recipients(session, [team.support.id])
    assert {one.name for one in may} == {"Ada", "Olu", "Bo", "Cy"}
    assert groups == []


def test_a_higher_priority_comes_first_and_a_lower_one_later_by_an_hour_a_step(db: Database, team: Team) -> None:
    at = now()
    first, second, third = (put(db, team, created_at=at + n)[0] for n in range(3))
    with db.writing() as session:
        bulk.prioritise(session, [third], team.olu, 9)
        bulk.prioritise(session, [first], team.olu, 0)

    assert claimed(db, team.bo, team) == [third, second, first]
    assert fact(db, third, "queue_at") == queue.queue_at(at + 2, 9) == at + 2
    assert fact(db, first, "queue_at") == queue.queue_at(at, 0) == at + 9 * HOUR
    assert (fact(db, third, "priority"), fact(db, first, "priority")) == (9, 0)


def test_a_priority_given_back_leaves_the_place_as_it_was(db: Database, team: Team) -> None:
    (item_id,) = put(db, team, priority=3)
    before = fact(db, item_id, "queue_at")

    for priority in (9, 0, 7, 3):
        with db.writing() as session:
            bulk.prioritise(session, [item_id], team.olu, priority)

    assert fact(db, item_id, "queue_at") == before


@pytest.mark.parametrize("priority", [-1, 10])
def test_there_are_ten_priorities(db: Database, team: Team, priority: int) -> None:
    items = put(db, team)

    with pytest.raises(InvalidError, match="0 to 9"), db.writing() as session:
        bulk.prioritise(session, items, team.olu, priority)


def test_what_is_escalated_goes_to_the_owner_with_its_reason_and_comes_back_for_everybody(
    db: Database, team: Team
) -> None:
    items = put(db, team, 2)
    with db.writing() as session:
        bulk.escalate(session, items, team.olu, "could do harm")
    assert claimed(db, team.bo, team) == []
    with db.reading() as session:
        events = session.connection().execute(sa.text("SELECT body FROM audit WHERE action = 'item.escalated'")).all()
    assert [row.body for row in events] == ['{"reason":"could do harm"}'] * 2

    with db.writing() as session:
        came = bulk.put_back(session, items, team.olu)

    assert len(came.done) == 2
    assert claimed(db, team.bo, team) == items


def test_what_three_let_go_and_the_owner_put_back_is_not_escalated_by_the_next_one(db: Database, team: Team) -> None:
    (item_id,) = put(db, team)
    for actor in (team.bo, team.cy, team.olu):
        with db.writing() as session:
            queue.skip(session, item_id, actor, claim_one(session, actor, team.support).lease_n)
    with db.writing() as session:
        bulk.put_back(session, [item_id], team.olu)

    with db.writing() as session:
        escalated = queue.skip(session, item_id, team.bo, claim_one(session, team.bo, team.support).lease_n)

    assert not escalated


def test_a_reason_to_escalate_is_one_of_ours_because_the_log_keeps_it(db: Database, team: Team) -> None:
    items = put(db, team)

    with pytest.raises(InvalidError, match="reason"), db.writing() as session:
        bulk.escalate(session, items, team.olu, "Mrs Smith complained")


VERBS: dict[str, Callable[..., Any]] = {
    "assign": bulk.assign,
    "escalate": lambda session, items, by: bulk.escalate(session, items, by, "could do harm"),
    "put back": bulk.put_back,
    "prioritise": lambda session, items, by: bulk.prioritise(session, items, by, 9),
}


@pytest.mark.parametrize("verb", list(VERBS))
def test_only_an_owner_of_each_workflow_may_and_else_nothing_is_changed(db: Database, team: Team, verb: str) -> None:
    items = put(db, team)
    with db.writing() as session:
        items.append(make_item(session, team.other.id))
        before = [tuple(row) for row in session.connection().exec_driver_sql("SELECT * FROM item ORDER BY id")]

    for actor in (team.bo, team.olu, team.eve):
        with pytest.raises(NotAllowedError, match="owner"), db.writing() as session:
            VERBS[verb](session, items, actor)

    with db.reading() as session:
        assert [tuple(row) for row in session.connection().exec_driver_sql("SELECT * FROM item ORDER BY id")] == before


@pytest.mark.parametrize("verb", list(VERBS))
def test_at_most_fifty_go_at_a_time(db: Database, team: Team, verb: str) -> None:
    items = put(db, team, 51)

    for some, says in ((items, "at most 50"), ([], "Nothing is chosen")):
        with pytest.raises(InvalidError, match=says), db.writing() as session:
            VERBS[verb](session, some, team.olu)


def test_what_was_decided_meanwhile_is_told_and_the_rest_is_done(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    with db.writing() as session:
        releases.withdraw(session, items[1], workflow_source(session))

    with db.writing() as session:
        came = bulk.prioritise(session, items, team.olu, 9)

    assert (came.done, came.moved) == (sorted([items[0], items[2]]), 1)
    assert came.says("now of priority 9") == (
        "2 now of priority 9. 1 moved on meanwhile: somebody else decided or changed it."
    )


def workflow_source(session: Any) -> int:
    return int(session.connection().execute(sa.text("SELECT id FROM source WHERE name = :n"), {"n": SOURCE}).scalar())


# --- one verdict on what reads alike ----------------------------------------------------------------------------------


def test_the_odd_one_among_them_is_left_out_wherever_it_stands(db: Database, team: Team) -> None:
    other = put(db, team, output="We do not deliver to your country.")
    alike = put(db, team, 3)

    assert begun(db, team.bo, [*other, *alike]).item_ids == alike
    assert begun(db, team.bo, [*alike, *other]).item_ids == alike
    assert begun(db, team.bo, other).item_ids == other


def test_what_reads_alike_is_found_and_the_rest_is_left_out(db: Database, team: Team) -> None:
    alike = put(db, team, 3)
    other = put(db, team, output="We do not deliver to your country.")
    with db.writing() as session:
        elsewhere = make_item(session, team.other.id, output=TEXT.format(7))

    reading = begun(db, team.ada, [*alike, *other, elsewhere])

    assert reading.item_ids == alike
    assert reading.differ == 2


def test_a_set_is_approved_each_item_by_a_verdict_of_its_own(db: Database, team: Team) -> None:
    items = put(db, team, 45)
    reading = read_through(db, team.bo, begun(db, team.bo, items))

    came = decided(db, team.bo, reading, Verdict.APPROVE)

    assert len(came.done) == 45
    assert came.says("approved") == "45 approved."
    assert set(statuses(db, items)) == {"approved"}
    with db.reading() as session:
        rows = (
            session.connection()
            .execute(sa.text("SELECT item_id, person_id, text_hash FROM review WHERE verdict = 'approve'"))
            .all()
        )
        hashes = dict(session.connection().execute(sa.text("SELECT id, output_hash FROM item")).all())
    assert {row.item_id: row.text_hash for row in rows} == hashes
    assert {row.person_id for row in rows} == {team.bo.person_id}
    assert verify.verify(db).broken == []


def test_a_set_is_rejected_with_reasons_and_not_without(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    reading = read_through(db, team.bo, begun(db, team.bo, items))
    with pytest.raises(InvalidError, match="needs a reason"):
        decided(db, team.bo, reading, Verdict.REJECT)
    with pytest.raises(InvalidError, match="not a reason of this workflow"):
        decided(db, team.bo, reading, Verdict.REJECT, "A reason of nobody")
    assert set(statuses(db, items)) == {"held"}

    came = decided(db, team.bo, reading, Verdict.REJECT, "Tone")

    assert len(came.done) == 3
    with db.reading() as session:
        assert set(session.connection().execute(sa.text("SELECT reasons FROM review")).scalars()) == {'["Tone"]'}


def test_a_set_is_never_corrected(db: Database, team: Team) -> None:
    reading = read_through(db, team.bo, begun(db, team.bo, put(db, team)))

    with pytest.raises(InvalidError, match="Correct each output by itself"):
        decided(db, team.bo, reading, Verdict.CORRECT)


def test_nothing_is_decided_that_was_not_on_screen(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    reading = begun(db, team.bo, items)
    for _ in range(2):
        with db.reading() as session:
            shown = bulk.text(session, reading, team.bo)
        assert shown is not None
        reading.paint()
        reading.go_on(shown.item_id)

    with pytest.raises(InvalidError, match="Not all of them were seen"):
        decided(db, team.bo, reading, Verdict.APPROVE)
    with pytest.raises(InvalidError, match="Not all of them were seen"), db.writing() as session:
        bulk.decide(session, reading, ["0" * 32], team.bo, Verdict.APPROVE)
    assert set(statuses(db, items)) == {"held"}


def test_a_click_counts_for_the_text_on_screen_and_only_after_a_moment(
    db: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put(db, team, 2)
    reading = begun(db, team.bo, [first, second])
    reading.go_on(first)  # nothing was drawn yet
    assert reading.seen == set()
    reading.paint()
    reading.go_on(second)  # it is not on screen
    monkeypatch.setattr(bulk, "DWELL", 10 * SECOND)
    reading.go_on(first)  # the second half of a double click
    reading.leave_out(first)

    assert reading.seen == set()
    assert reading.item_ids == [first, second]
    monkeypatch.setattr(bulk, "DWELL", 0)
    reading.go_on(first)
    assert (reading.seen, reading.item_id) == ({first}, second)


def test_the_first_text_is_shown_in_full_and_in_the_others_what_differs(db: Database, team: Team) -> None:
    items = put(db, team, 2, prompt="Where is it?")
    reading = begun(db, team.bo, items)

    with db.reading() as session:
        first = bulk.text(session, reading, team.bo)
    reading.paint()
    reading.go_on(items[0])
    with db.reading() as session:
        second = bulk.text(session, reading, team.bo)

    assert first is not None
    assert second is not None
    assert (first.output, first.differs, first.turns) == (TEXT.format(1000), None, [("user", "Where is it?")])
    assert second.differs is not None
    assert [(str(part.kind), part.text) for part in second.differs] == [
        ("same", "Your order "), ("removed", "1000"), ("added", "1001"), ("same", TEXT.partition("{}")[2])
    ]  # fmt: skip


def test_what_was_left_out_stays_held(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    reading = begun(db, team.bo, items)
    with db.reading() as session:
        bulk.text(session, reading, team.bo)
    reading.paint()
    reading.leave_out(items[0])

    came = decided(db, team.bo, read_through(db, team.bo, reading), Verdict.APPROVE)

    assert sorted(came.done) == sorted(items[1:])
    assert statuses(db, items) == ["held", "approved", "approved"]


def test_what_others_decided_hold_or_own_is_left_and_told(db: Database, team: Team) -> None:
    items = put(db, team, 6)
    reading = read_through(db, team.bo, begun(db, team.bo, items))
    with db.writing() as session:
        (lease,) = queue.claim_these(session, team.cy, [items[0]])
        decisions.decide(session, items[0], team.cy, lease.lease_n, Opinion(Verdict.REJECT, reasons=["Tone"]))
        queue.claim_these(session, team.cy, [items[1]])
        queue.assign(session, items[2], team.olu, person_id=team.cy.person_id)
        queue.escalate(session, items[3], team.cy)

    came = decided(db, team.bo, reading, Verdict.APPROVE)

    assert sorted(came.done) == sorted(items[4:])
    assert (came.moved, came.in_hands) == (1, 3)
    assert statuses(db, items) == ["rejected", "held", "held", "held", "approved", "approved"]
    assert "1 moved on meanwhile" in came.says("approved")
    assert "3 stayed held" in came.says("approved")


def test_what_was_decided_while_it_was_read_is_no_longer_shown(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    reading = begun(db, team.bo, items)
    with db.writing() as session:
        (lease,) = queue.claim_these(session, team.cy, [items[0]])
        decisions.decide(session, items[0], team.cy, lease.lease_n, Opinion(Verdict.APPROVE))

    assert read_through(db, team.bo, reading).item_ids == items[1:]


def test_the_time_of_a_set_is_shared_by_its_items_and_bounded(db: Database, team: Team, moved_clock: Clock) -> None:
    items = put(db, team, 4)
    reading = read_through(db, team.bo, begun(db, team.bo, items))
    moved_clock.forward(40 * SECOND)
    decided(db, team.bo, reading, Verdict.APPROVE)
    slow = read_through(db, team.bo, begun(db, team.bo, put(db, team)))
    moved_clock.forward(3 * HOUR)

    (last,) = decided(db, team.bo, slow, Verdict.APPROVE).done

    with db.reading() as session:
        rows = dict(session.connection().execute(sa.text("SELECT item_id, handling_ms FROM review")).all())
    assert 300_000 <= rows.pop(last) < 302_000
    assert all(10_000 <= one < 12_000 for one in rows.values())


def test_only_a_reviewer_of_the_workflow_reads_and_decides(db: Database, team: Team) -> None:
    items = put(db, team)
    reading = read_through(db, team.bo, begun(db, team.bo, items))

    with pytest.raises(NotAllowedError):
        begun(db, team.eve, items)
    with db.reading() as session, pytest.raises(NotAllowedError):
        bulk.text(session, begun(db, team.bo, items), team.eve)
    with pytest.raises(NotAllowedError):
        decided(db, team.eve, reading, Verdict.APPROVE)
    with pytest.raises(NotAllowedError), db.writing() as session:
        queue.claim_these(session, team.eve, items)
    assert statuses(db, items) == ["held"]


def test_a_verdict_on_many_is_undone_for_many_while_it_has_not_left(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    items = put(db, team, 3)
    came = decided(db, team.bo, read_through(db, team.bo, begun(db, team.bo, items)), Verdict.APPROVE)
    assert came.can_be_undone()

    with db.writing() as session:
        undone = bulk.undo(session, came.done, team.bo)

    assert len(undone.done) == 3
    assert claimed(db, team.cy, team) == items
    moved_clock.forward(MINUTE)
    assert not came.can_be_undone()


def test_of_many_undone_the_one_that_another_has_decided_since_holds_no_other_back(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    came = decided(db, team.bo, read_through(db, team.bo, begun(db, team.bo, items)), Verdict.APPROVE)
    with db.writing() as session:
        queue.give_back(session, team.bo, [(items[0], decisions.undo(session, items[0], team.bo))])
    decided(db, team.cy, read_through(db, team.cy, begun(db, team.cy, items[:1])), Verdict.APPROVE)

    with db.writing() as session:
        undone = bulk.undo(session, came.done, team.bo)

    assert (sorted(undone.done), undone.moved) == (sorted(items[1:]), 1)
    assert statuses(db, items) == ["approved", "held", "held"]


def test_too_late_an_undo_changes_nothing_and_is_told(db: Database, team: Team, moved_clock: Clock) -> None:
    items = put(db, team, 2)
    came = decided(db, team.bo, read_through(db, team.bo, begun(db, team.bo, items)), Verdict.APPROVE)
    moved_clock.forward(MINUTE)

    with db.writing() as session:
        undone = bulk.undo(session, came.done, team.bo)

    assert (undone.done, undone.moved) == ([], 2)
    assert statuses(db, items) == ["approved", "approved"]


def test_a_selection_says_what_can_be_done_with_it_and_by_whom(db: Database, team: Team) -> None:
    items = put(db, team, 3)
    with db.writing() as session:
        queue.escalate(session, items[1], team.bo)
        (lease,) = queue.claim_these(session, team.bo, [items[2]])
        decisions.decide(session, items[2], team.bo, lease.lease_n, Opinion(Verdict.APPROVE))
    strange = [*items, "no id", "0" * 32]

    with db.reading() as session:
        bos, olus, eves = (bulk.chosen(session, who, strange) for who in (team.bo, team.olu, team.eve))

    assert (bos.item_ids, bos.escalated, bos.others, bos.owns) == (items[:2], [items[1]], 3, False)
    assert olus.owns
    assert (eves.item_ids, eves.owns) == ([], False)


# --- these very items, and nobody else's ------------------------------------------------------------------------------


def test_these_very_items_are_given_and_those_in_other_hands_are_not(db: Database, team: Team) -> None:
    items = put(db, team, 4)
    with db.writing() as session:
        queue.claim(session, team.cy, [team.support.id], most=1)

    with db.writing() as session:
        leases = queue.claim_these(session, team.bo, [items[3], items[0], items[1]])

    assert sorted(lease.item_id for lease in leases) == sorted([items[1], items[3]])
    assert claimed(db, team.olu, team) == [items[2]]


def test_a_lease_of_these_that_ran_out_is_noted_as_lost(db: Database, team: Team, moved_clock: Clock) -> None:
    (item_id,) = put(db, team)
    for actor in (team.cy, team.olu, team.bo):
        with db.writing() as session:
            assert [one.item_id for one in queue.claim_these(session, actor, [item_id])] == [item_id]
        moved_clock.forward(queue.LEASE_LASTS + SECOND)

    with db.writing() as session:
        assert queue.claim_these(session, team.cy, [item_id]) == []

    assert fact(db, item_id, "escalated_at") is not None


ITEMS, PEOPLE = 60, 6


def test_of_many_who_claim_the_next_and_these_very_ones_nobody_gets_what_another_has(db: Database, team: Team) -> None:
    items = put(db, team, ITEMS)
    with db.writing() as session:
        crew = [
            access.actor(session, access.add_person(
                session, OPERATOR, f"R{n}", f"r{n}@example.com", Role.REVIEWER, password_hash=None,
                workflow_id=team.support.id,
            ))
            for n in range(PEOPLE)
        ]  # fmt: skip
    handed: list[tuple[str, int]] = []
    failed: list[BaseException] = []
    start = threading.Barrier(PEOPLE)

    def work(number: int, actor: Actor) -> None:
        try:
            start.wait()
            for turn in range(12):
                mine = items[(number * 7 + turn * 5) % ITEMS :][:10]
                with db.writing() as session:
                    leases = (
                        queue.claim_these(session, actor, mine) if number % 2
                        else queue.claim(session, actor, [team.support.id], most=5)
                    )  # fmt: skip
                handed.extend((lease.item_id, lease.lease_n) for lease in leases)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(crew)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert sorted(item_id for item_id, _ in handed) == sorted(items)
    assert {lease_n for _, lease_n in handed} == {1}


def test_two_sets_decided_at_once_decide_each_item_once(db: Database, team: Team) -> None:
    items = put(db, team, 40)
    readings = [
        (who, read_through(db, who, begun(db, who, some)))
        for who, some in ((team.bo, items[:30]), (team.cy, items[10:]))
    ]
    came: dict[str, Done] = {}
    failed: list[BaseException] = []

    def work(who: Actor, reading: Reading) -> None:
        try:
            came[who.name] = decided(db, who, reading, Verdict.APPROVE)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in readings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    done = came["Bo"].done + came["Cy"].done
    assert len(done) == len(set(done))
    with db.reading() as session:
        standing = session.connection().execute(sa.text("SELECT item_id FROM decision")).scalars().all()
    assert sorted(standing) == sorted(done)
    # What one left because the other held it in that moment is still held, and none is lost.
    assert {one for one in items if fact(db, one, "status") == "held"} == set(items) - set(done)
    assert verify.verify(db).broken == []


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_has_a_name_of_its_own_and_members_with_an_account(db: Database, team: Team) -> None:
    with db.writing() as session:
        night = teams.add(session, team.olu, "  night   shift ")
        teams.set_members(session, night, team.olu, [team.cy.person_id or 0, team.bo.person_id or 0])
        people.disable(session, team.ada, team.cy.person_id or 0)

    with db.reading() as session:
        assert [(one.name, [who.name for who in one.members]) for one in teams.every(session)] == [
            ("night shift", ["Bo"])
        ]
    with pytest.raises(ConflictError, match="night shift"), db.writing() as session:
        teams.add(session, team.olu, "night shift")
    for name in ("", " ", "x" * 101):
        with pytest.raises(InvalidError), db.writing() as session:
            teams.add(session, team.olu, name)
    assert verify.verify(db).broken == []


def test_a_group_for_which_outputs_wait_is_never_emptied(db: Database, team: Team) -> None:
    items = put(db, team)
    with db.writing() as session:
        night = teams.add(session, team.olu, "night")
        teams.set_members(session, night, team.olu, [team.bo.person_id or 0])
        queue.assign(session, items[0], team.olu, team_id=night)

    with pytest.raises(ConflictError, match="wait for this group"), db.writing() as session:
        teams.set_members(session, night, team.olu, [])
    with db.writing() as session:
        queue.assign(session, items[0], team.olu)
        teams.set_members(session, night, team.olu, [])


def test_a_group_for_which_outputs_of_another_workflow_wait_is_left_to_its_owner(db: Database, team: Team) -> None:
    with db.writing() as session:
        night = teams.add(session, team.ada, "Night")
        teams.set_members(session, night, team.ada, [team.eve.person_id or 0])
        queue.assign(session, make_item(session, team.other.id), team.ada, team_id=night)

    with pytest.raises(NotAllowedError), db.writing() as session:
        teams.set_members(session, night, team.olu, [team.bo.person_id or 0])

    with db.writing() as session:
        assert len(queue.claim(session, team.eve, [team.other.id])) == 1


def test_only_an_owner_makes_groups(db: Database, team: Team) -> None:
    with db.writing() as session:
        night = teams.add(session, team.olu, "night")

    with pytest.raises(NotAllowedError), db.writing() as session:
        teams.add(session, team.bo, "day")
    with pytest.raises(NotAllowedError), db.writing() as session:
        teams.set_members(session, night, team.bo, [team.bo.person_id or 0])
