"""Models side by side: a rate with its interval, and cost against quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from neuro_review.charts.look import Look
from neuro_review.charts.parts import LONGEST_NAME, chart, colour, dressed, nice_top, percent, shape


@dataclass(frozen=True)
class Standing:
    """How good and how dear a model is."""

    model: str
    rate: float | None
    low: float | None
    high: float | None
    enough: bool
    said: str
    cost: float | None = None
    """In dollars."""
    cost_said: str = ""
    on_front: bool = False
    """No other model is both better and cheaper."""


def side_by_side(standings: Sequence[Standing], look: Look, *, target: float | None = None) -> alt.LayerChart:
    """Return each model's bad rate as a dot with a bar, in the order given; grey where too few labels speak."""
    rows = [_row(one) for one in standings if one.rate is not None]
    top = nice_top(max([row["high"] for row in rows] + [(target or 0) * 1.25, 0.01]))
    x = alt.X("rate:Q", title="bad outputs, % of all", scale=alt.Scale(domain=[0, top], nice=False), axis=percent())
    y = alt.Y(
        "model:N", title=None, sort=[row["model"] for row in rows], axis=alt.Axis(labelLimit=LONGEST_NAME, grid=False)
    )
    tone = alt.condition("datum.enough", alt.value(look.series[0]), alt.value(look.grey))
    layers = []
    if target is not None:
        rule = chart([{"rate": target}]).mark_rule(color=look.target, strokeDash=[5, 4], tooltip=None)
        layers.append(rule.encode(x=alt.X("rate:Q")))
    tooltip = [alt.Tooltip("model:N", title="model"), alt.Tooltip("said:N", title="bad")]
    layers += [
        chart(rows).mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y, color=tone, tooltip=tooltip
        ),
        chart(rows).mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=tone, tooltip=tooltip),
    ]  # fmt: skip
    return dressed(layers, look, 60 + 34 * max(1, len(rows)))


def front(standings: Sequence[Standing], look: Look, *, what: str) -> alt.LayerChart:
    """Return cost against quality: below and to the left is better, and a line joins those that nothing beats.

    Args:
        standings: those without a rate or a cost have no place and are left out.
        look: the colours of the page.
        what: the cost is of.
    """
    placed = [one for one in standings if one.rate is not None and one.cost is not None and one.enough]
    names = [one.model for one in placed]
    rows = [_row(one) for one in placed]
    edge = sorted((row for row in rows if row["on_front"]), key=lambda row: row["cost"])
    dearest = max([row["cost"] for row in rows], default=0.0) or 0.01
    x = alt.X(
        "cost:Q", title=f"{what}, US dollars", scale=alt.Scale(domain=[0, dearest * 1.25]),
        axis=alt.Axis(labelExpr="'$' + format(datum.value, '.3~g')", tickCount=5, grid=False),
    )  # fmt: skip
    top = nice_top(max([row["high"] for row in rows], default=0.01))
    y = alt.Y("rate:Q", title="bad outputs, % of all", scale=alt.Scale(domain=[0, top], nice=False), axis=percent())
    tone = colour("model", names, look, legend=False)
    tooltip = [
        alt.Tooltip("model:N", title="model"), alt.Tooltip("said:N", title="bad"),
        alt.Tooltip("cost_said:N", title=what),
    ]  # fmt: skip
    layers = [
        chart(edge).mark_line(color=look.quiet, strokeDash=[4, 3], strokeWidth=1.2, tooltip=None).encode(x=x, y=y),
        chart(rows).mark_rule(strokeWidth=1.6, opacity=0.6, tooltip=None).encode(
            x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=tone
        ),
        chart(rows).mark_point(filled=True, size=80, opacity=1).encode(
            x=x, y=y, color=tone, shape=shape("model", names, look).legend(None), tooltip=tooltip
        ),
        chart(rows).mark_text(
            align="left", dx=9, fontSize=12, color=look.quiet, limit=LONGEST_NAME, tooltip=None,
        ).encode(x=x, y=y, text=alt.Text("model:N")),
    ]  # fmt: skip
    return dressed(layers, look, 260)


def _row(one: Standing) -> dict[str, Any]:
    return {
        "model": one.model, "rate": one.rate, "low": one.low, "high": one.high, "enough": one.enough, "said": one.said,
        "cost": one.cost, "cost_said": one.cost_said, "on_front": one.on_front,
    }  # fmt: skip
