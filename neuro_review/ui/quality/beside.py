"""The Models page: the models of a workflow side by side."""

import streamlit as st

from neuro_review import charts, phrases, ui
from neuro_review.charts import Frame, Part, Standing
from neuro_review.quality.models import Comparison, ModelFacts, Pair
from neuro_review.quality.periods import Per, name
from neuro_review.ui import tables
from neuro_review.ui.quality import drawing, figures, heads
from neuro_review.ui.quality.asking import View
from neuro_review.ui.quality.figures import Standings
from neuro_review.ui.tables import Cell

HEAD = (
    "Model", "Bad outputs, 95 % interval", "Cost of an output", "Cost of a released output", "Latency p50 · p95",
    "Outputs", "Corrected", "Changed by a correction",
)  # fmt: skip


def draw(view: View) -> None:
    """Draw the models of a workflow side by side."""
    found = figures.standings(view)
    compared = found.compared
    if not compared.models:
        st.header("Nothing came in in this window")
        st.text("Choose a longer window, or bring outputs in: an application hands them in, or a file is imported.")
        st.caption(
            "Sample answers are never counted here; the command `python -m neuro_review demo` shows a made-up year."
        )
        return
    favoured(compared)
    shown = tables.distinct([one.model for one in compared.models])
    target = found.measured.quality_target
    with st.container(border=True, key="models_table"):
        rows = [_row(one, target) for one in compared.models]
        tables.table("Models side by side", HEAD, rows, right=(2, 3, 4, 5, 6, 7))
        if found.measured.reviewer_rate_micro is None:
            st.caption("Costs are without reviewers’ time: an owner sets on Quality what an hour of review costs.")
    pictures(found, shown, target)
    differences(compared)
    used(found)


def favoured(compared: Comparison) -> None:
    """Say which model the evidence favours, and what is missing to say so."""
    with st.container(border=True, key="favoured"):
        if compared.favoured is not None:
            st.header(ui.md_escape(f"The evidence favours {tables.short(compared.favoured)}"))
        else:
            st.header("No model is shown to be better yet")
        st.text(compared.because)
        if compared.missing:
            st.text(compared.missing)


def _row(one: ModelFacts, target: float | None) -> list[Cell]:
    row = one.row
    half, most = row.latency.percentile(0.5), row.latency.percentile(0.95)
    fast: Cell = tables.quiet(phrases.UNKNOWN)
    if half is not None and most is not None:
        fast = f"{phrases.lasting(half)} · {phrases.lasting(most)}"
    corrected = phrases.percent(row.correct / row.labels) if row.labels else tables.quiet("no label")
    edit = row.sums.mean_edit
    return [
        tables.safe(one.model), heads.rate_cell(row.estimate, over=target), phrases.dollars(one.cost_per_output),
        phrases.dollars(one.cost_per_released), fast, f"{row.items:,}", corrected,
        tables.quiet("no correction") if edit is None else f"{phrases.percent(edit)} of the text",
    ]  # fmt: skip


def pictures(found: Standings, shown: dict[str, str], target: float | None) -> None:
    """Draw the rates with their intervals, and cost against quality."""
    standings = [_standing(one, shown) for one in found.compared.models]
    left, right = st.columns(2, gap="medium")
    with left:
        st.header("Bad outputs")
        if any(one.rate is not None for one in standings):
            drawing.show(
                "side_by_side", found.reading, lambda: charts.side_by_side(standings, drawing.look(), target=target),
                alt="Bad outputs of each model with 95 % intervals; the numbers are in the table above.",
            )  # fmt: skip
        else:
            st.text("No output of this window has a label yet. Each verdict becomes one.")
    with right:
        st.header("Cost against quality")
        placed = [one for one in standings if one.enough and one.cost is not None][: charts.MOST_SERIES]
        if len(placed) < 2:
            st.text("It takes two models with enough labels whose cost is known.")
            return
        drawing.show(
            "front", found.reading, lambda: charts.front(placed, drawing.look(), what="cost of an output"),
            alt="Cost of an output against bad outputs; the numbers are in the table above.",
        )  # fmt: skip
        st.caption("Lower and further left is better. The line joins the models that no other beats on both.")


def _standing(one: ModelFacts, shown: dict[str, str]) -> Standing:
    rate, cost = one.row.estimate, one.cost_per_output
    return Standing(
        shown[one.model], rate.rate, rate.low, rate.high, rate.enough, heads.said(rate),
        None if cost is None else cost / 1e6, phrases.dollars(cost), one.on_front,
    )  # fmt: skip


def differences(compared: Comparison) -> None:
    """Draw which differences are more than chance."""
    if not compared.pairs:
        return
    st.header("Which differences are real")
    rows: list[list[Cell]] = []
    for pair in sorted(compared.pairs, key=lambda one: (not one.real, one.p))[:12]:
        better, worse = (pair.other, pair.one) if pair.difference.rate > 0 else (pair.one, pair.other)
        low, high = sorted((abs(pair.difference.low), abs(pair.difference.high)))
        spans_zero = pair.difference.low < 0 < pair.difference.high
        bounds = (
            phrases.points_between(pair.difference.low, pair.difference.high)
            if spans_zero
            else f"{low * 100:.1f} to {high * 100:.1f} points"
        )
        rows.append([
            tables.together(tables.safe(better), "has fewer than", tables.safe(worse)),
            f"{abs(pair.difference.rate) * 100:.1f} points", tables.quiet(bounds),
            "< 0.001" if pair.p < 0.001 else f"{pair.p:.3f}", _sure(pair),
        ])  # fmt: skip
    tables.table(
        "Differences between models", ["Bad outputs", "Difference", "95 % interval", "p, corrected", "Certain"],
        rows, right=(1, 3),
    )  # fmt: skip
    st.caption("“Real” holds for all pairs at once and however often one looks; the interval is for this one look.")


def _sure(pair: Pair) -> Cell:
    if pair.real:
        return tables.tag("real")
    return tables.quiet("likely, not proven at every look" if pair.p < 0.05 else "could be chance")


def used(found: Standings) -> None:
    """Draw who uses the workflow, week by week."""
    weeks = found.weeks
    if not weeks:
        return
    st.header("Who uses it")
    time = Frame(weeks[0].first, weeks[-1].first, 7)
    parts = []
    for week in weeks:
        period = name(Per.WEEK, week.first)
        said = f"{phrases.count(week.outputs, 'output')}, {week.released:,} released"
        parts += [
            Part("released", week.first, period, week.released, said),
            Part("not released", week.first, period, max(0, week.outputs - week.released), said),
        ]
    left, right = st.columns(2, gap="medium")
    with left:
        names = ["released", "not released"]
        drawing.show(
            "used", found.reading,
            lambda: charts.amounts(parts, names, time, drawing.look(), title="outputs a week"),
            alt="Outputs and releases by week; the newest are in the table beside it.",
        )  # fmt: skip
    with right:
        rows: list[list[Cell]] = [
            [
                name(Per.WEEK, week.first), f"{week.outputs:,}", f"{week.released:,}", f"{week.sources:,}",
                f"{week.end_users:,}" if week.end_users is not None else tables.quiet("not told"),
            ]
            for week in reversed(weeks[-6:])
        ]  # fmt: skip
        tables.table(
            "Activity by week", ["ISO week (UTC)", "Outputs", "Released", "Applications", "End users"], rows,
            right=(1, 2, 3, 4),
        )  # fmt: skip
