"""Two candidates on the same cases: the paired difference with its interval, what flipped, what it costs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from db.clock import EVER
from neuro_review.access import Actor
from neuro_review.errors import ConflictError
from neuro_review.eval_runs.outcomes import Outcomes, Tried, find, outcomes
from neuro_review.stats.paired import mcnemar, tango
from neuro_review.stats.proportions import Interval
from neuro_review.stats.several import holm

GATE_CONFIDENCE = 0.90
"""Either end is then a test at 5 %."""
REAL = 0.05
"""A difference is told as real where chance alone makes one rarer than this."""
POWER = 6.2
"""(1.645 + 0.842)²: at this many discordant pairs over the margin squared, four equal candidates of five pass."""


@dataclass(frozen=True)
class Side:
    """One of the two."""

    run_id: str
    model: str
    known: int
    """Cases with an outcome."""
    bad: int
    errors: int
    cost_micro: int | None
    """Of all its answers; None where the cost of one is not known."""
    latency_ms_p50: int | None
    latency_ms_p95: int | None
    reviewed: int
    judged: int


@dataclass(frozen=True)
class Reason:
    """The shared cases whose label had one reason."""

    name: str
    cases: int
    baseline_bad: int
    candidate_bad: int


@dataclass(frozen=True)
class Flip:
    """A case on which the two differ."""

    case_id: str
    position: int
    worse: bool
    """The candidate is bad and the baseline is not; else the other way round."""


@dataclass(frozen=True)
class Comparison:
    """The candidate against the baseline, on the cases of which both outcomes are known."""

    baseline: Side
    candidate: Side
    cases: int
    of: int
    """All cases of the version."""
    wins: int
    losses: int
    ties: int
    difference: Interval | None
    """Bad rate of the candidate minus that of the baseline, with a 95 % interval; None without a shared case."""
    gate: Interval | None
    """The same with the 90 % interval that the gate goes by."""
    reasons: list[Reason]
    flips: list[Flip]

    def more_cases_needed(self, margin: float) -> int:
        """Return about how many more cases it takes for four equal candidates of five to pass at this margin."""
        discordant = (self.wins + self.losses + 1) / (self.cases + 2)
        return max(1, math.ceil(POWER * discordant / margin**2) - self.cases)

    def as_dict(self) -> dict[str, Any]:
        """Return what a program reads."""
        low, high = (None, None) if self.difference is None else self.difference[1:]
        return {
            "baseline": _side(self.baseline), "candidate": _side(self.candidate), "cases": self.cases, "of": self.of,
            "wins": self.wins, "losses": self.losses, "ties": self.ties,
            "difference": self.difference and self.difference.rate, "low": low, "high": high,
            "reasons": [vars(one) for one in self.reasons], "flips": [vars(one) for one in self.flips],
        }  # fmt: skip


def _side(side: Side) -> dict[str, Any]:
    cost = side.cost_micro
    facts = vars(side) | {"cost_usd": None if cost is None else cost / 1_000_000, "run": side.run_id}
    return {name: value for name, value in facts.items() if name not in ("cost_micro", "run_id")}


def compare(
    session: Session, by: Actor, baseline: str, candidate: str, *, version: str | None = None, scorer: str | None = None
) -> Comparison:
    """Return how a candidate does against a baseline; both are named as `outcomes.find` says.

    Raises:
        NotFoundError: one of them was not tried.
        ConflictError: they were not tried on the same version.
        InvalidError: a name fits several.
        NotAllowedError: this person may not see labels of the workflow.
    """
    sides = [find(session, by, ref, version=version) for ref in (baseline, candidate)]
    return between(session, *sides, scorer=scorer)


@dataclass(frozen=True)
class Among:
    """One of several candidates that are held against the same baseline."""

    comparison: Comparison
    p: float
    """How likely chance alone makes such a difference (McNemar's exact test)."""
    corrected: float
    """The same for all candidates at once (Holm): who tries enough of them finds a good one by chance."""

    @property
    def is_real(self) -> bool:
        """Tell whether the difference is more than what chance makes among so many."""
        return self.corrected < REAL

    def as_dict(self) -> dict[str, Any]:
        """Return what a program reads."""
        return self.comparison.as_dict() | {"p": self.p, "p_corrected": self.corrected}


def several(
    session: Session, by: Actor, baseline: str, candidates: Sequence[str], *, version: str | None = None,
    scorer: str | None = None,
) -> list[Among]:  # fmt: skip
    """Return how each of several candidates does against one baseline, with what that is worth among so many.

    Raises:
        NotFoundError, ConflictError, InvalidError, NotAllowedError: as `compare` does.
    """
    old, *others = [find(session, by, ref, version=version) for ref in (baseline, *candidates)]
    before = outcomes(session, old, scorer=scorer)  # read once: it is the same for all
    found = [_held_against(session, old, before, one, scorer) for one in others]
    chances = [mcnemar(one.losses, one.wins) for one in found]
    return [Among(*each) for each in zip(found, chances, holm(chances), strict=True)]


def between(
    session: Session, baseline: Tried, candidate: Tried, *, scorer: str | None = None, at: int = EVER
) -> Comparison:  # fmt: skip
    """Return how one candidate does against another, or did once by what was known then.

    Raises:
        ConflictError: they were not tried on the same version.
    """
    before = outcomes(session, baseline, scorer=scorer, at=at)
    return _held_against(session, baseline, before, candidate, scorer, at)


def _held_against(
    session: Session, baseline: Tried, old: Outcomes, candidate: Tried, scorer: str | None, at: int = EVER
) -> Comparison:
    if baseline.version_id != candidate.version_id:
        raise ConflictError("The two were tried on different versions. Run both on the same one.")
    new = outcomes(session, candidate, scorer=scorer, at=at)
    wins = losses = shared = 0
    flips, counts = [], [Counter[str](), Counter[str](), Counter[str]()]
    for case_id, before in old.cases.items():
        after = new.cases[case_id]
        if before.bad is None or after.bad is None:
            continue
        shared += 1
        wins += before.bad and not after.bad
        losses += after.bad and not before.bad
        if before.bad != after.bad:
            flips.append(Flip(case_id, before.position, after.bad))
        for reason in before.reasons:
            counts[0][reason] += 1
            counts[1][reason] += before.bad
            counts[2][reason] += after.bad
    reasons = [Reason(name, many, counts[1][name], counts[2][name]) for name, many in counts[0].most_common()]
    return Comparison(
        summed(baseline, old), summed(candidate, new), shared, len(old.cases), wins, losses, shared - wins - losses,
        tango(losses, wins, shared, 0.95) if shared else None,
        tango(losses, wins, shared, GATE_CONFIDENCE) if shared else None, reasons, flips,
    )  # fmt: skip


def summed(tried: Tried, found: Outcomes) -> Side:
    """Return what is known of a candidate, in one line."""
    known = [one.bad for one in found.cases.values() if one.bad is not None]
    latencies = sorted(found.latencies)
    return Side(
        tried.run_id, tried.model, len(known), sum(known), found.errors,
        None if found.unknown_cost else found.cost_micro, _at(latencies, 0.5), _at(latencies, 0.95), found.reviewed,
        found.judged,
    )  # fmt: skip


def _at(ordered: list[int], share: float) -> int | None:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else None
