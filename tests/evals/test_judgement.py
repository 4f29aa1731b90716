"""What is said of candidates: compared on the same cases, let through the gate or not, judged by a fit judge only."""

import contextlib
import random
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.clock import DAY, SECOND
from db.engine import Database
from db.tables import GateOutcome, Verdict
from neuro_review import decisions, models, queue, scorers
from neuro_review.__main__ import main
from neuro_review.desk import cards as desk_cards
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.eval_runs import asking, comparing, gates, judges, judging, outcomes, reviewing, rows, run
from neuro_review.eval_runs.asking import RECORDED, Asked
from neuro_review.eval_runs.junit import junit, junit_of_kept
from neuro_review.eval_sets.rows import Version
from neuro_review.llm import Way
from neuro_review.models import grounds
from neuro_review.stats.paired import tango
from neuro_review.workflows import measured
from tests.conftest import OPERATOR, Clock, Team
from tests.evals.conftest import answers, label
from tests.exports.stock import decide
from tests.llm_server import LanguageModel

Record = Callable[[list[dict[str, Any]]], None]
Make = Callable[..., Version]


def test_two_candidates_are_compared_on_the_same_cases(
    db: Database, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n, "reject" if n % 10 == 0 else "approve") for n in range(1, 41)])
    version = make()
    tried(version, "better", "worse")

    with db.reading() as session:
        found = comparing.compare(session, OPERATOR, "openai/better", "openai/worse", version=version.ref)

    # Of 36 with a target every fourth is wrong: 10 of 40, less those two of ten that were rejected.
    assert (found.cases, found.of, found.wins, found.losses, found.ties) == (40, 40, 0, 8, 32)
    assert found.difference == pytest.approx(tango(8, 0, 40, 0.95))
    assert [(one.name, one.cases) for one in found.reasons] == [("Tone", 4)]
    assert {flip.worse for flip in found.flips} == {True}
    assert (found.candidate.bad, found.candidate.known, found.candidate.cost_micro) == (8, 40, None)


def test_the_gate_passes_blocks_or_says_how_many_cases_are_missing(
    db: Database, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n, model="rare" if 1 <= n <= 4 else "old") for n in range(120)])
    version = make()
    few = make("few", models=("rare",))
    tried(version, "better", "worse")
    tried(few, "better", "worse")

    def ask(ref: str, old: str, new: str) -> gates.Gate:
        with db.writing() as session:
            return gates.ask(session, OPERATOR, ref, baseline=f"openai/{old}", candidate=f"openai/{new}", margin=0.1)

    worse, better, unknown = (
        ask("first", "better", "worse"),
        ask("first", "worse", "better"),
        ask("few", "better", "worse"),
    )

    assert (worse.outcome, better.outcome) == (GateOutcome.BLOCK, GateOutcome.PASS)
    assert worse.as_dict().keys() == {"outcome", "difference", "low", "high", "cases", "more_cases_needed"}
    assert (worse.difference, worse.cases, worse.more_cases_needed) == (0.25, 120, 0)
    assert unknown.outcome is GateOutcome.INCONCLUSIVE
    assert unknown.more_cases_needed > 0
    assert "more cases are needed" in unknown.why
    with db.reading() as session:
        kept = session.connection().execute(sa.text("SELECT outcome FROM eval_gate ORDER BY made_at")).scalars().all()
    assert kept == ["block", "pass", "inconclusive"]


def test_while_the_gate_counts_others_write(
    db: Database, record: Record, make: Make, tried: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(8)])
    tried(make(), "better", "worse")
    count, meanwhile = gates.between, []

    def counted(*args: Any, **more: Any) -> comparing.Comparison:
        with db.writing() as session:  # on SQLite there is one right to write, and it is free
            session.connection().execute(sa.text("UPDATE person SET name = name"))
        meanwhile.append(True)
        return count(*args, **more)

    monkeypatch.setattr(gates, "between", counted)
    asked = {"baseline": "openai/better", "candidate": "openai/worse", "margin": 0.1}

    said = gates.ask_in_steps(db, OPERATOR, "first", **asked)

    with db.reading() as session:
        (kept,) = gates.kept(
            session, *(outcomes.find(session, OPERATOR, asked[side]) for side in ("baseline", "candidate"))
        )
    assert meanwhile == [True]
    assert (kept.id, kept.outcome, kept.difference, kept.by) == (
        said.id,
        said.outcome,
        said.difference,
        "operator:tests",
    )


def test_the_gate_cannot_be_made_to_lie(db: Database, record: Record, make: Make, tried: Callable[..., str]) -> None:
    record([label(n) for n in range(8)])
    version = make()
    tried(version, "better", "worse")
    with db.writing() as session:
        gates.ask(session, OPERATOR, "first", baseline="openai/better", candidate="openai/worse", margin=0.1)
    copied = (
        "INSERT INTO eval_gate (id, version_id, workflow_id, baseline_run, baseline, candidate_run, candidate, model,"
        " margin, outcome, difference, low, high, cases, made_at, made_by) SELECT '00000000000000000000000000000001',"
        " version_id, workflow_id, baseline_run, baseline, candidate_run, candidate, model, margin, 'pass', difference,"
        " low, high, cases, made_at, made_by FROM eval_gate"
    )

    for lie in (copied, "UPDATE eval_gate SET outcome = 'pass'", "DELETE FROM eval_gate"):
        with pytest.raises(sa.exc.IntegrityError), db.writing() as session:
            session.connection().execute(sa.text(lie))


def test_a_model_that_passed_comes_into_use_as_it_was_tried(
    db: Database, team: Team, record: Record, make: Make, served: LanguageModel
) -> None:
    record([label(n) for n in range(60)])
    version = make()
    ways = tuple(
        asking.way(f"openai/{name}", api_base=served.url, parameters={"temperature": 0.5})
        for name in ("better", "worse")
    )
    with db.writing() as session:
        run_id = asking.ask(session, OPERATOR, version.ref, Asked(ways))
    run.work_on(db, run_id)
    with db.writing() as session:
        gate = gates.ask(session, OPERATOR, version.ref, baseline="openai/worse", candidate="openai/better", margin=0.2)
    passed: dict[str, Any] = {"model": "openai/better", "gate_id": gate.id}

    for other in ({}, {"temperature": 0.5, "system": "Answer in verse."}):
        with db.writing() as session, pytest.raises(ConflictError, match="with other parameters"):
            models.promote(session, team.support.id, team.olu, parameters=other, **passed)
    for row in (f"'openai/better', '{{}}', '{gate.id}'", f"'openai/better', '{{\"temperature\":2}}', '{gate.id}'"):
        with pytest.raises(sa.exc.IntegrityError, match="passed with these parameters"), db.writing() as session:
            session.connection().exec_driver_sql(
                "INSERT INTO model_use (workflow_id, seq, model, parameters, gate_id, gate_outcome, at, by)"
                f" VALUES ({team.support.id}, 1, {row}, 'pass', 1, 'x')"
            )
    with db.writing() as session:
        use = models.promote(session, team.support.id, team.olu, **passed)

    assert (use.model, use.parameters, use.gate_id) == ("openai/better", {"temperature": 0.5}, gate.id)
    with db.reading() as session:
        known = grounds.named(session, team.support.id)
    assert [known[gate.id].version, known[gate.id].baseline, known[gate.id].passed] == [
        version.ref,
        "openai/worse",
        True,
    ]


def test_each_candidate_is_known_with_what_the_gate_said_last(
    db: Database, team: Team, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n) for n in range(60)])
    version = make()
    tried(version, "better", "worse", RECORDED)

    def ask(candidate: str, margin: float, baseline: str = "openai/worse") -> str:
        with db.writing() as session:
            return gates.ask(session, team.olu, version.ref, baseline=baseline, candidate=candidate, margin=margin).id

    ask("openai/better", 0.2)
    ask(RECORDED, 0.2)
    last = [ask("openai/better", 0.001), ask("openai/worse", 0.1, "openai/better")]

    with db.reading() as session:
        found = grounds.tried(session, team.olu, team.support.id)
        with pytest.raises(NotAllowedError):
            grounds.tried(session, team.bo, team.support.id)

    assert [one.gate_id for one in found] == last[::-1]
    assert [(one.model, one.passed, one.who, one.cases) for one in found] == [
        ("openai/worse", False, "Olu", 60), ("openai/better", True, "Olu", 60),
    ]  # fmt: skip


def test_several_candidates_at_once_are_each_held_to_more(
    url: str, db: Database, record: Record, make: Make, tried: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    record([label(n) for n in range(24)])
    version = make()
    tried(version, "better", "worse", "other")

    with db.reading() as session:
        ask = {"version": version.ref}
        alone = comparing.several(session, OPERATOR, "openai/worse", ["openai/better"], **ask)
        found = comparing.several(session, OPERATOR, "openai/worse", ["openai/better", "openai/other"], **ask)

    p = 2 / 2**6  # better on six cases, worse on none
    assert [(round(one.p, 9), round(one.corrected, 9)) for one in alone] == [(p, p)]
    assert [(round(one.p, 9), round(one.corrected, 9)) for one in found] == [(p, 2 * p), (1.0, 1.0)]
    words = ["eval", "compare", "openai/worse", "openai/better", "openai/other", "--on", version.ref]
    assert "corrected for 2 candidates 0.0625\n" in CliRunner().invoke(main, words).stdout
    told = orjson.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert [round(one["p_corrected"], 9) for one in told] == [2 * p, 1.0]


def test_unanswered_cases_keep_a_gate_shut(
    db: Database, record: Record, make: Make, tried: Callable[..., str], served: LanguageModel
) -> None:
    record([label(n) for n in range(40)])
    version = make()
    tried(version, "better")
    with db.writing() as session:
        run_id = asking.ask(session, OPERATOR, version.ref, Asked((asking.way("openai/new", api_base=served.url),)))
    served.fail(400, 10)
    assert run.work_on(db, run_id)["errors"] == 10

    with db.writing() as session:
        said = gates.ask(session, OPERATOR, "first", baseline="openai/better", candidate=run_id, margin=0.5)

    assert (said.outcome, said.low, said.cases) == (GateOutcome.INCONCLUSIVE, None, 30)
    assert "10 of 40 cases have no outcome" in said.why


@pytest.mark.parametrize("margin", [0.0, 1.0, 1e-200, 1e-6, float("nan")])
def test_a_margin_that_no_number_of_cases_could_show_is_refused(
    db: Database, record: Record, make: Make, tried: Callable[..., str], margin: float
) -> None:
    record([label(n) for n in range(4)])
    tried(make(), "better", "worse")

    with db.writing() as session, pytest.raises(InvalidError, match="A margin is a share"):
        gates.ask(session, OPERATOR, "first", baseline="openai/better", candidate="openai/worse", margin=margin)


def test_junit_says_what_the_gate_says(db: Database, record: Record, make: Make, tried: Callable[..., str]) -> None:
    record([label(n) for n in range(60)])
    tried(make(), "better", "worse")
    with db.writing() as session:
        blocked = gates.ask(session, OPERATOR, "first", baseline="openai/better", candidate="openai/worse", margin=0.05)
        passed = gates.ask(session, OPERATOR, "first", baseline="openai/worse", candidate="openai/better", margin=0.05)

    bad, good = (ET.fromstring(junit(one, suite="first")) for one in (blocked, passed))

    assert (bad.get("tests"), bad.get("failures"), bad.get("errors")) == ("1", "1", "0")
    failure = bad.find(".//failure")
    assert failure is not None and "shown to be worse" in str(failure.get("message"))
    assert good.find(".//failure") is None and good.find(".//error") is None


def test_junit_can_be_written_later_from_what_is_on_record(
    db: Database, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n) for n in range(60)])
    tried(make(), "better", "worse")
    asked = {"baseline": "openai/better", "candidate": "openai/worse", "margin": 0.05}
    with db.writing() as session:
        said = gates.ask(session, OPERATOR, "first", **asked)
    ((kept, flips),) = on_record(db, asked["baseline"], asked["candidate"])

    then = ET.fromstring(junit(said, suite="first"))
    later = ET.fromstring(junit_of_kept(kept, suite="first", baseline=said.comparison.baseline.model,
                                        candidate=said.comparison.candidate.model, flips=flips))  # fmt: skip

    first, again = (tree.find(".//system-out") for tree in (then, later))
    assert first is not None and again is not None
    worse = re.search("worse on cases: (.*)\nbetter on cases: none", str(first.text))
    assert worse is not None and len(worse[1].split(", ")) == 15
    assert str(again.text).startswith(f"{first.text}asked: ")
    first.text = again.text = ""
    assert ET.tostring(later) == ET.tostring(then)


def on_record(db: Database, old: str, new: str) -> list[tuple[gates.Kept, list[comparing.Flip] | None]]:
    """Return what the gate said of two, the newest first, and which cases flipped then."""
    with db.reading() as session:
        two = [outcomes.find(session, OPERATOR, one) for one in (old, new)]
        return [(one, gates.flips(session, *two, one)) for one in gates.kept(session, *two)]


def test_which_cases_flipped_is_told_later_as_it_was_when_the_gate_was_asked(
    db: Database, team: Team, record: Record, make: Make, tried: Callable[..., str], moved_clock: Clock
) -> None:
    record([label(n) for n in range(60)])
    tried(make(), "worse", "better")
    asked = {"baseline": "openai/worse", "candidate": "openai/better", "margin": 0.05}
    said = [gates.ask_in_steps(db, OPERATOR, "first", **asked)]
    with db.writing() as session:
        assert reviewing.put(session, team.olu, outcomes.find(session, OPERATOR, "openai/better"), many=60) == 60
    corrected = decisions.Opinion(Verdict.CORRECT, "Said more kindly.", ["Tone"])
    with db.writing() as session:
        for lease in queue.claim(session, team.bo, [team.support.id], most=8):
            decisions.decide(session, lease.item_id, team.bo, lease.lease_n, corrected)
    moved_clock.forward(6 * SECOND)
    said.append(gates.ask_in_steps(db, OPERATOR, "first", **asked))
    with db.writing() as session:
        measured.set_minor_reasons(session, team.olu, team.support.id, ["Tone"])
    for _ in range(2):
        decide(db, team.support, team.bo, Verdict.REJECT)
    moved_clock.forward(6 * SECOND)
    said.append(gates.ask_in_steps(db, OPERATOR, "first", **asked))

    found = on_record(db, asked["baseline"], asked["candidate"])

    assert [one.id for one, _ in found] == [one.id for one in reversed(said)]
    assert [flips for _, flips in found] == [one.comparison.flips for one in reversed(said)]
    assert len({repr(flips) for _, flips in found}) == 3


def test_where_it_is_not_known_any_more_which_cases_flipped_none_is_named(
    db: Database, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n) for n in range(60)])
    tried(make(), "better", "worse")
    gates.ask_in_steps(db, OPERATOR, "first", baseline="openai/better", candidate="openai/worse", margin=0.05)
    ((kept, _),) = on_record(db, "openai/better", "openai/worse")
    before_any_answer = replace(kept, at=kept.at - DAY)

    with db.reading() as session:
        two = [outcomes.find(session, OPERATOR, one) for one in ("openai/better", "openai/worse")]
        flips = gates.flips(session, *two, before_any_answer)
    out = ET.fromstring(junit_of_kept(kept, suite="first", baseline="a", candidate="b", flips=flips)).find(
        ".//system-out"
    )

    assert flips is None
    assert out is not None and "is not known any more" in str(out.text)


def test_what_could_not_be_told_for_want_of_outcomes_is_an_error_later_too() -> None:
    kept = gates.Kept("g", GateOutcome.INCONCLUSIVE, 0.03, None, None, None, None, 30, 0, 0, "Olu\x0b</a>")

    tree = ET.fromstring(junit_of_kept(kept, suite="first", baseline="a", candidate="b", flips=[]))

    error, out = tree.find(".//error"), tree.find(".//system-out")
    assert error is not None and "no outcome for both" in str(error.get("message"))
    assert out is not None and "by Olu\ufffd</a>" in str(out.text)


def test_names_with_characters_that_no_xml_holds_break_no_junit(
    db: Database, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n) for n in range(60)])
    tried(make(), "better", "worse\x01\x1b</a>")
    with db.writing() as session:
        said = gates.ask(
            session, OPERATOR, "first", baseline="openai/better", candidate="openai/worse\x01\x1b</a>", margin=0.05
        )

    test = ET.fromstring(junit(said, suite="first\x0b")).find(".//testcase")

    assert test is not None and test.get("name") == "openai/worse\ufffd\ufffd</a> in place of openai/better"


def test_a_candidate_is_found_by_run_by_both_and_by_model_and_never_guessed(
    db: Database, team: Team, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(1)])
    version = make()
    old = tried(version, "better", "worse")
    new = tried(version, "better")

    with db.reading() as session:
        assert outcomes.find(session, OPERATOR, "openai/better").run_id == new
        assert outcomes.find(session, OPERATOR, new).model == "openai/better"
        assert outcomes.find(session, OPERATOR, f"{old}/openai/worse").candidate == 1
        with pytest.raises(InvalidError, match="fits several"):
            outcomes.find(session, OPERATOR, old)
        with pytest.raises(NotFoundError, match="eval run"):
            outcomes.find(session, OPERATOR, "openai/unknown", version=version.ref)


def test_a_judge_is_fit_only_once_it_agrees_with_the_reviewers(
    db: Database, record: Record, make: Make, tried: Callable[..., str], moved_clock: Clock
) -> None:
    record([label(n, "reject" if n % 3 == 0 else "approve") for n in range(120)])
    version = make()
    tried(version, RECORDED, judge="judge")
    tried(version, RECORDED, judge="judge-says-yes")
    tried(version, RECORDED, judge="judge-mumbles")

    def cards() -> dict[str, judges.Card]:
        with db.reading() as session:
            return {one.model: one for one in judges.cards(session, OPERATOR, version.workflow_id)}

    good, lazy = cards()["openai/judge"], cards()["openai/judge-says-yes"]
    assert (good.fit, good.all.outputs, good.all.bad, good.all.unparsed) == (True, 120, 40, 0)
    assert good.all.sensitivity is not None and good.all.sensitivity.rate == 1
    assert good.all.sensitivity.low == pytest.approx(0.912, abs=0.001)  # Wilson, 40 of 40
    assert [one.model for one in good.models] == ["old"]
    assert not lazy.fit
    assert lazy.all.sensitivity is not None and lazy.all.sensitivity.rate == 0
    assert lazy.all.kappa is not None and lazy.all.kappa.rate == 0
    assert "agrees with the reviewers less" in (lazy.why_not or "")
    assert "What it said of 120 more was not understood" in (cards()["openai/judge-mumbles"].why_not or "")

    moved_clock.forward(31 * DAY)
    assert "30 days" in (cards()["openai/judge"].why_not or "")
    with db.writing() as session:
        session.connection().execute(sa.text("INSERT INTO rubric VALUES (:flow, 1, 'Be polite.', 1, 'x')"),
                                     {"flow": version.workflow_id})  # fmt: skip
        session.connection().execute(sa.text("UPDATE workflow SET rubric_version = 1"))
    assert "rubric" in (cards()["openai/judge"].why_not or "")


def test_no_gate_rests_on_a_judge_that_is_unfit(
    db: Database, record: Record, make: Make, tried: Callable[..., str]
) -> None:
    record([label(n) for n in range(20)])
    version = make()
    tried(version, "better", "worse", judge="judge")

    def ask(**more: Any) -> gates.Gate:
        with db.writing() as session:
            return gates.ask(
                session, OPERATOR, version.ref, baseline="openai/better", candidate="openai/worse", margin=0.1, **more
            )

    with pytest.raises(ConflictError, match="judge is not fit"):
        ask()
    assert ask(scorer="f1").outcome is GateOutcome.BLOCK


def test_a_judge_that_was_not_understood_is_neither_right_nor_wrong(
    db: Database, record: Record, make: Make, served: LanguageModel, tried: Callable[..., str]
) -> None:
    record([label(1)])
    version = make()
    served.answer = lambda asked: "I had rather not say." if asked["model"] == "judge" else "answer 1"
    try:
        run_id = tried(version, "better", judge="judge")
    finally:
        served.answer = answers

    with db.reading() as session:
        found = outcomes.outcomes(session, outcomes.find(session, OPERATOR, run_id))
        (answer,) = rows.answers(session, run_id, next(iter(found.cases)))
    assert [one.bad for one in found.cases.values()] == [None]
    assert ("judge", None, None, "I had rather not say.") in answer.scores


def test_an_answer_that_failed_to_be_judged_is_judged_when_the_run_goes_on(
    db: Database, record: Record, make: Make, served: LanguageModel
) -> None:
    record([label(1)])
    version, before = make(), len(served.requests)
    judge = asking.way("openai/judge", api_base=served.url)
    asked = Asked((Way(RECORDED),), (*scorers.DEFAULT, scorers.JUDGE), judge)
    with db.writing() as session:
        run_id = asking.ask(session, OPERATOR, version.ref, asked)
    served.fail(400, 2)  # with a schema, and without
    run.work_on(db, run_id)
    with db.writing() as session:
        asking.reopen(session, run_id, OPERATOR)
    run.work_on(db, run_id)

    with db.reading() as session:
        judged = session.connection().execute(sa.text("SELECT passed FROM eval_score WHERE scorer = 'judge'")).all()
    assert [bool(row.passed) for row in judged] == [True]
    assert len(served.requests) - before == 3


def test_reviewers_judge_candidates_without_knowing_whose_answer_it_is_and_their_word_counts(
    db: Database, team: Team, record: Record, make: Make, tried: Callable[..., str], moved_clock: Clock
) -> None:
    record([label(n) for n in range(1, 9)])
    version = make()
    run_id = tried(version, "better", "worse")
    with db.writing() as session:
        one = outcomes.find(session, OPERATOR, f"{run_id}/openai/better")
        put = [reviewing.put(session, team.olu, one, many=many) for many in (5, 100, 100)]
    assert put == [5, 3, 0]

    with db.writing() as session:
        (lease,) = queue.claim(session, team.bo, [team.support.id], most=1)
        (card,) = desk_cards.cards(session, [lease], team.bo)
    assert card["model"] == ""
    assert "better" not in repr(card)
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE item SET lease_by = NULL, lease_until = 0"))
    for _ in range(8):
        decide(db, team.support, team.bo, Verdict.REJECT)
    moved_clock.forward(6 * SECOND)

    with db.reading() as session:
        found = outcomes.outcomes(session, one)
        estimate = judges.estimate(session, one)
        released = session.connection().execute(sa.text("SELECT count(*) FROM outbox")).scalar_one()
    assert [case.bad for case in found.cases.values()] == [True] * 8  # though every scorer finds them good
    assert (found.reviewed, released) == (8, 0)
    assert (estimate.answers, estimate.labels) == (8, 8)
    assert estimate.rate is not None and estimate.rate.rate == 1


def test_two_who_put_answers_before_reviewers_at_once_put_different_ones(
    db: Database, record: Record, make: Make, tried: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(12)])
    run_id, both, store = tried(make(), "better"), threading.Barrier(2), reviewing.intake.store

    def store_when_both_have_chosen(*given: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # in vain, where the other one waits until this one is done
        return store(*given)

    def put(_: int) -> int:
        with db.writing() as session:
            return reviewing.put(session, OPERATOR, outcomes.find(session, OPERATOR, run_id), many=6)

    monkeypatch.setattr(reviewing.intake, "store", store_when_both_have_chosen)
    with ThreadPoolExecutor(2) as people:
        assert list(people.map(put, range(2))) == [6, 6]

    with db.reading() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM eval_review").scalar_one() == 12


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ('{"reason": "fine", "verdict": "good"}', True),
        ('Sure! {"reason": "no", "verdict": "bad"}', False),
        ("verdict: good ... on second thought, Verdict: BAD", False),
        ('The answer says "verdict": "good". \n**Verdict:** bad', False),
        ("I think it is good.", None),
        ('{"verdict": "excellent"}', None),
        ("", None),
    ],
)
def test_of_what_a_judge_says_the_last_verdict_counts(said: str, good: bool | None) -> None:
    assert judging.parsed(said)[0] is good


@pytest.mark.parametrize(
    ("spec", "answer", "target", "passed"),
    [
        ("exact", " Paris\n", "Paris", True), ("exact", "paris", "Paris", False),
        ("includes", "It is PARIS.", "Paris", True), ("includes", "London", "Paris", False),
        ("regex:^Yes", "Yes, you may", "", True), ("regex:^Yes", "No. Yes", "", False),
        ("numeric:0.5", "about 1,234.4 in all", "1234", True), ("numeric:0.1", "1234.4", "1234", False),
        ("numeric:5%", "it costs 105", "100", True), ("numeric:5%", "106", "100", False),
        ("numeric", "none", "12", False),
        ('json_schema:{"type":"object","required":["a"]}', '```json\n{"a": 1}\n```', "", True),
        ('json_schema:{"type":"object","required":["a"]}', '{"b": 1}', "", False),
        ("json_schema", "not JSON", "", False),
        ("f1", "yes within thirty days", "Yes, within 30 days.", True),
        ("f1:0.9", "yes within thirty days", "yes", False),
    ],
)  # fmt: skip
def test_a_scorer_says_what_it_is_named_for(spec: str, answer: str, target: str, passed: bool) -> None:
    score = scorers.parse(spec).of(answer, target=target, rejected=None)

    assert score is not None
    assert score.passed is passed


def test_an_answer_like_the_rejected_one_fails_and_a_case_with_a_target_is_not_asked() -> None:
    must_not = scorers.parse("must_not")
    rejected = "Just throw it away, nobody cares about your order."

    alike = must_not.of(rejected.upper(), target=None, rejected=rejected)
    other = must_not.of("You may return it within 30 days.", target=None, rejected=rejected)

    assert alike is not None and not alike.passed
    assert other is not None and other.passed
    assert must_not.of("x", target="y", rejected=rejected) is None
    assert scorers.parse("f1").of("x", target=None, rejected=rejected) is None


@pytest.mark.parametrize(
    "spec", ["unknown", "regex:(", "regex", "f1:2", "numeric:-1", "json_schema:{", 'json_schema:{"type": 5}']
)
def test_a_scorer_that_cannot_be_used_is_refused_with_a_sentence(spec: str) -> None:
    with pytest.raises(InvalidError):
        scorers.parse(spec)


def test_a_schema_fetches_nothing_and_an_answer_nested_without_end_fails_it() -> None:
    for schema in ('{"$ref": "http://127.0.0.1/x"}', '{"anyOf": [{"items": {"$ref": "file:///etc/passwd"}}]}'):
        with pytest.raises(InvalidError, match="nothing is fetched"):
            scorers.parse(f"json_schema:{schema}")
    lists = scorers.parse('json_schema:{"type": "array", "items": {"$ref": "#"}}')

    said = [lists.of(text, target=None, rejected=None) for text in ("[[]]", "[" * 900 + "]" * 900)]

    assert [one is not None and one.passed for one in said] == [True, False]


@pytest.mark.parametrize("cases", [100, 200, 500])
def test_the_gate_is_wrong_in_at_most_seven_of_a_hundred(cases: int) -> None:
    """A candidate worse by the margin passes, or an equal one is blocked, by chance alone; one of ten pairs differs."""
    chance, trials, margin = random.Random(cases), 2_000, 0.03
    passed = blocked = 0
    for _ in range(trials):
        worse = [chance.random() for _ in range(cases)]
        only_new, only_old = sum(u < 0.065 for u in worse), sum(0.065 <= u < 0.1 for u in worse)
        passed += tango(only_new, only_old, cases, comparing.GATE_CONFIDENCE).high < margin
        equal = [chance.random() for _ in range(cases)]
        only_new, only_old = sum(u < 0.05 for u in equal), sum(0.05 <= u < 0.1 for u in equal)
        interval = tango(only_new, only_old, cases, comparing.GATE_CONFIDENCE)
        blocked += interval.low > 0 and not interval.high < margin

    assert passed / trials <= 0.07
    assert blocked / trials <= 0.07
