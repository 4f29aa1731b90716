"""What may be looked at after every label without paying for it: nothing here is wrong because somebody peeks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neuro_review.stats import beta
from neuro_review.stats.proportions import Interval

MULTIPLES = (1.5, 2.0, 3.0, 5.0)
"""To what multiples of the target a rate may have jumped; the detector bets a share on each."""


@dataclass(frozen=True)
class Detector:
    """The state of an e-SR detector after some labels.

    Shin, Ramdas & Rinaldo (2023), E-detectors: M_j ← (M_j + 1) · (p_j/α if bad else (1−p_j)/(1−α)). It alarms when
    the mean of the M_j reaches `threshold`, and then, whatever the rate is below the target, expects at least so many
    labels between two false alarms (the average run length is at least the threshold).
    """

    target: float
    threshold: float
    evidence: tuple[float, ...] = (0.0,) * len(MULTIPLES)
    labels: int = 0
    bad: int = 0
    since: int = 0
    """How many of the labels the evidence speaks of: those since it last stood at its start."""
    bad_since: int = 0

    @property
    def level(self) -> float:
        """Return how strong the evidence is; an alarm at `threshold`."""
        return sum(self.evidence) / len(self.evidence)

    @property
    def alarms(self) -> bool:
        """Tell whether the rate has risen above the target."""
        return self.level >= self.threshold

    def after(self, is_bad: bool) -> "Detector":
        """Return the state after one more label."""
        rates = [alternative(self.target, multiple) for multiple in MULTIPLES]
        evidence = tuple(
            (before + 1) * (rate / self.target if is_bad else (1 - rate) / (1 - self.target))
            for before, rate in zip(self.evidence, rates, strict=True)
        )
        # Where no bet is ahead of what a fresh start would be worth, the change, if any, begins with the next label.
        fresh = max(evidence) <= 1
        return Detector(
            self.target, self.threshold, evidence, self.labels + 1, self.bad + is_bad,
            0 if fresh else self.since + 1, 0 if fresh else self.bad_since + is_bad,
        )  # fmt: skip


def alternative(target: float, multiple: float) -> float:
    """Return the rate that one of the bets is on: a multiple of the target, kept below one."""
    return min(target * multiple, (1 + target) / 2)


def watch(state: Detector, labels: Sequence[bool]) -> Detector:
    """Return the state after labels, in their order; it stops at the first alarm."""
    for is_bad in labels:
        if state.alarms:
            break
        state = state.after(is_bad)
    return state


def confidence_sequence(bad: int, labels: int, confidence: float = 0.95, a: float = 0.5, b: float = 0.5) -> Interval:
    """Return a share with bounds that hold at every look at once.

    The beta-binomial mixture (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021): all rates p at which the
    likelihood ratio of a Beta(a, b) mixture against p stays below 1/(1 − confidence) (Ville's inequality).
    """
    if not labels:
        return Interval(0.0, 0.0, 1.0)
    rate = bad / labels
    log_mixture = beta.log_beta(a + bad, b + labels - bad) - beta.log_beta(a, b)
    most = math.log(1 / (1 - confidence))

    def inside(p: float) -> bool:
        if p <= 0 or p >= 1:
            return (bad == 0) if p <= 0 else (bad == labels)
        return log_mixture - bad * math.log(p) - (labels - bad) * math.log1p(-p) < most

    return Interval(rate, _edge(inside, rate, 0.0), _edge(inside, rate, 1.0))


def _edge(inside: Callable[[float], bool], start: float, end: float) -> float:
    """Return how far from the start towards this end it stays inside."""
    if inside(end):
        return end
    good, bad = start, end
    for _ in range(60):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if inside(middle) else (good, middle)
    return good
