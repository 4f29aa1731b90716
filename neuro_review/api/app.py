"""The routes of the API."""

import functools
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from db.engine import Database, DatabaseUnusableError, explained
from neuro_review import models, releases, sources
from neuro_review.api import document, outcomes
from neuro_review.api.answers import answer, refusal, refused, written
from neuro_review.api.batches import Batches
from neuro_review.api.bodies import Bodies
from neuro_review.api.committer import Committer
from neuro_review.api.limits import Limits
from neuro_review.api.metrics import Metrics
from neuro_review.api.together import Together
from neuro_review.api.waiting import LONGEST, Waiting
from neuro_review.errors import InvalidError, NeuroReviewError, NotAllowedError, UnknownKeyError
from neuro_review.gate import feed, views
from neuro_review.gate.entering import READS_ONLY, Entry
from neuro_review.settings import settings
from neuro_review.sources import Caller

T = TypeVar("T")
WHOLE, NUMBER = re.compile(r"[0-9]+"), re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
SUBMITS_ONLY = "This key can only submit. Ask an owner of the workflow for one that can read."
NO_KEY_SENT = "Send the key of your application: `Authorization: Bearer nr_…`. An owner makes one on Sources."
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 415: "not_json", 429: "too_often"}
HTTP_SAYS = {
    404: "There is nothing here. The calls are in /api/v1/openapi.json.",
    405: "This address is not called that way. `Allow` says how; the calls are in /api/v1/openapi.json.",
}
TOO_OFTEN = "This key asks too often. Wait as long as `Retry-After` says, or send outputs in batches."


@dataclass
class Gate:
    """What the routes share: the database, who waits, and the threads that read."""

    database: Callable[[], Database]
    readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(16))
    batch_writers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))

    def __post_init__(self) -> None:
        self.bodies = Bodies()
        self.committer = Committer(self.database)
        self.batches = Batches(self.committer.entries, Together(self.database))
        self.waiting = Waiting(self.database, self.readers)
        self.metrics = Metrics()

    @functools.cached_property
    def limits(self) -> Limits:
        """How often keys may ask."""
        return Limits(settings().api_rate)

    async def reading(self, key: str, verb: Callable[[Session, Caller], T]) -> T:
        """Call a verb that only reads, for whose key it is.

        Raises:
            UnknownKeyError: the key is unknown or was revoked.
            NotAllowedError: it can only submit.
        """

        def call() -> T:
            with explained(), self.database().reading() as session:
                return verb(session, _reader(session, key))

        return await to_thread.run_sync(call, limiter=self.readers)

    async def writing(self, key: str, verb: Callable[[Session, Caller], T]) -> T:
        """Call a verb in a transaction of its own, for whose key it is.

        Raises:
            UnknownKeyError: the key is unknown or was revoked.
        """

        def call() -> T:
            with self.database().writing() as session:
                return verb(session, sources.caller(session, key))

        return await to_thread.run_sync(call, limiter=self.readers)

    def key(self, request: Request) -> str:
        """Return the key that a request carries; how often it may ask is counted here.

        Raises:
            UnknownKeyError: it carries none.
        """
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise UnknownKeyError(NO_KEY_SENT)
        wait = self.limits.take(sources.key_hash(key.strip()))
        if wait:
            raise HTTPException(429, TOO_OFTEN, {"Retry-After": str(math.ceil(wait))})
        return key.strip()

    async def submitter(self, request: Request) -> str:
        """Return the hash of the key that a request carries, once it is known to submit.

        Raises:
            UnknownKeyError, NotAllowedError, ConflictError: nothing can be submitted with it.
        """
        key, entry = await self.entry(request)
        entry.check()
        return key

    async def entry(self, request: Request) -> tuple[str, Entry]:
        """Return the hash of the key that a request carries, and where it leads.

        Raises:
            UnknownKeyError: it carries none, or one that leads nowhere.
        """
        key, entries = sources.key_hash(self.key(request)), self.committer.entries
        found, unknown = entries.known({key})
        if unknown:
            found = await to_thread.run_sync(entries.of, unknown, limiter=self.readers)
        if key not in found:
            raise UnknownKeyError(sources.NO_KEY)
        return key, found[key]

    def end(self) -> None:
        """Let who waits go, store what was handed in, and stop."""
        self.waiting.wake()
        self.committer.end()
        self.batches.end()


def _reader(session: Session, key: str) -> Caller:
    caller = sources.caller(session, key)
    if not caller.can_read:
        raise NotAllowedError(SUBMITS_ONLY)
    return caller


def number(request: Request, name: str, default: float, most: float, *, whole: bool = False) -> float:
    """Return a number from the query.

    Raises:
        InvalidError: it is none, or out of bounds.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    least = 1 if whole else 0
    value = float(text) if len(text) < 30 and (WHOLE if whole else NUMBER).fullmatch(text) else math.nan
    if not least <= value <= most:
        raise InvalidError(f"`{name}` is {least} to {most:,.0f}{'' if whole else ' seconds'}.", name)
    return value


def application(gate: Gate) -> ASGIApp:
    """Return the API as an ASGI application, to be mounted under `/api`."""
    api = FastAPI(
        title="Neuro Review", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json",
        # A redirect names the scheme that we see: behind a proxy it would lead a text out of the encrypted line.
        redirect_slashes=False,
    )  # fmt: skip
    api.openapi = lambda: document.document(api)  # type: ignore[method-assign]
    _submitting(api, gate)
    _withdrawing(api, gate)
    _reading(api, gate)
    outcomes.add(api, gate, document.REPORT.route())
    for kind in (NeuroReviewError, DatabaseUnusableError):
        api.add_exception_handler(kind, _said)
    api.add_exception_handler(HTTPException, _http)
    return Direct(api)


class Direct:
    """Answers what is called most, at addresses without an id, past FastAPI's layers: they take half of a submit."""

    def __init__(self, api: FastAPI) -> None:
        self.api = api
        self.calls: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            (method, one.path): one.endpoint
            for one in api.routes
            if isinstance(one, APIRoute) and "{" not in one.path
            for method in one.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        endpoint = self._called(scope["method"], path) if scope["type"] == "http" else None
        if endpoint is None:
            await self.api(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except (NeuroReviewError, DatabaseUnusableError) as error:
            response = refused(error)
        except HTTPException as error:
            response = await _http(request, error)
        await response(scope, receive, send)

    def _called(self, method: str, path: str) -> Callable[[Request], Awaitable[Response]] | None:
        return self.calls.get((method, path)) or self.calls.get((method, path.removesuffix("/")))


def _submitting(api: FastAPI, gate: Gate) -> None:
    @api.post("/v1/items", **document.CREATE.route())
    async def create(request: Request) -> Response:
        """Hand one output in. It is held until a reviewer decides; the same `external_id` again is the same item."""
        began = time.perf_counter()
        key = await gate.submitter(request)
        body = await gate.bodies.read(request)
        try:
            status, said = await gate.committer.submit((key, body))
        finally:
            gate.bodies.done(body)
        if status in (200, 201):
            gate.metrics.submits.observe(time.perf_counter() - began)
        return written(status, said)

    @api.post("/v1/items/batch", **document.CREATE_BATCH.route())
    async def create_batch(request: Request) -> Response:
        """Hand many outputs in, 1,000 at the most. Each is answered by itself, in order."""
        key = await gate.submitter(request)
        body = await gate.bodies.read(request)
        try:
            rows = await to_thread.run_sync(gate.batches.submit, key, body, limiter=gate.batch_writers)
        finally:
            gate.bodies.done(body)
        return answer(rows)


def _withdrawing(api: FastAPI, gate: Gate) -> None:
    @api.post("/v1/items/{id}/withdraw", **document.WITHDRAW.route())
    async def withdraw(request: Request) -> Response:
        """Take an output back while it is held."""
        id = request.path_params["id"]

        def verb(session: Session, by: Caller) -> dict[str, Any]:
            if not by.can_submit:
                raise NotAllowedError(READS_ONLY)
            views.view(session, by, id)
            releases.withdraw(session, id, by.source_id)
            return views.view(session, by, id)

        return answer(await gate.writing(gate.key(request), verb))


def _reading(api: FastAPI, gate: Gate) -> None:
    @api.get("/v1/key", **document.KEY.route())
    async def key(request: Request) -> Response:
        """Ask what the key can do: a first call that changes nothing."""
        _, entry = await gate.entry(request)
        return answer({
            "source": entry.caller.source, "workflow": entry.flow.name, "can_submit": entry.caller.can_submit,
            "can_read": entry.caller.can_read,
        })  # fmt: skip

    @api.get("/v1/items/{id}", **document.READ.route())
    async def read(request: Request) -> Response:
        """Ask what became of an output; with `wait`, as soon as it has become something."""
        id = request.path_params["id"]
        if id == "batch":
            raise HTTPException(405, headers={"Allow": "POST"})
        key, seconds = gate.key(request), number(request, "wait", 0, LONGEST)
        seen = await gate.reading(key, lambda session, by: views.view(session, by, id))
        if seconds and not seen["final"]:
            await gate.waiting.until_final(id, seconds)
            seen = await gate.reading(key, lambda session, by: views.view(session, by, id))
        return answer(seen)

    @api.get("/v1/workflows/{name:path}", **document.WORKFLOW.route())
    async def workflow(request: Request) -> Response:
        """Ask which model the applications of a workflow are to call, and how; the answer may be kept for a while."""
        name = request.path_params["name"]
        return answer(await gate.reading(gate.key(request), lambda session, by: models.told(session, by, name)))

    @api.get("/v1/releases", **document.RELEASES.route())
    async def released(request: Request) -> Response:
        """Read what became of everything this application submitted, in order, each once, from where you left off."""
        key = gate.key(request)
        after, most = request.query_params.get("after"), number(request, "limit", 100, feed.MOST_EVENTS, whole=True)
        told, following = await gate.reading(key, lambda session, by: feed.feed(session, by, after, int(most)))
        events = [{"cursor": one.cursor, "type": str(one.event), "item": one.item} for one in told]
        return answer({"events": events, "next": following})


async def _said(_request: Request, error: Exception) -> Response:
    return refused(error)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "refused")
    message = HTTP_SAYS.get(error.status_code, str(error.detail))
    return refusal(error.status_code, code, message, dict(error.headers or {}))
