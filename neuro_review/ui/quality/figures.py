"""What the page reads for a view, kept until something changes that could move it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import streamlit as st

from db.engine import database_url
from neuro_review import ui
from neuro_review.access import Actor
from neuro_review.cycles import few_looks
from neuro_review.quality import adoption, agreeing, changing, cuts, freshness, marks, models, outcomes, reading, table
from neuro_review.quality.adoption import Week
from neuro_review.quality.agreeing import Agreement
from neuro_review.quality.changing import Changed
from neuro_review.quality.estimates import Estimate
from neuro_review.quality.marks import Mark
from neuro_review.quality.models import Comparison
from neuro_review.quality.outcomes import OutcomeRow, Progress
from neuro_review.quality.table import ReasonRow, Row
from neuro_review.ui.quality import asking
from neuro_review.ui.quality.asking import View
from neuro_review.workflows.measured import Measured, measured

KEPT = 600  # seconds
LOOKED = 15
"""Seconds in which the same view is not read again although something changed: a busy queue changes all the time."""


class Slice(NamedTuple):
    """The outputs of one period, of one model or of all."""

    model: str | None
    key: str
    first: date
    items: int
    labels: int
    bad: int
    approve: int
    correct: int
    reject: int
    disputed: int
    open: int
    unseen: int
    estimate: Estimate
    released: int
    mean_cost: float | None
    handling_ms: int
    release_half: float | None
    release_most: float | None


@dataclass(frozen=True)
class Figures:
    """All that the page shows of a view."""

    models: list[Row]
    """Of the whole window, those with the most outputs first."""
    whole: Row | None
    """All models together; None where nothing came in."""
    by_model: list[Slice]
    together: list[Slice]
    changed: dict[str, Changed]
    reasons: list[ReasonRow]
    reasons_over_time: list[ReasonRow]
    marks: list[Mark]
    agreements: list[Agreement]
    measured: Measured
    progress: Progress
    outcomes: list[OutcomeRow]
    """Of the workflow's one metric, by period; empty where none is set or nothing was reported."""
    reading: str
    """Tells what was read from what is read later: charts of the same reading need not be drawn again."""


@dataclass(frozen=True)
class Standings:
    """The models of a workflow side by side, and who uses it."""

    compared: Comparison
    weeks: list[Week]
    measured: Measured
    reading: str


def place() -> str:
    """Return a name of the database that tells it from another and gives nothing away."""
    return hashlib.sha256(database_url().encode()).hexdigest()


@st.cache_data(ttl=LOOKED, max_entries=4, show_spinner=False)
def newest(where: str) -> int:
    """Return the number of the latest event, at most some seconds ago."""
    with ui.read() as session:
        return freshness.newest(session)


def of(view: View) -> Figures:
    """Return what is shown of a view; who asks must own the workflow."""
    where = place()
    return _figures(where, newest(where), view, ui.person())


@st.cache_data(ttl=KEPT, max_entries=64, show_spinner="Counting…")
def _figures(where: str, state: int, view: View, _by: Actor) -> Figures:
    flow, window = view.workflow_id, view.window
    now, before = changing.stretch(view.last, view.recent)
    with few_looks(), ui.read() as session, reading.once(session):
        progress = outcomes.progress(session, _by, flow)
        cut = cuts.cuts(session, _by, flow, per=view.per, window=window)
        return Figures(
            models=cut.models,
            whole=cut.whole,
            by_model=[slice_of(row) for row in cut.by_model],
            together=[slice_of(row) for row in cut.together],
            changed={one.model: one for one in changing.changes(session, _by, flow, now=now, before=before)},
            reasons=table.reasons(session, _by, flow, window=window),
            reasons_over_time=table.reasons(session, _by, flow, per=view.per, window=window),
            marks=marks.marks(session, _by, flow, window=window),
            agreements=agreeing.agreements(session, _by, flow),
            measured=measured(session, flow),
            progress=progress,
            outcomes=[]
            if progress.metric is None
            else outcomes.outcome(session, _by, flow, progress.metric.name, per=view.per, window=window),
            reading=secrets.token_hex(8),
        )


def standings(view: View) -> Standings:
    """Return how the models of a view stand; who asks must own the workflow."""
    where = place()
    return _standings(where, newest(where), view, ui.person())


@st.cache_data(ttl=KEPT, max_entries=64, show_spinner="Counting…")
def _standings(where: str, state: int, view: View, _by: Actor) -> Standings:
    flow, window = view.workflow_id, view.window
    with few_looks(), ui.read() as session, reading.once(session):
        return Standings(
            compared=models.compare(session, _by, flow, window=window),
            weeks=adoption.weeks(session, _by, flow, window=window),
            measured=measured(session, flow),
            reading=secrets.token_hex(8),
        )


def slice_of(row: Row) -> Slice:
    """Return what a chart needs of a row."""
    return Slice(
        row.model, row.key, row.first or asking.today(), row.items, row.labels, row.bad, row.approve, row.correct,
        row.reject, row.disputed, row.open, row.unseen, row.estimate, row.sums.released, row.sums.mean_cost,
        row.sums.handling_ms, row.release.percentile(0.5), row.release.percentile(0.95),
    )  # fmt: skip
