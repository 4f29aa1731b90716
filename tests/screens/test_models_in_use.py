"""The model in use on the Models page: named, put in use by a gate, tried on a share, and back; reviewers see it."""

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.tables import Origin
from neuro_review import intake, models, workflows
from neuro_review.access import Actor
from neuro_review.eval_runs import gates
from neuro_review.eval_sets.rows import Version
from neuro_review.models import Use
from neuro_review.ui.models.changing import NEEDS_REASON, ON_TRIAL, OTHER
from tests.conftest import Team
from tests.evals.conftest import label
from tests.screens.test_quality_page import HOSTILE, markup, signed_in, words


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    st.cache_data.clear()


def opened(db: Database, actor: Actor) -> AppTest:
    app = signed_in(db, actor)
    app.switch_page("pages/models.py").run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> None:
    next(one for one in app.button if one.label == label).click().run()
    assert not app.exception


def said(app: AppTest) -> str:
    return words(app).replace("\\", "")


def now(db: Database, team: Team) -> Use:
    with db.reading() as session:
        use = models.in_use(session, team.support.id)
    assert use is not None
    return use


def test_an_owner_names_a_model_tries_another_on_a_share_and_goes_back(db: Database, team: Team) -> None:
    flow = team.support.id
    app = opened(db, team.olu)
    assert "No model is named yet" in said(app)
    app.text_input(key=f"name_{flow}").input("openai/a")
    app.text_input(key=f"called_{flow}").input('{"temperature": 0}')
    press(app, "Put it in use")
    assert "write down why it takes its place" in said(app)
    app.text_input(key=f"why_{flow}").input("what we call today")
    press(app, "Put it in use")
    assert "In use: openai" in said(app)
    assert "temperature 0" in said(app)
    assert "what we call today" in said(app)

    assert NEEDS_REASON in said(app)
    app.segmented_control(key=f"traffic_{flow}").set_value(ON_TRIAL).run()
    assert NEEDS_REASON not in said(app)
    app.text_input(key=f"name_{flow}").input("openai/b")
    app.text_input(key=f"called_{flow}").input("{}")
    app.number_input(key=f"share_{flow}").set_value(20.0)
    press(app, "Start the trial")
    assert (now(db, team).canary_model, now(db, team).canary_share) == ("openai/b", 0.2)
    assert "All that it writes is reviewed" in said(app)
    press(app, "End the trial")
    assert now(db, team).canary_model is None

    app.text_input(key=f"name_{flow}").input("openai/b")
    press(app, "Start the trial")
    app.text_input(key=f"why_trial_{flow}").input("it did well")
    next(one for one in app.button if one.key == f"promote_{flow}").click().run()
    assert (now(db, team).model, now(db, team).reason) == ("openai/b", "it did well")
    press(app, r"Go back to openai\/a")
    assert now(db, team).way == ("openai/a", {"temperature": 0})
    assert "All changes (6)" in [one.label for one in app.expander]
    assert "it did well" in markup(app)


def test_a_candidate_that_passed_its_gate_is_put_in_use_with_a_click(
    db: Database, team: Team, record: Callable[..., None], make: Callable[..., Version], tried: Callable[..., str]
) -> None:
    flow = team.support.id
    record([label(n) for n in range(60)])
    version = make()
    tried(version, "better", "worse")
    with db.writing() as session:
        models.promote(session, flow, team.olu, model="openai/worse", reason="the first")
        shut, passed = (
            gates.ask(session, team.olu, version.ref, baseline=f"openai/{old}", candidate=f"openai/{new}", margin=0.05)
            for old, new in (("better", "worse"), ("worse", "better"))
        )

    app = opened(db, team.olu)
    offered = app.selectbox(key=f"use_{flow}")
    assert offered.value == passed.id
    assert shut.id not in offered.options
    assert len(offered.options) == 2  # what is in use already is not offered
    assert "25.0 points fewer bad cases than openai/worse on first@1, 60 cases" in said(app)
    assert not [one for one in app.text_input if one.key == f"why_{flow}"]
    press(app, "Put it in use")

    assert (now(db, team).model, now(db, team).gate_id, now(db, team).who) == ("openai/better", passed.id, "Olu")
    assert "It passed the gate: 25.0 points fewer" in said(app)
    assert "passed the gate on first@1" in markup(app)
    app.selectbox(key=f"use_{flow}").set_value(shut.id).run()
    press(app, "Put it in use")
    assert "write down why it takes its place" in said(app)
    assert now(db, team).model == "openai/better"


def test_a_trial_says_what_share_of_the_traffic_was_set_and_what_came(db: Database, team: Team) -> None:
    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/a", reason="the first")
        models.try_on_traffic(session, team.support.id, team.olu, model="openai/b", share=0.1)
        door = intake.Door(team.support, workflows.source_id(session, "app"), "tests", Origin.GATE)

    def shown(by: Actor, names: dict[str, int]) -> str:
        outputs = [intake.Submission(model=name, output="Yes.") for name, many in names.items() for _ in range(many)]
        with db.writing() as session:
            intake.store(session, door, [intake.prepare(door, one) for one in outputs])
        st.cache_data.clear()
        return next(one.value for one in opened(db, by).text if one.value.startswith("Set: "))

    set_, per_cent = "Set: 10\u202f%. Came: ", "\u202f%"
    assert shown(team.olu, {}) == f"{set_}no output of either model yet."
    lost = shown(team.olu, {"openai/old": 1})
    assert lost.startswith(
        f"{set_}no output of either model yet. 1 output under other names came meanwhile. Look whether"
    )
    assert shown(team.bo, {"openai/b": 12, "openai/a": 119}) == (
        f"{set_}12 of 131 outputs (9.2{per_cent}). 1 output under other names came meanwhile, and counts neither way."
    )
    with db.writing() as session:
        models.end_canary(session, team.support.id, team.olu)
    assert "Came:" not in said(opened(db, team.olu))


def test_a_reviewer_sees_it_and_can_change_nothing_and_names_stay_text(db: Database, team: Team) -> None:
    with db.writing() as session:
        change = {"model": f"a {HOSTILE}", "parameters": {"system": HOSTILE}, "reason": HOSTILE}
        models.promote(session, team.support.id, team.olu, **change)  # type: ignore[arg-type]
        models.try_on_traffic(
            session, team.support.id, team.olu, model=f"b {HOSTILE}", share=0.1, reason=HOSTILE,
            parameters={"system": "long " * 100},
        )  # fmt: skip

    app = opened(db, team.bo)

    assert "Only an owner of the workflow can change it." in said(app)
    assert [one.label for one in app.main.get("button")] == []
    assert [one.label for one in app.selectbox] == ["Workflow"]
    assert "<b>x" not in markup(app)
    assert "&lt;b&gt;x" in markup(app)
    assert OTHER not in said(app)
    assert "Bad outputs" not in said(app)
    app = opened(db, team.eve)
    assert "In use" not in said(app)


def test_what_was_pressed_on_an_old_screen_changes_nothing(db: Database, team: Team) -> None:
    with db.writing() as session:
        for model in ("openai/a", "openai/b"):
            models.promote(session, team.support.id, team.olu, model=model, reason="why")
    app = opened(db, team.olu)
    with db.writing() as session:
        models.promote(session, team.support.id, team.ada, model="openai/c", reason="mine")

    press(app, r"Go back to openai\/a")

    assert "Somebody has changed the model in use meanwhile" in said(app)
    assert now(db, team).model == "openai/c"
