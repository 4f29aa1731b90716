"""What the Review card asks for, without Streamlit in between: `POST /desk/sync`, and a text rendered for reading."""

import json
from collections.abc import Callable
from typing import Any

import orjson
from anyio import to_thread
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from db.engine import DatabaseUnusableError
from neuro_review.api.answers import refusal
from neuro_review.desk.work import Ask, Desk, SomebodyElseError
from neuro_review.errors import NotAllowedError, NotSignedInError
from neuro_review.rendering import rendered
from neuro_review.settings import settings
from neuro_review.web.door import Door
from neuro_review.web.headers import SESSION_HEADER

NOT_UNDERSTOOD = "The page and the server do not understand each other. Load the page again; what you typed is kept."

REFUSED: dict[type[Exception], tuple[int, str]] = {
    NotSignedInError: (401, "not_signed_in"),
    SomebodyElseError: (409, "somebody_else"),
    NotAllowedError: (403, "not_allowed"),  # a role went in this very moment; the next message finds what is left
    DatabaseUnusableError: (503, "unavailable"),
}


class Text(BaseModel):
    """A text that somebody wants to see rendered."""

    text: str = Field(max_length=30_000)  # longer ones are read as they are: a parser's time grows with them


def routes(door: Door) -> list[BaseRoute]:
    """Return the routes of the Review card."""

    async def sync(request: Request) -> Response:
        session_id = request.headers.get(SESSION_HEADER.decode(), "")
        return await _answered(request, Ask, lambda ask: Desk(door.database(), session_id).answer(ask), door)

    async def render(request: Request) -> Response:
        return await _answered(request, Text, lambda text: rendered(text.text), door)

    return [Mount("/desk", routes=[
        Route("/sync", sync, methods=["POST"]),
        Route("/rendered", render, methods=["POST"]),
    ])]  # fmt: skip


async def _answered(request: Request, form: type[BaseModel], verb: Callable[[Any], Any], door: Door) -> Response:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > 2 * settings().max_body_bytes:
            return refusal(413, "too_large", "That is too much at once. Shorten the correction.")
    try:
        asked = form.model_validate(orjson.loads(body))
    except (ValidationError, orjson.JSONDecodeError):
        return refusal(422, "not_understood", NOT_UNDERSTOOD)
    try:
        said = await to_thread.run_sync(lambda: verb(asked), limiter=door.desks)
    except tuple(REFUSED) as error:
        status, code = REFUSED[type(error)]
        return refusal(status, code, str(error))
    # A lone half of a surrogate pair cannot be here: no text with one was ever stored.
    return Response(_written(said), media_type="application/json", headers={"Cache-Control": "no-store"})


def _written(said: Any) -> bytes:
    """Return an answer as JSON, also where a stored prompt is nested so deep that within an answer it is too deep."""
    try:
        return orjson.dumps(said)
    except TypeError:  # a single such item would keep its reviewers from every other one
        return json.dumps(said, ensure_ascii=False).encode()
