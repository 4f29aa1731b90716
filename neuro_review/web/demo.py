"""The link of `demo`: it signs the browser in, and works nowhere else."""

from starlette.requests import Request
from starlette.responses import Response

from neuro_review.api.answers import refusal
from neuro_review.settings import settings
from neuro_review.web.answers import signed_in
from neuro_review.web.door import Door


async def sign_in_by_link(door: Door, request: Request) -> Response:
    """Take the token of a living session from the link into a cookie; only in a demo, whose data is thrown away."""
    token = request.query_params.get("token", "")
    if not settings().demo or await door.visit(token) is None:
        return refusal(404, "not_found", "There is nothing here.")
    return signed_in(token, "/review")
