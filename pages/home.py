"""Home: what waits, for whom, and what to do next."""

import streamlit as st

from neuro_review import overview, phrases, samples, ui
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


with ui.read() as session:
    rows = overview.workflows_of(session, person)
    has_samples = samples.loaded(session)

st.title("Home")
if not rows:
    st.subheader("No outputs yet")
    st.text("Bring in what a model wrote, then review it:")
    st.code("python -m neuro_review import outputs.jsonl --workflow support --model my-model", language=None)
for row in rows:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"workflow_{row.id}"):
        ui.plain(row.name)
        st.space("stretch")
        st.text(f"{row.waiting.held:,} held", width="content")
        if row.waiting.due:
            st.badge(f"{row.waiting.due:,} due within the hour", color="orange")
        if row.waiting.escalated:
            st.badge(f"{row.waiting.escalated:,} escalated", color="red")
        if row.waiting.oldest_at is not None:
            st.text(f"oldest {phrases.ago(row.waiting.oldest_at)}", width="content")
        if row.waiting.held:
            st.page_link("pages/review.py", label="Review", query_params={"workflow": str(row.id)})
if any(row.waiting.held for row in rows):
    with st.container(key="go"):
        st.page_link("pages/review.py", label="Review what waits")

if person.may(Role.ADMIN):
    if has_samples:
        st.caption("The sample queue is in use. Removing it withdraws what waits; its verdicts stay in the exports.")
        st.button("Remove the sample queue", key="remove_samples", on_click=_remove_samples)
    elif not rows:
        st.button("Load the sample queue", key="load_samples", on_click=_load_samples)
