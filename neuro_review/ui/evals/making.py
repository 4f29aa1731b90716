"""The form that makes a version of an eval set out of labels, with how many match before it is made."""

import streamlit as st

from db.tables import Verdict
from neuro_review import phrases, ui, workflows
from neuro_review.access import Actor
from neuro_review.eval_sets import choosing, making
from neuro_review.eval_sets.choosing import Stratum, Wanted
from neuro_review.exports import preview
from neuro_review.workflows import Workflow

MOST_HERE = 5_000
"""Cases that are made while somebody waits for the page."""
TOO_MANY = (
    "More than {most:,} cases take minutes: draw a sample, or make the set with `evalset create` at the command line."
)


def form(by: Actor, flows: list[Workflow]) -> None:
    """Draw what can be chosen, how many labels match, and the button that makes the version."""
    names = {flow.id: flow.name for flow in flows}
    with st.grid(2, min_column_width=220):
        flow_id = st.selectbox("Workflow", list(names), format_func=lambda one: names[one], key="set_workflow")
        st.text_input("Name of the set", key="set_name", max_chars=100, placeholder="support")
    st.caption("The name of a set that is there makes its next version.")
    _filter(by, flow_id)
    with st.container(horizontal=True):
        st.checkbox("Only the audit panel, which chance has chosen", key="set_panel")
        st.checkbox("Held out of every training file", key="set_held_out")
        st.checkbox("Freeze it at once", True, key="set_freeze")
    wanted = _wanted(flow_id)
    with ui.read() as session:
        found = choosing.matching(session, flow_id, by, wanted)
    most = min(found, wanted.sample or found)
    st.text(f"{phrases.count(found, 'label')} {'matches' if found == 1 else 'match'}{_at_most(found, most)}.")
    st.caption("Near-duplicates, and labels without a prompt, become no case; how many those are is counted.")
    if most > MOST_HERE:
        st.caption(ui.md_escape(TOO_MANY.format(most=MOST_HERE)))
    st.button("Make it", key="set_make", type="primary", disabled=not 0 < most <= MOST_HERE, on_click=_make,
              args=(flow_id, names[flow_id]))  # fmt: skip


def _at_most(found: int, most: int) -> str:
    return f", of which {phrases.count(most, 'case')} at most" if most < found else ""


def _filter(by: Actor, flow_id: int) -> None:
    with ui.read() as session:
        known = preview.names(session, flow_id, by)
        reasons = workflows.reasons(session, flow_id)
    with st.grid(4, min_column_width=190):
        st.multiselect("Models", known.models, key=f"set_models_{flow_id}", placeholder="any")
        st.multiselect("Verdicts", list(Verdict), key="set_verdicts", placeholder="any")
        st.selectbox("Reason", reasons, index=None, key=f"set_reason_{flow_id}", placeholder="any")
        st.date_input("From day (UTC)", None, key="set_since", format="YYYY-MM-DD")
        st.date_input("To day (UTC)", None, key="set_until", format="YYYY-MM-DD")
        st.number_input("Cases at most", 1, choosing.MOST_CASES, None, 50, key="set_sample", placeholder="all")
        st.selectbox("In equal shares of each", list(Stratum), index=None, key="set_shares", placeholder="no shares")
        st.number_input("Seed of the draw", 0, 2**31, 0, 1, key="set_seed")


def _wanted(flow_id: int) -> Wanted:
    kept = st.session_state
    days = preview.filter_of(kept["set_since"], kept["set_until"], None, None, None)
    return Wanted(
        tuple(kept[f"set_models_{flow_id}"]), tuple(Verdict(one) for one in kept["set_verdicts"]),
        kept[f"set_reason_{flow_id}"], days.since, days.until, kept["set_panel"], kept["set_sample"],
        Stratum(kept["set_shares"]) if kept["set_shares"] else None, kept["set_seed"],
    )  # fmt: skip


def _make(flow_id: int, workflow: str) -> None:
    kept = st.session_state
    bar = st.progress(0.0, "Choosing cases")

    def show(done: int, of: int) -> None:
        bar.progress(min(1.0, done / of), f"Choosing cases: {done:,} of {of:,}")

    with ui.act_in_steps():
        made = making.make(
            ui.database(), ui.person(), kept["set_name"].strip(), workflow, _wanted(flow_id),
            held_out=True if kept["set_held_out"] else None, freeze_it=kept["set_freeze"],
            progress=show,
        )  # fmt: skip
        st.query_params["version"] = made.id
        ui.hint(f"“{made.ref}” has {phrases.count(made.cases, 'case')}.")
    bar.empty()
