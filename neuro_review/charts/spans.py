"""How long something took, and how much of something there was, over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import altair as alt

from neuro_review.charts.look import Look
from neuro_review.charts.parts import Frame, chart, colour, dressed, instant, shape, time_axis, value_line, whole_time

UNITS = ((86_400_000.0, "days"), (3_600_000.0, "hours"), (60_000.0, "minutes"), (1000.0, "seconds"))
SHORT = 240


@dataclass(frozen=True)
class Span:
    """A duration in one period: in milliseconds, and as it is said."""

    series: str
    start: date
    period: str
    ms: float
    said: str


@dataclass(frozen=True)
class Part:
    """A part of an amount in one period, and as it is said."""

    series: str
    start: date
    period: str
    amount: float
    said: str


def unit_of(longest_ms: float) -> tuple[float, str]:
    """Return the unit in which durations up to this one read best."""
    return next((one for one in UNITS if longest_ms >= 2 * one[0]), (1000.0, "seconds"))


def durations(
    spans: Sequence[Span], names: Sequence[str], frame: Frame, look: Look, *, what: str, limit_ms: float | None = None
) -> alt.LayerChart:  # fmt: skip
    """Return durations over time, one line a series, with the line of what was promised.

    Args:
        spans: the earliest first.
        names: the series in the order of their colours.
        frame: the time shown.
        look: the colours of the page.
        what: took so long; the axis says it, with the unit.
        limit_ms: what was promised.
    """
    longest = max([one.ms for one in spans] + [limit_ms or 0.0, 1.0])
    size, unit = unit_of(longest)
    rows = [
        {
            "series": one.series, "start": one.start.isoformat(), "period": one.period, "value": one.ms / size,
            "at": instant(one.start, days=frame.days / 2), "said": one.said,
        }
        for one in spans
    ]  # fmt: skip
    x = time_axis("at", frame)
    y = alt.Y("value:Q", title=f"{what}, {unit}", scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=4))
    tone = colour("series", names, look)
    layers = [
        whole_time(frame),
        *(value_line("deadline", limit_ms / size, frame, look) if limit_ms is not None else ()),
    ]
    layers += [
        chart(rows).mark_line(strokeWidth=1.6, opacity=0.75, tooltip=None).encode(x=x, y=y, color=tone),
        chart(rows).mark_point(filled=True, size=40, opacity=1).encode(
            x=x, y=y, color=tone, shape=shape("series", names, look),
            tooltip=[
                alt.Tooltip("series:N", title="of them"), alt.Tooltip("period:N", title="period (UTC)"),
                alt.Tooltip("said:N", title=what),
            ],
        ),
    ]  # fmt: skip
    return dressed(layers, look, SHORT)


def amounts(
    parts: Sequence[Part], names: Sequence[str], frame: Frame, look: Look, *, title: str, money: bool = False
) -> alt.LayerChart:  # fmt: skip
    """Return amounts over time as bars, their parts on top of each other in the order of the names.

    Args:
        parts: the earliest first.
        names: the parts in the order of their colours.
        frame: the time shown.
        look: the colours of the page.
        title: of the axis, with the unit.
        money: the amounts are dollars.
    """
    rows, so_far = [], dict[date, float]()
    for one in sorted(parts, key=lambda part: names.index(part.series)):
        below = so_far.get(one.start, 0.0)
        so_far[one.start] = below + one.amount
        rows.append({
            "series": one.series, "start": one.start.isoformat(), "period": one.period, "low": below,
            "high": below + one.amount, "from": instant(one.start, days=frame.days * 0.14),
            "to": instant(one.start, days=frame.days * 0.86), "said": one.said,
        })  # fmt: skip
    label = "'$' + format(datum.value, '.3~f')" if money else "format(datum.value, ',')"
    scale = alt.Scale(domain=[0, max(so_far.values(), default=1.0) or 1.0], nice=True)
    bars = chart(rows).mark_rect().encode(
        x=time_axis("from", frame), x2=alt.X2("to:T"), y2=alt.Y2("high:Q"),
        y=alt.Y("low:Q", title=title, scale=scale, axis=alt.Axis(labelExpr=label, tickCount=4)),
        color=colour("series", names, look),
        tooltip=[
            alt.Tooltip("series:N", title="part" if len(names) > 1 else "what"),
            alt.Tooltip("period:N", title="period (UTC)"), alt.Tooltip("said:N", title="amount"),
        ],
    )  # fmt: skip
    return dressed([whole_time(frame), bars], look, SHORT)
