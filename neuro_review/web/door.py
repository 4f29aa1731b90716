"""What the guard and the routes of one process share: the database, the one-time code and the tries."""

import functools
import hmac
import secrets
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import to_thread
from sqlmodel import Session

from db.engine import Database, explained
from neuro_review import access, sessions
from neuro_review.api.app import Gate
from neuro_review.sessions import Visit
from neuro_review.settings import settings
from neuro_review.web import opened
from neuro_review.web.throttle import Throttle

T = TypeVar("T")


class Door:
    """The state of the web door; database calls run in threads, so that the event loop stays free."""

    def __init__(self, database: Callable[[], Database] = opened.database) -> None:
        self.database = database
        self.gate = Gate(database)
        """What applications hand in comes through here."""
        self.throttle = Throttle()
        self.failure: str | None = None
        """Why the start failed, in one sentence."""
        self._is_set_up = False
        self._readers = anyio.CapacityLimiter(8)
        self.desks = anyio.CapacityLimiter(16)
        """Reviewers' verdicts have threads of their own, so that no other request keeps them waiting."""
        # A hash takes 64 MiB: without a bound, a burst of sign-ins would take all memory.
        self._hashers = anyio.CapacityLimiter(4)

    @functools.cached_property
    def setup_code(self) -> str:
        """The one-time code of the first visit."""
        return settings().setup_code or secrets.token_urlsafe(16)

    def is_setup_code(self, code: str) -> bool:
        """Tell whether this is the one-time code, in a time that says nothing about it."""
        return hmac.compare_digest(code.strip().encode(errors="replace"), self.setup_code.encode())

    async def is_set_up(self) -> bool:
        """Tell whether anybody has an account; once true it stays so."""
        if not self._is_set_up:
            self._is_set_up = await self.reading(access.anybody)
        return self._is_set_up

    async def visit(self, token: str) -> Visit | None:
        """Return the living session that a browser's token opens, or None."""
        return await self.reading(lambda session: sessions.visit(session, sessions.session_id(token)))

    async def reading(self, verb: Callable[[Session], T]) -> T:
        """Call a verb that only reads.

        Raises:
            DatabaseUnusableError: the database does not answer.
        """

        def call() -> T:
            with explained(), self.database().reading() as session:
                return verb(session)

        return await to_thread.run_sync(call, limiter=self._readers)

    async def writing(self, verb: Callable[[Session], T]) -> T:
        """Call a verb in a transaction of its own.

        Raises:
            DatabaseUnusableError: the database does not answer, or cannot be written.
        """

        def call() -> T:
            with self.database().writing() as session:
                return verb(session)

        return await to_thread.run_sync(call, limiter=self._readers)

    async def hashing(self, work: Callable[[], T]) -> T:
        """Hash or compare a password: slow, with no transaction open."""
        return await to_thread.run_sync(work, limiter=self._hashers)

    async def ping(self) -> None:
        """Ask the database for one value.

        Raises:
            DatabaseUnusableError: it does not answer.
            TimeoutError: not in time.
        """
        with anyio.fail_after(5):
            await to_thread.run_sync(lambda: self.database().ping(), abandon_on_cancel=True)
