"""The cases of a version as a file of another tool: asked for, made in the background, found here again."""

import streamlit as st

from db.clock import new_id
from neuro_review import ui
from neuro_review.eval_sets.rows import Version
from neuro_review.exports.formats import Format
from neuro_review.jobs import asking
from neuro_review.ui import jobs
from neuro_review.ui.exports import HELD_OUT, HINTS, WHOLE
from neuro_review.ui.jobs import FORMATS

NEXT = "_set_export_next"


def draw(found: Version) -> None:
    """Draw the choice of a format, the button, and what was exported of this version."""
    st.header("Export")
    forms = [one for one in FORMATS if not one.is_table and not (one.trains and found.held_out)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        form = st.selectbox(
            "Format", forms, format_func=lambda one: FORMATS[one], key=f"set_format_{found.id}", width=310
        )
        st.button("Export its cases", key="set_export", on_click=_start, args=(found.id, form))
    st.caption(HINTS[form] + WHOLE + (HELD_OUT if form.trains else ""))
    if found.held_out:
        st.caption("It is held out: the formats that models are trained with are not offered.")
    jobs.exports(found.ref)


def _start(version_id: str, form: Format) -> None:
    key = f"{NEXT}_{version_id}"
    job_id = st.session_state.setdefault(key, new_id())
    with ui.act() as session:
        asking.ask_set_export(session, job_id, ui.person(), version_id=version_id, form=form)
        ui.hint("It is being made, and stands here and on Exports for 24 hours.")
    if ui.REFUSAL not in st.session_state:
        st.session_state.pop(key, None)
