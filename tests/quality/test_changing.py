"""One stretch of days against the one before: the word “worse” is not said because somebody looked often."""

import random
from dataclasses import replace
from typing import Any

import pytest

from db.engine import Database
from neuro_review.errors import NotAllowedError
from neuro_review.quality import changing, cuts, freshness, places, table
from neuro_review.quality.changing import Changed
from neuro_review.quality.estimates import Cell
from neuro_review.quality.periods import Per, Window, as_date
from neuro_review.quality.reading import Times
from tests.conftest import Team
from tests.helpers import make_item
from tests.quality.outputs import TODAY, counted


def changes(db: Database, team: Team, days: int = 28) -> list[Changed]:
    after, before = changing.stretch(as_date(TODAY), days)
    with db.reading() as session:
        return changing.changes(session, team.olu, team.support.id, now=after, before=before)


def test_a_model_that_got_much_worse_is_said_to_be_and_one_that_got_better_too(db: Database, team: Team) -> None:
    counted(db, team.support.id, {40: (600, 18), 5: (600, 90)}, "worse")
    counted(db, team.support.id, {40: (600, 90), 5: (600, 18)}, "better")

    found = {one.model: one for one in changes(db, team)}

    assert {name: one.clear for name, one in found.items()} == {"worse": 1, "better": -1}
    assert found["worse"].difference == pytest.approx(0.12)


def test_too_few_labels_say_nothing_and_a_new_model_has_nothing_before_it(db: Database, team: Team) -> None:
    counted(db, team.support.id, {40: (10, 0), 5: (600, 300)}, "few")
    counted(db, team.support.id, {5: (600, 300)}, "new")

    found = {one.model: (one.difference, one.clear, one.before.used) for one in changes(db, team)}

    assert found == {"few": (None, 0, 10), "new": (None, 0, 0)}


def test_bars_that_do_not_overlap_are_not_enough(db: Database, team: Team) -> None:
    counted(db, team.support.id, {40: (300, 9), 5: (300, 27)})

    (found,) = changes(db, team)

    assert found.now.low is not None
    assert found.before.rate is not None
    assert found.now.low > found.before.rate
    assert found.clear == 0


def test_who_looks_every_day_is_rarely_told_of_a_change_that_is_none() -> None:
    rng, wrong, streams = random.Random(11), 0, 300
    for _ in range(streams):
        before = sum(rng.random() < 0.05 for _ in range(400))
        bad = labels = 0
        for _ in range(28):
            bad, labels = bad + sum(rng.random() < 0.05 for _ in range(15)), labels + 15
            after = {("all", "sure"): Cell(labels, labels, bad)}
            one = changing._changed("m", after, {("all", "sure"): Cell(400, 400, before)})
            if one.clear:
                wrong += 1
                break

    assert wrong / streams <= 0.05


def test_only_an_owner_of_the_workflow_may_ask(db: Database, team: Team) -> None:
    window = Window.of()
    with db.reading() as session:
        with pytest.raises(NotAllowedError):
            changing.changes(session, team.bo, team.support.id, now=window, before=window)
        with pytest.raises(NotAllowedError):
            cuts.cuts(session, team.bo, team.support.id, per=Per.WEEK, window=window)


@pytest.mark.parametrize("per", [Per.DAY, Per.WEEK])
def test_one_reading_cut_four_ways_gives_the_numbers_of_four_readings(db: Database, team: Team, per: Per) -> None:
    counted(db, team.support.id, {3: (40, 4), 12: (50, 5), 40: (30, 1)}, "larch")
    counted(db, team.support.id, {3: (60, 20), 5: (10, 0)}, "oak", stratum="must", panel=True)
    window = Window(TODAY - 30, TODAY)

    with db.reading() as session:
        asked: Any = {"window": window}
        cut = cuts.cuts(session, team.olu, team.support.id, per=per, window=window)
        by_model = table.rows(session, team.olu, team.support.id, per=per, **asked)
        models = table.rows(session, team.olu, team.support.id, **asked)
        together = table.rows(session, team.olu, team.support.id, per=per, split=False, **asked)
        (whole,) = table.rows(session, team.olu, team.support.id, split=False, **asked)

    assert cut.by_model == [replace(row, latency=Times()) for row in by_model]
    assert cut.models == sorted(models, key=lambda row: -row.items)
    assert cut.together == [replace(row, latency=Times()) for row in together]
    assert cut.whole == whole
    assert whole.items == 160


def test_where_nothing_came_in_there_is_nothing_to_cut(db: Database, team: Team) -> None:
    with db.reading() as session:
        cut = cuts.cuts(session, team.olu, team.support.id, per=Per.WEEK, window=Window.of())

    assert (cut.models, cut.whole) == ([], None)


def test_the_state_changes_with_every_event_and_the_busiest_workflow_comes_first(db: Database, team: Team) -> None:
    with db.reading() as session:
        before = freshness.newest(session)
    with db.writing() as session:
        make_item(session, team.support.id)
    counted(db, team.support.id, {1: (1, 0)})
    counted(db, team.other.id, {1: (2, 0)})

    with db.reading() as session:
        assert freshness.newest(session) > before
        assert places.busiest(session) == [team.other.id, team.support.id]
