"""What a run has come to: each candidate by itself, and how it does on what was once bad for one reason."""

from collections import Counter
from dataclasses import dataclass

from sqlmodel import Session

from neuro_review.access import Actor
from neuro_review.eval_runs import judges
from neuro_review.eval_runs.comparing import Side, summed
from neuro_review.eval_runs.judges import Estimate
from neuro_review.eval_runs.outcomes import find, outcomes
from neuro_review.eval_runs.rows import Run
from neuro_review.stats.proportions import Interval, wilson


@dataclass(frozen=True)
class Result:
    """One candidate of a run."""

    side: Side
    rate: Interval | None
    """Its share of bad cases, with a 95 % interval; None where no outcome is known."""
    of: int
    """All cases of the version."""
    reasons: dict[str, tuple[int, int]]
    """For each reason of a label: of how many of these cases the outcome is known, and how many are bad."""
    positions: dict[bool | None, list[int]]
    """The cases that are bad, not bad, and without an outcome (None), by their positions."""
    estimate: Estimate
    """What reviewers would say, as far as some of its answers were put before them."""


def results(session: Session, by: Actor, run: Run) -> list[Result]:
    """Return what is known of each candidate of a run, in the order in which they were named.

    Raises:
        NotAllowedError: this person may not see labels of its workflow.
    """
    return [_result(session, by, run.id, model) for model in run.models]


def _result(session: Session, by: Actor, run_id: str, model: str) -> Result:
    tried = find(session, by, f"{run_id}/{model}")
    found = outcomes(session, tried)
    known, bad = Counter[str](), Counter[str]()
    positions: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    for one in found.cases.values():
        positions[one.bad].append(one.position)
        if one.bad is not None:
            known.update(one.reasons)
            bad.update(one.reasons if one.bad else ())
    side = summed(tried, found)
    return Result(
        side, wilson(side.bad, side.known) if side.known else None, len(found.cases),
        {name: (many, bad[name]) for name, many in known.most_common()}, positions,
        judges.estimate(session, tried),
    )  # fmt: skip
