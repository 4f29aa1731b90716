"""The form for another model in use: a candidate that was tried, or any other with a reason; at once or on trial."""

from typing import Any, NamedTuple

import streamlit as st
from sqlmodel import Session

from neuro_review import models, phrases, ui
from neuro_review.access import Actor
from neuro_review.errors import InvalidError
from neuro_review.models import MOST_SHARE, Use, grounds
from neuro_review.models.grounds import Tested
from neuro_review.ui import tables
from neuro_review.ui.evals.candidates import read_parameters
from neuro_review.ui.models import saying

OTHER = "another model"
AT_ONCE, ON_TRIAL = "all of it", "a share, on trial"
GONE = "This candidate is not there any more. Choose again."
NOT_SHOWN = "The gate did not pass it, so it needs a reason."
NEEDS_REASON = "No gate stands behind it, so it needs a reason."
TOLD = (
    "Applications are told the model and its parameters, and follow within 5 seconds. Where they call it, and with"
    " which key, stays theirs."
)


class Wanted(NamedTuple):
    """What is chosen in the form."""

    model: str
    parameters: dict[str, Any]
    gate_id: str | None


def followed(model: str) -> str:
    """Return what is said once a model came into use."""
    return f"{tables.short(model)} is in use. Applications that follow it call it within 5 seconds."


def share(part: float) -> str:
    """Return a share of the traffic in words."""
    return f"{part * 100:g}{phrases.THIN}% of the traffic"


def form(workflow_id: int, by: Actor, rows: list[Use]) -> None:
    """Draw the form in which another model is chosen."""
    with ui.read() as session:
        known = {one.gate_id: one for one in grounds.tried(session, by, workflow_id)}
    if rows:
        known = {ref: one for ref, one in known.items() if (one.model, one.parameters) != rows[0].way}
    after = rows[0].seq if rows else 0
    title = "Put another model in use" if rows else "Name the model in use"
    with st.expander(title, expanded=not rows, key="another"):
        tested = None
        if known:
            chosen = st.selectbox(
                "Model", [*known, OTHER], format_func=lambda ref: _label(known.get(ref)), key=f"use_{workflow_id}"
            )
            tested = known.get(chosen)
        _chosen(workflow_id, tested)
        on_trial = bool(rows) and _traffic(workflow_id)
        if not on_trial and (tested is None or not tested.passed):
            st.caption(NEEDS_REASON if tested is None else NOT_SHOWN)
        if on_trial or tested is None or not tested.passed:
            st.text_input(
                "Why (optional)" if on_trial else "Why", key=f"why_{workflow_id}", max_chars=saying.LONGEST_REASON
            )
        put = _try if on_trial else _put
        st.button(
            "Start the trial" if on_trial else "Put it in use", key=f"put_{workflow_id}", type="primary", on_click=put,
            args=(workflow_id, after),
        )  # fmt: skip
        if rows and rows[0].canary_model is not None:
            st.caption(ui.md_escape(f"The trial of {tables.short(rows[0].canary_model)} ends with it."))
        st.caption(TOLD)


def _label(one: Tested | None) -> str:
    if one is None:
        return OTHER
    called = f" · {saying.called(one.parameters)}" if one.parameters else ""
    return f"{tables.short(one.model + called)} ({saying.SHORT[one.outcome]})"


def _chosen(workflow_id: int, tested: Tested | None) -> None:
    if tested is None:
        with st.grid(2, min_column_width=240):
            st.text_input("Name", key=f"name_{workflow_id}", max_chars=500, placeholder="openai/gpt-4o")
            st.text_input("Parameters (JSON)", key=f"called_{workflow_id}", placeholder='{"temperature": 0}')
        return
    ui.plain(f"As it was tried: {saying.called(tested.parameters)}")
    said = saying.measured(tested)
    answer = saying.SHORT[tested.outcome]
    ui.plain(f"{answer[0].upper()}{answer[1:]}: {said}. Asked {phrases.ago(tested.at)} ago by {tested.who}.")


def _traffic(workflow_id: int) -> bool:
    """Draw how much of the traffic it is to get; tells whether that is a share on trial."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Traffic", [AT_ONCE, ON_TRIAL], default=AT_ONCE, required=True, key=f"traffic_{workflow_id}"
        )
        if chosen != ON_TRIAL:
            return False
        most = int(MOST_SHARE * 100)
        st.number_input("Share (%)", 1.0, float(most), 10.0, 1.0, key=f"share_{workflow_id}", width=140)
    st.caption("All that a candidate on trial writes is reviewed, so that the share is also work for reviewers.")
    return True


def _wanted(session: Session, by: Actor, workflow_id: int) -> Wanted:
    chosen = st.session_state.get(f"use_{workflow_id}", OTHER)
    if chosen == OTHER:
        typed = st.session_state.get(f"called_{workflow_id}", "")
        return Wanted(st.session_state.get(f"name_{workflow_id}", ""), read_parameters(typed), None)
    for one in grounds.tried(session, by, workflow_id):
        if one.gate_id == chosen:
            return Wanted(one.model, one.parameters, one.gate_id if one.passed else None)
    raise InvalidError(GONE)


def _put(workflow_id: int, after: int) -> None:
    with ui.act() as session:
        wanted = _wanted(session, ui.person(), workflow_id)
        now = models.promote(
            session, workflow_id, ui.person(), model=wanted.model, parameters=wanted.parameters,
            gate_id=wanted.gate_id, reason=st.session_state.get(f"why_{workflow_id}"), after=after,
        )  # fmt: skip
        ui.hint(followed(now.model))


def _try(workflow_id: int, after: int) -> None:
    with ui.act() as session:
        wanted, part = _wanted(session, ui.person(), workflow_id), st.session_state[f"share_{workflow_id}"] / 100
        reason = (st.session_state.get(f"why_{workflow_id}") or "").strip() or f"on trial with {share(part)}"
        now = models.try_on_traffic(
            session, workflow_id, ui.person(), model=wanted.model, parameters=wanted.parameters, share=part,
            reason=reason, after=after,
        )  # fmt: skip
        ui.hint(f"{tables.short(now.canary_model or '')} gets {share(part)}.")


def end_of_trial(workflow_id: int, by: Actor, use: Use) -> None:
    """Draw how a trial ends: the candidate is put in use, or gets no traffic any more."""
    with ui.read() as session:
        known = grounds.tried(session, by, workflow_id)
    passed = next(
        (one for one in known
         if one.passed and (one.model, one.parameters) == (use.canary_model, use.canary_parameters)), None,
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if passed is None:
            st.text_input("Why it takes the place (no gate passed it)", key=f"why_trial_{workflow_id}",
                          max_chars=saying.LONGEST_REASON, width=340)  # fmt: skip
        st.button("Put it in use", key=f"promote_{workflow_id}", type="primary", on_click=_promote,
                  args=(workflow_id, use, passed.gate_id if passed else None))  # fmt: skip
        st.button("End the trial", key=f"end_{workflow_id}", on_click=_end, args=(workflow_id, use.seq))
    if passed is not None:
        ui.plain(f"It passed the gate: {saying.measured(passed)}.")


def _promote(workflow_id: int, use: Use, gate_id: str | None) -> None:
    assert use.canary_model is not None
    with ui.act() as session:
        now = models.promote(
            session, workflow_id, ui.person(), model=use.canary_model, parameters=use.canary_parameters,
            gate_id=gate_id, reason=st.session_state.get(f"why_trial_{workflow_id}"), after=use.seq,
        )  # fmt: skip
        ui.hint(followed(now.model))


def _end(workflow_id: int, after: int) -> None:
    with ui.act() as session:
        models.end_canary(session, workflow_id, ui.person(), after=after)
        ui.hint("The trial has ended. What is still held is reviewed as before.")
