"""Models: which one is in use and what may take its place; and side by side, what the evidence says of them."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui import tables
from neuro_review.ui.models import in_use
from neuro_review.ui.quality import asking, beside
from neuro_review.words import Role

person = ui.open_page("Models")

st.title("Models")
tables.style()
flows = asking.seen()
if not flows:
    st.header("No workflow yet")
    st.text("Ask an admin to name you as the owner or a reviewer of one.")
elif person.may(Role.OWNER):
    view = asking.bar(flows, "models")
    in_use.draw(view.workflow_id, person)
    if person.may(Role.OWNER, view.workflow_id):
        beside.draw(view)
else:
    in_use.draw(asking.place(flows, "models"), person)
