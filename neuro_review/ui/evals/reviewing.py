"""Answers of a candidate put before the reviewers, who are not told whose they are."""

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.eval_runs import outcomes, reviewing
from neuro_review.eval_runs.asking import RECORDED
from neuro_review.eval_runs.rows import Run
from neuro_review.ui import tables

MANY = 50
MOST = 250  # at a time: they are stored in one transaction, for which everybody else waits


def draw(run: Run) -> None:
    """Draw which candidate and how many; nothing where every candidate was reviewed already."""
    shown = {one: name for one, name in tables.distinct(run.models).items() if one != RECORDED}
    if not shown:
        return
    st.header("Before reviewers")
    st.text(
        "Reviewers see these answers on Review like any output and are not told whose they are. What they say comes"
        " before every scorer. Nothing of it is released."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Answers of", list(shown), format_func=shown.__getitem__, key=f"put_model_{run.id}", width=300)
        st.number_input("How many, drawn by chance", 1, MOST, MANY, 1, key=f"put_many_{run.id}", width=220)
        st.button("Put them before reviewers", key="put", on_click=_put, args=(run.id,))


def _put(run_id: str) -> None:
    kept = st.session_state
    with ui.act() as session:
        by = ui.person()
        one = outcomes.find(session, by, f"{run_id}/{kept[f'put_model_{run_id}']}")
        many = reviewing.put(session, by, one, many=kept[f"put_many_{run_id}"])
        ui.hint(f"{phrases.count(many, 'answer')} {'waits' if many == 1 else 'wait'} on Review." if many
                else "All of its answers are before the reviewers already.")  # fmt: skip
