"""Quality by model, day, week, reviewer or reason: the rows that the charts draw and the command prints."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.tables import Label, Role
from neuro_review.access import Actor
from neuro_review.quality import periods, reading
from neuro_review.quality.estimates import Counts, Estimate, estimate, estimates
from neuro_review.quality.periods import ALL_TIME, Per, Window
from neuro_review.quality.reading import Sums, Times
from neuro_review.rollups.counting import LATENCY, RELEASE, SEVERAL, SURE

SEVERAL_REASONS = "several reasons"


class By(StrEnum):
    """What a row stands for."""

    MODEL = "model"
    DAY = "day"
    WEEK = "week"
    REVIEWER = "reviewer"
    REASON = "reason"


@dataclass(frozen=True)
class Row:
    """Outputs of a window: how many, how good, how dear and how fast."""

    key: str
    """What the row stands for: a model, a day, a week, a reviewer or a reason."""
    model: str | None
    """None where all models are together."""
    first: date | None
    """The first day of its period; None where the window is not cut."""
    items: int
    labels: int
    """Those that have one; disputed ones have none that counts."""
    bad: int
    """As counted, by the definition of bad in force."""
    estimate: Estimate
    approve: int
    correct: int
    reject: int
    disputed: int
    open: int
    """Still held."""
    unseen: int
    """Lapsed, withdrawn, or released without a look."""
    sums: Sums
    latency: Times
    release: Times
    """From submit to release."""


def rows(
    session: Session, by: Actor, workflow_id: int, *, per: Per = Per.ALL, split: bool = True, window: Window = ALL_TIME
) -> list[Row]:
    """Return quality by model and period, the models in order and of each the earliest period first.

    Args:
        session: to read with.
        by: who asks; an owner of the workflow.
        workflow_id: of which workflow.
        per: into what the window is cut.
        split: by model too; otherwise all models are one, and `model` is None.
        window: which days; all time otherwise.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    labels = reading.counts(session, workflow_id, per, window, split=split)
    spent = reading.sums(session, workflow_id, per, window, split=split)
    latency = reading.times(session, workflow_id, LATENCY, per, window, split=split)
    release = reading.times(session, workflow_id, RELEASE, per, window, split=split)
    found = []
    for key in sorted(labels):
        model, period = key
        first = None if per is Per.ALL else periods.first_day(per, period)
        found.append(
            _row(
                model if first is None else periods.name(per, first), model if split else None, first, labels[key],
                spent.get(key, Sums()), latency.get(key, Times()), release.get(key, Times()),
            )
        )  # fmt: skip
    return found


def _row(
    key: str, model: str | None, first: date | None, counts: Counts, spent: Sums, latency: Times, release: Times
) -> Row:  # fmt: skip
    said = counts.labels
    return Row(
        key, model, first, counts.items, counts.labelled, counts.bad, estimate(counts.cells), said[Label.APPROVE],
        said[Label.CORRECT], said[Label.REJECT], said[Label.DISPUTED], said["open"], said["unseen"], spent, latency,
        release,
    )  # fmt: skip


REVIEWS = sa.text(
    "SELECT reviewer, verdict, reasons, sum(n) AS n, sum(handling_ms) AS ms, sum(handled) AS handled FROM rollup_review"
    " WHERE workflow_id = :flow AND origin IN ('gate', 'history') AND day BETWEEN :first AND :last"
    " GROUP BY reviewer, verdict, reasons"
)


def reviewers(session: Session, by: Actor, workflow_id: int, *, window: Window = ALL_TIME) -> list[Row]:
    """Return what each reviewer said: their reviews are counted, not the outputs, and nothing is weighted.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    is_bad = reading.definition(session, workflow_id)
    counts: dict[str, Counts] = defaultdict(Counts)
    spent: dict[str, Sums] = defaultdict(Sums)
    bound = {"flow": workflow_id, "first": window.first, "last": window.last}
    for row in session.connection().execute(REVIEWS, bound):
        if row.n:
            bad = is_bad(row.verdict, row.reasons)
            counts[row.reviewer].add("", SURE, row.verdict, int(row.n), is_bad=bad)
            spent[row.reviewer].handling_ms += int(row.ms)
            spent[row.reviewer].handled += int(row.handled)
    return [_row(name, None, None, counts[name], spent[name], Times(), Times()) for name in sorted(counts)]


@dataclass(frozen=True)
class ReasonRow:
    """How often outputs were bad for one reason."""

    reason: str
    model: str | None
    first: date | None
    items: int
    labels: int
    bad: int
    estimate: Estimate
    """Of the share of all outputs that are bad for this reason."""
    correct: int
    reject: int


def reasons(
    session: Session, by: Actor, workflow_id: int, *, per: Per = Per.ALL, split: bool = False, window: Window = ALL_TIME
) -> list[ReasonRow]:
    """Return for each reason how many outputs were bad for it, the most frequent first, by period.

    An output that was bad for two reasons counts for both.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    is_bad = reading.definition(session, workflow_id)
    total: dict[str, int] = defaultdict(int)
    whole: dict[tuple[str, int], Counts] = defaultdict(Counts)
    bad: dict[tuple[str, int, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    said: dict[tuple[str, int, str, str], int] = defaultdict(int)
    for model, period, stratum, how, label, given, n in reading.label_rows(
        session, workflow_id, per, window, split=split
    ):
        if n:
            whole[model, period].add(stratum, how, label, n, is_bad=False)
        for reason in _names(given) if n and is_bad(label, given) else ():
            total[reason] += n
            said[model, period, reason, label] += n
            bad[model, period, reason][stratum, how] += n
    flat = sorted((-total[reason], reason, model, period) for model, period, reason in bad)
    found = [whole[model, period].with_bad(bad[model, period, reason]) for _, reason, model, period in flat]
    rated = estimates([counts.cells for counts in found])
    return [
        ReasonRow(
            reason, model if split else None, None if per is Per.ALL else periods.first_day(per, period),
            counts.items, counts.labelled, counts.bad, rate,
            said[model, period, reason, Label.CORRECT], said[model, period, reason, Label.REJECT],
        )
        for (_, reason, model, period), counts, rate in zip(flat, found, rated, strict=True)
    ]  # fmt: skip


@lru_cache(maxsize=4096)
def _names(given: str) -> tuple[str, ...]:
    if given == SEVERAL:
        return (SEVERAL_REASONS,)
    return tuple(orjson.loads(given)) if given else ()


def as_json(by: By, row: Row) -> dict[str, Any]:
    """Return a row as `quality --json` prints it: no rate where there is too little to show one."""
    rate = row.estimate
    shown = rate.enough
    cost, half, most = row.sums.mean_cost, row.latency.percentile(0.5), row.latency.percentile(0.95)
    return {
        str(by): row.key, "items": row.items, "labels": row.labels, "bad": row.bad,
        "bad_rate": _rounded(rate.rate) if shown else None, "low": _rounded(rate.low) if shown else None,
        "high": _rounded(rate.high) if shown else None, "approve": row.approve, "correct": row.correct,
        "reject": row.reject, "cost_usd": None if cost is None else round(cost / 1e6, 9),
        "latency_ms_p50": None if half is None else round(half),
        "latency_ms_p95": None if most is None else round(most),
        "cost_unknown": row.sums.items - row.sums.cost_known, "disputed": row.disputed, "open": row.open,
        "basis": str(rate.basis), "labels_needed": rate.needed,
    }  # fmt: skip


def reason_as_json(row: ReasonRow) -> dict[str, Any]:
    """Return what outputs were bad for as `quality --by reason --json` prints it."""
    shown = row.estimate.enough
    return {
        "reason": row.reason, "items": row.items, "labels": row.labels, "bad": row.bad,
        "bad_rate": _rounded(row.estimate.rate) if shown else None,
        "low": _rounded(row.estimate.low) if shown else None, "high": _rounded(row.estimate.high) if shown else None,
        "approve": 0, "correct": row.correct, "reject": row.reject, "cost_usd": None, "latency_ms_p50": None,
        "latency_ms_p95": None, "basis": str(row.estimate.basis), "labels_needed": row.estimate.needed,
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
