"""Review: read what a model wrote, and approve, correct or reject it with one key."""

import streamlit as st

from neuro_review import ui
from neuro_review.ui.card import card

ui.open_page("Review")
named = st.query_params.get("workflow", "")
card(int(named) if named.isdecimal() and len(named) < 10 else None)
