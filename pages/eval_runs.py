"""Eval runs: models tried on frozen eval sets, compared on the same cases, and asked of the gate."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui import tables
from neuro_review.ui.evals import one_run, runs, texts
from neuro_review.words import Role

person = ui.open_page("Eval runs", needs=Role.EXPORT)

st.title("Eval runs")
tables.style()
texts.style()
asked_for = st.query_params.get("run")
if asked_for is None:
    runs.everything(person)
else:
    one_run.draw(asked_for, person)
