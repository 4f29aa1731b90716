"""One reading of the counts, cut four ways: by model and period, by model, by period, and as a whole."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session

from db.tables import Label, Role
from neuro_review.access import Actor
from neuro_review.quality import periods, reading
from neuro_review.quality.estimates import Counts, Estimate, estimates
from neuro_review.quality.periods import Per, Window
from neuro_review.quality.reading import Key, Sums, Times
from neuro_review.quality.table import Row
from neuro_review.rollups.counting import LATENCY, OPEN, RELEASE, UNSEEN

ALL_MODELS, ALL_PERIODS = "", 0
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Cuts:
    """The outputs of a window."""

    by_model: list[Row]
    """By model and period, the models in order, of each the earliest period first; without latency, as no chart has."""
    models: list[Row]
    """Those with the most outputs first."""
    together: list[Row]
    """By period, all models as one; without latency too."""
    whole: Row | None
    """None where nothing came in."""


@dataclass(frozen=True)
class _Read:
    counts: Mapping[Key, Counts]
    sums: Mapping[Key, Sums]
    latency: Mapping[Key, Times]
    release: Mapping[Key, Times]

    def merged(self, into: Callable[[Key], Key]) -> "_Read":
        """Return the same with several keys as one."""
        return _Read(
            _merged(self.counts, into, Counts, _add_counts), _merged(self.sums, into, Sums, _add_sums),
            _merged(self.latency, into, Times, _add_times), _merged(self.release, into, Times, _add_times),
        )  # fmt: skip

    def rows(self, per: Per, *, split: bool) -> list[Row]:
        """Return the outputs of each key, the keys in order, as `table.rows` does."""
        keys = sorted(self.counts)
        rated = estimates([self.counts[key].cells for key in keys])
        return [self._row(key, rate, per, split=split) for key, rate in zip(keys, rated, strict=True)]

    def _row(self, key: Key, rate: Estimate, per: Per, *, split: bool) -> Row:
        model, period = key
        first = None if per is Per.ALL else periods.first_day(per, period)
        counts, said = self.counts[key], self.counts[key].labels
        return Row(
            model if first is None else periods.name(per, first), model if split else None, first, counts.items,
            counts.labelled, counts.bad, rate, said[Label.APPROVE], said[Label.CORRECT],
            said[Label.REJECT], said[Label.DISPUTED], said[OPEN], said[UNSEEN], self.sums.get(key, Sums()),
            self.latency.get(key, Times()), self.release.get(key, Times()),
        )  # fmt: skip


def cuts(session: Session, by: Actor, workflow_id: int, *, per: Per, window: Window) -> Cuts:
    """Return the outputs of a window, cut four ways; the numbers are those of `table.rows`, but for latency.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    read = _Read(
        reading.counts(session, workflow_id, per, window), reading.sums(session, workflow_id, per, window),
        # Of the whole window alone: cut by period it is as many rows as all the rest.
        reading.times(session, workflow_id, LATENCY, Per.ALL, window),
        reading.times(session, workflow_id, RELEASE, per, window),
    )  # fmt: skip
    of_models = read.merged(lambda key: (key[0], ALL_PERIODS))
    of_periods = read.merged(lambda key: (ALL_MODELS, key[1]))
    at_once = read.merged(lambda _: (ALL_MODELS, ALL_PERIODS))
    return Cuts(
        by_model=read.rows(per, split=True),
        models=sorted(of_models.rows(Per.ALL, split=True), key=lambda row: -row.items),
        together=of_periods.rows(per, split=False),
        whole=next(iter(at_once.rows(Per.ALL, split=False)), None),
    )


def _merged(
    found: Mapping[Key, Kind], into: Callable[[Key], Key], empty: Callable[[], Kind], add: Callable[[Kind, Kind], None]
) -> dict[Key, Kind]:  # fmt: skip
    merged: dict[Key, Kind] = defaultdict(empty)
    for key, one in found.items():
        add(merged[into(key)], one)
    return dict(merged)


def _add_counts(to: Counts, one: Counts) -> None:
    for label, n in one.labels.items():
        to.labels[label] += n
    for where, cell in one.cells.items():
        mine = to.cells[where]
        mine.items, mine.labels = mine.items + cell.items, mine.labels + cell.labels
        mine.bad, mine.open = mine.bad + cell.bad, mine.open + cell.open


def _add_sums(to: Sums, one: Sums) -> None:
    for name in Sums.__slots__:
        setattr(to, name, getattr(to, name) + getattr(one, name))


def _add_times(to: Times, one: Times) -> None:
    for bucket, n in one.buckets.items():
        to.buckets[bucket] = to.buckets.get(bucket, 0) + n
