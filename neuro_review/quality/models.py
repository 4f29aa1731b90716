"""Models side by side: what is bad, what it costs, how long it takes, and which differences are more than chance."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from neuro_review import phrases
from neuro_review.access import Actor
from neuro_review.quality import reading, table
from neuro_review.quality.estimates import Basis, Speaking, panel, speaking
from neuro_review.quality.periods import ALL_TIME, Per, Window
from neuro_review.quality.table import Row
from neuro_review.stats.proportions import Interval, normal_quantile
from neuro_review.stats.sequences import confidence_sequence
from neuro_review.stats.several import chance_above, difference, holm
from neuro_review.workflows.measured import measured

MOST = 12
"""So many models are held against each other, those with the most outputs first."""
HOUR_MS = 3_600_000
MISTAKES = 0.05
"""How often, at most, any of the differences called real is not, however often somebody looks."""


@dataclass(frozen=True)
class ModelFacts:
    """One model: how good, how dear, how fast."""

    row: Row
    model_micro: float | None
    """What the model costs for an output, in millionths of a dollar; None where nobody said."""
    review_micro: float | None
    """What reviewers' time costs for an output; None without a rate for their hour, or without their times."""
    on_front: bool
    """No other model is both better and cheaper."""
    steady: Interval
    """The rate with bounds that hold at every look, and for all the models at once."""

    @property
    def model(self) -> str:
        """Return its name."""
        return self.row.key

    @property
    def cost_per_output(self) -> float | None:
        """Return what an output costs: the model and the reviewers, as far as they are known."""
        return _total(self.model_micro, self.review_micro)

    @property
    def cost_per_released(self) -> float | None:
        """Return what an output costs that went out and stayed out: it pays for those that did not."""
        stayed = self.row.sums.released - self.row.sums.recalled
        cost = self.cost_per_output
        return None if cost is None or stayed <= 0 else cost * self.row.items / stayed


@dataclass(frozen=True)
class Pair:
    """Two models held against each other."""

    one: str
    other: str
    difference: Interval
    """The bad rate of the first minus that of the second, with a 95 % interval for this one look."""
    p: float
    """How likely chance alone does that, corrected for all the pairs (Holm)."""
    real: bool
    """The difference holds however often one looks."""


@dataclass(frozen=True)
class Comparison:
    """What the labels say of the models of a workflow."""

    models: list[ModelFacts]
    pairs: list[Pair]
    favoured: str | None
    because: str
    """A sentence: what the evidence says."""
    missing: str
    """A sentence: what is missing to say more; empty where nothing is."""


def compare(session: Session, by: Actor, workflow_id: int, *, window: Window = ALL_TIME) -> Comparison:
    """Return the models of a workflow side by side.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    rows = table.rows(session, by, workflow_id, per=Per.ALL, split=True, window=window)
    cells = reading.counts(session, workflow_id, Per.ALL, window)
    rows = sorted(rows, key=lambda row: (-row.items, row.key))[:MOST]
    said = {row.key: speaking(cells[row.key, 0].cells) for row in rows}
    draws = {row.key: _draw(said[row.key], panel(cells[row.key, 0].cells)) for row in rows}
    rate = measured(session, workflow_id).reviewer_rate_micro
    models = _facts(rows, draws, rate)
    known = [one for one in models if one.row.estimate.enough]
    pairs = _pairs(known, said)
    favoured, because, missing = _verdict(known, models, pairs)
    return Comparison(models, pairs, favoured, because, missing)


def _draw(said: Speaking, drawn: tuple[int, int]) -> tuple[int, int]:
    """Return labels that are a plain draw from all outputs, and how many are bad: what a sequence may be made of."""
    if said.basis is Basis.ALL and not said.gap:
        return sum(one.labels for one in said.strata), sum(one.bad for one in said.strata)
    return drawn


def _facts(rows: Sequence[Row], draws: dict[str, tuple[int, int]], rate: int | None) -> list[ModelFacts]:
    found = []
    for row in rows:
        labels, bad = draws[row.key]
        review = None
        if rate is not None and row.sums.handled:
            review = row.sums.handling_ms / HOUR_MS * rate / row.items
        steady = confidence_sequence(bad, labels, 1 - MISTAKES / len(rows))
        found.append(ModelFacts(row, row.sums.mean_cost, review, False, steady))
    return [_with_front(one, found) for one in found]


def _with_front(one: ModelFacts, models: Sequence[ModelFacts]) -> ModelFacts:
    mine = _place(one)
    on_front = mine is not None and not any(
        other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in map(_place, models) if other
    )
    return ModelFacts(one.row, one.model_micro, one.review_micro, on_front, one.steady)


def _place(one: ModelFacts) -> tuple[float, float] | None:
    """Return how bad and how dear a model is, where both can be said."""
    rate, cost = one.row.estimate, one.cost_per_output
    return (rate.rate, cost) if rate.enough and rate.rate is not None and cost is not None else None


def _pairs(models: Sequence[ModelFacts], said: dict[str, Speaking]) -> list[Pair]:
    both = list(itertools.combinations(models, 2))
    above = [chance_above(said[one.model].strata, said[other.model].strata) for one, other in both]
    return [
        Pair(
            one.model, other.model, difference(said[one.model].strata, said[other.model].strata), p,
            one.steady.low > other.steady.high or other.steady.low > one.steady.high,
        )
        for (one, other), p in zip(both, holm([2 * min(chance, 1 - chance) for chance in above]), strict=True)
    ]  # fmt: skip


def _verdict(
    known: Sequence[ModelFacts], models: Sequence[ModelFacts], pairs: Sequence[Pair]
) -> tuple[str | None, str, str]:  # fmt: skip
    """Return which model the evidence favours, why, and what is missing."""
    thin = [one for one in models if not one.row.estimate.enough]
    missing = "".join(
        f"{one.model} needs {phrases.count(one.row.estimate.needed, 'more label')} to be compared. " for one in thin
    )
    if len(known) < 2:
        return None, "There are not two models with enough labels to be held against each other.", missing.strip()
    best = min(known, key=lambda one: one.row.estimate.rate or 0.0)
    worse = {pair.other if pair.one == best.model else pair.one for pair in pairs if pair.real and _of(pair, best)}
    equals = [one for one in known if one is not best and one.model not in worse]
    if not equals:
        because = f"{best.model} has fewer bad outputs than {_all(worse)}, and that is more than chance."
        return best.model, because, missing.strip()
    names = _all([best.model, *(one.model for one in equals)])
    near = min(equals, key=lambda one: (one.row.estimate.rate or 0.0) - (best.row.estimate.rate or 0.0))
    missing += _more(best, near)
    because = f"No difference between {names} is proven so far"
    priced = [(one.cost_per_output, one.model) for one in (best, *equals) if one.cost_per_output is not None]
    if len(priced) < len(equals) + 1:
        return None, f"{because}.", missing.strip()
    cost, cheapest = min(priced)
    because += f"; of these {cheapest} costs least, {phrases.money(round(cost))} an output."
    # That nothing was shown is no evidence that they are equal: to be favoured, it must have been better than one.
    high = next(one.steady.high for one in known if one.model == cheapest)
    return cheapest if any(high < one.steady.low for one in known) else None, because, missing.strip()


def _of(pair: Pair, one: ModelFacts) -> bool:
    return one.model in (pair.one, pair.other)


def _all(names: Sequence[str] | set[str]) -> str:
    listed = sorted(names) if isinstance(names, set) else list(names)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _more(best: ModelFacts, near: ModelFacts) -> str:
    """Say about how many more labels would tell two models apart, should they differ as they seem to."""
    one, other = best.row.estimate.rate or 0.0, near.row.estimate.rate or 0.0
    apart = other - one
    if apart < 0.001:
        return f"{best.model} and {near.model} read the same; more labels would hardly tell them apart. "
    z = normal_quantile(0.975) + normal_quantile(0.8)
    # A sequence that may be looked at every day needs about three times what one look needs.
    labels = 3 * math.ceil(z * z * (one * (1 - one) + other * (1 - other)) / apart**2)
    more = max(0, labels - min(best.row.estimate.used, near.row.estimate.used))
    if not more:
        return ""
    return f"About {more:,} more labels each would tell {best.model} and {near.model} apart. "


def _total(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
