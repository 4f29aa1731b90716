"""Texts of others on screen: as they are, and with the words in which two of them differ."""

import html

import streamlit as st

from neuro_review import likeness, ui
from neuro_review.likeness import Kind

MARK = {Kind.SAME: "span", Kind.ADDED: "ins", Kind.REMOVED: "del"}
ERASED = "It was erased."
STYLE = """
<style>
.nr-words { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; line-height: 1.6; }
.nr-words ins { background: light-dark(#c7efe9, #134e48); text-decoration: none; border-bottom: 2px solid #0f766e; }
.nr-words del { background: light-dark(#fbdcd9, #5c211d); }
</style>
"""


def style() -> None:
    """Lay marked texts out."""
    st.html(STYLE)


def labelled(what: str, text: str | None) -> None:
    """Draw a text of others under what it is."""
    st.caption(what)
    ui.plain(ERASED if text is None else text or "(empty)")


def word_diff(what: str, one: str, other: str) -> None:
    """Draw the second text with what is new in it, and what of the first is gone."""
    st.caption(what)
    parts = "".join(
        f"<{MARK[part.kind]}>{html.escape(part.text)}</{MARK[part.kind]}>" for part in likeness.differences(one, other)
    )
    st.html(f'<div class="nr-words">{parts}</div>')
