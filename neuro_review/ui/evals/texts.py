"""How eval sets and runs look on screen; a text of others stands under what it is, as it is."""

import streamlit as st

from neuro_review import ui

ERASED = "It was erased."
# Streamlit takes a link to this very page for the page one is on, and would shade it.
STYLE = """
<style>
.stMain [class*="st-key-row_"] [data-testid="stPageLink"] a { background: none; padding: 0; text-decoration: underline;
  text-underline-offset: .2em; color: inherit; }
.stMain [class*="st-key-row_"] [data-testid="stPageLink"] a p { font-weight: 400; font-size: 1rem; color: inherit; }
.stMain .nr-table td.nr-right { white-space: nowrap; }
</style>
"""


def style() -> None:
    """Lay runs out."""
    st.html(STYLE)


def labelled(what: str, text: str | None) -> None:
    """Draw a text of others under what it is."""
    st.caption(what)
    ui.plain(ERASED if text is None else text or "(empty)")
