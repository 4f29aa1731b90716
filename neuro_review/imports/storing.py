"""Batches into the database, some of them at a time, as if they came one after the other.

Why more than one at a time on PostgreSQL: the server works on one batch while this process writes the next one out;
measured, 14,000 rows/s become 16,500. SQLite takes one writer at a time.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import sqlalchemy as sa

from db.engine import Database
from neuro_review import history, intake
from neuro_review.imports.batches import Batch, Doors, Ready
from neuro_review.intake import Outcome

TRIES = 3
DEADLOCK = "40P01"
AT_ONCE = 3
"""So many batches PostgreSQL stores at a time, and one more is ready."""
JOINED = 4
"""So many batches of the file are one to PostgreSQL, which needs no short turns; each costs five round trips."""

Fate = tuple[Outcome | None, str]
"""What became of a row, and a sentence where it was not stored; no outcome where the database refuses it."""


class Storing:
    """Stores the batches of one import; tells what became of each, in the order of the file."""

    def __init__(
        self, database: Database, doors: Callable[[], Doors], done: Callable[[Batch, list[Fate]], None]
    ) -> None:
        self.database, self.doors, self.done = database, doors, done
        self.under_way: deque[tuple[Batch, set[str], Future[list[Fate]]]] = deque()

    def run(self, found: Iterable[Batch]) -> None:
        """Store every batch.

        Whatever ends it early, a failure or Ctrl+C, `done` has then been told of every batch that was stored.
        """
        if self.database.is_sqlite:  # which takes one writer at a time
            for batch in found:
                self.done(batch, self._store(batch))
            return
        with ThreadPoolExecutor(AT_ONCE, "import") as pool:
            try:
                for batch in _joined(found):
                    self._start(pool, batch)
                while self.under_way:
                    self._finish_first()
            finally:
                self._wind_up()

    def _store(self, batch: Batch) -> list[Fate]:
        return stored(self.database, self.doors(), batch.ready) if batch.ready else []

    def _start(self, pool: ThreadPoolExecutor, batch: Batch) -> None:
        names = {row.prepared.external_id for row in batch.ready}
        # Of two rows with one name the first is kept, so they must not be stored side by side.
        while not all(names.isdisjoint(before) for _, before, _ in self.under_way):
            self._finish_first()
        self.under_way.append((batch, names, pool.submit(self._store, batch)))
        if len(self.under_way) > AT_ONCE:
            self._finish_first()

    def _finish_first(self) -> None:
        batch, _, storing = self.under_way.popleft()
        self.done(batch, storing.result())

    def _wind_up(self) -> None:
        for _, _, storing in self.under_way:
            storing.cancel()
        for batch, _, storing in self.under_way:
            if not storing.cancelled() and storing.exception() is None:
                self.done(batch, storing.result())


def _joined(found: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches, several as one."""
    batches = iter(found)
    for whole in batches:
        for batch in itertools.islice(batches, JOINED - 1):
            whole.add(batch)
        yield whole


def stored(database: Database, doors: Doors, rows: Sequence[Ready]) -> list[Fate]:
    """Store a batch; where the database refuses it, again, and then row by row, so that one sinks no other."""
    for _ in range(TRIES):
        try:
            return _store(database, doors, rows)
        except (sa.exc.IntegrityError, sa.exc.DataError):
            continue  # another import may have stored the same row in this moment
        except sa.exc.OperationalError as error:
            # Two imports of the same rows in another order wait for each other; PostgreSQL ends one of them.
            if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise
    fates: list[Fate] = []
    for row in rows:
        try:
            fates += _store(database, doors, [row])
        except (sa.exc.IntegrityError, sa.exc.DataError) as error:
            said = str(error.orig).splitlines()[0].removesuffix(".")
            fates.append((None, f"The database refuses the row: {said}."))
    return fates


def _store(database: Database, doors: Doors, rows: Sequence[Ready]) -> list[Fate]:
    held = [row.prepared for row in rows if row.past is None]
    past = [(row.prepared, row.past) for row in rows if row.past is not None]
    with database.writing() as session:
        stored = iter(intake.store(session, doors.held, held) if held else [])
        recorded = iter(history.store(session, doors.past, past) if past else [])
    return [
        (fate.outcome, fate.why) if row.past is None and (fate := next(stored)) else next(recorded)
        for row in rows
    ]  # fmt: skip
