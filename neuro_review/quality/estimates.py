"""From counts to a rate with its interval, and whether that is enough to show.

Which labels may speak, where outputs were not all treated alike: a part of the outputs that is reviewed in any case
speaks with all its labels once all of it is decided; a part that is let go speaks with the audit panel in it, a fair
draw. While something that must be reviewed still waits, what was decided so far is what happened to come first, so the
panel alone speaks for everything. One exception, because a queue is rarely empty: where hardly anything waits (up to
5 %), all labels speak and the interval is widened to hold whatever those that wait may turn out to be.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from neuro_review.rollups.counting import CHANCE, OPEN, PANEL, SURE
from neuro_review.stats.proportions import Interval, Stratum, many_jeffreys, normal_quantile, stratified

FEWEST = 30
"""Labels below which no rate is shown."""
WIDEST = 0.10
"""Half of an interval above which it says too little."""
MOST_OPEN = 0.05
LABELLED = frozenset({"approve", "correct", "reject"})


class Basis(StrEnum):
    """Which labels an estimate rests on."""

    ALL = "all"  # every output of the window was to be reviewed
    STRATA = "strata"  # some in any case, of the others the panel; each part with its own weight
    PANEL = "panel"  # the audit panel alone: too much still waits
    NONE = "none"  # no label yet


@dataclass(slots=True)
class Cell:
    """Outputs that were treated alike."""

    items: int = 0
    labels: int = 0
    bad: int = 0
    open: int = 0


Cells = Mapping[tuple[str, str], Cell]
"""By (stratum, how they came to be seen)."""


@dataclass(frozen=True)
class Estimate:
    """A rate of bad outputs and how sure it is."""

    rate: float | None
    """Weighted for how the labels were chosen; none without a label."""
    low: float | None
    high: float | None
    """The 95 % interval."""
    basis: Basis
    used: int
    """Labels that it rests on."""
    needed: int
    """How many more labels it takes until it is worth showing; 0 where it is."""
    open: int
    """Outputs that must be reviewed and still wait."""
    naive: float | None
    """What the unweighted labels would read: for the curious, and never drawn."""

    @property
    def enough(self) -> bool:
        """Tell whether it may be shown in colour; otherwise it is grey, with how much is missing."""
        return self.needed == 0

    @property
    def weighted(self) -> bool:
        """Tell whether it differs from the plain share of the labels."""
        return self.naive is not None and self.rate is not None and abs(self.naive - self.rate) > 1e-9


@dataclass(frozen=True)
class Speaking:
    """The labels that may speak for all outputs of a window."""

    strata: list[Stratum]
    basis: Basis
    gap: float
    """The share of all outputs that waits, where all labels speak all the same."""


def speaking(cells: Cells) -> Speaking:
    """Return which labels may speak."""
    total, waits, strata = sum(one.items for one in cells.values()), _waits(cells), _strata(cells)
    gap = waits / total if total else 0.0
    if gap <= MOST_OPEN and strata and all(one.labels for one in strata):
        weighted = len(strata) > 1 or any(how == CHANCE for _, how in cells)
        return Speaking(strata, Basis.STRATA if weighted else Basis.ALL, gap)
    labels, bad = panel(cells)
    return Speaking([Stratum(total, labels, bad)], Basis.PANEL if labels else Basis.NONE, 0.0)


def panel(cells: Cells) -> tuple[int, int]:
    """Return how many labels the audit panel has, a plain draw from all outputs, and how many of them are bad."""
    drawn = [one for (_, how), one in cells.items() if how == PANEL]
    return sum(one.labels for one in drawn), sum(one.bad for one in drawn)


def estimate(cells: Cells) -> Estimate:
    """Return the bad rate of all the outputs in these cells."""
    said = speaking(cells)
    return _estimate(cells, said, None if said.basis is Basis.NONE else stratified(said.strata))


def estimates(many: Sequence[Cells]) -> list[Estimate]:
    """Return what `estimate` does of each, in less time."""
    said = [speaking(cells) for cells in many]
    plain = [place for place, one in enumerate(said) if one.basis is not Basis.NONE and len(one.strata) == 1]
    intervals = dict(zip(plain, many_jeffreys([_seen(said[place]) for place in plain]), strict=True))
    return [
        _estimate(cells, one, intervals[place]) if place in intervals else estimate(cells)
        for place, (cells, one) in enumerate(zip(many, said, strict=True))
    ]  # fmt: skip


def _seen(said: Speaking) -> tuple[int, int]:
    return said.strata[0].bad, said.strata[0].labels


def _estimate(cells: Cells, said: Speaking, interval: Interval | None) -> Estimate:
    labels, bad = (sum(getattr(one, name) for one in cells.values()) for name in ("labels", "bad"))
    naive, waits = bad / labels if labels else None, _waits(cells)
    if interval is None:
        return Estimate(None, None, None, Basis.NONE, 0, FEWEST, waits, naive)
    rate, low, high = interval
    low, high = low * (1 - said.gap), high * (1 - said.gap) + said.gap
    used = sum(one.labels for one in said.strata)
    needed = _needed(rate, low, high, used, said.gap)
    if said.basis is Basis.STRATA:
        # Where most outputs go unseen the panel carries the weight, however many of the others were looked at.
        needed = max(needed, FEWEST - panel(cells)[0])
    return Estimate(rate, low, high, said.basis, used, needed, waits, naive)


def _waits(cells: Cells) -> int:
    """Return how many of those wait that must be reviewed; those that may be let go are nobody's turn."""
    let_go = {stratum for stratum, how in cells if how == CHANCE}
    return sum(one.open for (stratum, _), one in cells.items() if stratum not in let_go)


def _strata(cells: Cells) -> list[Stratum]:
    by_name: dict[str, dict[str, Cell]] = defaultdict(dict)
    for (stratum, how), one in cells.items():
        by_name[stratum][how] = one
    strata = []
    for parts in by_name.values():
        speaks = [parts[how] for how in ((PANEL,) if CHANCE in parts else (PANEL, SURE)) if how in parts]
        items = sum(one.items for one in parts.values())
        strata.append(Stratum(items, sum(one.labels for one in speaks), sum(one.bad for one in speaks)))
    return strata


def _needed(rate: float, low: float, high: float, used: int, gap: float) -> int:
    if used >= FEWEST and (high - low) / 2 <= WIDEST:
        return 0
    if used >= FEWEST and gap and (high - low) / 2 - gap / 2 <= WIDEST:
        return 1  # what waits is what is missing
    likely = (rate * used + 0.5) / (used + 1)
    z = normal_quantile(0.975)
    return max(1, max(FEWEST, math.ceil(z * z * likely * (1 - likely) / WIDEST**2)) - used)


@dataclass(slots=True)
class Counts:
    """Outputs of a window, by what they were labelled and how they came to be seen."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=lambda: defaultdict(Cell))
    labels: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, stratum: str, how: str, label: str, n: int, *, is_bad: bool) -> None:
        """Count outputs with this label."""
        self.labels[label] += n
        cell = self.cells[stratum, how]
        cell.items += n
        cell.open += n if label == OPEN else 0
        if label in LABELLED:
            cell.labels += n
            cell.bad += n if is_bad else 0

    def with_bad(self, bad: Mapping[tuple[str, str], int]) -> "Counts":
        """Return the same outputs, of which so many are bad, by (stratum, how they came to be seen)."""
        cells = {where: replace(one, bad=bad.get(where, 0)) for where, one in self.cells.items()}
        return Counts(cells, self.labels)

    @property
    def items(self) -> int:
        """Return how many outputs there are."""
        return sum(self.labels.values())

    @property
    def labelled(self) -> int:
        """Return how many have a label that counts."""
        return sum(self.labels[label] for label in LABELLED)

    @property
    def bad(self) -> int:
        """Return how many are bad, as they were counted."""
        return sum(one.bad for one in self.cells.values())
