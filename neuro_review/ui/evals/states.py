"""How a run stands, in one word and one sentence: what is stored of it, and what its job says."""

from typing import Literal, NamedTuple

import streamlit as st

from db.tables import JobState, RunOutcome
from neuro_review import phrases, ui
from neuro_review.eval_runs.rows import Run
from neuro_review.jobs.rows import Job
from neuro_review.settings import settings
from neuro_review.ui.jobs import NO_WORKER

Colour = Literal["gray", "blue", "green", "orange", "red"]


class State(NamedTuple):
    """How a run stands."""

    word: str
    colour: Colour
    sentence: str
    is_live: bool
    """Whether something comes of it without anybody doing anything."""


ENDED = {
    RunOutcome.DONE: State("done", "green", "It has ended.", False),
    RunOutcome.CANCELLED: State("cancelled", "gray", "It was stopped; what it had by then is kept.", False),
    RunOutcome.BUDGET: State(
        "budget spent", "orange", "It has spent what it may. With a larger limit it goes on where it stopped.", False
    ),
    RunOutcome.FAILED: State("failed", "red", "It broke off. It can go on where it stopped.", False),
}
NONE_CAME = State("no answer", "red", "It has ended without one answer. Look what failed, then let it go on.", False)
STOPPING = State("stopping", "orange", "It stops: no call begins any more, and what is under way is stored.", True)
RUNNING = State("running", "blue", "You can leave this page: the run goes on, and is found here again.", True)
WAITING = State("waiting", "gray", "It waits for its turn: one run at a time is worked on.", True)
INTERRUPTED = State(
    "interrupted", "orange", "It was interrupted, and goes on by itself as soon as the background worker is back.", True
)
LEFT = State("interrupted", "orange", "Nobody works on it any more. It can go on where it stopped.", False)


def of(run: Run, job: Job | None) -> State:
    """Return how a run stands; `job` is the newest one that works on it."""
    if run.outcome is RunOutcome.DONE and run.errors and run.errors == run.done:
        return NONE_CAME
    if run.outcome is not None:
        return ENDED[run.outcome]
    if run.is_worked_on:
        return STOPPING if run.cancelled_at is not None else RUNNING
    if job is None or not job.is_open:
        return State("failed", "red", job.error, False) if job and job.error else LEFT
    if run.cancelled_at is not None:
        return STOPPING
    return _open(job)


def _open(job: Job) -> State:
    if job.is_interrupted or (job.state == JobState.WAITING and job.attempts):
        return INTERRUPTED
    return RUNNING if job.state == JobState.RUNNING else WAITING


def badge(state: State) -> None:
    """Draw the word."""
    st.badge(state.word, color=state.colour)


def why_nothing_happens(state: State) -> None:
    """Say that no worker is there to do it, where that is so."""
    if state in (WAITING, INTERRUPTED) and not settings().worker:
        st.warning(ui.md_escape(NO_WORKER))


def cost(run: Run) -> str:
    """Return what a run has cost, and that some of it is not known."""
    if not run.unknown_cost:
        return phrases.dollars(run.cost_micro)
    unknown = f"{phrases.count(run.unknown_cost, 'answer')} of unknown cost"
    return f"{phrases.dollars(run.cost_micro)} and {unknown}" if run.cost_micro else unknown


def share(run: Run) -> float:
    """Return how much of a run is stored, from 0 to 1."""
    return min(1.0, run.done / run.total) if run.total else 0.0
