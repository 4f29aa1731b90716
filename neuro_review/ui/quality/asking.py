"""Which workflow is looked at, which days of it, and cut into what."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import streamlit as st

from db.clock import SECOND, now
from neuro_review import ui, workflows
from neuro_review.quality import places as quality_places
from neuro_review.quality.periods import Per, Window
from neuro_review.workflows import Workflow

SPANS = {"28 days": 28, "90 days": 90, "12 months": 364, "All": 0}
FIRST_SPAN = "90 days"
CUTS = {"by day": Per.DAY, "by week": Per.WEEK}
LONGEST = 366 * 5  # days: what is older is in the table of the command line, not in a chart


@dataclass(frozen=True)
class View:
    """What is looked at."""

    workflow_id: int
    first: date
    last: date
    per: Per

    @property
    def window(self) -> Window:
        """Return the days as the counts know them."""
        return Window.of(self.first, self.last)

    @property
    def days(self) -> int:
        """Return how many days there are."""
        return (self.last - self.first).days + 1

    @property
    def recent(self) -> int:
        """Return how many of the last days are held against as many before them."""
        return min(28, self.days)

    def since(self, first: date) -> "View":
        """Return the view from a day on, where that is later."""
        return replace(self, first=max(self.first, monday(first) if self.per is Per.WEEK else first))


def today() -> date:
    """Return the UTC day."""
    return datetime.fromtimestamp(now() // SECOND, UTC).date()


def monday(day: date) -> date:
    """Return the first day of an ISO week."""
    return day - timedelta(days=day.weekday())


def places() -> list[Workflow]:
    """Return the workflows this person owns."""
    with ui.read() as session:
        return workflows.owned(session, ui.person())


def seen() -> list[Workflow]:
    """Return the workflows this person reviews or owns."""
    with ui.read() as session:
        return workflows.seen(session, ui.person())


def place(flows: list[Workflow], page: str) -> int:
    """Draw which workflow can be chosen, and return the chosen one; a link to the page may name it."""
    names = {flow.id: flow.name for flow in flows}
    return st.selectbox(
        "Workflow", list(names), _named(list(names)), format_func=lambda one: names[one], key=f"{page}_workflow",
        width=280, on_change=st.query_params.clear,
    )  # fmt: skip


def bar(flows: list[Workflow], page: str) -> View:
    """Draw what can be chosen, and return what is chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="asked"):
        flow_id = place(flows, page)
        span = st.segmented_control(
            "Window", list(SPANS), default=FIRST_SPAN, required=True, key=f"{page}_span"
        )  # fmt: skip
        cut = "by week"
        if page == "quality":
            cut = st.segmented_control("Each point", list(CUTS), default="by week", required=True, key="quality_cut")
    last = today()
    per = CUTS[cut or "by week"]
    days = SPANS[span or FIRST_SPAN] or LONGEST
    first = last - timedelta(days=days - 1)
    return View(flow_id, monday(first) if per is Per.WEEK else first, last, per)


def _named(ids: list[int]) -> int:
    """Return the place of the workflow that the address names, or of the busiest."""
    named = st.query_params.get("workflow", "")
    if named.isdecimal() and len(named) < 16 and int(named) in ids:
        return ids.index(int(named))
    with ui.read() as session:
        return next((ids.index(one) for one in quality_places.busiest(session) if one in ids), 0)
