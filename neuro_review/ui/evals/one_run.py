"""One run on screen: how far it is, anew every second while there is something to come, and what came of it."""

import orjson
import streamlit as st

from db.clock import new_id
from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs import asking as evals
from neuro_review.eval_runs import failing, rows
from neuro_review.eval_runs.asking import RECORDED
from neuro_review.eval_runs.rows import Run
from neuro_review.jobs import asking
from neuro_review.jobs import rows as jobs
from neuro_review.settings import settings
from neuro_review.ui import tables
from neuro_review.ui.evals import answers, beside, figures, reviewing, states
from neuro_review.ui.evals.states import State
from neuro_review.ui.tables import Cell
from neuro_review.words import Role

LOOKED_AT_EVERY = 1.0  # seconds, while it is under way
COUNTED_EVERY = 10.0  # seconds: counting what thousands of answers come to takes half of one


def draw(run_id: str, by: Actor) -> None:
    """Draw one run."""
    st.button("All runs", key="back", icon=":material/arrow_back:", on_click=st.query_params.clear)
    run, state = _read(run_id, by)
    st.header(ui.md_escape(tables.short(", ".join(run.models))))
    ui.plain(f"on {tables.short(run.version)} of {tables.short(run.workflow)} · {phrases.count(run.cases, 'case')}")
    st.fragment(_progress, run_every=LOOKED_AT_EVERY if state.is_live else None)(run.id, state.is_live)
    if by.may(Role.OWNER, run.workflow_id):
        _actions(run, state)
    _failures(run)
    _asked(run)
    if run.done > run.errors:
        st.fragment(figures.draw, run_every=COUNTED_EVERY if state.is_live else None)(run.id)
        if state.is_live:
            st.text("Candidates are compared once the run has ended or was stopped.")
            return
        answers.draw(run, figures.of(run, by))
        beside.draw(run, by)
        if by.may(Role.OWNER, run.workflow_id):
            reviewing.draw(run)


def _read(run_id: str, by: Actor) -> tuple[Run, State]:
    with ui.read() as session:
        run = rows.run(session, run_id, by)
        job = jobs.of_runs(session, [run.id]).get(run.id)
    return run, states.of(run, job)


def _progress(run_id: str, was_live: bool) -> None:
    run, state = _read(run_id, ui.person())
    if was_live and not state.is_live:
        st.session_state[ui.UNATTENDED] = True  # time has passed; it is no sign that somebody is there
        st.rerun()
    with st.container(border=True, gap="xsmall", key="progress"):
        far = f"{run.done:,} of {phrases.count(run.total, 'answer')}, {run.errors:,} failed · {states.cost(run)}"
        with st.container(horizontal=True, vertical_alignment="center"):
            states.badge(state)
            st.text(far)
        if state.is_live or run.done < run.total:
            st.progress(states.share(run))
        ui.plain(state.sentence)
        if run.budget_micro is not None:
            st.text(f"It may spend {phrases.money(run.budget_micro)}.")
        if run.errors:
            st.caption("A failed answer is missing: it counts neither as good nor as bad.")
        states.why_nothing_happens(state)


def _actions(run: Run, state: State) -> None:
    if state.is_live:
        if run.cancelled_at is None:
            st.button("Stop it", key="cancel", on_click=_cancel, args=(run.id,))
        return
    missing = run.total - run.done + run.errors
    with ui.read() as session:
        unjudged = rows.unjudged(session, run)
    if state.word == "done" and not missing and not unjudged:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if run.budget_micro is not None:
            st.number_input("Spend at most, in all (US dollars)", 0.0, None, None, 1.0, key=f"more_{run.id}",
                            placeholder="as before", width=260)  # fmt: skip
        st.button("Go on", key="go_on", type="primary", on_click=_go_on, args=(run.id,))
    asked = f"It asks for {phrases.count(missing, 'answer')}; what is stored is not asked again." if missing else ""
    judged = f"{phrases.count(unjudged, 'answer')} the judge has not been heard on." if unjudged else ""
    st.caption(" ".join(filter(None, (asked, judged))))


def _cancel(run_id: str) -> None:
    with ui.act() as session:
        evals.cancel(session, run_id, ui.person())


def _go_on(run_id: str) -> None:
    with ui.act() as session:
        budget = evals.micro(st.session_state.get(f"more_{run_id}"))
        asking.go_on_eval(session, run_id, new_id(), ui.person(), budget_micro=budget)


def _failures(run: Run) -> None:
    if not run.errors:
        return
    with ui.read() as session:
        found = rows.failures(session, run.id)
    st.header("What failed")
    each: list[list[Cell]] = [
        [
            one.model,
            f"{one.answers:,}",
            tables.short(one.error),
            tables.Html(f"<span>{failing.advice(one.error)}</span>"),
        ]
        for one in found
    ]
    tables.table("What failed", ("Candidate", "Answers", "Failure", "What to do"), each, right=(1,))


def _asked(run: Run) -> None:
    with ui.read() as session:
        found = rows.candidates(session, run.id)
    endpoints = {one.url: name for name, one in settings().endpoints.items()}
    each: list[list[Cell]] = [
        [
            one.model, _reached(one, endpoints), orjson.dumps(one.parameters).decode() if one.parameters else "none",
            f"${one.price[0]:g} in, ${one.price[1]:g} out" if one.price else "by the price list",
        ]
        for one in found
    ]  # fmt: skip
    with st.expander("How it was asked"):
        tables.table("How it was asked", ("Candidate", "Reached", "Parameters", "Price of a million tokens"), each)
        facts = [
            ("Scorers", ", ".join(run.scorers)), ("Asked how often, each case", f"{run.repeats:,}"),
            ("Calls to one provider at a time, at most", f"{run.at_once:,}"),
            ("Costs computed with", run.prices or "not known before its first call"),
            ("Asked", f"{phrases.ago(run.created_at)} ago by {run.asked_by}"), ("Run", run.id),
        ]  # fmt: skip
        for what, said in facts:
            ui.plain(f"{what}: {said}")
        for one in found:
            if len(said := orjson.dumps(one.parameters).decode()) > tables.LONGEST:
                ui.plain(f"{tables.short(one.model)} with {said}")


def _reached(one: rows.Candidate, endpoints: dict[str, str]) -> str:
    if one.model == RECORDED:
        return "not asked: the reviewed outputs"
    return "by its name" if one.api_base is None else endpoints.get(one.api_base, one.api_base)
