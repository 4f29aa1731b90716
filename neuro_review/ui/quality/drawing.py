"""The charts of the page, and what is behind a point of them."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import streamlit as st

from neuro_review import charts, phrases
from neuro_review.charts import Change, Frame, Look, Mean, Part, Point, Span
from neuro_review.quality.outcomes import FEWEST
from neuro_review.quality.periods import Per, name
from neuro_review.quality.table import ReasonRow
from neuro_review.stats.proportions import Interval
from neuro_review.stories.wanted import Wanted
from neuro_review.ui import finder, tables
from neuro_review.ui.quality import heads
from neuro_review.ui.quality.asking import View
from neuro_review.ui.quality.figures import KEPT, Figures, Slice
from neuro_review.words import Label
from neuro_review.workflows.measured import Metric

MOST_REASONS = 4
MODEL, REVIEW = "model", "review"
HALF, MOST = "half within (p50)", "95 % within (p95)"


def look() -> Look:
    """Return the colours of the page as this browser shows it."""
    return charts.DARK if st.context.theme.type == "dark" else charts.LIGHT


def show(key: str, reading: str, make: Callable[[], Any], *, alt: str, of: Any = None, **selecting: Any) -> Any:
    """Draw a chart under its key; tells whether there was something to draw, or what is selected in it.

    Args:
        key: of the chart on its page.
        reading: what it is made of was read once, under this name.
        make: returns the chart, or None where there is nothing to draw.
        alt: what a screen reader says of it.
        of: what else it depends on.
        selecting: what Streamlit needs to tell of a selection.
    """
    spec = _spec(key, reading, look(), of, make)
    if spec is None:
        return None
    return st.vega_lite_chart(spec, key=key, theme="streamlit", alt=alt, **selecting)


@st.cache_data(ttl=KEPT, max_entries=256, show_spinner=False)
def _spec(key: str, reading: str, look: Look, of: Any, _make: Callable[[], Any]) -> dict[str, Any] | None:
    # Making a chart of what is there takes ten times as long as sending it.
    drawn = _make()
    return None if drawn is None else charts.spec(drawn)


def frame(found: Figures, view: View) -> Frame:
    """Return the time to show: from the first output of the window on."""
    firsts = [one.first for one in found.together] or [view.first]
    days = 7 if view.per is Per.WEEK else 1
    return Frame(min(firsts), max([*firsts, view.last - timedelta(days=days - 1)]), days)


def trend(found: Figures, chosen: dict[str, str], time: Frame, target: float | None) -> Any:
    """Return the chart of the bad rate by model."""
    points = [
        Point(
            chosen[one.model], one.first, one.key, one.estimate.rate, one.estimate.low, one.estimate.high,
            one.estimate.enough, heads.said(one.estimate), heads.rests_on(one.labels, one.items, one.estimate),
        )
        for one in found.by_model
        if one.model in chosen
    ]  # fmt: skip
    changes = [Change(mark.day, tables.short(mark.text)) for mark in found.marks]
    return charts.trend(points, list(chosen.values()), time, look(), changes=changes, target=target)


def reasons_over_time(found: Figures, time: Frame, view: View) -> Any:
    """Return the chart of the most frequent reasons."""
    names = tables.distinct(list(dict.fromkeys(one.reason for one in found.reasons))[:MOST_REASONS])
    points = [
        Point(
            names[one.reason], one.first, name(view.per, one.first), one.estimate.rate, one.estimate.low,
            one.estimate.high, one.estimate.enough, heads.said(one.estimate),
            heads.rests_on(one.labels, one.items, one.estimate),
        )
        for one in found.reasons_over_time
        if one.reason in names and one.first is not None
    ]  # fmt: skip
    return charts.trend(
        points, list(names.values()), time, look(), title="bad for this reason, % of all", of="reason", height=280
    )


def why(reasons: Sequence[ReasonRow]) -> None:
    """Draw the reasons of the window, the most frequent first, as bars with their share of all outputs."""
    shown = reasons[:8]
    widest = max((one.estimate.rate or 0.0 for one in shown if one.estimate.enough), default=0.0) or 1.0
    rows = [
        [
            tables.safe(one.reason), f"{one.bad:,}",
            tables.bar((one.estimate.rate or 0.0) / widest) if one.estimate.enough else "",
            heads.rate_cell(one.estimate),
        ]
        for one in shown
    ]  # fmt: skip
    tables.table("Why outputs were bad", ["Reason", "Labels", "Compared", "Share of all outputs"], rows, right=(1,))
    if len(reasons) > len(shown):
        st.caption(f"{phrases.count(len(reasons) - len(shown), 'rarer reason')} in the numbers below.")


def waits(together: Sequence[Slice], time: Frame, deadline_ms: int | None) -> Any:
    """Return the chart of how long it took from submit to release."""
    spans = [
        Span(series, one.first, one.key, ms, phrases.lasting(ms))
        for one in together
        for series, ms in ((HALF, one.release_half), (MOST, one.release_most))
        if ms is not None
    ]
    return charts.durations(spans, [HALF, MOST], time, look(), what="submit to release", limit_ms=deadline_ms)


def backlog(together: Sequence[Slice], time: Frame) -> Any:
    """Return the chart of what still waits, by when it came in."""
    parts = [
        Part("still held", one.first, one.key, one.open, phrases.count(one.open, "output"))
        for one in together
        if one.open
    ]
    return charts.amounts(parts, ["still held"], time, look(), title="still held, outputs")


def costs(together: Sequence[Slice], time: Frame, rate_micro: int | None) -> Any:
    """Return the chart of what an output costs: the model's part, and the reviewers' time where an hour has a price."""
    parts = [
        Part(series, one.first, one.key, micro / 1e6, f"{phrases.dollars(micro)} an output")
        for one in together
        for series, micro in (
            (MODEL, one.mean_cost),
            (REVIEW, heads.review_cost(one.handling_ms, one.items, rate_micro)),
        )
        if micro is not None
    ]
    names = [series for series in (MODEL, REVIEW) if any(part.series == series for part in parts)]
    if not parts:
        return None
    return charts.amounts(parts, names, time, look(), title="cost of an output, US dollars", money=True)


def metric(found: Figures, one: Metric, time: Frame, view: View) -> Any:
    """Return the chart of what applications reported, against where it was and where it is to be."""
    unit = f", {tables.short(one.unit)}" if one.unit else ""
    shown = [
        Mean(
            row.first, name(view.per, row.first), row.mean.rate, row.mean.low if row.n >= FEWEST else None,
            row.mean.high if row.n >= FEWEST else None, _mean_said(row.mean, row.n, one.unit),
        )
        for row in found.outcomes
        if row.first is not None and row.mean is not None
    ]  # fmt: skip
    if not shown:
        return None
    span = Frame(min(time.first, shown[0].start), max(time.last, shown[-1].start), time.days)
    return charts.means(
        shown, span, look(), title=f"{tables.short(one.name)}{unit}, mean",
        lines=(("before", one.baseline), ("target", one.wanted)),
    )  # fmt: skip


def _mean_said(mean: Interval, n: int, unit: str) -> str:
    if n < FEWEST:
        return f"{mean.rate:,.3g} {tables.short(unit)} from {n:,} reports: {FEWEST - n} more needed for an interval"
    return f"{mean.rate:,.3g} {tables.short(unit)} ({mean.low:,.3g} to {mean.high:,.3g}, {n:,} reports)"


def picked(event: Any, found: Figures, chosen: dict[str, str], view: View) -> None:
    """Draw what is behind the point that was clicked, and the way to its items."""
    points = (event.selection or {}).get(charts.PICKED) or []
    if not points:
        st.caption("Choose a point to see what it rests on and to find its outputs in History.")
        return
    by_name = {shown: model for model, shown in chosen.items()}
    model, start = by_name.get(points[0]["series"]), date.fromisoformat(points[0]["start"])
    one = next((one for one in found.by_model if (one.model, one.first) == (model, start)), None)
    if one is None or model is None:
        return
    last = start + timedelta(days=6 if view.per is Per.WEEK else 0)
    with st.container(horizontal=True, vertical_alignment="center", key="point"):
        st.text(
            f"{tables.short(model)}, {one.key}: {heads.said(one.estimate)}."
            f" Rests on {heads.rests_on(one.labels, one.items, one.estimate)}."
        )
        if one.bad and st.button(f"Show the {one.bad:,} bad in History", key="bad_ones"):
            history(view, model, start, last, bad=True)
        if st.button("Show all of them", key="all_ones", type="tertiary"):
            history(view, model, start, last, bad=False)


def history(view: View, model: str | None, first: date, last: date, *, bad: bool) -> None:
    """Go to History with these filters."""
    labels = (Label.CORRECT, Label.REJECT) if bad else ()
    finder.begin(Wanted(workflow=view.workflow_id, model=model, first_day=first, last_day=last, labels=labels))
    st.switch_page("pages/history.py")
