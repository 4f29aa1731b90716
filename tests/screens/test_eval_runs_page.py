"""The Eval runs page: runs are started, watched and gone on with; candidates compared, the gate, the judges."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
import streamlit as st
from sqlmodel import Session
from streamlit.testing.v1 import AppTest

from db.clock import new_id
from db.engine import Database
from db.tables import JobKind, Role
from neuro_review import models, sessions
from neuro_review.access import Actor
from neuro_review.eval_runs import asking, comparing, foreseen, judges, rows, storing
from neuro_review.eval_runs.asking import RECORDED, Asked
from neuro_review.eval_runs.junit import junit, junit_of_kept
from neuro_review.eval_runs.rows import Run
from neuro_review.eval_sets import rows as sets
from neuro_review.eval_sets.rows import Version
from neuro_review.jobs import asking as jobs_asking
from neuro_review.jobs import keeper
from neuro_review.jobs import rows as jobs
from neuro_review.jobs import run as process
from neuro_review.llm import Way
from neuro_review.settings import settings
from neuro_review.ui.evals import gate as gate_screen
from tests.conftest import OPERATOR, Team
from tests.evals.conftest import NUMBERS, label
from tests.llm_server import LanguageModel
from tests.screens.test_quality_page import APP, HOSTILE, markup, words

Record = Callable[[list[dict[str, Any]]], None]
Make = Callable[..., Version]
Tried = Callable[..., str]
PAGE = "pages/eval_runs.py"


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch, served: LanguageModel) -> None:
    named = {"own": {"url": served.url}, "keyed": {"url": served.url, "key_variable": "KEY_OF_NOBODY"}}
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    monkeypatch.setenv("NEURO_REVIEW_ENDPOINTS", orjson.dumps(named).decode())
    settings.cache_clear()
    st.cache_data.clear()


def opened(db: Database, actor: Actor, **query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    with db.writing() as session:
        token = sessions.sign_in(session, sessions.look_up(session, actor.email))
    app.user = {"session": sessions.session_id(token)}
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def keys(app: AppTest) -> set[str]:
    return {str(one.key) for one in app.button}


def badges(app: AppTest) -> str:
    return " ".join(one.value for one in app.markdown)


def links(app: AppTest) -> list[str]:
    return [f"{one.proto.page}?{one.proto.query_string}" for one in app.main.get("page_link")]


def runs(db: Database) -> list[Run]:
    with db.reading() as session:
        return rows.listed(session, OPERATOR)


def fill(app: AppTest, *names: str, endpoint: str | None = "own") -> AppTest:
    for number, name in enumerate(names):
        app.text_input(key=f"run_model_{number}").input(name)
        if endpoint is not None:
            app.selectbox(key=f"run_endpoint_{number}").set_value(endpoint)
    app.run()
    assert not app.exception
    return app


def work(db: Database) -> None:
    """Do the job that waits, as the background worker does in a process of its own."""
    held = keeper.next_one(db, [JobKind.EVAL])
    assert held is not None
    assert process.run(db, held) == process.DONE


def test_an_owner_starts_a_run_leaves_and_finds_it_done(db: Database, team: Team, record: Record, make: Make) -> None:
    record([label(n, "reject" if n % 5 == 0 else "approve") for n in range(1, 21)])
    version = make("safe")
    app = opened(db, team.olu, on=version.id)
    assert "No run yet" in words(app)

    fill(app, "openai/better", "openai/gpt-4o")
    app.text_input(key="run_parameters_0").input('{"temperature": 0}').run()
    said = words(app)
    assert "It makes 40 calls." in said
    assert "openai/better: 20 calls, cost unknown" in said
    assert "openai/gpt-4o: 20 calls, about $" in said
    assert "What it costs cannot be said before" in said
    press(app, "run_start")

    (asked,) = runs(db)
    assert app.query_params["run"] == asked.id
    assert (asked.version, asked.models, asked.scorers) == (
        "safe@1",
        ["openai/better", "openai/gpt-4o"],
        ["f1", "must_not"],
    )
    assert "0 of 40 answers" in words(app)
    assert "It waits for its turn" in words(app)
    work(db)
    app = opened(db, team.olu)
    assert "40 of 40 answers" in words(app)
    assert f"run={asked.id}" in " ".join(links(app))
    done = opened(db, team.olu, run=asked.id)
    assert "It has ended." in words(done)
    assert "openai/better" in markup(done)
    results = markup(done).split("Results of each candidate")[-1].split("</table>")[0]
    better, worse = (row.split("</tr>")[0] for row in results.split("<tr ")[-2:])
    assert "0.0\u202f%" in better
    assert "20 of 20" in better
    assert "unknown" in better
    assert "20.0\u202f%" in worse  # four of those with a target; the fifth was rejected once, and is not said again
    assert "$0.0" in worse
    assert "&quot;temperature&quot;:0" in markup(done)


def test_the_texts_of_a_version_are_read_once_however_often_the_form_is_drawn(
    db: Database, team: Team, record: Record, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n, model="rare" if n < 3 else "old") for n in range(8)])
    first, second = make("all"), make("few", models=("rare",))
    read: list[str] = []
    real = foreseen.sizes

    def sizes(session: Session, version: Version) -> foreseen.Sizes:
        read.append(version.ref)
        return real(session, version)

    monkeypatch.setattr(foreseen, "sizes", sizes)

    app = fill(opened(db, team.olu, on=first.id), "openai/gpt-4o")
    assert "openai/gpt-4o: 8 calls, about $" in words(app)
    app.number_input(key="run_repeats").set_value(3).run()
    assert "It makes 24 calls." in words(app)
    assert "openai/gpt-4o-mini: 24 calls, about $" in words(fill(app, "openai/gpt-4o-mini"))
    assert "It makes 8 calls." in words(fill(opened(db, team.olu, on=first.id), "openai/gpt-4o"))
    assert read == [first.ref]
    app.selectbox(key="run_version").set_value(second.ref).run()
    assert "It makes 9 calls." in words(app)
    assert read == [first.ref, second.ref]


def test_a_form_that_is_not_ready_says_why(db: Database, team: Team, record: Record, make: Make) -> None:
    record([label(n) for n in range(3)])
    make()
    app = opened(db, team.olu)

    def why() -> str:
        assert not app.exception
        assert app.button(key="run_start").disabled
        return next(one.value for one in app.text if one.value.startswith("It cannot start yet."))

    assert "Name at least one candidate." in why()
    fill(app, "openai/better")
    assert not app.button(key="run_start").disabled
    app.selectbox(key="run_endpoint_0").set_value("keyed").run()
    assert "has no KEY_OF_NOBODY" in words(app).replace("\\", "")
    for parameters, sentence in (
        ("temperature", "is no JSON object"), ('{"api_key": "sk-1"}', "Keys come from the environment"),
        ('{"api_base": "https://evil.example"}', "“api_base” is no parameter"),
    ):  # fmt: skip
        app.text_input(key="run_parameters_0").input(parameters).run()
        assert sentence in why()
    app.text_input(key="run_parameters_0").input("").run()
    app.number_input(key="run_budget").set_value(1.0).run()
    assert "The price of openai/better is not known" in why()
    app.number_input(key="run_in_0").set_value(1.0).run()
    assert "Name both prices" in why()
    app.number_input(key="run_out_0").set_value(2.0).run()
    assert not app.button(key="run_start").disabled
    app.multiselect(key="run_scorers").set_value(["f1", "judge"]).run()
    assert "Name the model that judges" in why()
    app.multiselect(key="run_scorers").set_value(["f1:7"]).run()
    assert "The scorer f1 cannot use “7”" in why()
    app.multiselect(key="run_scorers").set_value(["f1"])
    app.text_input(key="run_model_1").input("openai/better").run()
    assert "each named once" in why()
    assert runs(db) == []


def test_the_reviewed_outputs_and_a_judge_are_tried_with_it(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(n) for n in range(3)])
    make()
    app = opened(db, team.olu)
    fill(app, "openai/better")
    app.checkbox(key="run_recorded").check()
    app.multiselect(key="run_scorers").set_value(["f1", "judge"]).run()
    app.text_input(key="run_model_judge").input("openai/judge")
    app.selectbox(key="run_endpoint_judge").set_value("own").run()
    assert "It makes 9 calls." in words(app)  # three answers, and six that are judged
    press(app, "run_start")
    work(db)

    (found,) = runs(db)
    assert (found.models, found.errors, found.outcome) == ([RECORDED, "openai/better"], 0, "done")
    assert found.judge_hash is not None
    assert "no call" in markup(opened(db, team.olu, run=found.id))


def asked_by_olu(db: Database, team: Team, version: Version, *ways: Way, **more: Any) -> str:
    run_id = new_id()
    with db.writing() as session:
        jobs_asking.ask_eval(session, run_id, team.olu, version=version.ref, asked=Asked(ways, **more))
    return run_id


def test_a_run_says_how_it_stands_and_is_stopped_and_gone_on_with(
    db: Database, team: Team, record: Record, make: Make, served: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(4)])
    run_id = asked_by_olu(db, team, make(), asking.way("openai/better", endpoint="own"))
    monkeypatch.setenv("NEURO_REVIEW_WORKER", "false")
    settings.cache_clear()
    before = list(served.requests)
    app = opened(db, team.olu, run=run_id)
    assert "waiting" in badges(app)
    assert "starts no background worker" in " ".join(one.value for one in app.warning).replace("\\", "")
    press(app, "cancel")
    assert "no call begins any more" in words(app)
    work(db)
    app = opened(db, team.olu, run=run_id)
    assert "cancelled" in badges(app)
    assert "It asks for 4 answers; what is stored is not asked again." in words(app)
    assert served.requests == before

    press(app, "go_on")
    held = keeper.next_one(db, [JobKind.EVAL])
    assert held is not None
    assert "running" in badges(opened(db, team.olu, run=run_id))
    with db.writing() as session:
        session.connection().exec_driver_sql("UPDATE job SET lease_until = 1")  # its process was killed
    interrupted = opened(db, team.olu, run=run_id)
    assert "goes on by itself as soon as the background worker is back" in words(interrupted)
    work(db)
    assert "4 of 4 answers" in words(opened(db, team.olu, run=run_id))
    assert len(served.requests) == len(before) + 4
    assert "go_on" not in keys(opened(db, team.olu, run=run_id))


def test_of_two_who_let_a_run_go_on_at_once_one_is_told_so(
    db: Database, team: Team, record: Record, make: Make, add_person: Callable[..., Actor]
) -> None:
    record([label(n) for n in range(4)])
    run_id = asked_by_olu(db, team, make(), asking.way("openai/better", endpoint="own"))
    with db.writing() as session:
        asking.cancel(session, run_id, team.olu)
    work(db)
    mine, theirs = (opened(db, who, run=run_id) for who in (team.olu, add_person("Ova", Role.OWNER, team.support.id)))

    press(mine, "go_on")
    press(theirs, "go_on")

    assert "goes on already" in words(theirs)
    with db.reading() as session:
        waiting = (
            session.connection().exec_driver_sql("SELECT count(*) FROM job WHERE finished_at IS NULL").scalar_one()
        )
    assert waiting == 1
    work(db)
    assert "4 of 4 answers" in words(opened(db, team.olu, run=run_id))


@pytest.mark.parametrize("stopping", [False, True])
def test_a_run_that_the_command_line_works_on_is_not_taken_from_it(
    db: Database, team: Team, record: Record, make: Make, stopping: bool
) -> None:
    record([label(n) for n in range(4)])
    version = make()
    with db.writing() as session:
        one = Asked((asking.way("openai/better", endpoint="own"),))
        run_id = asking.ask(session, OPERATOR, version.ref, one)
    app = opened(db, team.olu, run=run_id)
    with db.writing() as session:
        taken = storing.take(session, run_id, prices="")  # by `eval run --resume`, while the page stands there
        if stopping:
            asking.cancel(session, run_id, OPERATOR)

    press(app, "go_on")

    assert "goes on already" in words(app)
    with db.reading() as session:
        assert jobs.of_runs(session, [run_id]) == {}
    assert storing.flush(db, taken, []) is stopping  # what it has paid for is still stored, and it hears of the stop


def test_what_failed_says_why_and_what_to_do_and_is_asked_again(
    db: Database, team: Team, record: Record, make: Make, served: LanguageModel
) -> None:
    record([label(n) for n in range(6)])
    run_id = asked_by_olu(db, team, make(), asking.way("openai/better", endpoint="own"), at_once=1)
    served.fail(401, 2)
    work(db)
    app = opened(db, team.olu, run=run_id)

    row = markup(app).split("AuthenticationError 401")
    assert ">2<" in row[0][-60:]
    assert "The key is wrong or missing" in row[1].split("</tr>")[0]
    assert "A failed answer is missing" in words(app)
    assert "4 of 6" in markup(app)  # known; of the failed ones nothing is known
    press(app, "go_on")
    work(db)
    assert "6 of 6 answers, 0 failed" in words(opened(db, team.olu, run=run_id))


def test_a_job_that_failed_says_so_and_the_run_can_go_on(
    db: Database, team: Team, record: Record, make: Make, add_person: Callable[..., Actor]
) -> None:
    record([label(1)])
    own = asking.way("openai/better", endpoint="own")
    run_id = asked_by_olu(db, team, make(), own, budget_micro=1_000_000)
    work(db)

    app = opened(db, add_person("Ova", Role.OWNER, team.support.id), run=run_id)

    assert "failed" in badges(app)
    assert "The price of openai/better is not known" in words(app)
    assert {"go_on"} <= keys(app)
    assert "cancel" not in keys(app)


def compared(db: Database, team: Team, run_id: str, old: str, new: str) -> AppTest:
    app = opened(db, team.olu, run=run_id)
    app.selectbox(key=f"beside_old_{run_id}").set_value(f"{run_id}/openai/{old}").run()
    app.selectbox(key=f"beside_new_{run_id}_{run_id}/openai/{old}").set_value(f"{run_id}/openai/{new}").run()
    assert not app.exception
    return app


def test_two_candidates_are_compared_and_the_gate_passes_blocks_or_cannot_tell(
    db: Database, team: Team, record: Record, make: Make, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n, model="rare" if 1 <= n <= 4 else "old") for n in range(60)])
    whole, few = tried(make("all"), "better", "worse"), tried(make("few", models=("rare",)), "better", "worse")
    written: list[bytes] = []
    later: list[bytes] = []
    monkeypatch.setattr(
        gate_screen, "junit", lambda gate, suite: written.append(junit(gate, suite=suite)) or written[-1]
    )
    monkeypatch.setattr(
        gate_screen, "junit_of_kept", lambda *args, **more: later.append(junit_of_kept(*args, **more)) or later[-1]
    )

    worse = compared(db, team, whole, "better", "worse")
    assert "25.0 points more bad cases than before (95\u202f% interval +15.8 to +37.2 points)." in words(worse)
    assert "Better on 0, worse on 15, alike on 45 of 60 cases." in words(worse)
    press(worse, "ask_gate")
    assert "block" in badges(worse)
    assert "shown to be worse" in words(worse)
    assert not [one for one in links(worse) if "models" in one]

    better = press(compared(db, team, whole, "worse", "better"), "ask_gate")
    assert "pass" in badges(better)
    assert "The candidate may take the place." in words(better)
    assert any("models" in one and f"workflow={team.support.id}" in one for one in links(better))

    unknown = press(compared(db, team, few, "better", "worse"), "ask_gate")
    assert "inconclusive" in badges(unknown)
    assert "more cases are needed" in words(unknown)

    first, second, third = (ET.fromstring(one) for one in dict.fromkeys(written))
    assert (first.get("failures"), first.get("errors")) == ("1", "0")
    assert (second.get("failures"), second.get("errors")) == ("0", "0")
    assert (third.get("failures"), third.get("errors")) == ("0", "1")
    # What it said is on record, and there again after the tab was closed.
    again = compared(db, team, whole, "worse", "better")
    kept = markup(again).split("What the gate said of these two")[-1]
    test = ET.fromstring(later[-1]).find(".//testcase")
    assert test is not None and (test.get("name"), len(test)) == ("openai/better in place of openai/worse", 0)
    assert re.search("worse on cases: none\nbetter on cases: [0-9]+, [0-9]+", later[-1].decode())
    assert [one.proto.label for one in again.main.get("download_button")] == ["Download it as JUnit XML"]
    assert "pass" in kept
    assert "Olu" in kept
    assert any("models" in one for one in links(again))


def held_against_one(app: AppTest) -> list[list[str]]:
    """Return the cells of the table in which every candidate is held against the same one; none where there is none."""
    _, _, table = markup(app).partition("<caption>Each candidate against the same one</caption>")
    rows_ = re.split("<tbody[^>]*>", table, maxsplit=1)[-1].partition("</tbody>")[0].split("</tr>")[:-1]
    return [[re.sub("<[^>]+>", "", cell) for cell in re.split("</t[hd]>", row)[:-1]] for row in rows_]


def test_of_three_candidates_each_is_told_with_what_its_difference_is_worth_among_them(
    db: Database, team: Team, record: Record, make: Make, tried: Tried
) -> None:
    record([label(n, model="rare" if n < 24 else "old") for n in range(60)])
    few, all_of_it = make("few", models=("rare",)), make("all")
    short, long = tried(few, "better", "worse", "other"), tried(all_of_it, "better", "worse", "other")
    assert held_against_one(opened(db, team.olu, run=tried(few, "better", "worse"))) == []

    def told(run_id: str, version: Version) -> list[list[str]]:
        app = opened(db, team.olu, run=run_id)
        app.selectbox(key=f"beside_old_{run_id}").set_value(f"{run_id}/openai/worse").run()
        assert not app.exception
        found = held_against_one(app)
        others = [f"{run_id}/openai/better", f"{run_id}/openai/other"]
        with db.reading() as session:
            known = comparing.several(session, OPERATOR, f"{run_id}/openai/worse", others, version=version.ref)
        assert [row[0] for row in found] == [one.comparison.candidate.model for one in known]
        for row, one in zip(found, known, strict=True):
            difference = one.comparison.difference
            assert difference is not None
            numbers = [float(number) for number in re.findall(r"[+-]?[0-9.]+", " ".join(row[2:4]).replace("−", "-"))]
            assert numbers == pytest.approx([100 * part for part in difference], abs=0.051)
            assert row[4] == ("below 0.001" if one.corrected < 0.001 else f"{one.corrected:.3g}")
            assert row[5] == f"{version.cases} of {version.cases}"
        return found

    better, other = (row[1:3] + row[4:5] for row in told(short, few))  # alone 2/2⁶ would do; of two it does not
    assert better == ["not shown yet", "−25.0 points", "0.0625"]
    assert other == ["not shown yet", "±0.0 points", "1"]
    better, other = (row[1:3] + row[4:5] for row in told(long, all_of_it))
    assert better == ["a real difference: fewer bad cases", "−25.0 points", "below 0.001"]
    assert other[0] == "not shown yet"


def test_a_candidate_with_many_unanswered_cases_is_not_called_better_among_several(
    db: Database, team: Team, record: Record, make: Make, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(60)])
    run_id, really = tried(make(), "better", "worse", "other"), comparing.several

    def one_in_six_failed(*asked: Any, **more: Any) -> list[comparing.Among]:
        return [replace(one, comparison=replace(one.comparison, cases=50)) for one in really(*asked, **more)]

    monkeypatch.setattr(comparing, "several", one_in_six_failed)
    app = opened(db, team.olu, run=run_id)
    app.selectbox(key=f"beside_old_{run_id}").set_value(f"{run_id}/openai/worse").run()

    better, _ = held_against_one(app)

    assert (better[1], *better[4:]) == ("too many without an outcome", "below 0.001", "50 of 60")


def test_the_cases_on_which_they_differ_show_what_each_said(
    db: Database, team: Team, record: Record, make: Make, tried: Tried
) -> None:
    record([label(n) for n in range(1, 13)])
    run_id = tried(make(), "better", "worse")

    app = compared(db, team, run_id, "better", "worse")

    flips = next(one for one in app.selectbox if str(one.key).startswith("flip_"))
    assert [one.split(",")[1] for one in flips.options] == [" worse than before"] * 3
    said = markup(app)
    assert "<del>answer</del>" in said
    assert "something" in said
    scores = markup(app).split("What the scorers say of both")[-1].split("<tbody>")[1]
    assert ["passed" in row for row in scores.split("</tr>")[:2]] == [True, False]
    assert "failed" in scores.split("</tr>")[1]
    assert any("history" in one for one in links(app))


def test_the_answers_of_one_candidate_are_found_by_what_became_of_them(
    db: Database, team: Team, record: Record, make: Make, served: LanguageModel
) -> None:
    record([label(n, "reject" if n == 7 else "approve") for n in range(1, 9)])
    version = make()
    run_id = asked_by_olu(db, team, version, asking.way("openai/worse", endpoint="own"), at_once=1)
    served.fail(404, 1)
    work(db)
    with db.reading() as session:
        first = sets.cases(session, version.id, most=1)[0].prompt
    wrong = len({4, 8} - {NUMBERS[first or ""]})  # it is wrong on every fourth, and got no answer to the first of all
    app = opened(db, team.olu, run=run_id)
    assert "It takes two candidates" in words(app)

    def one_of() -> tuple[int, str, str]:
        (case,) = (one for one in app.selectbox if str(one.key).startswith("answers_case_"))
        return len(case.options), words(app), markup(app)

    many, _, said = one_of()
    assert many == wrong
    assert "entirely" in said
    assert "failed" in said.split("What the scorers say of the answer")[-1]
    app.selectbox(key=f"answers_kind_{run_id}").set_value("without an outcome").run()
    many, said, _ = one_of()
    assert (many, "The answer failed: NotFoundError 404" in said) == (1, True)
    app.selectbox(key=f"answers_kind_{run_id}").set_value("good").run()
    assert one_of()[0] == 8 - wrong - 1


def test_the_model_in_use_is_what_candidates_are_held_against(
    db: Database, team: Team, record: Record, make: Make, tried: Tried
) -> None:
    record([label(n) for n in range(8)])
    version = make()
    before = tried(version, "worse")
    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/worse", reason="the first")

    app = opened(db, team.olu, run=tried(version, "better"))

    assert next(one for one in app.selectbox if str(one.key).startswith("beside_old")).value == f"{before}/openai/worse"
    assert "points fewer bad cases than before" in words(app)


def test_a_run_without_one_answer_is_not_called_done(
    db: Database, team: Team, record: Record, make: Make, served: LanguageModel
) -> None:
    record([label(1), label(2)])
    run_id = asked_by_olu(db, team, make(), asking.way("openai/better", endpoint="own"))
    served.fail(404, 2)
    work(db)

    app = opened(db, team.olu, run=run_id)

    assert "no answer" in badges(app) and "done" not in badges(app)
    assert "It has ended without one answer." in words(app)
    assert "There is no model of this name there." in markup(app)


def test_a_judge_is_fit_unfit_or_expired_and_no_gate_rests_on_an_unfit_one(
    db: Database, team: Team, record: Record, make: Make, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "FEWEST", 15)
    monkeypatch.setattr(judges, "FEWEST_BAD", 5)
    record([label(n, "reject" if n % 3 == 0 else "approve") for n in range(15)])
    version = make()
    tried(version, RECORDED, judge="judge")
    run_id = tried(version, "better", "worse", judge="judge-says-yes")

    app = opened(db, team.olu)
    assert {"fit", "unfit"} <= set(badges(app).replace(":", " ").replace("[", " ").replace("]", " ").split())
    assert "Not enough reviewed outputs yet" in words(app)
    assert "100.0" in markup(app)
    differ = compared(db, team, run_id, "better", "worse")
    assert "because" in [one.value for one in differ.text]
    assert "Why the judge says so of the answer of the candidate" in words(differ)
    refused = press(differ, "ask_gate")
    assert "The judge is not fit" in words(refused).replace("\\", "")
    refused.selectbox(key=f"beside_scorer_{run_id}").set_value("f1").run()
    press(refused, "ask_gate")
    assert "inconclusive" in badges(refused)  # by f1 alone the five rejected cases have no outcome
    assert "5 of 15 cases have no outcome for both" in words(refused)
    assert "no scorer speaks of these cases: start a run with f1 and must" in words(refused)

    with db.writing() as session:
        session.connection().exec_driver_sql(f"INSERT INTO rubric VALUES ({team.support.id}, 1, 'Be polite.', 1, 'x')")
        session.connection().exec_driver_sql("UPDATE workflow SET rubric_version = 1")
    app = opened(db, team.olu)
    assert "expired" in badges(app)
    assert "The rubric or the judge's prompt has changed since." in words(app)


def test_answers_are_put_before_reviewers(db: Database, team: Team, record: Record, make: Make, tried: Tried) -> None:
    record([label(n) for n in range(5)])
    run_id = tried(make(), "better")
    app = opened(db, team.olu, run=run_id)

    app.number_input(key=f"put_many_{run_id}").set_value(3).run()
    press(app, "put")

    assert "3 answers wait on Review." in " ".join(one.value for one in app.info).replace("\\", "")
    with db.reading() as session:
        held = session.connection().exec_driver_sql("SELECT count(*) FROM item WHERE origin = 'candidate'").scalar_one()
    assert held == 3


def test_what_models_and_people_wrote_stays_text(
    db: Database, team: Team, record: Record, make: Make, served: LanguageModel
) -> None:
    record([label(n, output=HOSTILE, prompt=f"{HOSTILE} {n} {'abcdefgh'[n] * 9}", reasons=[HOSTILE], model=HOSTILE,
                  verdict="correct", correction=f"right {n}", reviewer=HOSTILE) for n in range(4)])  # fmt: skip
    ways = [asking.way(f"openai/{HOSTILE}{n}".replace("://", ""), endpoint="own", parameters={"stop": HOSTILE})
            for n in range(2)]  # fmt: skip
    answer, served.answer = served.answer, lambda asked: HOSTILE if asked["model"].endswith("0") else "right 1"
    try:
        run_id = asked_by_olu(db, team, make(HOSTILE.replace("@", "")[:90]), *ways)
        work(db)
    finally:
        served.answer = answer

    listed, one = opened(db, team.olu), opened(db, team.olu, run=run_id)

    for app in (listed, one):
        assert "<b>" not in markup(app)
        shown = [*app.text, *app.caption, *app.header, *app.markdown]
        assert not [part.value for part in (*app.caption, *app.header, *app.markdown) if "![i]" in part.value]
        assert shown
    assert "&lt;b&gt;" in markup(one)
    assert any(HOSTILE in text.value for text in one.text)


def test_who_may_export_reads_and_starts_nothing_and_others_see_nothing(
    db: Database, team: Team, record: Record, make: Make, tried: Tried, add_person: Callable[..., Actor]
) -> None:
    record([label(n) for n in range(4)])
    run_id = tried(make(), "better", "worse")
    mine, other = (
        add_person(name, Role.EXPORT, flow.id) for name, flow in (("Exa", team.support), ("Ext", team.other))
    )

    app = opened(db, mine, run=run_id)
    assert "openai/better" in markup(app)
    assert {"ask_gate", "put", "cancel", "go_on"} & keys(app) == set()
    listed = opened(db, mine)
    assert "Only the owner of a workflow can start one." in words(listed)
    assert "run_start" not in keys(listed)
    assert "No run yet" in words(opened(db, other))
    assert "openai/better" not in markup(opened(db, other, run=run_id))
    assert "There is no run" in words(opened(db, mine, run="x' OR 1=1")).replace("\\", "")


def test_a_button_of_an_owner_does_nothing_once_the_role_is_gone(
    db: Database, team: Team, record: Record, make: Make, tried: Tried
) -> None:
    record([label(n) for n in range(4)])
    run_id = tried(make(), "better", "worse")
    app, form = compared(db, team, run_id, "better", "worse"), fill(opened(db, team.olu), "openai/better")
    with db.writing() as session:
        session.connection().exec_driver_sql(
            f"UPDATE role_grant SET role = 'export' WHERE person_id = {team.olu.person_id}"
        )

    for one, key in ((app, "ask_gate"), (app, "put"), (form, "run_start")):
        if key in keys(one):
            one.button(key=key).click().run()
        assert not one.exception

    with db.reading() as session:
        asked = session.connection().exec_driver_sql("SELECT count(*) FROM eval_gate").scalar_one()
        put = session.connection().exec_driver_sql("SELECT count(*) FROM eval_review").scalar_one()
    assert (asked, put, len(runs(db))) == (0, 0, 1)
