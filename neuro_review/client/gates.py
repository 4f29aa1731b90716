"""The gate, in a program that waits and in one that awaits."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar, Unpack

import httpx

from neuro_review.client.answers import Event, Feed, InUse, Item, Key
from neuro_review.client.errors import GateError, RefusedError
from neuro_review.client.talks import ANSWER_WITHIN, Heard, Nap, Row, Send, Talk, Talks

T = TypeVar("T")
PATIENCE = 30.0  # seconds
CONNECT_WITHIN = 5.0  # seconds
LOOKS_EVERY = 1.0  # seconds
NO_ADDRESS = "“{}” is no address of a gate. Give the one that reviewers open, with http:// or https://."


class ReviewGate:
    """The gate, for programs that wait. Threads may share one; close it at the end, or use `with`."""

    def __init__(
        self, url: str, key: str, *, patience: float = PATIENCE, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Open a gate.

        Args:
            url: the address that reviewers open.
            key: the key of this application, made on Sources.
            patience: for so many seconds a call is tried again while the gate is away or busy.
            transport: how requests travel, where it is not the usual way.

        Raises:
            GateError: the address or the key cannot be one.
        """
        self._talks = Talks(patience)
        self._http = httpx.Client(transport=transport, **_line(url, key))

    def submit(self, **row: Unpack[Row]) -> Item:
        """Hand one output in; it is on the gate's disk when this returns, held until somebody decides.

        It is tried again while the gate is away or busy, and is never held twice.

        Raises:
            RefusedError: the gate said no.
            UnreachableError: it did not answer.
        """
        return self._run(self._talks.submit(row))

    def submit_many(self, rows: Iterable[Row]) -> list[Item | RefusedError]:
        """Hand many outputs in, in as few requests as it takes; returns for each, in order, the item or why not.

        Raises:
            RefusedError: the gate takes nothing with this key.
            UnreachableError: it did not answer; hand all in again if they have an `external_id`.
        """
        return self._run(self._talks.submit_many(rows))

    def wait(self, item_id: str, timeout: float | None = None) -> Item:
        """Return an output once it has left review, or as it is (`final` is False) when the seconds are over.

        It goes on to wait while the gate restarts.

        Raises:
            RefusedError: the gate said no.
            UnreachableError: at the end of the time it did not answer.
        """
        return self._run(self._talks.wait(item_id, timeout))

    def get(self, item_id: str) -> Item:
        """Return an output as it is now."""
        return self._run(self._talks.get(item_id))

    def withdraw(self, item_id: str) -> Item:
        """Take an output back while it is held.

        Raises:
            RefusedError: it has been decided.
        """
        return self._run(self._talks.withdraw(item_id))

    def releases(self, after: str | None = None, limit: int = 100) -> Feed:
        """Return a page of what became of everything this application handed in; go on with `after=feed.next`."""
        return self._run(self._talks.releases(after, limit))

    def follow(self, after: str | None = None, every: float = LOOKS_EVERY) -> Iterator[Event]:
        """Yield what became of everything, in order, without end; keep the `cursor` of what you have dealt with."""
        while True:
            feed = self.releases(after, 1000)
            yield from feed
            after = feed.next
            if not feed:
                time.sleep(every)

    def key(self) -> Key:
        """Return what the key can do: a first call that changes nothing."""
        return self._run(self._talks.key())

    def model_in_use(self, workflow: str, *, within: float = ANSWER_WITHIN) -> InUse:
        """Return which model a workflow's applications are to call, and how; each try ends after so many seconds."""
        return self._run(self._talks.model_in_use(workflow, within))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "ReviewGate":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, talk: Talk[T]) -> T:
        try:
            step = next(talk)
            while True:
                step = talk.send(self._do(step))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _do(self, step: Send | Nap) -> Heard:
        if isinstance(step, Nap):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.send(_request(self._http, step))
        except httpx.RequestError as error:
            return error


class AsyncReviewGate:
    """The gate, for programs that await: as `ReviewGate`, with the same names."""

    def __init__(
        self, url: str, key: str, *, patience: float = PATIENCE, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._talks = Talks(patience)
        self._http = httpx.AsyncClient(transport=transport, **_line(url, key))

    async def submit(self, **row: Unpack[Row]) -> Item:
        """Hand one output in."""
        return await self._run(self._talks.submit(row))

    async def submit_many(self, rows: Iterable[Row]) -> list[Item | RefusedError]:
        """Hand many outputs in; returns for each, in order, the item or why not."""
        return await self._run(self._talks.submit_many(rows))

    async def wait(self, item_id: str, timeout: float | None = None) -> Item:
        """Return an output once it has left review, or as it is when the seconds are over."""
        return await self._run(self._talks.wait(item_id, timeout))

    async def get(self, item_id: str) -> Item:
        """Return an output as it is now."""
        return await self._run(self._talks.get(item_id))

    async def withdraw(self, item_id: str) -> Item:
        """Take an output back while it is held."""
        return await self._run(self._talks.withdraw(item_id))

    async def releases(self, after: str | None = None, limit: int = 100) -> Feed:
        """Return a page of what became of everything this application handed in."""
        return await self._run(self._talks.releases(after, limit))

    async def follow(self, after: str | None = None, every: float = LOOKS_EVERY) -> AsyncIterator[Event]:
        """Yield what became of everything, in order, without end."""
        while True:
            feed = await self.releases(after, 1000)
            for event in feed:
                yield event
            after = feed.next
            if not feed:
                await asyncio.sleep(every)

    async def key(self) -> Key:
        """Return what the key can do."""
        return await self._run(self._talks.key())

    async def model_in_use(self, workflow: str, *, within: float = ANSWER_WITHIN) -> InUse:
        """Return which model a workflow's applications are to call, and how."""
        return await self._run(self._talks.model_in_use(workflow, within))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncReviewGate":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, talk: Talk[T]) -> T:
        try:
            step = next(talk)
            while True:
                step = talk.send(await self._do(step))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _do(self, step: Send | Nap) -> Heard:
        if isinstance(step, Nap):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._http.send(_request(self._http, step))
        except httpx.RequestError as error:
            return error


def _line(url: str, key: str) -> dict[str, Any]:
    """Return the settings of a line to the gate."""
    try:
        address = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise GateError(NO_ADDRESS.format(url)) from error
    if address.scheme not in ("http", "https") or not address.host:
        raise GateError(NO_ADDRESS.format(url))
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise GateError("This is no key. An owner of the workflow makes one on Sources.")
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "neuro-review-client"}
    return {"base_url": f"{str(address).rstrip('/')}/api/v1/", "headers": headers}


def _request(http: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
    headers = {"Content-Type": "application/json"} if send.body is not None else {}
    timeout = httpx.Timeout(send.within, connect=min(CONNECT_WITHIN, send.within))
    query = dict(send.query) or None
    return http.build_request(send.method, send.path, content=send.body, params=query, headers=headers, timeout=timeout)
