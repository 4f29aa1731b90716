"""The form that starts a run: on which version, with which candidates, scored how, for how much at most."""

from typing import Any

import streamlit as st

from db.clock import new_id
from neuro_review import llm, phrases, scorers, ui
from neuro_review.errors import InvalidError
from neuro_review.eval_runs import asking as evals
from neuro_review.eval_runs import foreseen
from neuro_review.eval_runs.asking import AT_ONCE, RECORDED, Asked
from neuro_review.eval_runs.foreseen import Expected, Sizes
from neuro_review.eval_sets.rows import Version
from neuro_review.jobs import asking
from neuro_review.llm import Way
from neuro_review.ui import tables
from neuro_review.ui.evals import candidates
from neuro_review.ui.quality.figures import place

NEXT = "_run_next"
SIZES_KEPT = 3600  # seconds: a frozen version changes only where an item is erased
COSTS_KEPT = 60  # seconds: what an answer has cost here moves only when a run goes on
SCORERS = (*sorted(scorers.MAKERS), scorers.JUDGE)
SCORERS_HINT = (
    "f1 and must_not compare words with what reviewers want and with what they rejected. Write others with their"
    " argument, like f1:0.7, regex:^Yes, numeric:5% or json_schema:{…}, and press Enter. judge asks a model."
)
NO_MODEL = "Name at least one candidate."
ROUGH = "rough: by its price, four characters a token, and answers as long as the reviewed ones"


def form(versions: list[Version], first: str | None) -> None:
    """Draw the form; the versions are frozen ones of workflows that this person owns."""
    by_ref = {one.ref: one for one in versions}
    at = next((n for n, one in enumerate(versions) if one.id == first), 0)
    ref = st.selectbox(
        "Version of an eval set", list(by_ref), at, key="run_version",
        format_func=lambda one: f"{one} · {phrases.count(by_ref[one].cases, 'case')} · {by_ref[one].workflow}",
    )  # fmt: skip
    candidates.form()
    st.multiselect(
        "Scorers", SCORERS, list(scorers.DEFAULT), key="run_scorers", accept_new_options=True, help=SCORERS_HINT
    )
    if scorers.JUDGE in st.session_state["run_scorers"]:
        candidates.judge()
    with st.grid(3, min_column_width=200):
        st.number_input("Asked how often, each case", 1, 100, 1, 1, key="run_repeats")
        st.number_input("Calls to one provider at a time, at most", 1, 1000, AT_ONCE, 1, key="run_at_once")
        st.number_input("Spend at most (US dollars)", 0.0, None, None, 1.0, key="run_budget", placeholder="no limit")
    _foot(by_ref[ref])


def _foot(version: Version) -> None:
    """Say what the run would take, or what is missing before it can start."""
    asked, missing = None, None
    try:
        asked = _asked(st.session_state)
    except InvalidError as error:
        missing = str(error)
    if asked is not None:
        _foreseen(
            _expected(place(), version.content_hash, asked.candidates, asked.judge, asked.repeats, version, asked)
        )
    st.button("Start the run", key="run_start", type="primary", disabled=asked is None, on_click=_start)
    if missing:
        with st.container(key="run_missing"):
            ui.plain(f"It cannot start yet. {missing}")


@st.cache_data(ttl=COSTS_KEPT, max_entries=64, show_spinner=False)
def _expected(
    where: str, content: str | None, ways: tuple[Way, ...], judge: Way | None, repeats: int, _version: Version,
    _asked_for: Asked,
) -> list[Expected]:  # fmt: skip
    known = _sizes(where, content, _version)
    with ui.read() as session:
        return foreseen.expected(session, _version, _asked_for, known)


@st.cache_data(ttl=SIZES_KEPT, max_entries=64, show_spinner=False)
def _sizes(where: str, content: str | None, _version: Version) -> Sizes:
    with ui.read() as session:
        return foreseen.sizes(session, _version)


def _foreseen(found: list[Expected]) -> None:
    calls = sum(one.calls for one in found)
    with st.container(border=True, gap="xsmall", key="run_foreseen"):
        st.text(f"It makes {phrases.count(calls, 'call')}." if calls else "It makes no call.")
        for one in found:
            if len(found) > 1 or one.micro is not None:
                what = f"{tables.short(one.model)}{', as the judge' if one.judges else ''}"
                ui.plain(f"{what}: {phrases.count(one.calls, 'call')}, {_cost(one)}")
        known = [one.micro for one in found if one.micro is not None]
        if calls and len(known) < len(found):
            st.text("What it costs cannot be said before: nobody knows the price of "
                    + ("any of them." if not known else "some of them."))  # fmt: skip
        elif len(known) > 1:
            st.text(f"About {phrases.dollars(sum(known))} in all.")


def _cost(one: Expected) -> str:
    if one.micro is None:
        return "cost unknown"
    about = f"about {phrases.dollars(one.micro)}"
    return f"{about} ({'by what an answer of it has cost here' if one.measured else ROUGH})"


def _start() -> None:
    kept, run_id = st.session_state, st.session_state.setdefault(NEXT, new_id())
    with ui.act() as session:
        asking.ask_eval(session, run_id, ui.person(), version=kept["run_version"], asked=_asked(kept))
    if ui.REFUSAL not in kept:
        kept.pop(NEXT, None)
        st.query_params.clear()
        st.query_params["run"] = run_id


def _asked(kept: Any) -> Asked:
    """Return what is asked for.

    Raises:
        InvalidError: something is missing or cannot be used; the sentence says what.
    """
    models, names = tuple(candidates.named(kept)), tuple(kept["run_scorers"])
    if not models:
        raise InvalidError(NO_MODEL, "model")
    judge = None
    if scorers.JUDGE in names:
        if not kept.get("run_model_judge", "").strip():
            raise InvalidError("Name the model that judges, or take the scorer judge away.", "judge")
        judge = candidates.way(kept, "judge", {"temperature": 0})
    budget = evals.micro(kept["run_budget"])
    asked = Asked(models, names, judge, kept["run_repeats"], budget, kept["run_at_once"])
    evals.check(asked)
    for one in (*models, judge):
        unpriced = one is not None and one.model != RECORDED and not one.price and not llm.listed_price(one.model)
        if budget is not None and one is not None and unpriced:
            raise InvalidError(evals.NO_BUDGET.format(one.model), "budget")
    return asked
