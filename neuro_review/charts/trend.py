"""A rate over time by model or reason: a dot and a bar for each period, grey where too few labels speak."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import altair as alt

from neuro_review.charts.look import Look
from neuro_review.charts.parts import (
    HEIGHT,
    Change,
    Frame,
    change_lines,
    chart,
    colour,
    dressed,
    instant,
    nice_top,
    rate_axis,
    shape,
    target_line,
    time_axis,
    whole_time,
)

PICKED = "picked"
"""The selection: the series and the first day of the point that was clicked."""
APART = 0.09
"""How far two series stand apart in the same period, as a share of it."""


@dataclass(frozen=True)
class Point:
    """A rate in one period, and what is said of it."""

    series: str
    start: date
    period: str
    rate: float | None
    low: float | None
    high: float | None
    enough: bool
    said: str
    """The rate in words, with its interval or with how much is missing."""
    rests_on: str
    """How many labels of how many outputs."""


def trend(
    points: Sequence[Point], names: Sequence[str], frame: Frame, look: Look, *, changes: Sequence[Change] = (),
    target: float | None = None, title: str = "bad outputs, % of all", of: str = "model", height: int = HEIGHT,
) -> alt.LayerChart:  # fmt: skip
    """Return the rates over time.

    Args:
        points: each series' points, the earliest first; those without a rate have no place and are left out.
        names: the series in the order of their colours.
        frame: the time shown.
        look: the colours of the page.
        changes: what changed when, marked by dotted lines.
        target: the quality target.
        title: of the axis.
        of: what a series is, for the words beside the pointer.
        height: in pixels.
    """
    rows = _rows(points, names, frame)
    sure = [row for row in rows if row["enough"]]
    top = nice_top(max([row["high"] for row in sure] + [(target or 0.0) * 1.25, 0.01]))
    # What rests on three labels must not press the rest flat: it lies at the edge, and its words say how it is.
    unsure = [{**row, "rate": min(row["rate"], top)} for row in rows if not row["enough"]]
    x, y = time_axis("at", frame), rate_axis("rate", title, top)
    tone = colour("series", names, look)
    layers = [whole_time(frame), *change_lines(changes, frame, look), *target_line(target, frame, look)]
    if unsure:
        few = chart(unsure).mark_point(shape="circle", filled=True, size=34, color=look.grey)
        layers.append(few.encode(x=x, y=y, tooltip=_tooltip(of)))
    layers += [
        chart(_lines(sure, frame)).mark_line(strokeWidth=1.6, opacity=0.75, tooltip=None).encode(
            x=x, y=y, color=tone, detail=alt.Detail("run:N")
        ),
        chart(sure).mark_rule(strokeWidth=1.6, opacity=0.6, tooltip=None).encode(
            x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=tone
        ),
        chart(sure).mark_point(filled=True, size=58, opacity=1, cursor="pointer").encode(
            x=x, y=y, color=tone, shape=shape("series", names, look), tooltip=_tooltip(of)
        ).add_params(alt.selection_point(name=PICKED, fields=["series", "start"], clear="dblclick")),
    ]  # fmt: skip
    return dressed(layers, look, height)


def _rows(points: Sequence[Point], names: Sequence[str], frame: Frame) -> list[dict[str, Any]]:
    place = {name: number - (len(names) - 1) / 2 for number, name in enumerate(names)}
    return [
        {
            "series": point.series, "start": point.start.isoformat(), "period": point.period, "rate": point.rate,
            "at": instant(point.start, days=frame.days * (0.5 + APART * place[point.series])), "low": point.low,
            "high": min(point.high, 1.0) if point.high is not None else None, "enough": point.enough,
            "said": point.said, "rests_on": point.rests_on,
        }
        for point in points
        if point.series in place and point.rate is not None
    ]  # fmt: skip


def _lines(rows: Sequence[dict[str, Any]], frame: Frame) -> list[dict[str, Any]]:
    """Return the points with the line each is on: it breaks where a period between two of them says too little."""
    found: list[dict[str, Any]] = []
    by_series: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_series.setdefault(row["series"], []).append(row)
    for name, mine in by_series.items():
        run = 0
        found.append({**mine[0], "run": f"{name} {run}"})
        for before, row in pairwise(mine):
            gap = date.fromisoformat(row["start"]) - date.fromisoformat(before["start"])
            run += gap.days > frame.days
            found.append({**row, "run": f"{name} {run}"})
    return found


def _tooltip(of: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("series:N", title=of),
        alt.Tooltip("period:N", title="period (UTC)"),
        alt.Tooltip("said:N", title="bad"),
        alt.Tooltip("rests_on:N", title="rests on"),
    ]
