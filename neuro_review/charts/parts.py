"""The pieces that charts share: axes, marks of changes, the line of a target."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt
import pandas as pd
from altair.utils.schemapi import disable_debug_mode

from neuro_review.charts.look import SHAPES, Look

# Altair would hold each piece of a chart against the schema of Vega-Lite, and then the whole: the tests do.
disable_debug_mode()
alt.theme.enable("none")  # the page has the look; Altair's own sizes would stand against it

MOST_TICKS = 9
HEIGHT = 340
NARROW_SPACE = "\u202f"
LONGEST_NAME = 160  # pixels
WORD = 6.2  # pixels a letter of a mark takes, about
NARROW = 44  # letters in a line on a telephone, about
WIDTH = 900  # pixels a chart has on a usual screen, about


@dataclass(frozen=True)
class Change:
    """Something changed on a day, in a word."""

    day: date
    text: str


@dataclass(frozen=True)
class Frame:
    """The time that a chart shows, and how it is cut."""

    first: date
    last: date
    days: int = 7
    """Of one period: 1, or 7 for ISO weeks."""

    @property
    def ends(self) -> tuple[str, str]:
        """Return where the axis begins and ends: a period's dot stands in its middle."""
        return instant(self.first), instant(self.last, days=self.days)

    @property
    def axis_title(self) -> str:
        """Return what the axis is."""
        return "day (UTC)" if self.days == 1 else "ISO week, by its Monday (UTC)"


def instant(day: date, *, days: float = 0.0) -> str:
    """Return a moment as the browser reads it."""
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def chart(rows: Iterable[Mapping[str, Any]]) -> alt.Chart:
    """Return a chart of rows, without a mark yet."""
    # Rows inside the chart would be copied with every step of its making: two thirds of the time that a page took.
    return alt.Chart(pd.DataFrame(map(dict, rows), dtype=object))


def _as_they_are(data: pd.DataFrame) -> dict[str, Any]:
    """Return rows as Vega-Lite reads them: they are plain texts and numbers, which Altair would look through again."""
    return {"values": data.to_dict("records")}


alt.data_transformers.register("as they are", _as_they_are)
alt.data_transformers.enable("as they are")


def time_axis(field: str, frame: Frame) -> alt.X:
    """Return the axis of time."""
    form = "%-d %b" if (frame.last - frame.first).days <= 330 else "%-d %b %Y"
    return alt.X(
        f"{field}:T", scale=alt.Scale(type="utc", nice=False), title=frame.axis_title,
        axis=alt.Axis(format=form, labelFlush=False, values=ticks(frame), grid=False),
    )  # fmt: skip


def ticks(frame: Frame) -> list[alt.DateTime]:
    """Return the first days of some periods: weeks are named by their Mondays."""
    periods = (frame.last - frame.first).days // frame.days + 1
    step = math.ceil(periods / MOST_TICKS) * frame.days
    days = [frame.first + timedelta(days=n) for n in range(0, periods * frame.days, step)]
    return [alt.DateTime(year=day.year, month=day.month, date=day.day, utc=True) for day in days]


def whole_time(frame: Frame) -> alt.Chart:
    """Return an invisible mark at each end of the time shown: it spans the axis, also where nothing is to be drawn.

    A domain written into the axis would have to stand in every layer, and Vega-Lite reads it differently in each.
    """
    ends: alt.Chart = chart([{"at": end} for end in frame.ends]).mark_rule(opacity=0, tooltip=None)
    spanned: alt.Chart = ends.encode(x=time_axis("at", frame))
    return spanned


def rate_axis(field: str, title: str, top: float) -> alt.Y:
    """Return the axis of a rate, from nothing to a little above what is shown."""
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(domain=[0, nice_top(top)], nice=False), axis=percent())


def percent() -> alt.Axis:
    """Return an axis whose labels are per cent."""
    return alt.Axis(labelExpr=f"format(datum.value * 100, '.3~f') + '{NARROW_SPACE}%'", tickCount=5)


def nice_top(highest: float) -> float:
    """Return where an axis of rates ends: a round number at or above the highest."""
    steps = (0.01, 0.02, 0.04, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    return next((step for step in steps if step >= highest), 1.0)


def colour(field: str, names: Sequence[str], look: Look, *, legend: bool = True) -> alt.Color:
    """Return the colour of each series; one alone has the accent and needs no legend."""
    return alt.Color(
        f"{field}:N", title=None, scale=alt.Scale(domain=list(names), range=list(look.series[: max(1, len(names))])),
        legend=top_legend(names, look) if legend and len(names) > 1 else None,
    )  # fmt: skip


def shape(field: str, names: Sequence[str], look: Look) -> alt.Shape:
    """Return the shape of each series."""
    return alt.Shape(
        f"{field}:N", title=None, scale=alt.Scale(domain=list(names), range=list(SHAPES[: max(1, len(names))])),
        legend=top_legend(names, look) if len(names) > 1 else None,
    )  # fmt: skip


def top_legend(names: Sequence[str], look: Look) -> alt.Legend:
    """Return a legend above the chart, in as many columns as fit on a telephone."""
    longest = max(map(len, names), default=0)
    columns = max(min(2, len(names)), min(len(names), NARROW // (longest + 4)))
    return alt.Legend(
        orient="top", direction="horizontal", labelLimit=LONGEST_NAME if columns < 2 else 120, symbolSize=70,
        title=None, offset=6, columns=columns, labelColor=look.quiet, symbolOpacity=1,
    )  # fmt: skip


def target_line(target: float | None, frame: Frame, look: Look) -> list[alt.Chart]:
    """Return the line of the quality target, with its word; nothing where there is none."""
    if target is None:
        return []
    row = {"rate": target, "at": frame.ends[1], "text": f"target {target * 100:.3g}{NARROW_SPACE}%"}
    y = alt.Y("rate:Q")
    rule = chart([row]).mark_rule(color=look.target, strokeDash=[5, 4], strokeWidth=1.2, tooltip=None).encode(y=y)
    word = chart([row]).mark_text(
        color=look.target, align="right", baseline="bottom", dy=-3, fontSize=11, tooltip=None,
    ).encode(x=alt.X("at:T"), y=y, text=alt.Text("text:N"))  # fmt: skip
    return [rule, word]


def value_line(name: str, value: float, frame: Frame, look: Look) -> list[alt.Chart]:
    """Return the line of a value to hold others against, with its word."""
    row, y = {"value": value, "at": frame.ends[1], "text": name}, alt.Y("value:Q")
    rule = chart([row]).mark_rule(color=look.target, strokeDash=[5, 4], tooltip=None).encode(y=y)
    word = chart([row]).mark_text(
        color=look.target, align="right", baseline="bottom", dy=-3, fontSize=11, tooltip=None
    ).encode(x=alt.X("at:T"), y=y, text=alt.Text("text:N"))  # fmt: skip
    return [rule, word]


def change_lines(changes: Sequence[Change], frame: Frame, look: Look) -> list[alt.Chart]:
    """Return a dotted line for each day on which something changed, with as many words as have room."""
    rows = change_rows(changes, frame)
    if not rows:
        return []
    x = alt.X("at:T")
    rule = chart(rows).mark_rule(color=look.quiet, strokeDash=[2, 3], strokeWidth=1, opacity=0.8).encode(
        x=x, tooltip=[alt.Tooltip("all:N", title="changed"), alt.Tooltip("day:N", title="since")]
    )  # fmt: skip
    word = chart(rows).mark_text(
        color=look.quiet, align="left", baseline="top", dx=4, fontSize=11, limit=150, tooltip=None,
    ).encode(x=x, y=alt.value(0), text=alt.Text("word:N"))  # fmt: skip
    return [rule, word]


def change_rows(changes: Sequence[Change], frame: Frame) -> list[dict[str, Any]]:
    """Return a row for each day with a change in it; a word that has no room is left to the tooltip."""
    by_day: dict[date, list[str]] = {}
    for change in sorted(changes, key=lambda one: one.day):
        if frame.first <= change.day <= frame.last + timedelta(days=frame.days - 1):
            by_day.setdefault(change.day, []).append(change.text)
    whole = (frame.last - frame.first).days + frame.days
    free, rows = 0.0, []
    for day, texts in by_day.items():
        place = (day - frame.first).days / whole * WIDTH
        word = texts[0] if len(texts) == 1 else f"{texts[0]} +{len(texts) - 1}"
        width = min(150.0, len(word) * WORD) + 10
        fits = place >= free and place + width <= WIDTH + 40
        free = place + width if fits else free
        rows.append({
            "at": instant(day), "day": day.isoformat(), "all": ", ".join(texts), "word": word if fits else ""
        })  # fmt: skip
    return rows


def dressed(layers: Sequence[alt.Chart], look: Look, height: int = HEIGHT) -> alt.LayerChart:
    """Return layers as one chart in the house's clothes."""
    words: Any = {"titleFontSize": 11, "labelFontSize": 11, "titleColor": look.quiet, "labelColor": look.quiet}
    # Vega would name every mark to a screen reader, and leave some without words; the page gives the chart its words.
    config = alt.Config(mark=alt.MarkConfig(aria=False), axis=alt.AxisConfig(**words), view=alt.ViewConfig(stroke=None))
    # All at once: each step of a layered chart copies every layer of it.
    return alt.LayerChart(layer=list(layers), height=height, config=config)


def spec(drawn: alt.LayerChart) -> dict[str, Any]:
    """Return a finished chart as Vega-Lite reads it, with its rows beside it by name."""
    found: dict[str, Any] = drawn.to_dict(validate=False)
    return found
