"""The beta distribution in 60 lines, so that a chart does not load 89 MB and half a second of a library for it.

The regularised incomplete beta function by its continued fraction, evaluated as by Lentz (Abramowitz & Stegun 26.5.8;
Press et al., Numerical Recipes, 6.4); quantiles by Halley's steps kept inside a bracket. Tested against scipy.
"""

import math
from functools import lru_cache
from statistics import NormalDist

TINY = 1e-300
EXACT = 1e-15
STEPS = 10_000
CLOSE = 1e-5
TINIEST = 1e-12
NORMAL = NormalDist()


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def below(x: float, a: float, b: float) -> float:
    """Return how likely a value of Beta(a, b) is at most x."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > TINY else TINY)
    value = d
    for m in range(1, STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > TINY else TINY)
            c = 1 + numerator / c
            c = c if abs(c) > TINY else TINY
            value *= c * d
        if abs(c * d - 1) < EXACT:
            break
    return value


@lru_cache(maxsize=8192)
def quantile(share: float, a: float, b: float) -> float:
    """Return the value that Beta(a, b) stays below with this probability."""
    if share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    low, high, scale = 0.0, 1.0, log_beta(a, b)
    x = _about(share, a, b)
    for _ in range(200):
        missing = below(x, a, b) - share
        low, high = (x, high) if missing < 0 else (low, x)
        slope = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - scale)
        step = _step(missing / slope, (a - 1) / x - (b - 1) / (1 - x)) if slope > 0 else math.inf
        following = x - step if low < x - step < high else (low + high) / 2
        if abs(step) <= CLOSE * min(x, 1 - x):  # what such a step leaves is its third power
            return x - step
        if abs(following - x) <= 1e-14 + 1e-12 * x or high - low < 1e-15:
            return following
        x = following
    return x


def _about(share: float, a: float, b: float) -> float:
    """Return where to begin: on the scale of asin √x a beta distribution is nearly normal, as wide at each mean."""
    angle = math.asin(math.sqrt(a / (a + b))) + NORMAL.inv_cdf(share) / (2 * math.sqrt(a + b))
    return min(1 - TINIEST, max(TINIEST, math.sin(min(math.pi / 2, max(0.0, angle))) ** 2))


def _step(newton: float, bend: float) -> float:
    """Return Halley's step, from Newton's and the bend of the curve over its slope; no more than twice of it."""
    return newton / max(0.5, 1 - newton * bend / 2)
