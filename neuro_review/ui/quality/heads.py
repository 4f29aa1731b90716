"""The answer in ten seconds: the figures of the window, and a row for each model."""

import html
from datetime import date

from neuro_review import phrases
from neuro_review.charts import Look
from neuro_review.quality.changing import Changed
from neuro_review.quality.estimates import Basis, Estimate
from neuro_review.quality.outcomes import Progress
from neuro_review.quality.table import Row
from neuro_review.ui import tables
from neuro_review.ui.quality.asking import View
from neuro_review.ui.quality.figures import Figures, Slice
from neuro_review.ui.tables import Cell, Html

HOUR_MS = 3_600_000

BASIS = {
    Basis.ALL: "all of them to be reviewed", Basis.STRATA: "weighted for how they were chosen",
    Basis.PANEL: "the audit panel alone, because others still wait", Basis.NONE: "none yet",
}  # fmt: skip


def said(rate: Estimate) -> str:
    """Return a rate in words: with its interval, or how many labels are missing."""
    if rate.enough and rate.rate is not None and rate.low is not None and rate.high is not None:
        return f"{phrases.percent(rate.rate)} ({phrases.between(rate.low, rate.high)})"
    return f"not enough labels: {rate.needed:,} more needed"


def rests_on(labels: int, items: int, rate: Estimate) -> str:
    """Return what a rate rests on, and how it would read unweighted where that is something else."""
    of = f"{rate.used:,} of {phrases.count(labels, 'label')}" if rate.used != labels else phrases.count(labels, "label")
    text = f"{of} of {phrases.count(items, 'output')}, {BASIS[rate.basis]}"
    if rate.enough and rate.weighted and rate.naive is not None:
        text += f"; unweighted it would read {phrases.percent(rate.naive)}"
    return text


def rate_cell(rate: Estimate, *, over: float | None = None) -> Cell:
    """Return a rate as a cell: the number, and its interval standing back; grey words where labels are missing."""
    if not rate.enough or rate.rate is None or rate.low is None or rate.high is None:
        return tables.quiet(f"{rate.needed:,} more labels needed")
    number = phrases.percent(rate.rate)
    certainly_over = over is not None and rate.low > over
    shown: Cell = tables.loud(number) if certainly_over else number
    return tables.together(shown, tables.quiet(phrases.between(rate.low, rate.high)))


def change_cell(one: Changed | None) -> Cell:
    """Return how a model changed: the word only where the proof holds however often somebody looks."""
    if one is None:
        return tables.quiet("no outputs lately")
    if one.difference is None:
        if one.before.used == 0:
            return tables.quiet("new: nothing to compare with")
        return tables.quiet("too few labels to say")
    difference = phrases.points(one.difference)
    if one.clear > 0:
        return tables.together(tables.loud(difference), tables.tag("worse", bad=True))
    if one.clear < 0:
        return tables.together(difference, tables.tag("better"))
    return tables.together(difference, tables.quiet("not certain"))


def model_rows(
    found: Figures, view: View, look: Look, shown: dict[str, str], target: float | None, over: set[str]
) -> list[list[Cell]]:  # fmt: skip
    """Return a row for each model: how bad, whether that changed, and how it went."""
    periods = sorted({one.first for one in found.by_model})
    top = max((one.estimate.rate or 0.0 for one in found.by_model if one.estimate.enough), default=0.0) or 0.01
    rows: list[list[Cell]] = []
    for row in found.models:
        name = row.key
        colour = _colour(name, shown, look)
        mine = {one.first: one for one in found.by_model if one.model == name}
        alarm: Cell = tables.tag("over target", bad=True) if name in over else ""
        rows.append([
            tables.together(tables.key(colour), tables.safe(name), alarm), rate_cell(row.estimate, over=target),
            change_cell(found.changed.get(name)), tables.spark(_line(mine, periods), colour, top),
            f"{row.labels:,}", f"{row.items:,}", phrases.dollars(row.sums.mean_cost),
            _waits(row),
        ])  # fmt: skip
    return rows


def model_head(view: View) -> list[str]:
    """Return what stands above the rows."""
    lately = f"Last {view.recent} days against the {view.recent} before"
    return ["Model", "Bad outputs, 95 % interval", lately, "Trend", "Labels", "Outputs", "Cost of an output",
            "Latency p50 · p95"]  # fmt: skip


def _colour(name: str, shown: dict[str, str], look: Look) -> str:
    places = list(shown)
    return look.series[places.index(name)] if name in places else look.grey


def _line(mine: dict[date, Slice], periods: list[date]) -> list[float | None]:
    return [
        one.estimate.rate if (one := mine.get(first)) is not None and one.estimate.enough else None
        for first in periods
    ]  # fmt: skip


def _waits(row: Row) -> Cell:
    half, most = row.latency.percentile(0.5), row.latency.percentile(0.95)
    if half is None or most is None:
        return tables.quiet(phrases.UNKNOWN)
    return f"{phrases.lasting(half)} · {phrases.lasting(most)}"


def figure_cards(found: Figures, whole: Row, held: int, oldest: str | None) -> list[tuple[str, str, list[Cell]]]:
    """Return the figures of the whole window: how bad, what it costs, how long customers wait, what waits now."""
    rate = whole.estimate
    bad = phrases.percent(rate.rate) if rate.enough and rate.rate is not None else "Too few labels"
    notes: list[Cell] = [said(rate) if not rate.enough else f"{phrases.between(rate.low or 0, rate.high or 0)} (95 %)"]
    half, most = whole.release.percentile(0.5), whole.release.percentile(0.95)
    waits = f"{phrases.lasting(half)} · {phrases.lasting(most)}" if half is not None else "Nothing released"
    cards: list[tuple[str, str, list[Cell]]] = [
        (
            "Bad outputs, all models",
            bad,
            [*notes, f"{whole.labels:,} labels of {phrases.count(whole.items, 'output')}"],
        ),
        cost_card(whole, found.measured.reviewer_rate_micro),
        ("Customers wait (p50 · p95)", waits, ["from submit to release"]),
        ("Waits for review now", f"{held:,}", [f"the oldest for {oldest}" if oldest else "nothing waits"]),
    ]
    metric, change = found.progress.metric, found.progress.change
    if metric is not None:
        number = "Too few reports" if change is None else f"{change.rate:+.0%}".replace("-", "−").replace("%", " %")
        cards.append((metric.name, number, [Html(html.escape(found.progress.sentence))]))
    return cards


def reported(progress: Progress) -> str:
    """Return the other names under which applications reported, and how often."""
    return ", ".join(f"“{tables.short(name)}” ({phrases.count(n, 'report')})" for name, n in progress.others)


def review_cost(handling_ms: int, items: int, rate_micro: int | None) -> float | None:
    """Return what the reviewers' time of an output costs, in millionths of a dollar; None where it is not known."""
    return handling_ms / HOUR_MS * rate_micro / items if rate_micro is not None and items and handling_ms else None


def cost_card(whole: Row, rate_micro: int | None) -> tuple[str, str, list[Cell]]:
    """Return what an output costs that went out and stayed out: it pays for those that did not."""
    stayed, model = whole.sums.released - whole.sums.recalled, whole.sums.mean_cost
    review = review_cost(whole.sums.handling_ms, whole.items, rate_micro)
    if stayed <= 0 or (model is None and review is None):
        return (
            "Cost of a released output",
            "Unknown",
            ["nothing released yet" if stayed <= 0 else "no cost was reported"],
        )
    each = ((model or 0.0) + (review or 0.0)) * whole.items / stayed
    rework = each - (model or 0.0) - (review or 0.0)
    said = [
        f"{name} {phrases.dollars(part)}" for name, part in (("model", model), ("review", review)) if part is not None
    ]
    notes = [" · ".join([*said, f"rework {phrases.dollars(max(0.0, rework))}"])]
    if review is None:
        notes.append("without reviewers’ time: set what an hour costs below")
    return "Cost of a released output", phrases.dollars(each), [*notes]
