"""Two models on the same items."""

import math

from neuro_review.stats import beta
from neuro_review.stats.proportions import Interval, normal_quantile


def tango(only_new: int, only_old: int, items: int, confidence: float = 0.90) -> Interval:
    """Return the difference of two bad rates on the same items, new minus old, with the score interval of Tango (1998).

    Args:
        only_new: items on which the new model is bad and the old one is not.
        only_old: items on which the old model is bad and the new one is not.
        items: all of them.
        confidence: 0.90 gives the one-sided 5 % test of a non-inferiority gate at either end.
    """
    if items <= 0:
        raise ValueError("Without items there is no difference.")
    z = normal_quantile((1 + confidence) / 2)
    rate = (only_new - only_old) / items
    return Interval(
        rate, _bound(only_new, only_old, items, -1.0, rate, z), _bound(only_new, only_old, items, 1.0, rate, z)
    )


def mcnemar(only_new: int, only_old: int) -> float:
    """Return how likely chance alone makes two equal models differ at least so much, by McNemar's exact test (1947).

    Of the items on which just one of the two is bad, each is then as likely the one as the other: a fair coin.
    """
    fewer, tossed = min(only_new, only_old), only_new + only_old
    if 2 * fewer >= tossed:
        return 1.0
    return min(1.0, 2 * beta.below(0.5, tossed - fewer, fewer + 1))


def _score(b: int, c: int, n: int, difference: float) -> float:
    """Return the score statistic for a true difference, with the nuisance rate at its likeliest."""
    first = 2 * n
    second = -b - c + (2 * n - b + c) * difference
    third = -c * difference * (1 - difference)
    nuisance = (math.sqrt(max(0.0, second * second - 4 * first * third)) - second) / (2 * first)
    variance = n * (2 * nuisance + difference * (1 - difference))
    distance = b - c - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _bound(b: int, c: int, n: int, end: float, rate: float, z: float) -> float:
    """Return where the score statistic crosses z between the rate and this end of the scale."""
    inside, outside = rate, end
    if abs(_score(b, c, n, outside)) < z:
        return outside
    for _ in range(80):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if abs(_score(b, c, n, middle)) < z else (inside, middle)
    return (inside + outside) / 2
