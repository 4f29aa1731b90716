"""The counts of a window, added up: by model and period."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import EVER
from db.tables import Label, Origin
from neuro_review.quality.estimates import Counts
from neuro_review.quality.periods import Per, Window
from neuro_review.rollups.counting import SEVERAL, middle

PRODUCTION = (Origin.GATE, Origin.HISTORY)
"""What counts in quality; samples, tests of reviewers and candidates never do."""
PERIOD = {Per.ALL: "0", Per.DAY: "r.day", Per.WEEK: "(r.day + 3) / 7"}
# The numbers of the series are handed in: told by a join, PostgreSQL reads the counts of every workflow to find those
# of one, in twice the time.
_OF = {
    "sqlite": " FROM {table} r WHERE r.series_id IN (SELECT value FROM json_each(:series))",
    "postgresql": " FROM {table} r WHERE r.series_id = ANY(:series)",
}
_WITHIN = " AND r.day BETWEEN :first AND :last"
MINOR = sa.text(
    "SELECT minor_reasons FROM bad_definition WHERE workflow_id = :flow AND written_at <= :until"
    " ORDER BY version DESC LIMIT 1"
)
MODELS = sa.text(
    "SELECT id, model FROM rollup_series WHERE workflow_id = :flow AND origin IN ('gate', 'history') ORDER BY id"
)
MOST_PERIODS, MOST_BUCKETS = 10_000_000, 1_000
"""More than there are days of any calendar, and buckets of a histogram."""
Key = tuple[str, int]
"""A model, and a period; '' stands for all models together."""


def definition(session: Session, workflow_id: int, *, at: int = EVER) -> Callable[[str, str], bool]:
    """Return what counts as bad in a workflow, or did once: a rejection, and a correction unless for minor reasons."""
    found = session.connection().execute(MINOR, {"flow": workflow_id, "until": at}).scalar()
    minor = frozenset(orjson.loads(found)) if found else frozenset()
    known: dict[str, bool] = {}

    def is_bad(label: str, reasons: str) -> bool:
        if label != Label.CORRECT:
            return label == Label.REJECT
        if not minor:
            return True
        if reasons not in known:
            given = [] if reasons in ("", SEVERAL) else orjson.loads(reasons)
            known[reasons] = not given or not minor.issuperset(given)
        return known[reasons]

    return is_bad


def _read(
    session: Session, models: Mapping[int, str], window: Window, what: str, table: str, then: str, **bound: str
) -> Sequence[Any]:
    """Return a selection from the counts of these series, all rows at once: one by one, each passes three layers."""
    connection = session.connection()
    dialect = connection.dialect.name
    series: Any = list(models) if dialect == "postgresql" else orjson.dumps(list(models)).decode()
    query = sa.text(f"SELECT {what}{_OF[dialect].format(table=table)}{_WITHIN}{then}")
    return connection.execute(
        query, {"series": series, "first": window.first, "last": window.last, **bound}
    ).all()  # fmt: skip


LabelRow = tuple[str, int, str, str, str, str, int]
"""Model, period, stratum, how it came to be seen, label, reasons, and how many."""
_LABELS = "labels that were read"


@contextlib.contextmanager
def once(session: Session) -> Iterator[None]:
    """Read the labels of a window once, however many figures are made of them inside; nothing may be written there."""
    session.info[_LABELS] = {}
    try:
        yield
    finally:
        del session.info[_LABELS]


def label_rows(
    session: Session, workflow_id: int, per: Per, window: Window, *, split: bool
) -> Iterable[LabelRow]:  # fmt: skip
    """Return how many outputs were routed like this and labelled like that."""
    kept: dict[tuple[int, Per, Window, bool], list[LabelRow]] | None = session.info.get(_LABELS)
    if kept is None:
        return _coarser(_label_rows(session, workflow_id, per, window), whole=False, split=split)
    finer = Per.WEEK if (workflow_id, Per.WEEK, window, True) in kept else Per.DAY
    whole = per is Per.ALL and (workflow_id, finer, window, True) in kept
    read = (workflow_id, finer if whole else per, window, True)
    if read not in kept:
        kept[read] = _label_rows(session, *read[:3])
    asked = (workflow_id, per, window, split)
    if asked not in kept:
        kept[asked] = _coarser(kept[read], whole=whole, split=split)
    return kept[asked]


def _coarser(rows: list[LabelRow], *, whole: bool, split: bool) -> list[LabelRow]:
    """Return the same with all periods as one, and unless they are split all models: each kind once."""
    if split and not whole:
        return rows
    found: dict[tuple[str, int, str, str, str, str], int] = defaultdict(int)
    for model, period, stratum, how, label, reasons, n in rows:
        found[model if split else "", 0 if whole else period, stratum, how, label, reasons] += n
    return [(*kind, n) for kind, n in found.items()]


def _label_rows(session: Session, workflow_id: int, per: Per, window: Window) -> list[LabelRow]:
    # By the number of a series and not by its model, and as one number with the period: of so many rows it is the
    # comparing that takes the time.
    what = (
        f"r.series_id * {MOST_PERIODS} + {PERIOD[per]}, r.stratum, r.cell, r.label, r.reasons, CAST(sum(r.n) AS BIGINT)"
    )
    models = _models(session, workflow_id)
    found = _read(session, models, window, what, "rollup_label", " GROUP BY 1, 2, 3, 4, 5")
    return [(models[packed // MOST_PERIODS], packed % MOST_PERIODS, *rest) for packed, *rest in found]


def counts(
    session: Session, workflow_id: int, per: Per, window: Window, *, split: bool = True
) -> dict[Key, Counts]:  # fmt: skip
    """Return the outputs of a window by model and period, with what is bad by the definition in force."""
    is_bad = definition(session, workflow_id)
    found: dict[Key, Counts] = defaultdict(Counts)
    for model, period, stratum, how, label, reasons, n in label_rows(session, workflow_id, per, window, split=split):
        if n:
            found[model, period].add(stratum, how, label, n, is_bad=is_bad(label, reasons))
    return found


@dataclass(slots=True)
class Sums:
    """What outputs cost and what became of them."""

    items: int = 0
    cost_micro: int = 0
    cost_known: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_known: int = 0
    released: int = 0
    recalled: int = 0
    handling_ms: int = 0
    handled: int = 0
    edits: int = 0
    edited: int = 0

    @property
    def mean_cost(self) -> float | None:
        """Return what an output costs on average, in millionths of a dollar, over those of which it is known."""
        return self.cost_micro / self.cost_known if self.cost_known else None

    @property
    def mean_edit(self) -> float | None:
        """Return how much of the text a correction changes on average, 0 to 1."""
        return self.edited / self.edits / 1000 if self.edits else None


def sums(session: Session, workflow_id: int, per: Per, window: Window, *, split: bool = True) -> dict[Key, Sums]:
    """Return what the outputs of a window cost and what became of them, by model and period."""
    names = list(Sums.__slots__)
    what = f"r.series_id, {PERIOD[per]}, {', '.join(f'sum(r.{name})' for name in names)}"
    models, found = _models(session, workflow_id), dict[Key, Sums]()
    for series, period, *amounts in _read(session, models, window, what, "rollup_day", " GROUP BY 1, 2"):
        so_far = found.setdefault((models[series] if split else "", int(period)), Sums())
        for name, amount in zip(names, amounts, strict=True):
            setattr(so_far, name, getattr(so_far, name) + int(amount))
    return found


@dataclass(slots=True)
class Times:
    """A histogram of durations in milliseconds."""

    buckets: dict[int, int] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Return of how many outputs it is known."""
        return sum(self.buckets.values())

    def percentile(self, share: float) -> float | None:
        """Return the duration that this share of them does not exceed, within 5 %; None where none is known."""
        wanted, so_far = share * self.known, 0
        for bucket in sorted(self.buckets):
            so_far += self.buckets[bucket]
            if so_far >= wanted and self.buckets[bucket]:
                return middle(bucket)
        return None


def times(
    session: Session, workflow_id: int, kind: str, per: Per, window: Window, *, split: bool = True
) -> Mapping[Key, Times]:  # fmt: skip
    """Return how long it took, by model and period: the `latency` of the model, or from submit to `release`."""
    # Grouped by one number made of three: it takes half the time.
    what = f"(r.series_id * {MOST_PERIODS} + {PERIOD[per]}) * {MOST_BUCKETS} + r.bucket, CAST(sum(r.n) AS BIGINT)"
    found: dict[Key, Times] = defaultdict(Times)
    models = _models(session, workflow_id)
    for packed, n in _read(session, models, window, what, "rollup_time", " AND r.kind = :kind GROUP BY 1", kind=kind):
        if n:
            (series, period), bucket = divmod(packed // MOST_BUCKETS, MOST_PERIODS), packed % MOST_BUCKETS
            buckets = found[models[series] if split else "", period].buckets
            buckets[bucket] = buckets.get(bucket, 0) + n
    return found


def _models(session: Session, workflow_id: int) -> dict[int, str]:
    """Return the models by the number of their series."""
    return {row.id: row.model for row in session.connection().execute(MODELS, {"flow": workflow_id})}
