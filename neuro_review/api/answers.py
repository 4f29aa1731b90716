"""Every answer of the API in one shape: JSON, and a refusal that says what happened and what to do."""

from typing import Any

import orjson
from starlette.responses import Response

from db.engine import DatabaseUnusableError
from neuro_review.errors import (
    ConflictError,
    InvalidError,
    NeuroReviewError,
    NotAllowedError,
    NotFoundError,
    NotSignedInError,
    TooLargeError,
    UnavailableError,
    UnknownKeyError,
)

CODES: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownKeyError, 401, "unknown_key"),
    (NotSignedInError, 401, "not_signed_in"),
    (NotAllowedError, 403, "not_allowed"),
    (NotFoundError, 404, "not_found"),
    (ConflictError, 409, "conflict"),
    (TooLargeError, 413, "too_large"),
    (InvalidError, 422, "invalid"),
    (UnavailableError, 503, "unavailable"),
    (DatabaseUnusableError, 503, "unavailable"),
    (NeuroReviewError, 400, "refused"),
)
HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    413: {"Connection": "close"},  # the rest of it is not read
    503: {"Retry-After": "1"},
}
# A connection that breaks while it stores does not say whether it did.
AWAY = "The database does not answer. Send it again in a moment; with the same external_id an output is held once."


def answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(orjson.dumps(value), status_code=status, media_type="application/json")


def refusal(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, field: str | None = None
) -> Response:
    """Return a refusal in the shape that every caller of the API knows."""
    said = error_body(code, message, field)
    return Response(orjson.dumps({"error": said}), status_code=status, headers=headers, media_type="application/json")


def error_body(code: str, message: str, field: str | None = None) -> dict[str, str]:
    """Return what is said of a refusal."""
    return {"code": code, "message": message} | ({"field": field} if field else {})


def explained(error: Exception) -> tuple[int, dict[str, str]]:
    """Return the HTTP status of an error of the house, and what is said of it."""
    status, code = next((status, code) for kind, status, code in CODES if isinstance(error, kind))
    # What a database is called and where it runs is for its operator, not for an application.
    message = AWAY if isinstance(error, DatabaseUnusableError) else str(error) or (type(error).__doc__ or "").strip()
    return status, error_body(code, message, getattr(error, "field", None))


def refused(error: Exception) -> Response:
    """Return the refusal for an error of the house."""
    status, said = explained(error)
    return written(status, orjson.dumps({"error": said}))


def written(status: int, said: bytes) -> Response:
    """Return what is JSON already, an answer or a refusal."""
    return Response(said, status_code=status, headers=HEADERS.get(status), media_type="application/json")
