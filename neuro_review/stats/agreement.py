"""How far reviewers agree: raw, and beyond what chance would do.

Each measure comes with a 95 % interval from the jackknife over items (Quenouille 1956; Efron & Tibshirani 1993, ch.
11): leave one out, see how far it moves. It needs no random numbers, and items that say the same are left out together.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from neuro_review.stats.proportions import Interval, normal_quantile

Table = Mapping[tuple[str, ...], int]
"""How many items got these ratings: one rating a reviewer, in a fixed order of reviewers or, for alpha, in any."""


def table(ratings: Sequence[Sequence[str]]) -> Counter[tuple[str, ...]]:
    """Return how often each row of ratings was given."""
    return Counter(tuple(row) for row in ratings)


def raw(rows: Table) -> Interval:
    """Return the share of items on which two reviewers said the same."""
    return _jackknife(rows, lambda counts: sum(n for (x, y), n in counts.items() if x == y) / sum(counts.values()))


def cohen_kappa(rows: Table) -> Interval:
    """Return Cohen's kappa (1960) of two reviewers."""
    return _jackknife(rows, _kappa)


def _kappa(rows: Table) -> float:
    total = sum(rows.values())
    seen = sum(n for (x, y), n in rows.items() if x == y) / total
    first, second = Counter[str](), Counter[str]()
    for (x, y), n in rows.items():
        first[x] += n
        second[y] += n
    chance = sum(first[word] * second[word] for word in first) / total**2
    return 1.0 if chance == 1 else (seen - chance) / (1 - chance)


def gwet_ac1(rows: Table) -> Interval:
    """Return Gwet's AC1 (2008) of two reviewers, which does not collapse where nearly everything is good."""
    return _jackknife(rows, _ac1)


def _ac1(rows: Table) -> float:
    total = sum(rows.values())
    seen = sum(n for (x, y), n in rows.items() if x == y) / total
    shares = Counter[str]()
    for row, n in rows.items():
        for word in row:
            shares[word] += n / (2 * total)  # type: ignore[assignment]
    if len(shares) < 2:
        return 1.0
    chance = sum(share * (1 - share) for share in shares.values()) / (len(shares) - 1)
    return (seen - chance) / (1 - chance)


def krippendorff_alpha(rows: Table) -> Interval:
    """Return Krippendorff's alpha (2004, nominal) of any number of reviewers an item; one alone teaches nothing."""
    return _jackknife({row: n for row, n in rows.items() if len(row) > 1}, _alpha)


def _alpha(rows: Table) -> float:
    values, disagreement = Counter[str](), 0.0
    for row, n in rows.items():
        words = Counter(row)
        for word, times in words.items():
            values[word] += n * times
        pairs = len(row) ** 2 - sum(times**2 for times in words.values())
        disagreement += n * pairs / (len(row) - 1)
    total = values.total()
    expected = (total**2 - sum(times**2 for times in values.values())) / (total - 1)
    return 1.0 if expected == 0 else 1 - disagreement / expected


def _jackknife(rows: Table, measure: Callable[[Table], float]) -> Interval:
    total, whole = sum(rows.values()), measure(rows)
    if total < 2:
        return Interval(whole, -1.0, 1.0)
    without = []
    for row, n in rows.items():
        fewer = {**rows, row: n - 1}
        without.append((measure({one: left for one, left in fewer.items() if left}), n))
    mean = sum(value * n for value, n in without) / total
    spread = math.sqrt((total - 1) / total * sum(n * (value - mean) ** 2 for value, n in without))
    half = normal_quantile(0.975) * spread
    return Interval(whole, max(-1.0, whole - half), min(1.0, whole + half))
