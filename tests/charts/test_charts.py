"""What a chart says, read from its specification."""

from __future__ import annotations

import itertools
import math
from datetime import date, timedelta
from typing import Any

import pytest

from neuro_review import charts
from neuro_review.charts import DARK, LIGHT, Change, Frame, Look, Mean, Part, Point, Span, Standing
from neuro_review.charts.parts import change_rows, nice_top

MONDAY = date(2026, 8, 31)
WEEKS = Frame(MONDAY, MONDAY + timedelta(weeks=12))
HOSTILE = "![x](https://evil.example/a.png) <img src=x onerror=alert(1)> datum.x'] signal"


def point(series: str, week: int, rate: float | None, *, enough: bool = True) -> Point:
    low, high = (None, None) if rate is None else (round(rate - 0.01, 4), round(rate + 0.02, 4))
    return Point(series, MONDAY + timedelta(weeks=week), f"W{week}", rate, low, high, enough, "said", "rests on")


def spec(chart: Any) -> dict[str, Any]:
    found: dict[str, Any] = chart.to_dict()
    return found


def rows(found: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    data = layer["data"]
    listed: list[dict[str, Any]] = data.get("values") or found["datasets"][data["name"]]
    return listed


def layers(found: dict[str, Any], mark: str) -> list[dict[str, Any]]:
    return [one for one in found["layer"] if one["mark"]["type"] == mark]


def encodings(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.get("encoding", {}) for one in found["layer"]]


def test_each_estimate_is_a_dot_with_its_interval_and_a_line_in_the_colour_of_its_model() -> None:
    found = spec(charts.trend([point("a", 0, 0.04), point("a", 1, 0.05), point("b", 0, 0.1)], ["a", "b"], WEEKS, LIGHT))

    (dots,) = layers(found, "point")
    bars = [one for one in layers(found, "rule") if "y2" in one["encoding"]]
    assert [(row["series"], row["rate"], row["low"], row["high"]) for row in rows(found, dots)] == [
        ("a", 0.04, 0.03, 0.06), ("a", 0.05, 0.04, 0.07), ("b", 0.1, 0.09, 0.12)
    ]  # fmt: skip
    assert [len(rows(found, one)) for one in bars] == [3]
    assert dots["encoding"]["color"]["scale"] == {"domain": ["a", "b"], "range": list(LIGHT.series[:2])}
    assert dots["encoding"]["shape"]["scale"]["range"] == ["circle", "square"]


def test_one_model_alone_has_the_accent_and_no_legend() -> None:
    found = spec(charts.trend([point("a", 0, 0.04)], ["a"], WEEKS, DARK))

    (dots,) = layers(found, "point")
    assert dots["encoding"]["color"]["scale"]["range"] == ["#2dd4bf"]
    assert dots["encoding"]["color"]["legend"] is None


def test_what_rests_on_too_few_labels_is_grey_has_no_bar_and_does_not_press_the_rest_flat() -> None:
    found = spec(charts.trend([point("a", 0, 0.02), point("a", 1, 0.9, enough=False)], ["a"], WEEKS, LIGHT))

    grey, sure = layers(found, "point")
    assert grey["mark"]["color"] == LIGHT.grey
    assert "color" not in grey["encoding"]
    assert [row["rate"] for row in rows(found, sure)] == [0.02]
    assert found["layer"][-1]["encoding"]["y"]["scale"]["domain"] == [0, 0.04]
    assert [row["rate"] for row in rows(found, grey)] == [0.04]
    bars = [one for one in layers(found, "rule") if "y2" in one["encoding"]]
    assert [len(rows(found, one)) for one in bars] == [1]


def test_a_period_without_any_label_has_no_place_and_breaks_the_line() -> None:
    points = [point("a", 0, 0.04), point("a", 1, None, enough=False), point("a", 2, 0.05), point("a", 3, 0.05)]
    found = spec(charts.trend(points, ["a"], WEEKS, LIGHT))

    (line,) = layers(found, "line")
    runs = [row["run"] for row in rows(found, line)]
    assert len(runs) == 3
    assert runs[0] != runs[1] == runs[2]


def test_every_axis_says_what_it_is_in_which_unit() -> None:
    trend = spec(charts.trend([point("a", 0, 0.04)], ["a"], WEEKS, LIGHT))
    took = [Span("half", MONDAY, "W0", 240_000.0, "4 min")]
    waits = spec(charts.durations(took, ["half"], Frame(MONDAY, MONDAY, 1), LIGHT, what="submit to release"))
    paid = [Part("model", MONDAY, "W0", 0.02, "$0.02")]
    cost = spec(charts.amounts(paid, ["model"], WEEKS, LIGHT, title="cost, US dollars", money=True))

    titles = [{one[axis]["title"] for one in encodings(found) for axis in ("x", "y") if one.get(axis, {}).get("title")}
              for found in (trend, waits, cost)]  # fmt: skip
    assert titles == [
        {"bad outputs, % of all", "ISO week, by its Monday (UTC)"},
        {"submit to release, minutes", "day (UTC)"},
        {"cost, US dollars", "ISO week, by its Monday (UTC)"},
    ]


def test_the_axis_spans_the_window_in_utc_and_names_weeks_by_their_mondays() -> None:
    found = spec(charts.trend([point("a", 0, 0.04)], ["a"], WEEKS, LIGHT))

    ends = found["layer"][0]
    assert [row["at"] for row in rows(found, ends)] == ["2026-08-31T00:00:00Z", "2026-11-30T00:00:00Z"]
    assert ends["encoding"]["x"]["scale"] == {"type": "utc", "nice": False}
    ticks = ends["encoding"]["x"]["axis"]["values"]
    assert {date(one["year"], one["month"], one["date"]).weekday() for one in ticks} == {0}
    assert all(one["utc"] for one in ticks)
    assert 4 <= len(ticks) <= 9


def test_the_target_and_what_changed_stand_in_the_chart_with_a_word() -> None:
    changes = [Change(MONDAY + timedelta(days=60), "prompt v8"), Change(MONDAY - timedelta(days=1), "too early")]
    found = spec(charts.trend([point("a", 0, 0.04)], ["a"], WEEKS, LIGHT, changes=changes, target=0.05))

    words = [[row.get("text") or row.get("word") for row in rows(found, one)] for one in layers(found, "text")]
    assert words == [["prompt v8"], ["target 5\u202f%"]]
    dashed = [one["mark"].get("color") for one in layers(found, "rule") if "strokeDash" in one["mark"]]
    assert dashed == [LIGHT.quiet, LIGHT.target]


def test_words_of_changes_that_have_no_room_are_left_to_the_pointer() -> None:
    close = [Change(MONDAY + timedelta(days=n), f"prompt v{n}") for n in (3, 4, 60)]
    together = [Change(MONDAY + timedelta(days=3), "rubric 2"), Change(MONDAY + timedelta(days=3), "policy")]

    assert [row["word"] for row in change_rows(close, WEEKS)] == ["prompt v3", "", "prompt v60"]
    assert [(row["word"], row["all"]) for row in change_rows(together, WEEKS)] == [("rubric 2 +1", "rubric 2, policy")]


def test_a_point_that_is_chosen_tells_its_model_and_first_day() -> None:
    found = spec(charts.trend([point("a", 0, 0.04), point("b", 0, 0.04)], ["a", "b"], WEEKS, LIGHT))

    chosen = [one for one in found["params"] if one["name"] == charts.PICKED]
    assert chosen[0]["select"]["fields"] == ["series", "start"]
    (dots,) = layers(found, "point")
    assert {row["start"] for row in rows(found, dots)} == {"2026-08-31"}
    assert len({row["at"] for row in rows(found, dots)}) == 2  # beside each other, so that both can be seen


def test_names_are_data_and_never_stand_in_an_expression() -> None:
    found = spec(charts.trend([point(HOSTILE, 0, 0.04)], [HOSTILE], WEEKS, LIGHT))
    beside = spec(charts.side_by_side([Standing(HOSTILE, 0.1, 0.05, 0.2, True, "said", 0.01, "$0.01", True)], LIGHT))
    front = spec(charts.front([Standing(HOSTILE, 0.1, 0.05, 0.2, True, "said", 0.01, "$0.01", True)], LIGHT, what="c"))

    def expressions(node: Any) -> list[str]:
        if isinstance(node, dict):
            inside = [
                one for key, value in node.items() if key not in ("values", "datasets") for one in expressions(value)
            ]
            return [str(node[key]) for key in ("expr", "signal", "labelExpr", "test", "field") if key in node] + inside
        return [one for value in node for one in expressions(value)] if isinstance(node, list) else []

    said = [one for each in (found, beside, front) for one in expressions(each)]
    assert said
    assert [one for one in said if "evil" in one] == []


def test_amounts_stand_on_each_other_in_the_order_of_their_names() -> None:
    parts = [Part("review", MONDAY, "W0", 0.04, ""), Part("model", MONDAY, "W0", 0.01, "")]
    found = spec(charts.amounts(parts, ["model", "review"], WEEKS, LIGHT, title="dollars", money=True))

    (bars,) = layers(found, "rect")
    assert [(row["series"], row["low"], round(row["high"], 6)) for row in rows(found, bars)] == [
        ("model", 0.0, 0.01), ("review", 0.01, 0.05)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("longest", "unit", "value"), [(900.0, "seconds", 0.9), (600_000.0, "minutes", 10.0), (8e8, "days", 800 / 86.4)]
)
def test_durations_are_in_the_unit_in_which_they_read_best(longest: float, unit: str, value: float) -> None:
    found = spec(charts.durations([Span("p50", MONDAY, "W0", longest, "")], ["p50"], WEEKS, LIGHT, what="took"))

    (dots,) = layers(found, "point")
    assert dots["encoding"]["y"]["title"] == f"took, {unit}"
    assert rows(found, dots)[0]["value"] == pytest.approx(value)


def test_cost_against_quality_joins_those_that_nothing_beats_and_leaves_out_what_cannot_be_placed() -> None:
    models = [
        Standing("cheap", 0.10, 0.08, 0.12, True, "", 0.01, "", True),
        Standing("good", 0.02, 0.01, 0.03, True, "", 0.05, "", True),
        Standing("beaten", 0.11, 0.08, 0.14, True, "", 0.06, "", False),
        Standing("free", 0.02, 0.01, 0.04, True, "", None, "", False),
        Standing("new", 0.5, 0.1, 0.9, False, "", 0.01, "", False),
    ]
    found = spec(charts.front(models, LIGHT, what="cost"))

    (line,), (dots,) = layers(found, "line"), layers(found, "point")
    assert [row["model"] for row in rows(found, line)] == ["cheap", "good"]
    assert [row["model"] for row in rows(found, dots)] == ["cheap", "good", "beaten"]


def test_models_side_by_side_keep_their_order_and_grey_stays_grey() -> None:
    models = [Standing("b", 0.1, 0.05, 0.2, True, ""), Standing("a", 0.3, 0.1, 0.6, False, "")]
    found = spec(charts.side_by_side(models, DARK, target=0.05))

    (dots,) = layers(found, "point")
    assert dots["encoding"]["y"]["sort"] == ["b", "a"]
    assert dots["encoding"]["color"] == {
        "condition": {"test": "datum.enough", "value": DARK.series[0]},
        "value": DARK.grey,
    }


@pytest.mark.parametrize(("highest", "top"), [(0.0, 0.01), (0.012, 0.02), (0.16, 0.2), (0.99, 1.0)])
def test_an_axis_of_rates_ends_on_a_round_number(highest: float, top: float) -> None:
    assert nice_top(highest) == top


# Machado, Oliveira & Fernandes 2009, full strength.
SEEN = {
    "every colour": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no green cones": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)
    ),
    "no red cones": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)
    ),
}  # fmt: skip


def linear(colour: str) -> list[float]:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]


def oklab(colour: list[float]) -> tuple[float, float, float]:
    """Ottosson 2020: a distance in it is a difference that is seen."""
    red, green, blue = (min(1.0, max(0.0, one)) for one in colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    middle = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN)
def test_any_two_models_can_be_told_apart_by_people_with_any_colour_vision(look: Look, eyes: str) -> None:
    def seen(colour: str) -> tuple[float, float, float]:
        plain = linear(colour)
        return oklab([sum(a * b for a, b in zip(row, plain, strict=True)) for row in SEEN[eyes]])

    nearest = min((math.dist(seen(a), seen(b)), a, b) for a, b in itertools.combinations(look.series, 2))

    assert nearest[0] > 0.1, nearest  # 0.02 is a difference that is just noticed


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_and_words_stand_out_from_the_page(look: Look) -> None:
    def light(colour: str) -> float:
        red, green, blue = linear(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(colour: str) -> float:
        low, high = sorted((light(colour), light(look.ground)))
        return (high + 0.05) / (low + 0.05)

    assert min(contrast(one) for one in look.series) >= 3  # WCAG 1.4.11, for what is drawn
    assert min(contrast(one) for one in (look.quiet, look.target)) >= 4.5  # WCAG 1.4.3, for words


def test_a_mean_without_enough_reports_is_grey_and_has_no_bar_and_values_to_hold_it_against_have_their_word() -> None:
    means = [
        Mean(MONDAY, "W0", 41.0, 38.0, 44.0, "41 (38 to 44, 50 reports)"),
        Mean(MONDAY + timedelta(weeks=1), "W1", 12.0, None, None, "12 from 3 reports: 27 more needed"),
    ]

    found = spec(charts.means(means, WEEKS, LIGHT, title="minutes, mean", lines=(("before", 50.0), ("target", 40.0))))

    dots, bars = rows(found, layers(found, "point")[-1]), rows(found, layers(found, "rule")[-1])
    assert [(row["value"], row["enough"]) for row in dots] == [(41.0, True), (12.0, False)]
    assert [(row["low"], row["high"]) for row in bars] == [(38.0, 44.0)]
    assert [rows(found, one)[0]["text"] for one in layers(found, "text")] == ["before", "target"]
