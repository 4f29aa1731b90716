"""Who waits for a verdict, and is woken when it has left.

One look a moment for all who wait, by the ids they wait for: so it is exact on both engines and across processes, and
costs the same whether ten wait or a thousand.
"""

import asyncio
from collections.abc import Callable

import orjson
import sqlalchemy as sa
from anyio import CapacityLimiter, to_thread
from sqlmodel import Session

from db.engine import Database, DatabaseUnusableError, explained
from neuro_review.errors import UnavailableError

LONGEST = 60.0  # seconds
LOOKS_EVERY = 0.1  # seconds
MOST = 2_000
TOO_MANY = f"{MOST:,} requests wait already. Ask again in a moment, or read the feed instead: one request tells of all."

_FINAL = "SELECT id FROM item WHERE status <> 'held' AND leaves_at IS NULL AND id "
FINAL = {
    "sqlite": sa.text(_FINAL + "IN (SELECT value FROM json_each(:ids))"),
    "postgresql": sa.text(_FINAL + "= ANY(CAST(:ids AS uuid[]))"),
}


def final(session: Session, ids: list[str]) -> set[str]:
    """Return those of some items that have left review."""
    connection = session.connection()
    dialect = connection.dialect.name
    listed = orjson.dumps(ids).decode() if dialect == "sqlite" else ids
    return {row.id.replace("-", "") for row in connection.execute(FINAL[dialect], {"ids": listed})}


class Waiting:
    """Those who wait, by the item they wait for."""

    def __init__(self, database: Callable[[], Database], limiter: CapacityLimiter) -> None:
        self._database = database
        self._limiter = limiter
        self._events: dict[str, list[asyncio.Event]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def until_final(self, item_id: str, seconds: float) -> None:
        """Return once an item has left review, or the time is over.

        Raises:
            UnavailableError: too many wait already.
        """
        if sum(map(len, self._events.values())) >= MOST:
            raise UnavailableError(TOO_MANY)
        event = asyncio.Event()
        self._events.setdefault(item_id, []).append(event)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._leave(item_id, event)

    def wake(self) -> None:
        """Let everybody go, because the server is ending."""
        for events in self._events.values():
            for event in events:
                event.set()

    def _leave(self, item_id: str, event: asyncio.Event) -> None:
        left = self._events.get(item_id, [])
        if event in left:
            left.remove(event)
        if not left:
            self._events.pop(item_id, None)

    async def _look(self) -> None:
        while self._events:
            try:
                found = await to_thread.run_sync(self._final, list(self._events), limiter=self._limiter)
            except DatabaseUnusableError:
                found = set()  # whoever waits goes on to wait; what they read in the end says it
            for item_id in found:
                for event in self._events.get(item_id, []):
                    event.set()
            await asyncio.sleep(LOOKS_EVERY)

    def _final(self, ids: list[str]) -> set[str]:
        with explained(), self._database().reading() as session:
            return final(session, ids)
