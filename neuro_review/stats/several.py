"""Many comparisons at once, and whether one rate is above another."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from neuro_review.stats.proportions import Interval, Stratum, spread, stratified


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
    first, second = spread(one), spread(other)
    ahead = sum(bisect_left(second, value) + bisect_right(second, value) for value in first)
    return ahead / (2 * len(first) * len(second))


def difference(one: Sequence[Stratum], other: Sequence[Stratum], confidence: float = 0.95) -> Interval:
    """Return the first rate minus the second with its interval, both rates as `stratified` has them."""
    import numpy as np  # noqa: PLC0415  (a tenth of a second, for comparisons only)

    first, second = np.array(spread(one)), np.array(spread(other))
    apart = np.quantile(np.subtract.outer(first, second), [(1 - confidence) / 2, (1 + confidence) / 2])
    rate = stratified(one).rate - stratified(other).rate
    return Interval(rate, float(apart[0]), float(apart[1]))
