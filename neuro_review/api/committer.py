"""Single submits of many callers: while one group of them is stored, what comes in meanwhile waits and is the next.

A transaction costs as much as fifteen rows, so that together they are stored several times as fast as one by one. A
process beside this one stores; until it is ready, and while it is away, a thread does.
"""

import asyncio
import contextlib
import logging
import marshal
import time
from collections.abc import Awaitable, Callable, Sequence

from anyio import CapacityLimiter, to_thread

from db.engine import Database
from neuro_review.api.keys import Entries
from neuro_review.api.storing import LENGTH, Answered, Asked, answered, packed, stored
from neuro_review.api.together import MOST_AT_ONCE
from neuro_review.beside import Beside
from neuro_review.errors import UnavailableError

LOG = logging.getLogger("neuro_review.api")
MOST_WAITING = 2_000
MOST_BYTES = 4 << 20
"""A group ends with the body that makes it so long, so that no transaction holds the other writers up."""
ENDS_WITHIN = 10.0  # seconds
READY_WITHIN = 60.0
# Longer than a writer waits for its turn, and than a slow disk takes after that.
ANSWERS_WITHIN = 40.0
AGAIN_AFTER, LONGEST_PAUSE = 5.0, 300.0
BUSY = "More outputs come in than can be stored. Nothing of this one was; send it again in a moment, or in batches."
ENDING = "The server is ending. Nothing was stored; send it again in a moment."
LOST = (
    "The process that stores broke off. Whether this output was stored is not known: send it again; with the same"
    " external_id it is the same item."
)


class Committer:
    """Stores what many callers submit at the same time."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self.beside = False
        """Whether a process beside this one is to store, from the first submission on."""
        self.entries = Entries(database)
        self.storer = Storer(database)
        self._database = database
        self._here: _Groups | None = None
        self._ended = False

    async def submit(self, asked: Asked) -> Answered:
        """Hold one submission; once this returns that it is held, it is on the disk.

        Raises:
            UnavailableError: too many wait, or the server is ending.
        """
        if self._ended:
            raise UnavailableError(ENDING)
        loop = asyncio.get_running_loop()
        if self._here is None or self._here.loop is not loop:
            self._here = _Groups(loop, self._store)
        if len(self._here.coming) >= MOST_WAITING:
            raise UnavailableError(BUSY)
        return await self._here.add(asked)

    def end(self) -> None:
        """Store what was handed in, and stop; from another thread than the event loop's."""
        self._ended = True
        until = time.monotonic() + ENDS_WITHIN
        while self._here is not None and self._here.is_busy and time.monotonic() < until:
            time.sleep(0.01)
        self.storer.end()

    async def _store(self, group: Sequence[Asked], writer: CapacityLimiter) -> list[Answered]:
        if self.storer.is_here():
            return await self.storer.store(group)
        if self.beside and not self.storer.is_asked_for:
            self.storer.start()
        return await to_thread.run_sync(stored, self._database(), self.entries, group, limiter=writer)


class _Groups:
    """What comes in on one event loop, stored group by group."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop,
        store: Callable[[Sequence[Asked], CapacityLimiter], Awaitable[list[Answered]]],
    ) -> None:  # fmt: skip
        self.loop = loop
        self.coming: list[tuple[Asked, asyncio.Future[Answered]]] = []
        self._store = store
        self._writer = CapacityLimiter(1)
        self._at_work: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a group is being stored, or waits."""
        return self._at_work is not None

    async def add(self, asked: Asked) -> Answered:
        future: asyncio.Future[Answered] = self.loop.create_future()
        self.coming.append((asked, future))
        if self._at_work is None:  # it begins in the next turn of the loop, with all that came in within this one
            self._at_work = self.loop.create_task(self._work())
        return await future

    async def _work(self) -> None:
        group: list[tuple[Asked, asyncio.Future[Answered]]] = []
        try:
            while group := self._next():
                try:
                    answers = await self._store([asked for asked, _ in group], self._writer)
                except Exception as error:  # whatever it is: who waits must be answered, and the next group stored
                    LOG.error("A group of submits broke off: %s", type(error).__name__)
                    answers = [answered(UnavailableError(LOST))] * len(group)
                for (_, future), answer in zip(group, answers, strict=True):
                    if not future.done():  # else its caller has hung up
                        future.set_result(answer)
        finally:
            self._at_work = None

    def _next(self) -> list[tuple[Asked, asyncio.Future[Answered]]]:
        many = size = 0
        for (_, body), _ in self.coming[:MOST_AT_ONCE]:
            many, size = many + 1, size + len(body)
            if size >= MOST_BYTES:
                break
        group, self.coming = self.coming[:many], self.coming[many:]
        return group


class Storer:
    """The process that stores: away until it is ready, and after it died until the next one is."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self._beside: Beside | None = None
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._pause = AGAIN_AFTER
        self._ended = False

    def is_here(self) -> bool:
        """Tell whether it stores for the event loop that asks; one that died with nothing to do is started again."""
        if self._line is not None and self._line[0].at_eof():
            self._leave()
            self._start_again()
        return self._line is not None and self._loop is asyncio.get_running_loop()

    @property
    def is_asked_for(self) -> bool:
        """Whether it is here or will be, once it is ready."""
        return self._starting is not None

    def start(self, after: float = 0) -> None:
        """Have the process started, on the event loop that it is to store for."""
        self._loop = asyncio.get_running_loop()
        self._starting = self._loop.create_task(self._start(after))

    async def store(self, group: Sequence[Asked]) -> list[Answered]:
        """Return what `stored` does.

        Raises:
            Exception: it broke off; whether anything was stored is not known.
        """
        assert self._line is not None
        reader, writer = self._line
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                writer.write(packed(group))
                await writer.drain()
                failures, answers = marshal.loads(await _read(reader))
        except BaseException as error:
            self._leave()
            if not isinstance(error, asyncio.CancelledError):  # else the event loop is closing
                self._start_again()
            raise
        self._database().errors += failures
        return list(answers)

    def end(self) -> None:
        """Let the process go; from another thread than the event loop's."""
        self._ended = True
        if self._beside is not None:
            self._beside.stop()
        if self._line is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop has closed, and the line with it
                self._loop.call_soon_threadsafe(self._line[1].close)

    async def _start(self, after: float) -> None:
        await asyncio.sleep(after)
        if self._ended:
            return
        try:
            url = self._database().url.render_as_string(hide_password=False)
            self._beside = await to_thread.run_sync(
                lambda: Beside("neuro_review.api.storing", NEURO_REVIEW_DATABASE_URL=url)
            )
            line = await asyncio.open_connection(sock=self._beside.socket)
            try:
                async with asyncio.timeout(READY_WITHIN):
                    await _read(line[0])
            except BaseException:
                line[1].close()
                raise
        except (OSError, EOFError) as error:  # a timeout is the former
            self._leave()
            if not self._ended:
                said = "The process that stores submits did not start (%s); a thread stores."
                LOG.warning(said, type(error).__name__)
                self._start_again()
            return
        self._line, self._pause = line, AGAIN_AFTER
        if self._ended:
            self._leave()

    def _start_again(self) -> None:
        if not self._ended:
            self.start(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _leave(self) -> None:
        line, beside, self._line, self._beside = self._line, self._beside, None, None
        if line is not None:
            line[1].close()
        if beside is not None:
            beside.leave()


async def _read(reader: asyncio.StreamReader) -> bytes:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return await reader.readexactly(length)
