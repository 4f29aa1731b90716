"""A reviewer's desk: going away, going on after a reload, undoing, drafts, and what is counted meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import DAY, MINUTE, SECOND
from db.engine import Database
from neuro_review import desk, workflows
from neuro_review.access import Actor
from neuro_review.desk import Desk
from neuro_review.errors import ConflictError, LeaseLostError
from neuro_review.words import Verdict
from tests.conftest import Clock, Team
from tests.helpers import make_item


@pytest.fixture
def sitting(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The steady clock, moved by the test."""
    moved = Clock()
    monkeypatch.setattr(desk, "steady", lambda: 1_000 * DAY + moved.ahead)
    return moved


def act(db: Database, verb: Callable[..., Any], *args: Any) -> Any:
    with db.writing() as session:
        return verb(session, *args)


def items(db: Database, team: Team, count: int = 3, **facts: Any) -> list[str]:
    with db.writing() as session:
        return [make_item(session, team.support.id, output=f"Output {n}.", **facts) for n in range(count)]


def at_work(db: Database, by: Actor) -> Desk:
    """Return a desk on which the first item lies."""
    own = Desk()
    act(db, desk.take_next, own, by)
    return own


def lease(own: Desk) -> Any:
    assert own.current is not None
    return own.current


def decide(db: Database, own: Desk, by: Actor, verdict: Verdict, text: str | None = None) -> Any:
    return act(db, desk.decide, own, by, lease(own), verdict, text)


def rows(db: Database, query: str) -> list[Any]:
    with db.reading() as session:
        return [tuple(row) for row in session.connection().execute(sa.text(query)).all()]


def leased(db: Database) -> list[str]:
    return [row[0] for row in rows(db, "SELECT id FROM item WHERE lease_by IS NOT NULL AND status = 'held'")]


def held(db: Database, own: Desk, by: Actor) -> int:
    with db.reading() as session:
        return desk.waiting(session, own, by).held


def draft(db: Database, own: Desk, by: Actor) -> str | None:
    with db.reading() as session:
        return desk.card(session, lease(own).item_id, by).draft


def test_who_was_away_keeps_nothing_and_gets_nothing_until_they_go_on(db: Database, team: Team, sitting: Clock) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    sitting.forward(5 * MINUTE)
    assert not own.idle()
    sitting.forward(1)
    assert own.idle()

    act(db, desk.hand_back, own.leave(), team.bo)

    assert (own.away, own.current, own.idle(), own.should_renew()) == (True, None, False, False)
    assert leased(db) == []
    act(db, desk.take_next, own, team.bo)
    assert not own.away
    assert leased(db) == [lease(own).item_id]


def test_renewing_is_no_sign_of_a_person_and_typing_is(db: Database, team: Team, sitting: Clock) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    own.correct(True)
    for _ in range(61):
        sitting.forward(MINUTE // 2)
        assert own.should_renew()
        act(db, desk.renew, own, team.bo)
        assert not own.should_renew()
    assert own.idle()

    act(db, desk.keep, own, team.bo, lease(own), "Half a thought")

    assert not own.idle()


def test_a_clock_set_back_neither_holds_keys_back_nor_makes_anybody_idle(
    db: Database, team: Team, sitting: Clock, moved_clock: Clock
) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    moved_clock.forward(-DAY)
    assert own.too_early()

    sitting.forward(SECOND)

    assert not own.too_early()
    moved_clock.forward(2 * DAY)
    assert not own.idle()


def test_undoing_a_correction_brings_its_text_back_as_a_draft(db: Database, team: Team) -> None:
    first, second, _ = items(db, team)
    own = at_work(db, team.bo)
    decide(db, own, team.bo, Verdict.CORRECT, "Much better.")
    assert draft(db, own, team.bo) is None

    assert act(db, desk.undo, own, team.bo) is True

    assert lease(own).item_id == first
    assert draft(db, own, team.bo) == "Much better."
    assert [one.item_id for one in own.aside] == [second]
    decide(db, own, team.bo, Verdict.APPROVE)
    assert act(db, desk.undo, own, team.bo) is False


def test_when_the_time_to_undo_has_ended_no_other_way_is_advised(db: Database, team: Team, moved_clock: Clock) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    decide(db, own, team.bo, Verdict.APPROVE)
    moved_clock.forward(MINUTE)
    assert own.undo_left() == 0

    with pytest.raises(ConflictError, match="time to undo has ended; the verdict stands"):
        act(db, desk.undo, own, team.bo)


@pytest.mark.parametrize(("verdict", "text"), [(Verdict.APPROVE, None), (Verdict.CORRECT, "Output 0.")])
def test_an_approval_stores_no_reasons(db: Database, team: Team, verdict: Verdict, text: str | None) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    with db.reading() as session:
        reason = workflows.reasons(session, team.support.id)[0]
    own.toggle(reason)

    assert decide(db, own, team.bo, verdict, text).verdict is Verdict.APPROVE

    assert rows(db, "SELECT verdict, reasons FROM review") == [("approve", "[]")]


def test_putting_a_correction_off_keeps_what_was_typed_and_only_that(db: Database, team: Team) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    for text in (None, "Output 0."):
        own.correct(True)
        assert act(db, desk.put_off, own, team.bo, lease(own), text) is False
        assert (own.correcting, draft(db, own, team.bo)) == (False, None)

    own.correct(True)
    assert act(db, desk.put_off, own, team.bo, lease(own), "Half a thought") is True

    assert (own.correcting, draft(db, own, team.bo)) == (False, "Half a thought")


def test_what_is_held_follows_each_verdict_without_being_counted_anew(db: Database, team: Team, sitting: Clock) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    assert held(db, own, team.bo) == 3
    items(db, team, 1)

    decide(db, own, team.bo, Verdict.APPROVE)
    assert held(db, own, team.bo) == 2
    act(db, desk.undo, own, team.bo)
    assert held(db, own, team.bo) == 3
    sitting.forward(11 * SECOND)
    assert held(db, own, team.bo) == 4


def test_beside_an_empty_desk_stands_what_others_have(db: Database, team: Team) -> None:
    items(db, team, 2)
    own, other = at_work(db, team.bo), at_work(db, team.cy)
    assert held(db, own, team.bo) == 2

    decide(db, other, team.cy, Verdict.APPROVE)
    decide(db, own, team.bo, Verdict.APPROVE)

    assert own.current is None
    assert held(db, own, team.bo) == 0


def test_a_workflow_that_went_away_is_no_longer_chosen(db: Database, team: Team) -> None:
    items(db, team)
    own = at_work(db, team.bo)
    first = lease(own)

    act(db, desk.choose, own, team.bo, team.support.id)
    assert own.workflow_id == team.support.id
    assert (lease(own).item_id, lease(own).lease_n) == (first.item_id, first.lease_n + 1)
    for gone in (team.other.id, 10**30):
        act(db, desk.choose, own, team.bo, gone)
        assert own.workflow_id is None
        assert lease(own).item_id == first.item_id

    own.workflow_id = team.other.id
    assert held(db, own, team.bo) == 3
    assert own.workflow_id is None


def test_a_reload_finds_its_desk_again_and_another_tab_gets_its_own(db: Database, team: Team) -> None:
    items(db, team)
    open_tabs = {"one", "two"}
    one = desk.sit_down("one", "bo's", open_tabs.__contains__)
    act(db, desk.take_next, one, team.bo)
    mine = lease(one)

    two = desk.sit_down("two", "bo's", open_tabs.__contains__)
    assert two.current is None
    open_tabs.remove("one")
    assert desk.sit_down("three", "cy's", open_tabs.__contains__).current is None
    reloaded = desk.sit_down("four", "bo's", open_tabs.__contains__)

    assert reloaded.current == mine
    assert one.current is None, "its tab may come back: then it must not decide for the other"
    with pytest.raises(LeaseLostError):
        act(db, desk.decide, one, team.bo, mine, Verdict.APPROVE)
    with db.reading() as session:
        assert desk.holds(session, reloaded, team.bo)


def test_a_desk_goes_with_its_tab() -> None:
    sat = desk.sit_down("a tab", "somebody's", lambda _: True)
    assert desk.DESKS["a tab"] is sat

    del sat

    assert "a tab" not in desk.DESKS
