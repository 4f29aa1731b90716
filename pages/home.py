"""Home: what waits, for whom, who works on it, and what to do next."""

import streamlit as st

from neuro_review import overview, samples, ui
from neuro_review.overview import alerts
from neuro_review.ui import home
from neuro_review.words import Role

person = ui.open_page("Home")


def _remove_samples() -> None:
    with ui.act() as session:
        by = ui.person()
        by.require(Role.ADMIN)
        samples.remove(session, by)


def _load_samples() -> None:
    with ui.act() as session:
        by = ui.person()
        by.require(Role.ADMIN)
        samples.load(session, by)


def _escalated(workflow_id: int) -> list[overview.Escalated]:
    with ui.read() as session:
        return overview.escalated(session, ui.person(), workflow_id)


@st.fragment(run_every="30s", key="numbers")
def numbers() -> None:
    """Draw what waits and what was done, and count it anew every half a minute."""
    with ui.read() as session:
        by = ui.person()
        rows = overview.workflows_of(session, by)
        mine = overview.mine(session, by, rows)
        owned = overview.owned(session, rows)
        found = alerts.alerts(session, by, rows, owned)
    if not rows:
        home.first_steps(by.may(Role.OWNER))
        return
    home.my_numbers(mine, bool(owned))
    home.next_step(mine)
    home.alerts(found)
    st.header("Workflows")
    for row in rows:
        home.workflow(row, owned.get(row.id), _escalated)


with ui.read() as session:
    has_samples = samples.loaded(session)
    has_workflows = bool(overview.workflow_names(session, person))

st.title("Home")
home.style()
numbers()

if person.may(Role.ADMIN):
    if has_samples:
        st.caption("The sample queue is in use. Removing it withdraws what waits; its verdicts stay in the exports.")
        st.button("Remove the sample queue", key="remove_samples", on_click=_remove_samples)
    elif not has_workflows:
        st.button("Load the sample queue", key="load_samples", on_click=_load_samples)
