"""Links from page to page, drawn only where they lead somewhere for who looks."""

import streamlit as st
from streamlit.errors import StreamlitAPIException


def link(page: str, label: str, **query: str) -> bool:
    """Draw a link to a page; tells whether there is one: not where this person's menu has no such page."""
    try:
        st.page_link(page, label=label, query_params=query)
    except StreamlitAPIException:
        return False
    return True
