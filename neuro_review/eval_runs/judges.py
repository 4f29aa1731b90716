"""How far a judge agrees with the reviewers: measured on the outputs that they reviewed, and whether that is enough.

A judge is its model, called as it is, with its prompt and the rubric; with one of them changed its record is gone. It
is unfit until it passes, and again when its last comparison is a month old.
"""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.tables import Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.errors import NotFoundError
from neuro_review.eval_runs.asking import RECORDED, judge_of
from neuro_review.eval_runs.judging import judge_hash
from neuro_review.eval_runs.outcomes import Tried
from neuro_review.quality.agreeing import agreements
from neuro_review.quality.reading import definition
from neuro_review.rollups.counting import short
from neuro_review.stats import agreement
from neuro_review.stats.proportions import Interval, Stratum, stratified, wilson

FEWEST, FEWEST_BAD = 100, 30
"""Outputs that both judged, and among them those that reviewers found bad."""
LASTS = 30 * DAY
BEHIND_PEOPLE = 0.1
"""How far below the reviewers' own agreement a judge may be."""
AMONG_PEOPLE = 0.9
"""What two reviewers' kappa is taken to be while too few outputs were seen by two (measured: .93 and .86)."""

UNPARSED = " What it said of {:,} more was not understood: it has to answer in JSON, which not every model can."


@dataclass(frozen=True)
class Agreement:
    """A judge and the reviewers, on the outputs of one model or of all."""

    model: str | None
    """None: all of them."""
    outputs: int
    bad: int
    """As the reviewers say."""
    unparsed: int
    """The judge's answer said neither; counted here and nowhere else."""
    sensitivity: Interval | None
    """Of what the reviewers find bad, the share that the judge finds bad."""
    specificity: Interval | None
    kappa: Interval | None


@dataclass(frozen=True)
class Card:
    """What is known of a judge."""

    hash: str
    model: str
    fit: bool
    why_not: str | None
    """A sentence, where it is unfit."""
    expired: bool
    """Its record does not hold any more: the rubric, the prompt or its parameters are others, or it is too old."""
    people: float
    """The kappa among reviewers that it is held against."""
    all: Agreement
    models: list[Agreement]
    last_at: int | None


# The newest word of a judge on each output counts.
SAID = sa.text(
    "SELECT k.item_id, k.model, k.verdict, k.reasons, s.passed, s.made_at FROM eval_run r"
    " JOIN eval_candidate c ON c.run_id = r.id AND c.model = :recorded"
    " JOIN eval_result a ON a.run_id = r.id AND a.candidate = c.position JOIN eval_case k ON k.id = a.case_id"
    " JOIN eval_score s ON s.result_id = a.id AND s.scorer = 'judge'"
    " WHERE r.workflow_id = :workflow AND r.judge_hash = :hash ORDER BY s.made_at, a.id"
)
ASKED_OF = sa.text(
    "SELECT judge, judge_hash FROM eval_run WHERE workflow_id = :workflow AND judge_hash IS NOT NULL"
    " ORDER BY created_at DESC"
)


def cards(session: Session, by: Actor, workflow_id: int) -> list[Card]:
    """Return what is known of every judge of a workflow, the one asked last first.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    rows = session.connection().execute(ASKED_OF, {"workflow": workflow_id})
    return [card(session, by, workflow_id, one) for one in dict.fromkeys(row.judge_hash for row in rows)]


def card(session: Session, by: Actor, workflow_id: int, hashed: str) -> Card:
    """Return what is known of one judge.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such judge.
    """
    by.require(Role.OWNER, workflow_id)
    rows = session.connection().execute(ASKED_OF, {"workflow": workflow_id})
    stored = next((row.judge for row in rows if row.judge_hash == hashed), None)
    judge = judge_of(stored)
    if judge is None:
        raise NotFoundError("There is no such judge.")
    bound = {"workflow": workflow_id, "hash": hashed, "recorded": RECORDED}
    said = {row.item_id: row for row in session.connection().execute(SAID, bound)}
    is_bad = definition(session, workflow_id)
    pairs = [
        (row.model, is_bad(row.verdict, short(row.reasons)), None if row.passed is None else not row.passed)
        for row in said.values()
    ]
    whole = _agreement(None, [pair[1:] for pair in pairs])
    models = [
        _agreement(name, [pair[1:] for pair in pairs if pair[0] == name]) for name in sorted({p[0] for p in pairs})
    ]
    last_at = max((row.made_at for row in said.values()), default=None)
    people = _people(session, by, workflow_id)
    is_current = hashed == judge_hash(judge, workflows.rubric(session, workflow_id))
    why_not = _why_not(whole, people, last_at, is_current=is_current)
    expired = last_at is not None and (not is_current or now() - last_at > LASTS)
    return Card(hashed, judge.model, why_not is None, why_not, expired, people, whole, models, last_at)


def _people(session: Session, by: Actor, workflow_id: int) -> float:
    known = [(one.items, one.kappa.rate) for one in agreements(session, by, workflow_id) if one.kappa]
    return sum(n * kappa for n, kappa in known) / sum(n for n, _ in known) if known else AMONG_PEOPLE


def _why_not(whole: Agreement, people: float, last_at: int | None, *, is_current: bool) -> str | None:
    if not is_current:
        return "The rubric or the judge's prompt has changed since. Let it judge reviewed outputs again."
    if whole.outputs < FEWEST or whole.bad < FEWEST_BAD:
        return (
            f"Not enough reviewed outputs yet: {whole.outputs} of {FEWEST}, {whole.bad} of {FEWEST_BAD} bad."
            + (UNPARSED.format(whole.unparsed) if whole.unparsed else "")
            + f" Run it on the candidate {RECORDED} of an eval set."
        )
    if last_at is None or now() - last_at > LASTS:
        return "It was last held against the reviewers more than 30 days ago. Do so again."
    if whole.kappa is None or whole.kappa.rate < people - BEHIND_PEOPLE:
        rate = 0.0 if whole.kappa is None else whole.kappa.rate
        return f"It agrees with the reviewers less than they do with each other (kappa {rate:.2f}, they {people:.2f})."
    return None


def _agreement(model: str | None, pairs: list[tuple[bool, bool | None]]) -> Agreement:
    counts = Counter(pair for pair in pairs if pair[1] is not None)
    bad, good = counts[True, True] + counts[True, False], counts[False, True] + counts[False, False]
    words: dict[tuple[str, ...], int] = {(_word(one), _word(bool(other))): n for (one, other), n in counts.items()}
    return Agreement(
        model, bad + good, bad, len(pairs) - bad - good, wilson(counts[True, True], bad) if bad else None,
        wilson(counts[False, False], good) if good else None, agreement.cohen_kappa(words) if bad + good > 1 else None,
    )  # fmt: skip


def _word(bad: bool) -> str:
    return "bad" if bad else "good"


VERDICTS = sa.text(
    "SELECT a.id, s.passed, i.label, v.reasons FROM eval_result a"
    " LEFT JOIN eval_score s ON s.result_id = a.id AND s.scorer = 'judge' LEFT JOIN eval_review w ON w.result_id = a.id"
    " LEFT JOIN item i ON i.id = w.item_id LEFT JOIN decision d ON d.id = i.decision_id AND d.final_at <= :at"
    " LEFT JOIN review v ON v.id = d.review_id WHERE a.run_id = :run AND a.candidate = :candidate AND a.error IS NULL"
)


@dataclass(frozen=True)
class Estimate:
    """How many of a candidate's answers are bad, as reviewers would say, sharpened by what the judge says of all."""

    rate: Interval | None
    """None while reviewers have seen none of the answers that the judge finds good, or none that it finds bad."""
    answers: int
    labels: int


def estimate(session: Session, tried: Tried) -> Estimate:
    """Return the bad rate of a candidate: reviewers' labels, post-stratified on the judge's verdict.

    The answers before reviewers must be drawn by chance, as `reviewing.put` does.
    """
    is_bad = definition(session, tried.workflow_id)
    items, labels, bad = Counter[bool | None](), Counter[bool | None](), Counter[bool | None]()
    bound = {"run": tried.run_id, "candidate": tried.candidate, "at": now()}
    for row in session.connection().execute(VERDICTS, bound):
        said = None if row.passed is None else bool(row.passed)
        items[said] += 1
        if row.label in ("approve", "correct", "reject") and row.reasons is not None:
            labels[said] += 1
            bad[said] += is_bad(row.label, short(row.reasons))
    known = bool(items) and all(labels[said] for said in items)
    strata = [Stratum(items[said], labels[said], bad[said]) for said in sorted(items, key=str)]
    return Estimate(stratified(strata) if known else None, items.total(), labels.total())


def must_be_fit(session: Session, by: Actor, tried: Tried) -> str | None:
    """Return why a comparison that rests on this candidate's judge would rest on nothing; None where it is fit."""
    if tried.judge_hash is None:
        return None
    return card(session, by, tried.workflow_id, tried.judge_hash).why_not
