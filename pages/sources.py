"""Sources: the applications that hand outputs in, and their keys."""

import streamlit as st

from neuro_review import phrases, sources, ui, workflows
from neuro_review.sources import Key, Source
from neuro_review.ui import once, upload
from neuro_review.ui.copying import copyable
from neuro_review.words import Role

TITLE = "Sources"
person = ui.open_page(TITLE, needs=Role.OWNER)
SUBMIT, READ = "submit outputs", "read what became of them"


def _add() -> None:
    name, workflow_id, scopes = (st.session_state[key] for key in ("name", "workflow", "scopes"))
    with ui.act() as session:
        made = sources.add(
            session, ui.person(), name, workflow_id, can_submit=SUBMIT in scopes, can_read=READ in scopes
        )
        once.keep(TITLE, made)


def _replace(key_id: int) -> None:
    with ui.act() as session:
        once.keep(TITLE, sources.replace(session, ui.person(), key_id))


def _revoke(key_id: int) -> None:
    with ui.act() as session:
        sources.revoke(session, ui.person(), key_id)
        ui.hint("The key is revoked.")


def new_key() -> None:
    """Show the key that was just made, and how it is used."""
    made = once.kept(TITLE)
    if made is None:
        return
    with st.container(border=True, key="new_key"):
        ui.plain(f"The key of {made.source} for {made.workflow}. Copy it now: it is shown only this once.")
        copyable(made.key, "Copy the key", "key")
        st.text("With it the application hands an output in:")
        copyable(sources.example(once.address(), made), "Copy the call", "call")
        st.button("I have it", key="put_away", on_click=once.put_away)


def add_form(flows: dict[int, str]) -> None:
    """Draw the form for another application."""
    with st.form("add"):
        st.text_input("Name of the application", max_chars=100, key="name")
        st.selectbox("Workflow that its outputs go to", list(flows), format_func=flows.__getitem__, key="workflow")
        st.pills("The key can", [SUBMIT, READ], selection_mode="multi", default=[SUBMIT, READ], key="scopes")
        st.caption("A key can never decide anything.")
        st.form_submit_button("Add it and make a key", type="primary", on_click=_add)


def application(source: Source) -> None:
    """Draw one application with its keys."""
    with st.container(border=True, key=f"source_{source.id}"):
        st.header(ui.md_escape(source.name))
        for key in source.keys:
            with st.container(horizontal=True, vertical_alignment="center"):
                ui.plain(key.workflow)
                st.text(key.scopes, width="content")
                st.text(f"made {phrases.ago(key.created_at)} ago", width="content")
                st.space("stretch")
                key_in_use(key)


def key_in_use(key: Key) -> None:
    """Draw whether a key is good, and how it is replaced and revoked."""
    if key.revoked_at is not None:
        st.badge(f"revoked {phrases.ago(key.revoked_at)} ago", color="gray")
        return
    st.button("New key", key=f"replace_{key.id}", on_click=_replace, args=(key.id,))
    with st.popover("Revoke …"):
        st.text("The application can no longer use this key, at once and for ever. What it submitted stays.")
        st.button("Revoke this key", key=f"revoke_{key.id}", on_click=_revoke, args=(key.id,))


st.title(TITLE)
with ui.read() as session:
    mine = sources.mine(session, person)
    flows = {flow.id: flow.name for flow in workflows.owned(session, person) if flow.archived_at is None}
new_key()
st.header("Applications")
if not mine:
    st.text("No application has a key yet. Add one: its key lets it hand outputs in, and never decide.")
for source in mine:
    application(source)
if flows:
    with st.expander("Add an application", expanded=not mine):
        add_form(flows)
else:
    st.text("There is no workflow yet that its outputs could go to. Add one on Workflows first.")
upload.upload_form()
