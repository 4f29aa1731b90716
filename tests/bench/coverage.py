"""How often the intervals of the charts hold the truth, and how soon the detector sees a change: simulated, seeded.

Labels are routed by risk as in earnest: the riskiest part of the outputs is reviewed in any case, of the others the
audit panel. Populations stand for the data of the research: a bad rate, and how well the risk tells bad from good
(AUROC), here with normal scores. Measured is the interval as it is shown, next to the naive one over all labels.
"""

import itertools
import math
import random
import statistics
from dataclasses import dataclass

import numpy as np

from neuro_review.quality.estimates import Cell, estimate
from neuro_review.stats.proportions import normal_quantile, wilson
from neuro_review.stats.sequences import Detector
from tests.bench.figures import Table

POPULATIONS = {
    "18 % bad, AUROC .70": (0.181, 0.70), "19 % bad, AUROC .85": (0.192, 0.85), "24 % bad, AUROC .73": (0.241, 0.73),
    "5 % bad, AUROC .64": (0.05, 0.64), "5 % bad, AUROC .76": (0.05, 0.76),
}  # fmt: skip
SIZES = (300, 1_000, 5_000)
DESIGNS = ((0.2, 0.05), (0.2, 0.10), (0.3, 0.20))
"""The share that is reviewed in any case, and the share of the audit panel."""


@dataclass(frozen=True)
class Covered:
    """What came of one cell."""

    name: str
    ours: float
    """How often the interval held the truth, of all that have one."""
    shown: float
    """The same, of those alone that have enough labels to be shown in colour; NaN where none has."""
    share: float
    """How many were shown."""
    naive: float
    width: float
    naive_width: float
    bias: float
    naive_bias: float


def coverage(times: int, seed: int, *, cells: int | None = None) -> list[Covered]:
    """Return the coverage in each cell, from so many repetitions."""
    chance = np.random.default_rng(seed)
    wanted = list(itertools.product(POPULATIONS.items(), SIZES, DESIGNS))
    step = 1 if cells is None else max(1, len(wanted) // cells)
    return [
        _cell(f"{name}, N={size:,}, {must:.0%} + {panel:.0%}", rate, auroc, size, must, panel, times, chance)
        for (name, (rate, auroc)), size, (must, panel) in wanted[::step]
    ]


def _cell(
    name: str, rate: float, auroc: float, size: int, must: float, panel: float, times: int, chance: np.random.Generator
) -> Covered:
    apart = math.sqrt(2) * normal_quantile(auroc)
    # So much of the whole population lies above the threshold; fixed beforehand, as a policy is.
    scores = np.concatenate([chance.normal(apart, 1, round(2e5 * rate)), chance.normal(0, 1, round(2e5 * (1 - rate)))])
    threshold = float(np.quantile(scores, 1 - must))
    held, shown, naive_held, widths, naive_widths, off, naive_off = 0, [], 0, [], [], [], []
    for _ in range(times):
        bad = chance.random(size) < rate
        risky = chance.normal(np.where(bad, apart, 0.0), 1) > threshold
        audited = chance.random(size) < panel
        found = estimate({
            (stratum, how): Cell(int(part.sum()), int(part.sum()) * seen, int((part & bad).sum()) * seen)
            for stratum, how, part, seen in (
                ("must", "panel", risky & audited, True), ("must", "sure", risky & ~audited, True),
                ("safe", "panel", ~risky & audited, True), ("safe", "chance", ~risky & ~audited, False),
            )
        })  # fmt: skip
        assert found.rate is not None and found.low is not None and found.high is not None
        seen = risky | audited
        plain = wilson(int((seen & bad).sum()), int(seen.sum()))
        inside = found.low <= rate <= found.high
        held += inside
        shown += [inside] if found.enough else []
        naive_held += plain.low <= rate <= plain.high
        widths.append(found.high - found.low)
        naive_widths.append(plain.high - plain.low)
        off.append(found.rate - rate)
        naive_off.append(plain.rate - rate)
    return Covered(
        name, held / times, statistics.mean(shown) if shown else math.nan, len(shown) / times, naive_held / times,
        *map(statistics.mean, (widths, naive_widths, off, naive_off)),
    )  # fmt: skip


def coverage_table(found: list[Covered], times: int, seed: int) -> Table:
    """Return what was found as a table with its sums."""
    columns = ("cell", "covers", "shown", "naive", "width", "naive", "bias", "naive")
    table = Table(f"Coverage of the 95 % intervals, {times:,} repetitions a cell, seed {seed}", columns)
    for one in found:
        shown = "–" if math.isnan(one.shown) else f"{one.shown:.3f} of {one.share:.0%}"
        table.add(
            one.name, f"{one.ours:.3f}", shown, f"{one.naive:.3f}", f"{one.width:.3f}", f"{one.naive_width:.3f}",
            f"{one.bias:+.3f}", f"{one.naive_bias:+.3f}",
        )  # fmt: skip
    shown_ones = [one.shown for one in found if one.share >= 0.05]
    table.notes = [
        f"covers: mean {statistics.mean(one.ours for one in found):.3f}, least {min(one.ours for one in found):.3f}",
        f"of those shown in colour (cells in which 5 % are): mean {statistics.mean(shown_ones):.3f},"
        f" least {min(shown_ones):.3f}",
        f"naive: mean {statistics.mean(one.naive for one in found):.3f}, least {min(one.naive for one in found):.3f},"
        f" bias {statistics.mean(one.naive_bias for one in found):+.3f}",
    ]
    return table


@dataclass(frozen=True)
class Seen:
    """What the detector saw."""

    delay: float
    """Labels from the change to the alarm, the median."""
    late: float
    """The same, of the slowest tenth."""
    false: float
    """In how many runs it alarmed within 2,000 labels in control."""


def detection(
    times: int, seed: int, *, target: float = 0.05, calm: float = 0.03, worse: float = 0.15, before: int = 1_000
) -> Seen:
    """Return how soon a jump is seen after labels in control, and how often an alarm is false."""
    from neuro_review.quality.drift import THRESHOLD

    chance, delays, false = random.Random(seed), [], 0
    for _ in range(times):
        state, alarmed = Detector(target, THRESHOLD), False
        for label in range(2_000):
            state = state.after(chance.random() < calm)
            if label + 1 == before:
                changed = state
            if state.alarms:
                alarmed = True
                break
        false += alarmed
        if alarmed and state.labels <= before:
            continue  # in control it had alarmed already; there is no change to be late for
        delay = 0
        while not changed.alarms:
            changed, delay = changed.after(chance.random() < worse), delay + 1
        delays.append(delay)
    delays.sort()
    return Seen(statistics.median(delays), delays[int(0.9 * len(delays))], false / times)
