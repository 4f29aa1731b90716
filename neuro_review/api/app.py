"""The routes of the API, and the OpenAPI 3.1 document that describes them."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.engine import Database, DatabaseUnusableError, explained
from neuro_review import releases, sources
from neuro_review.api import batches, forms
from neuro_review.api.answers import answer, refusal, refused
from neuro_review.api.committer import Asked, Committer
from neuro_review.api.limits import Limits
from neuro_review.api.waiting import LONGEST, Waiting
from neuro_review.errors import InvalidError, NeuroReviewError, NotAllowedError, TooLargeError, UnknownKeyError
from neuro_review.gate import feed, views
from neuro_review.gate.entering import READS_ONLY, Entry
from neuro_review.settings import settings
from neuro_review.sources import Caller

T = TypeVar("T")
LARGE = 64 << 10  # bytes; what is larger is read beside the event loop, which also serves the screens
SUBMITS_ONLY = "This key can only submit. Ask an owner of the workflow for one that can read."
NO_KEY_SENT = "Send the key of your application: `Authorization: Bearer nr_…`. An owner makes one on Sources."
TOO_OFTEN = "This key asks too often. Wait as long as `Retry-After` says, or send outputs in batches."


@dataclass
class Gate:
    """What the routes share: the database, who waits, and the threads that read."""

    database: Callable[[], Database]
    readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(16))
    batch_writers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))

    def __post_init__(self) -> None:
        self.committer = Committer(self.database)
        self.waiting = Waiting(self.database, self.readers)

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


def _reader(session: Session, key: str) -> Caller:
    caller = sources.caller(session, key)
    if not caller.can_read:
        raise NotAllowedError(SUBMITS_ONLY)
    return caller


async def body_of(request: Request) -> bytes:
    """Return the body of a request, read no further than the limit.

    Raises:
        TooLargeError: it is larger.
        InvalidError: it is said to be something else than JSON.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "Send `Content-Type: application/json`.")
    body, most = bytearray(), settings().max_body_bytes
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooLargeError(
                f"The request has more than {most:,} bytes. Send fewer or shorter outputs at once"
                " (NEURO_REVIEW_MAX_BODY_BYTES)."
            )
    return bytes(body)


def number(request: Request, name: str, default: float, most: float, *, whole: bool = False) -> float:
    """Return a number from the query.

    Raises:
        InvalidError: it is none, or out of bounds.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    least = 1 if whole else 0
    try:
        value = float(int(text) if whole else float(text)) if text.isascii() and len(text) < 20 else math.nan
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise InvalidError(f"`{name}` is {least} to {most:,.0f}{'' if whole else ' seconds'}.", name)
    return value


def application(gate: Gate) -> FastAPI:
    """Return the API as an ASGI application, to be mounted under `/api`."""
    api = FastAPI(title="Neuro Review", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    api.openapi = lambda: _document(api)  # type: ignore[method-assign]
    _submitting(api, gate)
    _reading(api, gate)
    for kind in (NeuroReviewError, DatabaseUnusableError):
        api.add_exception_handler(kind, _said)
    api.add_exception_handler(HTTPException, _http)
    return api


def _submitting(api: FastAPI, gate: Gate) -> None:
    @api.post("/v1/items", **_described("create", {201: forms.Item, 200: forms.Item}, body=ONE))
    async def create(request: Request) -> Response:
        """Hand one output in. It is held until a reviewer decides; the same `external_id` again is the same item."""
        key = await gate.submitter(request)
        body = await body_of(request)
        given = await _beside(lambda: forms.handed(forms.parsed(body)), len(body))
        outcome = await gate.committer.submit(Asked(key, given))
        if isinstance(outcome, Exception):
            raise outcome
        return answer(outcome.item, 201 if outcome.is_new else 200)

    @api.post("/v1/items/batch", **_described("create_batch", {200: list[forms.Row]}, body=MANY))
    async def create_batch(request: Request) -> Response:
        """Hand many outputs in, 1,000 at the most. Each is answered by itself, in order."""
        key = await gate.submitter(request)
        body = await body_of(request)
        rows = await to_thread.run_sync(
            lambda: batches.submit(gate.database(), gate.committer.entries, key, body), limiter=gate.batch_writers
        )
        return answer(rows)

    @api.post("/v1/items/{id}/withdraw", **_described("withdraw", {200: forms.Item}))
    async def withdraw(id: str, request: Request) -> Response:
        """Take an output back while it is held."""

        def verb(session: Session, by: Caller) -> dict[str, Any]:
            if not by.can_submit:
                raise NotAllowedError(READS_ONLY)
            views.view(session, by, id)
            releases.withdraw(session, id, by.source_id)
            return views.view(session, by, id)

        return answer(await gate.writing(gate.key(request), verb))


def _reading(api: FastAPI, gate: Gate) -> None:
    @api.get("/v1/key", **_described("key", {200: forms.KeySeen}))
    async def key(request: Request) -> Response:
        """Ask what the key can do: a first call that changes nothing."""
        _, entry = await gate.entry(request)
        return answer({
            "source": entry.caller.source, "workflow": entry.flow.name, "can_submit": entry.caller.can_submit,
            "can_read": entry.caller.can_read,
        })  # fmt: skip

    @api.get("/v1/items/{id}", **_described("read", {200: forms.Item}, query={"wait": WAIT}))
    async def read(id: str, request: Request) -> Response:
        """Ask what became of an output; with `wait`, as soon as it has become something."""
        key, seconds = gate.key(request), number(request, "wait", 0, LONGEST)
        seen = await gate.reading(key, lambda session, by: views.view(session, by, id))
        if seconds and not seen["final"]:
            await gate.waiting.until_final(id, seconds)
            seen = await gate.reading(key, lambda session, by: views.view(session, by, id))
        return answer(seen)

    @api.get("/v1/releases", **_described("releases", {200: forms.Feed}, query={"after": AFTER, "limit": LIMIT}))
    async def released(request: Request) -> Response:
        """Read what became of everything this application submitted, in order, each once, from where you left off."""
        key = gate.key(request)
        after, most = request.query_params.get("after"), number(request, "limit", 100, feed.MOST_EVENTS, whole=True)
        told, following = await gate.reading(key, lambda session, by: feed.feed(session, by, after, int(most)))
        events = [{"cursor": one.cursor, "type": str(one.event), "item": one.item} for one in told]
        return answer({"events": events, "next": following})


WAIT = {"type": "number", "minimum": 0, "maximum": LONGEST, "default": 0}
AFTER = {"type": "string", "pattern": r"^[0-9]{1,18}-[0-9]{1,18}$"}
LIMIT = {"type": "integer", "minimum": 1, "maximum": feed.MOST_EVENTS, "default": 100}
ERRORS = {
    401: "No key, or one that is unknown or revoked",
    403: "The key may not do that",
    404: "No such item of this application",
    409: "The item has moved on, or there is another by this external_id",
    413: "Too large",
    415: "Not JSON",
    422: "It cannot be used as it is; `field` says what",
    429: "Too often; `Retry-After` says how long to wait",
    503: "The database does not answer, or too much comes in; send it again",
}


ONE = {"schema": {"$ref": "#/components/schemas/Handed"}}
MANY = {
    # A row that cannot be used is answered by itself, so that nothing here is refused for what one row is.
    "schema": {"type": "array", "maxItems": forms.MOST_IN_A_BATCH, "items": {}, "description": "Rows as for one item."},
    "example": [{"workflow": "support", "model": "gpt-4o", "output": "Yes, within 30 days.", "external_id": "4711"}],
}


def _described(
    name: str, answers: dict[int, Any], *, body: dict[str, Any] | None = None, query: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return how a route is described; what is sent is read by ourselves, which takes a quarter of the time."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": forms.Refusal, "description": said} for status, said in ERRORS.items()
    }
    responses |= {status: {"model": model, "description": "Done"} for status, model in answers.items()}
    extra: dict[str, Any] = {"security": [{"key": []}]}
    if query:
        extra["parameters"] = [
            {"name": named, "in": "query", "required": False, "schema": schema} for named, schema in query.items()
        ]
    if body:
        extra["requestBody"] = {"required": True, "content": {"application/json": body}}
    return {
        "operation_id": name, "responses": responses, "openapi_extra": extra, "response_model": None,
        "status_code": min(answers),
    }  # fmt: skip


async def _beside(read: Callable[[], T], size: int) -> T:
    """Read a body: a small one at once, a large one in a thread."""
    return read() if size <= LARGE else await to_thread.run_sync(read)


async def _said(_request: Request, error: Exception) -> Response:
    return refused(error)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "not_allowed", 415: "not_json", 429: "too_often"}.get(error.status_code, "refused")
    message = "There is nothing here." if error.status_code == 404 else str(error.detail)
    return refusal(error.status_code, code, message, dict(error.headers or {}))


def _document(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: what FastAPI knows of the routes, and what we read by ourselves."""
    if api.openapi_schema is None:
        document = get_openapi(
            title=api.title, version=api.version, openapi_version="3.1.0", routes=api.routes,
            description="Hand in what a model wrote; get back what may be sent.", servers=[{"url": "/api"}],
        )  # fmt: skip
        form = forms.Handed.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = document["components"]
        parts["schemas"] |= form.pop("$defs", {}) | {"Handed": form}
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "A source's key"}}
        api.openapi_schema = document
    return api.openapi_schema
