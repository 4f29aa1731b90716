"""Many comparisons at once, and whether one rate is above another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuro_review.stats.proportions import POINTS, Interval, Stratum, at, spread, stratified

if TYPE_CHECKING:
    from neuro_review.stats.proportions import Values


def holm(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected so that any false discovery among all is as rare as each says (Holm 1979)."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    corrected, so_far = [0.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        so_far = max(so_far, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = so_far
    return corrected


def benjamini_hochberg(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected so that the share of false ones among discoveries is bounded (1995)."""
    order = sorted(range(len(chances)), key=lambda place: chances[place], reverse=True)
    corrected, so_far = [0.0] * len(chances), 1.0
    for rank, place in enumerate(order):
        so_far = min(so_far, chances[place] * len(chances) / (len(chances) - rank))
        corrected[place] = so_far
    return corrected


def chance_above(one: Sequence[Stratum], other: Sequence[Stratum]) -> float:
    """Return how likely the first rate is above the second, under the distributions that `stratified` draws bounds of.

    Twice the smaller of this and its complement is a two-sided p-value, near that of Fisher's test with mid-p.
    """
    import numpy as np  # noqa: PLC0415  (a tenth of a second, for comparisons only)

    first, second = spread(one), np.sort(spread(other))
    ahead = np.searchsorted(second, first, "left").sum() + np.searchsorted(second, first, "right").sum()
    return float(ahead) / (2 * len(first) * len(second))


def difference(one: Sequence[Stratum], other: Sequence[Stratum], confidence: float = 0.95) -> Interval:
    """Return the first rate minus the second with its interval, both rates as `stratified` has them."""
    tail = (1 - confidence) / 2
    low, high = at(_apart(one, other), (tail, 1 - tail))
    return Interval(stratified(one).rate - stratified(other).rate, low, high)


def _apart(one: Sequence[Stratum], other: Sequence[Stratum]) -> "Values":
    """Return equally likely values of the difference."""
    import numpy as np  # noqa: PLC0415

    shares = (np.arange(POINTS) + 0.5) / POINTS
    first, second = (np.array(at(spread(rate), shares)) for rate in (one, other))
    found: Values = np.subtract.outer(first, second).ravel()
    return found
