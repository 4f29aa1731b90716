"""The life of the server process: open the database, warm up, start the background work, and end it all."""

import gc
import importlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from anyio import to_thread

from db.engine import DatabaseUnusableError
from db.migrate import migrate
from neuro_review import worker
from neuro_review.errors import NeuroReviewError
from neuro_review.settings import settings
from neuro_review.web.door import Door

# Seconds after which a busy thread lets another one go on, a tenth of what Python does by itself: the thread that
# stores asks for its turn after each statement, and a batch that is being read would keep it waiting each time.
SWITCHES = 0.0005
# Imported now, so that the first reviewer does not wait for them.
HEAVY = ("pandas", "pyarrow", "altair")


def lifespan(
    door: Door, welcome: Callable[[Door], Awaitable[None]], heavy: Sequence[str] = HEAVY
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return what the server runs around its life; `welcome` is awaited once the port is known."""

    @asynccontextmanager
    async def live(_app: Any) -> AsyncIterator[None]:
        await to_thread.run_sync(_open, door, heavy)
        ended = threading.Event()
        keeper = threading.Thread(target=worker.keep_alive, args=(ended,), name="worker-keeper", daemon=True)
        if settings().worker:
            keeper.start()
        # What was imported lives for ever; without this each collection would walk all of it.
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCHES)
        door.gate.committer.beside = True
        await welcome(door)
        try:
            yield
        finally:
            ended.set()
            await to_thread.run_sync(door.gate.end)
            if keeper.is_alive():
                await to_thread.run_sync(keeper.join, 10)
            door.database().dispose()

    return live


def quiet_logs() -> None:
    """Keep uvicorn from writing a line for each request and websocket: its lines carry query strings."""
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        # Not the level: Streamlit sets that anew after this.
        logger.filters = [drop for drop in logger.filters if drop is not _matters] + [_matters]


def _matters(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _open(door: Door, heavy: Sequence[str]) -> None:
    try:
        settings()
        migrate(door.database())
    except (DatabaseUnusableError, NeuroReviewError) as error:
        door.failure = str(error)  # the guard shows it in place of a traceback
        raise
    for name in heavy:
        importlib.import_module(name)


def welcome(address: Callable[[], str]) -> Callable[[Door], Awaitable[None]]:
    """Return what says where the screens are, and on the first visit the link that sets them up."""

    async def told(door: Door) -> None:
        if await door.is_set_up():
            say(f"Neuro Review: {address()}")
        else:
            say(f"Open {address()}/auth/setup?code={door.setup_code} to create the first admin.")

    return told


def say(sentence: str) -> None:
    """Write a line to the terminal at once."""
    sys.stdout.write(f"\n  {sentence}\n\n")
    sys.stdout.flush()
