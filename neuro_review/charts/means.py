"""The mean of what applications report, over time: a dot and a bar for each period, with where it was and is to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import altair as alt

from neuro_review.charts.look import Look
from neuro_review.charts.parts import Frame, chart, dressed, instant, time_axis, value_line, whole_time
from neuro_review.charts.spans import SHORT


@dataclass(frozen=True)
class Mean:
    """A mean of one period; low and high are None where too little was reported for an interval."""

    start: date
    period: str
    value: float
    low: float | None
    high: float | None
    said: str

    @property
    def enough(self) -> bool:
        """Tell whether it has an interval."""
        return self.low is not None and self.high is not None


def means(
    found: Sequence[Mean], frame: Frame, look: Look, *, title: str, lines: Sequence[tuple[str, float]] = ()
) -> alt.LayerChart:  # fmt: skip
    """Return means over time; grey and without a bar where too little was reported.

    Args:
        found: the earliest first.
        frame: the time shown.
        look: the colours of the page.
        title: of the axis, with the unit.
        lines: values to hold them against, each with its word.
    """
    rows = [
        {
            "start": one.start.isoformat(), "period": one.period, "value": one.value, "low": one.low, "high": one.high,
            "at": instant(one.start, days=frame.days / 2), "said": one.said, "enough": one.enough,
        }
        for one in found
    ]  # fmt: skip
    sure = [row for row in rows if row["enough"]]
    x = time_axis("at", frame)
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(tickCount=4))
    tooltip = [alt.Tooltip("period:N", title="period (UTC)"), alt.Tooltip("said:N", title="mean")]
    tone = alt.condition("datum.enough", alt.value(look.series[0]), alt.value(look.grey))
    layers = [whole_time(frame), *(layer for name, value in lines for layer in value_line(name, value, frame, look))]
    layers += [
        chart(sure).mark_rule(strokeWidth=1.6, opacity=0.6, color=look.series[0], tooltip=None).encode(
            x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")
        ),
        chart(rows).mark_point(filled=True, size=44, opacity=1).encode(x=x, y=y, color=tone, tooltip=tooltip),
    ]  # fmt: skip
    return dressed(layers, look, SHORT)
