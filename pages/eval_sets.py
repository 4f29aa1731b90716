"""Eval sets: labels frozen into numbered versions, on which models are tried before one takes another's place."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui import tables
from neuro_review.ui.evals import sets
from neuro_review.words import Role

person = ui.open_page("Eval sets", needs=Role.EXPORT)

st.title("Eval sets")
tables.style()
asked_for = st.query_params.get("version")
if asked_for is None:
    sets.everything(person)
else:
    sets.one_version(asked_for, person)
