"""The candidates of a run side by side: quality with its interval, what is missing, cost and latency, and by reason."""

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs import comparing, gates, outcomes, results, rows
from neuro_review.eval_runs.asking import RECORDED
from neuro_review.eval_runs.comparing import Among, Comparison, Flip, Side
from neuro_review.eval_runs.gates import Kept
from neuro_review.eval_runs.results import Result
from neuro_review.eval_runs.rows import Run
from neuro_review.ui import tables
from neuro_review.ui.quality.figures import newest, place
from neuro_review.ui.tables import Cell

KEPT = 600  # seconds
MOST_REASONS = 12
HEAD = ("Candidate", "Bad cases", "95 % interval", "Known", "Failed", "Cost", "Latency p50", "p95")


def draw(run_id: str) -> None:
    """Draw what each candidate of a run has come to: as a fragment, anew while it is under way."""
    by = ui.person()
    with ui.read() as session:
        run = rows.run(session, run_id, by)
    found = of(run, by)
    st.header("Results" if run.ended_at is not None else "Results so far")
    tables.table("Results of each candidate", HEAD, [_row(one) for one in found], right=tuple(range(1, 8)))
    st.caption(
        "Bad: reviewers found it bad, where they judged the answer itself; otherwise a scorer failed it. A case without"
        " an outcome is missing, and in no rate."
    )
    for one in found:
        _reviewed(one)
    _reasons(found)


def of(run: Run, by: Actor) -> list[Result]:
    """Return what each candidate of a run has come to, kept until something changes that could move it."""
    return _results(place(), newest(place()), run, by)


@st.cache_data(ttl=KEPT, max_entries=32, show_spinner="Counting…")
def _results(where: str, state: int, run: Run, _by: Actor) -> list[Result]:
    with ui.read() as session:
        return results.results(session, _by, run)


def _row(one: Result) -> list[Cell]:
    side, bad, bounds = one.side, tables.quiet("unknown"), tables.quiet("no outcome yet")
    if one.rate is not None:
        bad = tables.Html(phrases.percent(one.rate.rate))
        bounds = tables.quiet(phrases.between(one.rate.low, one.rate.high))
    return [
        side.model, bad, bounds, f"{side.known:,} of {one.of:,}", f"{side.errors:,}", *costs(side)
    ]  # fmt: skip


def costs(side: Side) -> tuple[Cell, Cell, Cell]:
    """Return what a candidate cost and how long it took, half and nearly all of the time, as far as it is known."""
    unknown = tables.quiet("no call" if side.model == RECORDED else phrases.UNKNOWN)
    free = side.cost_micro is None or (side.model == RECORDED and not side.cost_micro)
    cost = unknown if free or side.cost_micro is None else phrases.dollars(side.cost_micro)
    half, most = (
        unknown if one is None else phrases.milliseconds(one) for one in (side.latency_ms_p50, side.latency_ms_p95)
    )
    return cost, half, most


def _reviewed(one: Result) -> None:
    if not one.estimate.labels:
        return
    said = f"{tables.short(one.side.model)}: reviewers judged {phrases.count(one.estimate.labels, 'answer')} of it."
    if one.side.judged and one.estimate.rate is not None:
        rate = one.estimate.rate
        said += (
            f" With what the judge says of the others, {phrases.percent(rate.rate)} are bad"
            f" ({phrases.between(rate.low, rate.high)})."
        )
    ui.plain(said)


def _reasons(found: list[Result]) -> None:
    many = {name: len(found) for one in found for name in one.reasons}
    names = sorted(many, key=lambda name: -max(one.reasons.get(name, (0, 0))[0] for one in found))[:MOST_REASONS]
    if not names:
        return
    st.header("By reason of the label")
    rows_: list[list[Cell]] = [[name, *(_of_reason(one, name) for one in found)] for name in names]
    tables.table(
        "Bad cases by reason", ("Reason", *(tables.short(one.side.model) for one in found)), rows_,
        right=tuple(range(1, len(found) + 1)),
    )  # fmt: skip
    st.caption("Cases whose reviewed output was once bad for this reason: how many the candidate gets wrong.")


def _of_reason(one: Result, name: str) -> Cell:
    known, bad = one.reasons.get(name, (0, 0))
    return f"{bad:,} of {known:,}" if known else tables.quiet("no outcome")


def compared(run: Run, by: Actor, old: str, new: str, scorer: str | None) -> Comparison:
    """Return how one candidate does against another, kept until something changes that could move it."""
    return _compared(place(), newest(place()), run, old, new, scorer, by)


@st.cache_data(ttl=KEPT, max_entries=32, show_spinner="Comparing…")
def _compared(where: str, state: int, run: Run, old: str, new: str, scorer: str | None, _by: Actor) -> Comparison:
    with ui.read() as session:
        return comparing.compare(session, _by, old, new, version=run.version, scorer=scorer)


def several(run: Run, by: Actor, old: str, others: tuple[str, ...], scorer: str | None) -> list[Among]:
    """Return how each of several candidates does against one, kept until something changes that could move it."""
    return _several(place(), newest(place()), run, old, others, scorer, by)


@st.cache_data(ttl=KEPT, max_entries=32, show_spinner="Comparing…")
def _several(
    where: str, state: int, run: Run, old: str, others: tuple[str, ...], scorer: str | None, _by: Actor
) -> list[Among]:
    with ui.read() as session:
        return comparing.several(session, _by, old, others, version=run.version, scorer=scorer)


def flips(old: outcomes.Tried, new: outcomes.Tried, one: Kept) -> list[Flip] | None:
    """Return the cases on which two candidates differed when the gate was asked; None where that is not known."""
    return _flips(place(), old, new, one)


@st.cache_data(ttl=KEPT, max_entries=32, show_spinner="Looking up which cases flipped…")
def _flips(where: str, old: outcomes.Tried, new: outcomes.Tried, one: Kept) -> list[Flip] | None:
    with ui.read() as session:
        return gates.flips(session, old, new, one)


def tried(run: Run, by: Actor) -> list[tuple[str, str]]:
    """Return the run and the model of each candidate on the version of a run, its own first."""
    with ui.read() as session:
        found = rows.tried(session, by, run.version_id)
    return sorted(found, key=lambda one: one[0] != run.id)


def find(by: Actor, ref: str) -> outcomes.Tried:
    """Return a candidate."""
    with ui.read() as session:
        return outcomes.find(session, by, ref)
