"""What is sent to the API, read no further than it may be: so large, within so long, and so much at a time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request

from neuro_review.errors import TooLargeError, UnavailableError
from neuro_review.settings import settings

WITHIN = 30.0  # seconds
MOST_AT_ONCE = 128 << 20  # bytes of all bodies that are here at a time; what is made of them takes a few times that
NOT_JSON = "Send `Content-Type: application/json`."
COMPRESSED = "Send the body as it is, without `Content-Encoding`."
TOO_SLOW = f"The body did not come within {WITHIN:.0f} seconds. Send it again, or fewer outputs at once."
TOO_MUCH = "More comes in at this moment than there is room for. Nothing was stored; send it again in a moment."
TOO_LARGE = (
    "The request has more than {most:,} bytes. Send fewer or shorter outputs at once (NEURO_REVIEW_MAX_BODY_BYTES)."
)


class Bodies:
    """Reads bodies and knows how much of them is in memory."""

    def __init__(self) -> None:
        self.here = 0

    async def read(self, request: Request) -> bytes:
        """Return the body of a request; whoever has read it says when it is `done` with.

        Raises:
            HTTPException: it is said to be something else than plain JSON, or did not come in time.
            TooLargeError: it is larger than it may be.
            UnavailableError: too much of others is here at this moment.
        """
        most = settings().max_body_bytes
        _check(request, most)
        body = bytearray()
        try:
            if await self._more(request, body, most):
                async with asyncio.timeout(WITHIN):
                    while await self._more(request, body, most):
                        pass
        except BaseException as error:
            self.done(body)
            if isinstance(error, TimeoutError):
                raise _too_slow() from error
            raise
        return bytes(body)

    def done(self, body: bytes | bytearray) -> None:
        """Note that a body is not needed any more."""
        self.here -= len(body)

    async def _more(self, request: Request, body: bytearray, most: int) -> bool:
        """Take one piece; tell whether more comes."""
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise _too_slow()  # nobody reads it: the sender has hung up
        piece: bytes = message.get("body", b"")
        if len(body) + len(piece) > most:
            raise TooLargeError(TOO_LARGE.format(most=most))
        if self.here + len(piece) > MOST_AT_ONCE:
            raise UnavailableError(TOO_MUCH)
        body += piece
        self.here += len(piece)
        return bool(message.get("more_body", False))


def _check(request: Request, most: int) -> None:
    """Let only pass what says that it is JSON, as it is, and no larger than it may be."""
    headers = request.headers
    if headers.get("content-type", "application/json").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, NOT_JSON)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, COMPRESSED)
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > most:
        raise TooLargeError(TOO_LARGE.format(most=most))


def _too_slow() -> HTTPException:
    return HTTPException(408, TOO_SLOW, {"Connection": "close"})
