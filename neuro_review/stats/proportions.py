"""A share of bad outputs and how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from neuro_review.stats import beta

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[tuple[int], np.dtype[np.float64]]

CONFIDENCE = 0.95
POINTS = 100
"""Into so many equally likely values a stratum is cut when strata are added up."""


class Interval(NamedTuple):
    """A rate and the bounds between which it is taken to lie."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Stratum:
    """A part of the outputs whose labels are a fair draw from it."""

    items: int
    """How many outputs it holds, seen or not."""
    labels: int
    bad: int


def normal_quantile(share: float) -> float:
    """Return the value that a standard normal variable stays below with this probability (Newton on erfc)."""
    if not 0 < share < 1:
        raise ValueError("A share lies between 0 and 1.")
    x = 0.0
    for _ in range(100):
        error = math.erfc(-x / math.sqrt(2)) / 2 - share
        density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        step = error / density
        x -= max(-1.0, min(1.0, step))
        if abs(step) < 1e-14:
            break
    return x


def wilson(bad: int, labels: int, confidence: float = CONFIDENCE) -> Interval:
    """Return a share with the score interval (Wilson 1927)."""
    z = normal_quantile((1 + confidence) / 2)
    rate, z2 = bad / labels, z * z
    middle = (rate + z2 / (2 * labels)) / (1 + z2 / labels)
    half = z / (1 + z2 / labels) * math.sqrt(rate * (1 - rate) / labels + z2 / (4 * labels * labels))
    return Interval(rate, max(0.0, middle - half), min(1.0, middle + half))


def jeffreys(bad: int, labels: int, confidence: float = CONFIDENCE) -> Interval:
    """Return a share with the Jeffreys interval (Brown, Cai & DasGupta 2001): at 0 and at all it reaches the end."""
    a, b, tail = bad + 0.5, labels - bad + 0.5, (1 - confidence) / 2
    low = 0.0 if bad == 0 else beta.quantile(tail, a, b)
    high = 1.0 if bad == labels else beta.quantile(1 - tail, a, b)
    return Interval(bad / labels if labels else 0.0, low, high)


def many_jeffreys(seen: Sequence[tuple[int, int]]) -> list[Interval]:
    """Return what `jeffreys` does of each (bad, labels), within 1e-11 and in less time."""
    tail = (1 - CONFIDENCE) / 2
    asked = [(share, bad + 0.5, labels - bad + 0.5) for bad, labels in seen for share in (tail, 1 - tail)]
    found = iter(beta.quantiles(asked))
    return [
        Interval(bad / labels if labels else 0.0, 0.0 if bad == 0 else low, 1.0 if bad == labels else high)
        for (bad, labels), low, high in zip(seen, found, found, strict=False)
    ]  # fmt: skip


def clopper_pearson(bad: int, labels: int, confidence: float = CONFIDENCE) -> Interval:
    """Return a share with the exact interval (Clopper & Pearson 1934), which covers at least as often as it says."""
    tail = (1 - confidence) / 2
    low = 0.0 if bad == 0 else beta.quantile(tail, bad, labels - bad + 1)
    high = 1.0 if bad == labels else beta.quantile(1 - tail, bad + 1, labels - bad)
    return Interval(bad / labels if labels else 0.0, low, high)


def stratified(strata: Sequence[Stratum], confidence: float = CONFIDENCE) -> Interval:
    """Return the share over strata that were looked at differently, each weighted by the outputs it holds.

    The rate is the post-stratified (Horvitz–Thompson) one, Σ N_h/N · k_h/n_h. The interval is that of Σ N_h/N · θ_h
    with θ_h ~ Beta(k_h + ½, n_h − k_h + ½), which covers where every normal approximation fails, namely where the
    stratum with the large weight has few bad ones in few labels. Numeric, not drawn: each θ_h is cut into equally
    likely values, and sums are cut down to as many again. One stratum is the Jeffreys interval itself.
    """
    strata = [one for one in strata if one.items]
    total = sum(one.items for one in strata)
    rate = sum(one.items / total * (one.bad / one.labels if one.labels else 0.5) for one in strata)
    if len(strata) == 1:
        return jeffreys(strata[0].bad, strata[0].labels, confidence)
    tail = (1 - confidence) / 2
    low, high = at(spread(strata), (tail, 1 - tail))
    # At the ends as the interval of one stratum: nothing bad seen anywhere reaches 0.
    low = 0.0 if not any(one.bad for one in strata) else low
    high = 1.0 if all(one.bad == one.labels for one in strata) else high
    return Interval(rate, low, high)


def spread(strata: Sequence[Stratum]) -> "Values":
    """Return equally likely values of the share over all strata, in no order."""
    import numpy as np  # noqa: PLC0415  (a tenth of a second, for strata only)

    strata = [one for one in strata if one.items]
    total = sum(one.items for one in strata)
    sums: Values = np.zeros(1)
    for one in strata:
        if len(sums) > POINTS:
            sums = np.array(at(sums, (np.arange(POINTS) + 0.5) / POINTS))
        sums = np.add.outer(sums, one.items / total * _values(one.bad, one.labels)).ravel()
    return sums


@lru_cache(maxsize=1024)
def _values(bad: int, labels: int) -> "Values":
    """Return equally likely values of a rate of which so many labels were seen: the middle of each slice."""
    import numpy as np  # noqa: PLC0415

    # On the scale where its spread is even (asin √θ), a fine grid adds up the density; there are no poles there.
    a, b = bad + 0.5, labels - bad + 0.5
    centre, reach = math.asin(math.sqrt(a / (a + b))), 10 / (2 * math.sqrt(a + b + 1))
    angles = np.linspace(max(0.0, centre - reach), min(math.pi / 2, centre + reach), 1025)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.nan_to_num((2 * a - 1) * np.log(np.sin(angles)), neginf=-1e9)
        density += np.nan_to_num((2 * b - 1) * np.log(np.cos(angles)), neginf=-1e9)
    density = np.exp(density - density.max())
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    found: Values = np.sin(np.interp((np.arange(POINTS) + 0.5) / POINTS * mass[-1], mass, angles)) ** 2
    return found


def at(values: "Values", shares: "Sequence[float] | Values") -> list[float]:
    """Return the values below which these shares of equally likely ones lie."""
    import numpy as np  # noqa: PLC0415

    found: list[float] = np.quantile(values, shares, method="hazen").tolist()
    return found
