"""What somebody typed into one of our own forms."""

from urllib.parse import parse_qs

from starlette.requests import Request

from neuro_review.errors import TooLargeError

MOST_BYTES = 16_384  # of a form: a password may have 200 characters, each of up to 12 bytes when encoded


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        TooLargeError: nobody types that much.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLargeError("The form is too long. Nothing was stored; shorten what you typed.")
    try:
        parsed = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise TooLargeError("The form has too many fields. Load the page again.") from error
    return {name: values[0] for name, values in parsed.items()}
