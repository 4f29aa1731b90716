"""Exports: the labels of a workflow as a file, for the tools that read it, with a manifest that says what it holds."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui import exports, jobs, links
from neuro_review.words import Role

person = ui.open_page("Exports", needs=Role.EXPORT)

flows = exports.places()

st.title("Exports")
if not flows:
    st.text("No workflow is here yet. Once outputs came in and were reviewed, their labels are exported here.")
    with st.container(key="go"):
        links.link("pages/sources.py", "Bring outputs in")
else:
    asked, found = exports.form(person, flows)
    exports.count(found, asked.choice)
    usable = exports.usable(asked, found)
    if usable is not None:
        exports.lines(usable)
    exports.first_rows(found)
    exports.button(asked, found, usable)
    st.caption("A file is made in the background and kept for 24 hours. Each export is noted in the audit log.")
st.header("Your exports")
jobs.exports()
