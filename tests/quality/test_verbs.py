"""What an owner asks of the labels: by model, period, reviewer, reason; costs, marks, who uses it, what it brings."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from db.clock import DAY, MINUTE, SECOND, now
from db.engine import Database
from db.tables import Origin, Verdict
from neuro_review import decisions, releases, workflows
from neuro_review.__main__ import main
from neuro_review.decisions import Opinion
from neuro_review.errors import InvalidError, NotAllowedError, NotFoundError
from neuro_review.quality import adoption, marks, models, outcomes, table, waiting
from neuro_review.quality.outcomes import Reported
from neuro_review.quality.periods import Per, Window, as_date
from neuro_review.sources import Caller
from neuro_review.workflows import measured
from neuro_review.workflows.measured import Metric
from tests.conftest import Clock, Team
from tests.helpers import claim_one
from tests.quality.test_rollups import door, hold, remember

A_MONDAY = date(2026, 6, 1)
START = (A_MONDAY - date(1970, 1, 1)).days * DAY


def past(db: Database, team: Team, model: str, verdicts: str, *, days: int = 7, **given: Any) -> None:
    """Remember labels of a model, spread over days: `a` approve, `c` correct, `r` reject."""
    from neuro_review import history, intake
    from neuro_review.history import PastReview
    from neuro_review.intake import Submission

    into, rows = door(db, team.support, Origin.HISTORY), []
    for n, letter in enumerate(verdicts):
        review: dict[str, Any] = {"verdict": {"a": "approve", "c": "correct", "r": "reject"}[letter], "reviewer": "ann"}
        review |= {"correction": "No, within 14 days."} if letter == "c" else {}
        review |= {"reasons": ["Tone"]} if letter != "a" else {}
        at = (START + n % days * DAY) // SECOND
        one = {"model": model, "output": "Yes, within 30 days.", "external_id": f"{model}-{n}", "created_at": at}
        rows.append((intake.prepare(into, Submission(**one | given)), PastReview(**review)))
    with db.writing() as session:
        history.store(session, into, rows)


def ask(db: Database, verb: Any, team: Team, **more: Any) -> Any:
    with db.reading() as session:
        return verb(session, team.olu, team.support.id, **more)


def test_a_model_is_as_good_as_its_labels_and_costs_what_is_known(db: Database, team: Team) -> None:
    past(db, team, "a", "aaaaaaaaar" * 10, cost_usd=0.002, latency_ms=400)
    past(db, team, "b", "aaaac" * 10)

    a, b = ask(db, table.rows, team)

    assert (a.key, a.items, a.labels, a.bad, a.approve, a.reject) == ("a", 100, 100, 10, 90, 10)
    assert a.estimate.rate == 0.1
    assert a.sums.mean_cost == 2_000
    assert abs(a.latency.percentile(0.5) - 400) <= 20
    assert (b.correct, b.bad, b.sums.mean_cost, b.latency.percentile(0.5)) == (10, 10, None, None)
    assert b.sums.mean_edit is not None and 0 < b.sums.mean_edit < 1


def test_days_and_iso_weeks_begin_at_midnight_utc(db: Database, team: Team) -> None:
    past(db, team, "a", "ar" * 7, days=14)

    days, weeks = ask(db, table.rows, team, per=Per.DAY), ask(db, table.rows, team, per=Per.WEEK, split=False)

    assert [row.first for row in days] == [as_date((START // DAY) + n) for n in range(14)]
    assert [(row.key, row.first, row.items, row.model) for row in weeks] == [
        ("2026-W23", A_MONDAY, 7, None), ("2026-W24", date(2026, 6, 8), 7, None),
    ]  # fmt: skip


def test_a_window_holds_both_its_days(db: Database, team: Team) -> None:
    past(db, team, "a", "a" * 14, days=14)

    (row,) = ask(db, table.rows, team, window=Window.of(date(2026, 6, 2), date(2026, 6, 4)))

    assert row.items == 3


def test_the_command_tells_an_empty_window_from_a_workflow_without_labels(
    db: Database, team: Team, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, ["quality", "--workflow", "support", *words])

    assert call().stdout.startswith("Nothing was labelled here yet.")
    past(db, team, "m", "ar")
    assert call("--until", "2001-01-02").stdout.startswith("Nothing that came in on these days was labelled.")
    assert "m: not enough labels yet (2," in call().stdout
    wrong = call("--since", "2001-01-02", "--until", "2001-01-01")
    assert (wrong.exit_code, "No day is between 2001-01-02 and 2001-01-01." in wrong.stderr) == (2, True)


def test_reviewers_are_counted_by_review_and_reasons_by_output(db: Database, team: Team) -> None:
    past(db, team, "a", "aarcr" * 10)

    (ann,), (tone,) = ask(db, table.reviewers, team), ask(db, table.reasons, team)

    assert (ann.key, ann.labels, ann.bad) == ("ann", 50, 30)
    assert (tone.reason, tone.items, tone.labels, tone.bad, tone.correct, tone.reject) == ("Tone", 50, 50, 30, 10, 20)
    assert tone.estimate.rate == 0.6


def test_a_correction_for_minor_reasons_alone_is_not_bad_from_then_on_and_before(db: Database, team: Team) -> None:
    past(db, team, "a", "aacr" * 10)
    with db.writing() as session:
        version = measured.set_minor_reasons(session, team.olu, team.support.id, ["Tone"])

    (row,) = ask(db, table.rows, team)
    (mark,) = [one for one in ask(db, marks.marks, team) if one.what is marks.What.BAD]

    assert version == 1
    assert (row.bad, row.correct, row.reject) == (10, 10, 10)
    assert (mark.day, mark.text) == (as_date(now() // DAY), "bad: without Tone")


def test_what_changed_is_marked_on_its_day(db: Database, team: Team) -> None:
    past(db, team, "a", "aaaa", days=4)
    into = door(db, team.support, Origin.HISTORY)
    at = (START + 2 * DAY) // SECOND
    remember(db, into, "x", {"verdict": "approve", "reviewer": "ann"}, model="b", created_at=at)
    remember(db, into, "y", {"verdict": "approve", "reviewer": "ann"}, created_at=at, model="a", prompt_version="v2")
    with db.writing() as session:
        workflows.write_rubric(session, team.olu, team.support.id, "Be kind.")

    found = [(one.what, one.model, one.text) for one in ask(db, marks.marks, team)]

    assert found == [
        (marks.What.MODEL, "b", "b"), (marks.What.PROMPT, "a", "prompt v2"), (marks.What.RUBRIC, None, "rubric 1"),
    ]  # fmt: skip


def test_only_an_owner_of_the_workflow_asks_and_sets(db: Database, team: Team) -> None:
    for verb in (table.rows, table.reviewers, table.reasons, marks.marks, models.compare, adoption.weeks,
                 waiting.waiting, outcomes.progress):  # fmt: skip
        with db.reading() as session, pytest.raises(NotAllowedError):
            verb(session, team.bo, team.support.id)
    with db.writing() as session, pytest.raises(NotAllowedError):
        measured.set_quality_target(session, team.bo, team.support.id, 0.05)


def test_what_an_owner_sets_is_kept_and_nonsense_is_refused(db: Database, team: Team) -> None:
    flow, metric = team.support.id, Metric("resolution_minutes", "min", 42, -0.2)
    with db.writing() as session:
        measured.set_quality_target(session, team.olu, flow, 0.05)
        measured.set_reviewer_rate(session, team.olu, flow, 30_000_000)
        measured.set_metric(session, team.olu, flow, metric)
    with db.reading() as session:
        found = measured.measured(session, flow)

    assert (found.quality_target, found.reviewer_rate_micro, found.metric) == (0.05, 30_000_000, metric)
    assert abs(metric.wanted - 33.6) < 1e-9
    for wrong in (0, 1, float("nan")):
        with db.writing() as session, pytest.raises(InvalidError):
            measured.set_quality_target(session, team.olu, flow, wrong)
    with db.writing() as session, pytest.raises(InvalidError):
        measured.set_metric(session, team.olu, flow, Metric("x", "", 0, -0.2))


# --- models side by side ---------------------------------------------------------------------------------------------


def test_a_real_difference_is_found_and_the_better_model_is_favoured(db: Database, team: Team) -> None:
    past(db, team, "good", "a" * 290 + "r" * 10)
    past(db, team, "poor", ("a" * 7 + "r" * 3) * 30)
    past(db, team, "thin", "a" * 5)

    found = ask(db, models.compare, team)

    (pair,) = found.pairs
    assert pair.real and pair.p < 0.001
    assert pair.difference.low <= pair.difference.rate <= pair.difference.high
    assert found.favoured == "good"
    assert found.missing == "thin needs 25 more labels to be compared."


def test_of_models_that_chance_may_have_put_in_order_none_is_favoured_and_the_cheapest_is_named(
    db: Database, team: Team
) -> None:
    past(db, team, "dear", ("a" * 19 + "r") * 10, cost_usd=0.01)
    past(db, team, "cheap", ("a" * 18 + "rr") * 10, cost_usd=0.001)

    found = ask(db, models.compare, team)

    assert not found.pairs[0].real
    assert found.favoured is None
    assert found.because.startswith("No difference between dear and cheap is proven so far; ")
    assert "of these cheap costs least" in found.because
    assert "more labels each would tell dear and cheap apart" in found.missing
    assert [one.on_front for one in found.models] == [True, True]


def test_a_dearer_and_worse_model_is_not_on_the_front(db: Database, team: Team) -> None:
    past(db, team, "dear", ("a" * 8 + "rr") * 10, cost_usd=0.01)
    past(db, team, "cheap", ("a" * 19 + "r") * 10, cost_usd=0.001)

    assert {one.model: one.on_front for one in ask(db, models.compare, team).models} == {"dear": False, "cheap": True}


def test_what_went_out_pays_for_what_did_not_and_for_the_reviewers(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    into = door(db, team.support)
    for _ in range(2):
        hold(db, into, cost_usd=0.03)
    opinions = [Opinion(Verdict.APPROVE), Opinion(Verdict.REJECT, reasons=["Tone"])]
    for opinion in opinions:
        with db.writing() as session:
            lease = claim_one(session, team.bo, team.support)
            timed = Opinion(opinion.verdict, reasons=opinion.reasons, shown_at=now() - MINUTE)
            decisions.decide(session, lease.item_id, team.bo, lease.lease_n, timed)
    moved_clock.forward(6 * SECOND)
    with db.writing() as session:
        releases.release_due(session)
        measured.set_reviewer_rate(session, team.olu, team.support.id, 60_000_000)

    (one,) = ask(db, models.compare, team).models

    # 3 cents of the model, and a minute at a dollar: each. Only one of two went out.
    assert one.model_micro == 30_000
    assert one.review_micro is not None and abs(one.review_micro - 1_000_000) < 2_000
    assert one.cost_per_released is not None and abs(one.cost_per_released - 2 * 1_030_000) < 4_000


# --- who uses it, and what it brings ---------------------------------------------------------------------------------


def test_a_week_counts_applications_and_end_users_once(db: Database, team: Team) -> None:
    first, second = door(db, team.support), door(db, team.support, source="other app")
    for into, user in ((first, "u1"), (first, "u1"), (first, "u2"), (second, "u2")):
        hold(db, into, end_user=user)

    (week,) = ask(db, adoption.weeks, team)

    assert (week.outputs, week.released, week.sources, week.end_users) == (4, 0, 2, 2)
    assert week.first.weekday() == 0


def test_what_waits_is_counted_by_the_day_it_came_in(db: Database, team: Team) -> None:
    into = door(db, team.support)
    hold(db, into)
    hold(db, into, created_at=now() // SECOND - 3 * 86_400)

    found = ask(db, waiting.waiting, team)

    assert found.held == 2
    assert [n for _, n in found.ages] == [1, 0, 1, 0]


def caller(db: Database, team: Team, source: str = "app", *, may: bool = True) -> Caller:
    return Caller(door(db, team.support, source=source).source_id, source, team.support.id, may, True)


def report(db: Database, by: Caller, **given: Any) -> tuple[str, bool]:
    with db.writing() as session:
        return outcomes.report(session, by, Reported(**{"metric": "minutes", **given}))


def test_an_outcome_is_kept_once_and_a_later_one_replaces_it(db: Database, team: Team) -> None:
    item_id = hold(db, door(db, team.support), external_id="4711")

    first = report(db, caller(db, team), external_id="4711", value=30)
    again = report(db, caller(db, team), item_id=item_id, value=12.5)

    (row,) = ask(db, outcomes.outcome, team, name="minutes")
    assert (first, again) == ((item_id, True), (item_id, False))
    assert row.n == 1
    with db.reading() as session:
        sums = session.connection().execute(sa.text("SELECT n, total_micro, squares FROM rollup_outcome")).one()
    assert tuple(sums) == (1, 12_500_000, 156.25)


def test_an_outcome_is_refused_of_another_application_or_of_no_item(db: Database, team: Team) -> None:
    hold(db, door(db, team.support), external_id="4711")

    with pytest.raises(NotFoundError):
        report(db, caller(db, team, "other app"), external_id="4711", value=1)
    with pytest.raises(NotAllowedError):
        report(db, caller(db, team, may=False), external_id="4711", value=1)
    with pytest.raises(InvalidError):
        report(db, caller(db, team), value=1)
    with pytest.raises(InvalidError):
        report(db, caller(db, team), external_id="4711", value=float("inf"))


def test_what_is_reported_under_a_name_that_is_not_the_metrics_is_shown_and_not_counted(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    into, by = door(db, team.support), caller(db, team)
    report(db, by, item_id=hold(db, into), value=1, metric="long ago")
    moved_clock.forward(30 * DAY)
    for n, name in enumerate(["minutes", "minutes", "minute", "minuets", "minuets", "minuets"]):
        report(db, by, item_id=hold(db, into), value=n, metric=name)
    unset = ask(db, outcomes.progress, team)
    with db.writing() as session:
        measured.set_metric(session, team.olu, team.support.id, Metric("minutes", "min", 40, -0.2))

    found = ask(db, outcomes.progress, team)

    assert unset.others == (("minuets", 3), ("minutes", 2), ("minute", 1))
    assert found.others == (("minuets", 3), ("minute", 1))
    assert found.recent is not None and found.recent.n == 2


def test_the_metric_says_how_far_it_has_come(db: Database, team: Team) -> None:
    with db.writing() as session:
        measured.set_metric(session, team.olu, team.support.id, Metric("minutes", "min", 40, -0.2))
    into, by = door(db, team.support), caller(db, team)
    few = ask(db, outcomes.progress, team)
    for n in range(40):
        report(db, by, item_id=hold(db, into), value=28 + n % 3)

    found = ask(db, outcomes.progress, team)

    assert few.reached is None
    assert found.reached is True
    assert found.sentence.startswith("minutes -28% against 40 min (")
