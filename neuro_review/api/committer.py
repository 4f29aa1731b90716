"""Single submits of many callers, stored together: one transaction, one sync to disk, and then each is acknowledged.

A door: it opens the session. One thread writes; what waits while it does is the next group. A transaction costs as much
as fifteen rows, and who was just answered mostly sends the next at once: so where several callers are at work, the
group waits a moment for them, and no longer than until they are back. Measured with 16 callers, in turns: a third more
submits, and shorter waits at the 95th percentile. A caller alone waits for nobody.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from db.engine import Database, DatabaseUnusableError, explained
from neuro_review.api.forms import Handed
from neuro_review.api.together import MOST_AT_ONCE, Outcome
from neuro_review.errors import NeuroReviewError, UnavailableError
from neuro_review.gate import entering
from neuro_review.gate.entering import Entry, Ready

LOG = logging.getLogger("neuro_review.api")
MOST_WAITING = 2_000
A_MOMENT = 0.001  # seconds; with two, fewer are stored
KNOWN_FOR = 1.0  # seconds, however the clock of the machine is put
BUSY = "More outputs come in than can be stored. Nothing of this one was; send it again in a moment, or in batches."
ENDING = "The server is ending. Nothing was stored; send it again in a moment."
BROKEN = "Something went wrong here, and it is logged. Nothing was stored; send it again."


class Asked(NamedTuple):
    """One submission, and the key that it came with, as the database knows it."""

    key: str
    given: Handed


Waiting = tuple[Asked, "asyncio.Future[Outcome]", asyncio.AbstractEventLoop]


class Entries:
    """Where keys lead, asked of the database once a second at most; storing asks again, so nothing revoked stores."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Entry]] = {}

    def of(self, keys: set[str]) -> dict[str, Entry]:
        """Return where these keys lead.

        Raises:
            DatabaseUnusableError: the database does not answer.
        """
        known, unknown = self.known(keys)
        if unknown:
            with explained(), self._database().reading() as session:
                found = entering.entries(session, unknown)
            known |= found
            at = time.monotonic()
            # A new dict each time: several threads ask, and none changes what another reads.
            self._known = self._known | {key: (at, entry) for key, entry in found.items()}
        return known

    def known(self, keys: set[str]) -> tuple[dict[str, Entry], set[str]]:
        """Return where these keys lead, as far as it was asked of late, and the keys to be asked for."""
        oldest = time.monotonic() - KNOWN_FOR
        if any(at < oldest for at, _ in self._known.values()):
            self._known = {key: pair for key, pair in self._known.items() if pair[0] >= oldest}
        there = self._known
        found = {key: there[key][1] for key in keys if key in there}
        return found, keys - found.keys()


def commit(database: Database, entries: Entries, batch: Sequence[Asked]) -> list[Outcome]:
    """Hold what can be held, in one transaction; returns what became of each, in order."""
    outcomes: dict[int, Outcome] = {}
    ready: dict[int, Ready] = {}
    try:
        leads = entries.of({one.key for one in batch})
        for place, one in enumerate(batch):
            try:
                entry = entering.entry(leads, one.key)
                ready[place] = Ready(one.key, entry, entering.ready(entry, one.given.workflow, one.given))
            except NeuroReviewError as error:
                outcomes[place] = error
        if ready:
            with database.writing() as session:
                held = entering.hold(session, list(ready.values()))
            outcomes |= zip(ready, held, strict=True)
    except DatabaseUnusableError as error:
        outcomes = dict.fromkeys(range(len(batch)), error) | {
            place: outcome for place, outcome in outcomes.items() if place not in ready
        }
    return [outcomes[place] for place in range(len(batch))]


class Committer:
    """Stores what many callers submit at the same time."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self.entries = Entries(database)
        self._database = database
        self._waiting: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._coming: list[Waiting] = []
        """What came in within this turn of the event loop; it is handed over together."""
        self._count = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = False

    async def submit(self, asked: Asked) -> Outcome:
        """Hold one submission; once this returns an answer, it is on the disk.

        Raises:
            UnavailableError: too many wait, or the server is ending.
        """
        if self._count >= MOST_WAITING:
            raise UnavailableError(BUSY)
        if self._thread is None:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        with self._lock:
            if self._ended:  # asked here, because it ends in another thread
                raise UnavailableError(ENDING)
            self._count += 1
            self._coming.append((asked, future, loop))
            if len(self._coming) == 1:
                loop.call_soon(self._hand_over)
        return await future

    def _hand_over(self) -> None:
        with self._lock:
            coming, self._coming = self._coming, []
            self._waiting.put(coming)

    def end(self) -> None:
        """Store what waits, and stop."""
        with self._lock:
            self._ended = True
        self._hand_over()  # what came in within this turn of the event loop, too
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(10)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="submits", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # the machine has no room for one; the next submit tries again
                    raise UnavailableError(BUSY) from error
                self._thread = thread

    def _run(self) -> None:
        before = 0
        while True:
            group, goes_on = self._group(before)
            for start in range(0, len(group), MOST_AT_ONCE):
                self._answer(group[start : start + MOST_AT_ONCE])
            if not goes_on:
                return
            before = len(group)

    def _group(self, before: int) -> tuple[list[Waiting], bool]:
        """Return what is to be stored next, and whether more will come; of the group before, so many were answered."""
        others = not self._waiting.empty()
        more = self._waiting.get()
        group = list(more or [])
        # Who waited already is none of those just answered: these are expected too. One caller who comes back gains
        # nothing from waiting for himself.
        expected = before + (len(group) if others else 0) if before > 1 else 0
        until = time.monotonic() + A_MOMENT
        while more is not None and len(group) < MOST_AT_ONCE:
            patience = until - time.monotonic() if len(group) < expected else 0
            try:
                more = self._waiting.get(timeout=max(0, patience))
            except queue.Empty:
                break
            group += more or []
        return group, more is not None

    def _answer(self, group: list[Waiting]) -> None:
        try:
            outcomes = commit(self._database(), self.entries, [asked for asked, _, _ in group])
        except Exception as error:  # whatever it is: who waits must be answered, and the next group stored
            LOG.error("A group of submits was not stored: %s", type(error).__name__)
            outcomes = [UnavailableError(BROKEN)] * len(group)
        with self._lock:
            self._count -= len(group)
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome]]] = {}
        for (_, future, loop), outcome in zip(group, outcomes, strict=True):
            loops.setdefault(loop, []).append((future, outcome))
        for loop, pairs in loops.items():
            with contextlib.suppress(RuntimeError):  # it has closed: nobody waits there any more
                loop.call_soon_threadsafe(_tell, pairs)


def _tell(pairs: list[tuple[asyncio.Future[Outcome], Outcome]]) -> None:
    for future, outcome in pairs:
        if not future.done():  # else its caller has hung up
            future.set_result(outcome)
