"""The Quality page from top to bottom."""

from typing import Any

import streamlit as st

from neuro_review import charts, phrases, queue, ui
from neuro_review.charts import Frame
from neuro_review.quality import drift
from neuro_review.quality import waiting as backlog
from neuro_review.quality.drift import Alarm
from neuro_review.ui import tables
from neuro_review.ui.links import link
from neuro_review.ui.quality import drawing, figures, heads, numbers, settings
from neuro_review.ui.quality.asking import View
from neuro_review.ui.quality.figures import Figures
from neuro_review.workflows import Workflow

EXPLAINED = (
    "Share of outputs that reviewers corrected or rejected, weighted for how they were chosen. Bars: 95 % interval."
    " Grey: too few labels. Days are UTC, by when an output came in; weeks are ISO weeks."
)


def draw(view: View, flows: list[Workflow]) -> None:
    """Draw what the labels of a workflow say."""
    flow = next(one for one in flows if one.id == view.workflow_id)
    found = figures.of(view)
    with ui.read() as session:
        waiting = queue.waiting(session, flow.id)
        ages = backlog.waiting(session, ui.person(), flow.id).ages
        alarms = drift.alarms(session, ui.person(), flow.id)
    for one in alarms:
        alarm(one, view)
    oldest = phrases.ago(waiting.oldest_at) if waiting.oldest_at is not None else None
    if found.whole is None:
        nothing(flow, waiting.held)
        return
    st.caption(EXPLAINED)
    tables.cards(heads.figure_cards(found, found.whole, waiting.held, oldest))
    chosen = models(found)
    target = found.measured.quality_target
    with st.container(border=True, key="by_model"):
        head = heads.model_head(view)
        over = {one.model for one in alarms}
        rows = heads.model_rows(found, view, drawing.look(), chosen, target, over)
        tables.table("Each model", head, rows, right=(4, 5, 6, 7))
    time = drawing.frame(found, view)
    over_time(found, chosen, view, target)
    st.header("Why outputs were bad")
    why(found, view)
    waits(found, time, flow.sla_ms, ages)
    costs(found, time)
    outcome(found, time, view)
    agreement(found)
    settings.draw(view.workflow_id, found.measured, heads.reported(found.progress))
    with st.expander("The numbers, by model and period"):
        numbers.draw(numbers.lines(found.by_model), view, "quality")


def alarm(one: Alarm, view: View) -> None:
    """Draw what the detector saw, the way to the outputs, and the way to say that it was seen."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"alarm_{one.id}"):
        ui.plain(one.sentence)
        if st.button("Show the bad ones", key=f"alarm_items_{one.id}"):
            drawing.history(view, one.model, one.since, view.last, bad=True)
        st.button("I have seen it", key=f"alarm_seen_{one.id}", on_click=_seen, args=(one.id,))


def _seen(alarm_id: int) -> None:
    with ui.act() as session:
        drift.acknowledge(session, ui.person(), alarm_id)
        ui.hint("Noted. The model is watched anew from the next audited output on.")


def nothing(flow: Workflow, held: int) -> None:
    """Say what is missing where there is nothing to show."""
    st.header("Nothing came in in this window")
    st.text("Choose a longer window, or bring outputs in: an application hands them in, or a file is imported.")
    st.caption("Sample answers are never counted here; the command `python -m neuro_review demo` shows a made-up year.")
    if held:
        link("pages/review.py", f"Review what waits: {phrases.count(held, 'output')}", workflow=str(flow.id))


def models(found: Figures) -> dict[str, str]:
    """Draw which models are in colour, and return each with the name that is shown; their order is their colour."""
    names = [row.key for row in found.models]
    shown = tables.distinct(names)
    if len(names) <= charts.MOST_SERIES:
        return {name: shown[name] for name in sorted(names)}
    chosen = st.multiselect(
        f"Models in colour, at most {charts.MOST_SERIES}", names, names[: charts.MOST_SERIES],
        format_func=lambda one: shown[one], max_selections=charts.MOST_SERIES, key="quality_models",
    )  # fmt: skip
    return {name: shown[name] for name in chosen}


@st.fragment
def over_time(found: Figures, chosen: dict[str, str], view: View, target: float | None) -> None:
    """Draw the trend, and what is behind the point that is chosen in it."""
    with st.container(border=True, key="over_time"):
        if not any(one.labels for one in found.by_model):
            st.text("No output of this window has a label yet. Each verdict becomes one.")
            return
        time = drawing.frame(found, view)
        event: Any = drawing.show(
            "trend", found.reading, lambda: drawing.trend(found, chosen, time, target), of=tuple(chosen),
            alt="Bad outputs over time, by model; the numbers are in the table below.",
            on_select="rerun", selection_mode=charts.PICKED,
        )  # fmt: skip
        drawing.picked(event, found, chosen, view)


def why(found: Figures, view: View) -> None:
    """Draw the reasons, of the window and over time."""
    if not found.reasons:
        st.caption("No bad output of this window has a reason.")
        return
    left, right = st.columns([5, 6], gap="medium")
    with left:
        drawing.why(found.reasons)
    with right:
        drawing.show(
            "reasons", found.reading, lambda: drawing.reasons_over_time(found, drawing.frame(found, view), view),
            alt="The most frequent reasons over time; the table beside it has the whole window.",
        )  # fmt: skip


def waits(found: Figures, time: Frame, deadline_ms: int | None, ages: list[tuple[str, int]]) -> None:
    """Draw how long it took until a customer had an answer, and what still waits."""
    st.header("How long customers wait")
    left, right = st.columns(2)
    with left:
        if any(one.release_half is not None for one in found.together):
            drawing.show(
                "waits", found.reading, lambda: drawing.waits(found.together, time, deadline_ms), of=deadline_ms,
                alt="How long it took from submit to release, over time; the numbers are in the table below.",
            )  # fmt: skip
        else:
            st.caption("Nothing of this window was released yet.")
    with right:
        if any(one.open for one in found.together):
            drawing.show(
                "backlog", found.reading, lambda: drawing.backlog(found.together, time),
                alt="What still waits, by when it came in; the numbers are in the table below.",
            )  # fmt: skip
        else:
            st.caption("Nothing of this window waits any more.")
    waiting = [(age, many) for age, many in ages if many]
    if waiting:
        rows: list[list[tables.Cell]] = [[age, f"{many:,}"] for age, many in waiting]
        tables.table("How old what waits is", ["Came in", "Still held"], rows, right=(1,))


def costs(found: Figures, time: Frame) -> None:
    """Draw what an output costs, over time."""
    st.header("What an output costs")
    drawn = drawing.show(
        "costs", found.reading, lambda: drawing.costs(found.together, time, found.measured.reviewer_rate_micro),
        alt="What an output costs over time, the model and the review; the numbers are in the table below.",
    )  # fmt: skip
    if drawn is None:
        st.caption(
            "No cost is known: applications send cost_usd, and an owner sets below what an hour of review costs."
        )
        return
    if found.measured.reviewer_rate_micro is None:
        st.caption("Without reviewers’ time: set below what an hour of review costs.")


def outcome(found: Figures, time: Frame, view: View) -> None:
    """Draw the one number that the workflow is there to move."""
    metric = found.progress.metric
    if metric is None:
        return
    st.header(ui.md_escape(tables.short(metric.name)))
    drawn = drawing.show(
        "outcome", found.reading, lambda: drawing.metric(found, metric, time, view),
        alt=f"{tables.short(metric.name)} over time, against its target.",
    )  # fmt: skip
    if drawn is None:
        st.caption("No application has reported it in this window. They do by `POST /api/v1/outcomes`.")
    else:
        st.text(found.progress.sentence)
    if found.progress.others:
        ui.plain(f"Under other names, which do not count here, came in four weeks: {heads.reported(found.progress)}.")


def agreement(found: Figures) -> None:
    """Draw how far reviewers agree."""
    if not found.agreements:
        return
    st.header("How far reviewers agree")
    rows: list[list[tables.Cell]] = []
    for one in found.agreements[:10]:
        who = tables.together(tables.safe(one.one), "and", tables.safe(one.other))
        if one.raw is None or one.kappa is None or one.ac1 is None:
            rows.append([who, f"{one.items:,}", tables.quiet(f"{one.needed:,} more seen by both needed"), "", ""])
            continue
        raw = tables.together(phrases.percent(one.raw.rate), tables.quiet(phrases.between(one.raw.low, one.raw.high)))
        each = [
            tables.together(f"{of.rate:.2f}", tables.quiet(f"{of.low:.2f}–{of.high:.2f}"))
            for of in (one.kappa, one.ac1)
        ]
        rows.append([who, f"{one.items:,}", raw, *each])
    tables.table(
        "Agreement of reviewers on bad or not",
        ["Reviewers", "Outputs both saw", "Same label", "κ (beyond chance)", "AC1 (steadier where bad is rare)"],
        rows, right=(1,),
    )  # fmt: skip
