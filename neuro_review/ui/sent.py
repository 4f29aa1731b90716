"""Messages to an endpoint, as a table."""

import pandas as pd
import streamlit as st

from neuro_review import phrases
from neuro_review.deliveries.health import Sent


def table(messages: list[Sent], key: str) -> None:
    """Draw messages with how far each is, or that there is none."""
    if not messages:
        st.text("Nothing was sent yet, tests apart. The first message goes with the first verdict that leaves.")
        return
    rows = [
        {
            "what": one.event, "external_id": one.external_id, "state": one.state, "tries": one.attempts,
            "age": phrases.ago(one.created_at), "answered": one.status, "ms": one.took_ms, "why": one.error or "",
            "item": one.item_id,
        }
        for one in messages
    ]  # fmt: skip
    frame = pd.DataFrame(rows).astype({"answered": "Int64", "ms": "Int64"})
    st.dataframe(frame, hide_index=True, key=key)
