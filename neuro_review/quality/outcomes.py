"""What an application reports of its own world: minutes to a resolution, a sale, a complaint; and the one metric."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import add_to_rows
from db.clock import DAY, is_id, now
from db.engine import at_end
from db.tables import Role
from neuro_review.access import Actor
from neuro_review.content import check_text
from neuro_review.errors import InvalidError, NotAllowedError, NotFoundError
from neuro_review.quality.periods import ALL_TIME, Per, Window, first_day
from neuro_review.sources import Caller
from neuro_review.stats.proportions import Interval, normal_quantile
from neuro_review.workflows.measured import LONGEST_NAME, Metric, measured

LARGEST = 1e9
"""So that the sum of millions of them is still a whole number of both databases."""
RECENT = 28
"""Days over which the metric is read."""
FEWEST = 30
NO_ITEM = "This application submitted no such item."


@dataclass(frozen=True)
class Reported:
    """What became of a case."""

    metric: str
    value: float
    item_id: str | None = None
    external_id: str | None = None
    at: int | None = None


FIND = sa.text("SELECT id FROM item WHERE workflow_id = :flow AND source_id = :source AND origin = 'gate' AND id = :id")
FIND_BY_NAME = sa.text(
    "SELECT id FROM item WHERE workflow_id = :flow AND source_id = :source AND external_id = :name AND origin = 'gate'"
)
BEFORE = sa.text("SELECT value_micro, at FROM outcome WHERE item_id = :item AND name = :name")
PUT = sa.text(
    "INSERT INTO outcome (workflow_id, source_id, item_id, name, value_micro, at, reported_at) VALUES (:flow, :source,"
    " :item, :name, :value, :at, :now) ON CONFLICT (item_id, name) DO UPDATE SET value_micro = excluded.value_micro,"
    " at = excluded.at, reported_at = excluded.reported_at"
)
LOCK = sa.text("SELECT 1 FROM item WHERE id = :id FOR UPDATE")


def report(session: Session, caller: Caller, given: Reported) -> tuple[str, bool]:
    """Keep an outcome of an item of this application; returns the item's id, and whether it is the first of its name.

    Reported again, the later value replaces the earlier: a case may be opened again.

    Raises:
        NotAllowedError: the key can only read.
        NotFoundError: this application submitted no such item.
        InvalidError: something of it cannot be used.
    """
    if not caller.can_submit:
        raise NotAllowedError("This key can only read. Ask an owner of the workflow for one that can submit.")
    name, value = _checked(given)
    connection, dialect = session.connection(), session.connection().dialect.name
    item_id = _find(session, caller, given)
    if dialect == "postgresql":
        connection.execute(LOCK, {"id": item_id})
    at = now()
    when = at if given.at is None else given.at
    before = connection.execute(BEFORE, {"item": item_id, "name": name}).first()
    bound = {"flow": caller.workflow_id, "source": caller.source_id, "item": item_id, "name": name, "value": value}
    connection.execute(PUT, {**bound, "at": when, "now": at})
    changes = {when // DAY: _sums(value)}
    if before is not None:
        old, day = _sums(before.value_micro, -1), before.at // DAY
        there = changes.get(day, (0, 0, 0.0))
        changes[day] = (there[0] + old[0], there[1] + old[1], there[2] + old[2])
    rows = [(caller.workflow_id, name, day, *amounts) for day, amounts in sorted(changes.items())]
    at_end(session, lambda last: _add(last, rows, None if before is None else before.value_micro))
    return item_id, before is None


SQUARES_ANEW = sa.text(
    "UPDATE rollup_outcome SET squares = (SELECT coalesce(sum((o.value_micro / 1e6) * (o.value_micro / 1e6)), 0)"
    " FROM outcome o WHERE o.workflow_id = :flow AND o.name = :name AND o.at >= :since AND o.at < :until)"
    " WHERE workflow_id = :flow AND name = :name AND day = :day AND squares < :lost"
)
LOST = 1e-9
"""Of a square that was taken away: what is left below that has lost its digits to it."""


def _add(session: Session, rows: list[tuple[Any, ...]], replaced: int | None) -> None:
    """Add to the sums of some days; where a far larger value was taken away, its day's squares are summed up anew."""
    add_to_rows(session, "rollup_outcome", "workflow_id name day", "n total_micro squares", rows)
    if replaced is None:
        return
    lost = LOST * (replaced / 1e6) ** 2
    # A statement of its own, behind the lock on the row: it sees what others have committed until then.
    for flow, name, day, *_ in rows:
        bound = {"flow": flow, "name": name, "day": day, "since": day * DAY, "until": (day + 1) * DAY, "lost": lost}
        session.connection().execute(SQUARES_ANEW, bound)


def _checked(given: Reported) -> tuple[str, int]:
    name = given.metric.strip()
    check_text(name, "metric")
    if not name or len(name) > LONGEST_NAME:
        raise InvalidError(f"`metric` has 1 to {LONGEST_NAME} characters, like resolution_minutes.", "metric")
    if not math.isfinite(given.value) or abs(given.value) > LARGEST:
        raise InvalidError("`value` must be a number.", "value")
    if given.at is not None and given.at > now() + DAY:
        raise InvalidError("`at` lies in the future. Give the time when it happened, or leave it out.", "at")
    return name, round(given.value * 1_000_000)


def _find(session: Session, caller: Caller, given: Reported) -> str:
    if (given.item_id is None) is (given.external_id is None):
        raise InvalidError("Name the item by `item` or by `external_id`, and by one of them only.", "item")
    check_text(given.external_id or "", "external_id")
    bound: dict[str, Any] = {"flow": caller.workflow_id, "source": caller.source_id}
    if given.item_id is not None:
        if not is_id(given.item_id):
            raise NotFoundError(NO_ITEM)
        row = session.connection().execute(FIND, {**bound, "id": given.item_id}).first()
    else:
        row = session.connection().execute(FIND_BY_NAME, {**bound, "name": given.external_id}).first()
    if row is None:
        raise NotFoundError(NO_ITEM)
    return str(row.id)


def _sums(value_micro: int, sign: int = 1) -> tuple[int, int, float]:
    return sign, sign * value_micro, sign * (value_micro / 1e6) ** 2


@dataclass(frozen=True)
class OutcomeRow:
    """What was reported in a period."""

    first: date | None
    n: int
    mean: Interval | None
    """With a 95 % interval; None below two."""


SUMS = "SELECT {period} AS period, sum(n) AS n, sum(total_micro) AS total, sum(squares) AS squares FROM rollup_outcome"
PERIOD = {Per.ALL: "0", Per.DAY: "day", Per.WEEK: "(day + 3) / 7"}


def outcome(
    session: Session, by: Actor, workflow_id: int, name: str, *, per: Per = Per.WEEK, window: Window = ALL_TIME
) -> list[OutcomeRow]:  # fmt: skip
    """Return what applications reported under a name, by period of when it came about.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    query = sa.text(
        f"{SUMS.format(period=PERIOD[per])} WHERE workflow_id = :flow AND name = :name AND day BETWEEN :first AND :last"
        " GROUP BY 1 HAVING sum(n) > 0 ORDER BY 1"
    )
    bound = {"flow": workflow_id, "name": name, "first": window.first, "last": window.last}
    return [
        OutcomeRow(
            None if per is Per.ALL else first_day(per, int(row.period)), int(row.n),
            mean(int(row.n), int(row.total) / 1e6, float(row.squares)),
        )
        for row in session.connection().execute(query, bound)
    ]  # fmt: skip


def mean(n: int, total: float, squares: float) -> Interval | None:
    """Return the mean of so many values with its 95 % interval (normal: shown from thirty on), None below two."""
    if n < 2:
        return None
    middle = total / n
    spread = math.sqrt(max(0.0, squares - n * middle * middle) / (n - 1))
    half = normal_quantile(0.975) * spread / math.sqrt(n)
    return Interval(middle, middle - half, middle + half)


@dataclass(frozen=True)
class Progress:
    """How far the one metric of a workflow has come."""

    metric: Metric | None
    recent: OutcomeRow | None
    """Of the last four weeks."""
    change: Interval | None
    """Against the baseline, as a share: −0.12 is an eighth less."""
    reached: bool | None
    """None while too little was reported to say."""
    sentence: str
    others: tuple[tuple[str, int], ...] = ()
    """Under which other names most was reported in the last four weeks, and how often: a slip of the pen shows here."""


OTHERS = sa.text(
    "SELECT name, sum(n) AS n FROM rollup_outcome WHERE workflow_id = :flow AND name <> :name"
    " AND day BETWEEN :first AND :last GROUP BY name HAVING sum(n) > 0 ORDER BY 2 DESC, 1 LIMIT :most"
)
MOST_OTHERS = 5


def progress(session: Session, by: Actor, workflow_id: int) -> Progress:
    """Return how far the metric has come in the last four weeks, against its baseline and its target.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    metric, today = measured(session, workflow_id).metric, now() // DAY
    window = Window(today - RECENT + 1, today + 1)
    bound = {"flow": workflow_id, "name": metric.name if metric else "", "most": MOST_OTHERS}
    others = session.connection().execute(OTHERS, {**bound, "first": window.first, "last": window.last})
    named = tuple((str(row.name), int(row.n)) for row in others)
    if metric is None:
        said = "No metric is set. Name the one number this workflow is there to move."
        return Progress(None, None, None, None, said, named)
    found = outcome(session, by, workflow_id, metric.name, per=Per.ALL, window=window)
    return _progress(metric, found[0] if found else None, named)


def _progress(metric: Metric, recent: OutcomeRow | None, others: tuple[tuple[str, int], ...]) -> Progress:
    if recent is None or recent.mean is None or recent.n < FEWEST:
        seen = recent.n if recent else 0
        said = f"{seen} of at least {FEWEST} reports of {metric.name} in the last four weeks. Applications report them."
        return Progress(metric, recent, None, None, said, others)
    change = Interval(*(value / metric.baseline - 1 for value in recent.mean))
    # Reached when the whole interval is past the target, missed when none of it is.
    down = metric.target < 0
    surely = change.high <= metric.target if down else change.low >= metric.target
    never = change.low > metric.target if down else change.high < metric.target
    reached = True if surely else False if never else None
    where = {True: "the target is reached", False: "the target is not reached", None: "too close to call"}[reached]
    said = (
        f"{metric.name} {change.rate:+.0%} against {metric.baseline:g} {metric.unit}".rstrip()
        + f" ({change.low:+.0%} to {change.high:+.0%}, {recent.n:,} reports), wanted {metric.target:+.0%}: {where}."
    )
    return Progress(metric, recent, change, reached, said, others)
