"""What several threads have ready at the same time is stored in one transaction: one sync to disk for all."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from db.engine import Database, DatabaseUnusableError
from neuro_review.gate import entering
from neuro_review.gate.entering import Answer, Ready

MOST_AT_ONCE = 256
"""Rows; more would hold the other writers up."""

Outcome = Answer | Exception


@dataclass(eq=False)
class _Part:
    ready: Sequence[Ready]
    outcomes: list[Outcome] = field(default_factory=list)
    failure: Exception | None = None
    done: bool = False


class Together:
    """Whoever has the turn stores for those who wait behind."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: list[_Part] = []

    def hold(self, ready: Sequence[Ready]) -> list[Outcome]:
        """Hold what is ready; returns what became of each, in order, once it is on the disk.

        Raises:
            Exception: what nobody foresaw; nothing of it was stored.
        """
        parts = [_Part(ready[start : start + MOST_AT_ONCE]) for start in range(0, len(ready), MOST_AT_ONCE)]
        with self._lock:
            self._waiting += parts
        for part in parts:
            with self._turn:
                while not part.done:
                    self._store(self._next())
        for part in parts:
            if part.failure is not None:
                raise part.failure
        return [outcome for part in parts for outcome in part.outcomes]

    def _next(self) -> list[_Part]:
        """Take the first that waits, and those behind it that fit in with it."""
        with self._lock:
            many = rows = 0
            for part in self._waiting:
                rows += len(part.ready)
                if many and rows > MOST_AT_ONCE:
                    break
                many += 1
            taken, self._waiting = self._waiting[:many], self._waiting[many:]
        return taken

    def _store(self, parts: list[_Part]) -> None:
        rows = [one for part in parts for one in part.ready]
        try:
            with self._database().writing() as session:
                held = iter(entering.hold(session, rows))
            for part in parts:
                part.outcomes = [next(held) for _ in part.ready]
        except DatabaseUnusableError as error:
            for part in parts:
                part.outcomes = [error] * len(part.ready)
        except Exception as error:  # whatever it is: it must reach each of those who wait
            for part in parts:
                part.failure = error
        finally:
            for part in parts:
                part.done = True
