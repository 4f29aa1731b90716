"""A text of others on screen, as it is, under what it is."""

import streamlit as st

from neuro_review import ui

ERASED = "It was erased."


def labelled(what: str, text: str | None) -> None:
    """Draw a text of others under what it is."""
    st.caption(what)
    ui.plain(ERASED if text is None else text or "(empty)")
