"""Models: side by side, what is bad, what an output costs, how fast it is, and which one the evidence favours."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui import tables
from neuro_review.ui.quality import asking, beside
from neuro_review.words import Role

person = ui.open_page("Models", needs=Role.OWNER)

st.title("Models")
tables.style()
flows = asking.places()
if flows:
    beside.draw(asking.bar(flows, "models"))
else:
    st.header("No workflow yet")
    st.text("Ask an admin to name you as the owner of one.")
