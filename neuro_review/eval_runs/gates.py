"""The gate: may the candidate take the baseline's place? Pass, block, or not enough to tell.

With [low, high] the 90 % interval of the difference of bad rates on the same cases: it passes where high is below the
margin, is blocked where low is above 0, and is inconclusive otherwise. Asked and answered, it is on record.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import new_id, now
from db.engine import Database, explained
from db.tables import GateOutcome, Role
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.errors import ConflictError, InvalidError
from neuro_review.eval_runs.comparing import Comparison, Flip, between
from neuro_review.eval_runs.judges import must_be_fit
from neuro_review.eval_runs.outcomes import Tried, find
from neuro_review.eval_sets import rows as sets

MOST_MISSING = 0.10
"""Of the cases: with more of them unanswered, what is left may be the easy ones."""
TOLD = ("outcome", "difference", "low", "high", "cases", "more_cases_needed")
LEAST_MARGIN = 0.0001
"""A smaller one takes more cases than there are customers."""
WAY_ON = (
    "Let the runs go on where answers are missing; where none is, no scorer speaks of these cases: start a run with f1"
    " and must_not, or with a judge. Then ask again."
)
WORN_AFTER = 20
"""Gates on one version after which it is taken to be learnt by heart."""


@dataclass(frozen=True)
class Gate:
    """What the gate said."""

    id: str
    outcome: GateOutcome
    margin: float
    difference: float | None
    low: float | None
    high: float | None
    cases: int
    more_cases_needed: int
    """0 unless it is inconclusive."""
    why: str
    """One sentence for a person."""
    comparison: Comparison
    asked_before: int
    """How often the gate was asked on this version before."""

    def as_dict(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {name: getattr(self, name) for name in TOLD} | {"outcome": str(self.outcome)}


@dataclass(frozen=True)
class Kept:
    """What the gate said once, as it is on record."""

    id: str
    outcome: GateOutcome
    margin: float
    scorer: str | None
    difference: float | None
    low: float | None
    high: float | None
    cases: int
    more_cases_needed: int
    at: int
    by: str

    @property
    def why(self) -> str:
        """Return one sentence for a person, as the gate said it then."""
        if self.difference is None or self.low is None or self.high is None:
            return "Too many cases had no outcome for both, and they may have been the hard ones."
        numbers = (self.difference, self.low, self.high)
        return _in_words(numbers, self.cases, self.margin, self.outcome, self.more_cases_needed)

    def as_dict(self) -> dict[str, Any]:
        """Return what a program reads, as the gate said it then."""
        return {name: getattr(self, name) for name in TOLD} | {"outcome": str(self.outcome)}


KEPT = sa.text(
    "SELECT eval_gate.id, outcome, margin, scorer, difference, low, high, cases, COALESCE(more_cases_needed, 0)"
    " AS more_cases_needed, made_at AS at, COALESCE(p.name, made_by) AS by FROM eval_gate"
    " LEFT JOIN person p ON made_by = 'person:' || p.id WHERE version_id = :version"
    " AND baseline_run = :old_run AND baseline = :old AND candidate_run = :new_run AND candidate = :new"
    " ORDER BY made_at DESC, eval_gate.id DESC LIMIT :most"
)


def kept(session: Session, old: Tried, new: Tried, *, most: int = 20) -> list[Kept]:
    """Return what the gate said of these two before, the newest first; who may is the caller's question (`find`)."""
    bound = {"version": new.version_id, "old_run": old.run_id, "old": old.candidate, "new_run": new.run_id}
    rows = session.connection().execute(KEPT, bound | {"new": new.candidate, "most": most})
    return [Kept(**dict(row._mapping) | {"outcome": GateOutcome(row.outcome)}) for row in rows]


def flips(session: Session, old: Tried, new: Tried, one: Kept) -> list[Flip] | None:
    """Return the cases on which these two differed when the gate was asked, by what was known of them then.

    None where that is other than what the gate went by, as where an answer was being stored just then.
    """
    then = between(session, old, new, scorer=one.scorer, at=one.at)
    said = (one.difference, one.low, one.high)
    same = then.gate is not None and said == then.gate
    return then.flips if then.cases == one.cases and (same or one.difference is None) else None


INSERT = sa.text(
    "INSERT INTO eval_gate (id, version_id, workflow_id, baseline_run, baseline, candidate_run, candidate, model,"
    " scorer, margin, outcome, difference, low, high, cases, more_cases_needed, made_at, made_by) VALUES (:id,"
    " :version, :workflow, :baseline_run, :baseline, :candidate_run, :candidate, :model, :scorer, :margin, :outcome,"
    " :difference, :low, :high, :cases, :more, :at, :by)"
)


def ask(
    session: Session, by: Actor, version_ref: str, *, baseline: str, candidate: str, margin: float,
    scorer: str | None = None,
) -> Gate:  # fmt: skip
    """Ask the gate on a version, and keep what it says.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such version, or one of the two was not tried on it.
        ConflictError: the answers were judged by a judge that is unfit.
        InvalidError: the margin is none.
    """
    weighed = _weigh(session, by, version_ref, baseline, candidate, margin, scorer)
    _keep(session, by, weighed)
    return weighed.gate


def ask_in_steps(
    database: Database, by: Actor, version_ref: str, *, baseline: str, candidate: str, margin: float,
    scorer: str | None = None,
) -> Gate:  # fmt: skip
    """Ask the gate as `ask` does, and hold nobody up: thousands of cases are counted before anything is written.

    Raises:
        NeuroReviewError: what `ask` raises.
        DatabaseUnusableError: the database is away or damaged.
    """
    with explained(), database.reading() as session:
        weighed = _weigh(session, by, version_ref, baseline, candidate, margin, scorer)
    with database.writing() as session:
        _keep(session, by, weighed)
    return weighed.gate


@dataclass(frozen=True)
class _Weighed:
    version: sets.Version
    old: Tried
    new: Tried
    gate: Gate
    scorer: str | None


def _weigh(
    session: Session, by: Actor, version_ref: str, baseline: str, candidate: str, margin: float, scorer: str | None
) -> _Weighed:
    if not LEAST_MARGIN <= margin < 1:
        raise InvalidError(f"A margin is a share from {LEAST_MARGIN} up to 1, like 0.03 for three points.", "margin")
    version = sets.version(session, version_ref, by)
    by.require(Role.OWNER, version.workflow_id)
    old, new = (find(session, by, ref, version=version.ref) for ref in (baseline, candidate))
    found = between(session, old, new, scorer=scorer)
    _refuse_unfit_judges(session, by, found, old, new)
    return _Weighed(version, old, new, _said(found, margin, version.gates), scorer)


def _refuse_unfit_judges(session: Session, by: Actor, found: Comparison, old: Tried, new: Tried) -> None:
    for side, tried in ((found.baseline, old), (found.candidate, new)):
        why = must_be_fit(session, by, tried) if side.judged else None
        if why:
            raise ConflictError(f"The judge is not fit: {why} Until then name another scorer, or ask reviewers.")


def _said(found: Comparison, margin: float, asked_before: int) -> Gate:
    outcome, interval = GateOutcome.INCONCLUSIVE, found.gate
    missing = found.of - found.cases
    if missing > MOST_MISSING * found.of:
        interval = None
    if interval is not None and interval.high < margin:
        outcome = GateOutcome.PASS
    elif interval is not None and interval.low > 0:
        outcome = GateOutcome.BLOCK
    more = found.more_cases_needed(margin) if outcome is GateOutcome.INCONCLUSIVE else 0
    rate, low, high = interval if interval is not None else (None, None, None)
    why = _why(found, margin, outcome, missing, more)
    return Gate(new_id(), outcome, margin, rate, low, high, found.cases, more, why, found, asked_before)


def _why(found: Comparison, margin: float, outcome: GateOutcome, missing: int, more: int) -> str:
    if missing > MOST_MISSING * found.of:
        return f"{missing:,} of {found.of:,} cases have no outcome for both, and they may be the hard ones. {WAY_ON}"
    assert found.gate is not None
    return _in_words(found.gate, found.cases, margin, outcome, more)


def _in_words(
    numbers: tuple[float, float, float], cases: int, margin: float, outcome: GateOutcome, more: int
) -> str:  # fmt: skip
    rate, low, high = (100 * one for one in numbers)
    more_or_fewer = "more" if rate > 0 else "fewer"
    said = f"{abs(rate):.1f} points {more_or_fewer} bad ({low:+.1f} to {high:+.1f}), {cases:,} cases"
    return (
        said
        + {
            GateOutcome.PASS: f": not worse by {100 * margin:g} points or more.",
            GateOutcome.BLOCK: ": shown to be worse.",
            GateOutcome.INCONCLUSIVE: f": cannot be told yet; about {more:,} more cases are needed.",
        }[outcome]
    )


def _keep(session: Session, by: Actor, weighed: _Weighed) -> None:
    version, old, new, gate, at = weighed.version, weighed.old, weighed.new, weighed.gate, now()
    session.connection().execute(INSERT, {
        "id": gate.id, "version": version.id, "workflow": version.workflow_id, "baseline_run": old.run_id,
        "baseline": old.candidate, "candidate_run": new.run_id, "candidate": new.candidate, "model": new.model,
        "scorer": weighed.scorer, "margin": gate.margin, "outcome": str(gate.outcome), "difference": gate.difference,
        "low": gate.low, "high": gate.high, "cases": gate.cases, "more": gate.more_cases_needed, "at": at,
        "by": by.audit_name,
    })  # fmt: skip
    facts = {
        "gate": gate.id, "set": version.set_id, "version": version.number, "baseline": old.model,
        "candidate": new.model, "margin": gate.margin, **gate.as_dict(),
    }  # fmt: skip
    record(session, f"evalset/{version.set_id}", by.audit_name, Action.EVALGATE_ASKED, facts, at)
