"""Runs on screen: all of them, the form for another one, and the judges."""

import streamlit as st

from db.tables import JobKind
from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs import rows
from neuro_review.eval_runs.rows import Run
from neuro_review.eval_sets import rows as sets
from neuro_review.jobs import asking
from neuro_review.jobs import rows as jobs
from neuro_review.ui import links, tables
from neuro_review.ui.evals import judges, starting, states
from neuro_review.ui.evals.states import State
from neuro_review.words import Role

LOOKED_AT_EVERY = 2.0  # seconds, while a run is under way
MOST = 50
NO_VERSION = "It takes a frozen eval set first. An owner makes one on Eval sets."
WHAT_IT_IS = (
    "A run asks models every case of a frozen eval set and scores what they say. Two of them are then compared on the"
    " same cases, and the gate says whether one may take the other’s place."
)


def everything(by: Actor) -> None:
    """Draw the runs, the form for another one, and the judges."""
    with ui.read() as session:
        found = _listed(by)
        places = {flow.id: flow.name for flow in asking.places(session, by, JobKind.EVAL)}
        frozen = [one for one in sets.listed(session, by) if one.frozen_at is not None]
    startable = [one for one in frozen if one.workflow_id in places]
    if not found:
        st.header("No run yet")
        st.text(WHAT_IT_IS)
    if startable:
        with st.expander("Start a run", expanded=not found or "on" in st.query_params):
            starting.form(startable, st.query_params.get("on"))
    elif not frozen:
        st.text(NO_VERSION)
        links.link("pages/eval_sets.py", "Eval sets")
    elif not by.may(Role.OWNER):
        st.caption("Only the owner of a workflow can start one.")
    live = any(state.is_live for _, state in found)
    st.fragment(_list, run_every=LOOKED_AT_EVERY if live else None)(live)
    judges.draw(by, places)


def _listed(by: Actor) -> list[tuple[Run, State]]:
    with ui.read() as session:
        found = rows.listed(session, by, most=MOST)
        job = jobs.of_runs(session, [one.id for one in found if one.ended_at is None])
    return [(one, states.of(one, job.get(one.id))) for one in found]


def _list(was_live: bool) -> None:
    found = _listed(ui.person())
    if was_live and not any(state.is_live for _, state in found):
        st.session_state[ui.UNATTENDED] = True  # time has passed; it is no sign that somebody is there
        st.rerun()
    for run, state in found:
        _line(run, state)
    if len(found) == MOST:
        st.caption(f"These are the newest {MOST}. The command `eval list` names more.")


def _line(one: Run, state: State) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row_{one.id}"):
        models = ", ".join(tables.short(model) for model in one.models)
        links.link("pages/eval_runs.py", ui.md_escape(tables.short(models)), run=one.id)
        ui.plain(f"on {tables.short(one.version)}")
        st.space("stretch")
        states.badge(state)
        st.text(f"{one.done:,} of {phrases.count(one.total, 'answer')}", width="content")
        if one.errors:
            st.text(f"{one.errors:,} failed", width="content")
        st.text(states.cost(one), width="content")
        st.text(f"{phrases.ago(one.created_at)} ago", width="content")
