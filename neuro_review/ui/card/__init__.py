"""The Review card: a Streamlit component that decides in the browser and tells the server in the same moment.

Why not Streamlit's own buttons: a round trip and a redraw for each key cost 35 ms at best, two presses during one run
become one, and a key counts behind a dialog. Here the next item is already in the browser, and is painted with the key.
"""

from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).resolve().parent
PARTS = ("text.js", "desk.js", "view.js", "keys.js")
MOUNT = st.components.v2.component(
    "neuro_review_card",
    html='<div class="desk"></div>',
    css=(HERE / "card.css").read_text(),
    js="\n".join((HERE / part).read_text() for part in PARTS),
)


def card(workflow_id: int | None) -> Any:
    """Draw the desk of the person who looks, at one workflow or, where none is named, at all of theirs."""
    return MOUNT(key="card", data={"workflow": workflow_id})
