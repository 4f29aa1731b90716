"""Quality: is each model getting worse, what does an answer cost, how long do customers wait."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui import tables
from neuro_review.ui.quality import asking, page
from neuro_review.words import Role

person = ui.open_page("Quality", needs=Role.OWNER)

st.title("Quality")
tables.style()
flows = asking.places()
if flows:
    page.draw(asking.bar(flows, "quality"), flows)
else:
    st.header("No workflow yet")
    st.text("Ask an admin to name you as the owner of one.")
