"""The Models page, the owner's settings and the alarms: what is shown, and what may be done."""

import re

import pytest
import sqlalchemy as sa
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.clock import now
from db.engine import Database
from neuro_review.quality import drift
from neuro_review.workflows.measured import Metric, measured
from tests.conftest import Team
from tests.quality.outputs import counted
from tests.screens.test_quality_page import HOSTILE, markup, opened, signed_in, specs, words

ALARM = sa.text(
    "INSERT INTO alarm (workflow_id, model, target, labels, bad, since_at, seen_at, attempts, next_at) VALUES"
    " (:flow, :model, 0.05, 40, 9, :at, :at, 0, :at)"
)


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    st.cache_data.clear()


def models(db: Database, team: Team) -> AppTest:
    app = signed_in(db, team.olu)
    app.switch_page("pages/models.py").run()
    assert not app.exception
    return app


def test_models_stand_side_by_side_with_what_they_cost_and_which_differences_are_real(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (600, 12)}, "good")
    counted(db, team.support.id, {5: (600, 150)}, "poor")
    counted(db, team.support.id, {5: (12, 0)}, "new")

    app = models(db, team)

    assert "The evidence favours good" in words(app)
    assert "new needs" in words(app)
    said = markup(app)
    assert "good has fewer than poor" in said
    assert ">real</span>" in said
    assert "more labels needed" in said
    assert len(specs(app)) == 3


def test_the_bounds_of_a_difference_that_may_be_none_name_their_unit_once(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (600, 30)}, "good")
    counted(db, team.support.id, {5: (600, 36)}, "like it")

    (bounds,) = re.findall("[^<>]+ to [^<>]+ points", markup(models(db, team)))

    assert re.fullmatch(r"[−+]\d\.\d to [−+]\d\.\d points", bounds)


def test_with_one_model_it_says_what_is_missing(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (60, 3)}, "alone")

    app = models(db, team)

    assert "No model is shown to be better yet" in words(app)
    assert "There are not two models with enough labels" in words(app)
    assert "It takes two models with enough labels whose cost is known." in words(app)


def test_with_nothing_it_says_how_outputs_come_in(db: Database, team: Team) -> None:
    app = models(db, team)

    assert "Nothing came in in this window" in words(app)
    assert specs(app) == []


def test_an_owner_sets_the_target_the_rate_and_the_metric_and_sees_them_at_once(db: Database, team: Team) -> None:
    flow = team.support.id
    counted(db, flow, {5: (600, 12)}, "m")
    app = opened(db, team.olu)
    assert "set what an hour costs below" in markup(app)

    app.number_input(key=f"target_{flow}").set_value(4.0)
    app.number_input(key=f"rate_{flow}").set_value(36.0)
    app.multiselect(key=f"minor_{flow}").set_value(["Tone"])
    next(one for one in app.button if one.label == "Save").click().run()
    assert not app.exception
    app.text_input(key=f"metric_name_{flow}").input("resolution_minutes")
    app.number_input(key=f"metric_base_{flow}").set_value(40.0)
    app.number_input(key=f"metric_target_{flow}").set_value(-20.0)
    next(one for one in app.button if one.label == "Save the metric").click().run()

    assert not app.exception
    with db.reading() as session:
        agreed = measured(session, flow)
    assert (agreed.quality_target, agreed.reviewer_rate_micro, agreed.minor_reasons) == (0.04, 36_000_000, ("Tone",))
    assert agreed.metric == Metric("resolution_minutes", "", 40.0, -0.2)
    said = markup(app)
    assert "review $0.0800" in said  # eight seconds of an hour that costs 36 dollars
    assert "resolution_minutes" in said


def test_an_alarm_stands_above_everything_until_an_owner_has_seen_it(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (60, 12)}, HOSTILE)
    with db.writing() as session:
        session.connection().execute(ALARM, {"flow": team.support.id, "model": HOSTILE, "at": now()})
    app = opened(db, team.olu)
    assert "is worse than its target of 5 %: 9 of the last 40 audited outputs were bad" in words(app)
    assert "over target" in markup(app)

    next(one for one in app.button if one.label == "I have seen it").click().run()

    assert not app.exception
    assert "is worse than its target" not in words(app)
    with db.reading() as session:
        (one,) = drift.alarms(session, team.olu, team.support.id, open_only=False)
    assert one.acknowledged_by == "Olu"
