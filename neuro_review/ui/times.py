"""Clock times as the person reads them who sits before the screen."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from db.clock import SECOND


def clock_time(at: int, *, seconds: bool = True) -> str:
    """Return an instant (microseconds, UTC) in the zone of the browser; where that is unknown, in UTC and so marked."""
    name = st.context.timezone
    try:
        zone = ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):  # a browser can send what it likes
        zone = None
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    text = datetime.fromtimestamp(at // SECOND, zone or UTC).strftime(form)
    return text if zone else f"{text} UTC"
