"""The link of an invitation: whoever has it chooses a password and is signed in."""

from functools import partial

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from db.engine import DatabaseUnusableError
from neuro_review import invitations, sessions
from neuro_review.errors import InvalidError, NotFoundError
from neuro_review.web import forms
from neuro_review.web.answers import notice, signed_in
from neuro_review.web.door import Door
from neuro_review.web.headers import SESSION_HEADER
from neuro_review.web.typed import form_fields


async def show(door: Door, request: Request) -> Response:
    """Show the form; looking at it does not use the link up."""
    code = request.query_params.get("code", "")
    try:
        invited = await door.reading(lambda session: invitations.opened(session, code))
    except (NotFoundError, DatabaseUnusableError) as error:
        return _refused(error)
    return HTMLResponse(forms.invitation(code, invited.name, invited.email))


async def accept(door: Door, request: Request) -> Response:
    """Take the password, use the link up, and sign its person in."""
    try:
        given = await form_fields(request)
        code, password = given.get("code", ""), given.get("password", "")
        # Before the password is hashed: a hash takes 64 MiB, and anybody can send a code that is none.
        invited = await door.reading(lambda session: invitations.opened(session, code))
    except (InvalidError, NotFoundError, DatabaseUnusableError) as error:
        return _refused(error)
    form = partial(forms.invitation, code, invited.name, invited.email)
    before = request.headers.get(SESSION_HEADER.decode())
    try:
        hashed = await door.hashing(lambda: sessions.hash_password(password, invited.email))
        token = await door.writing(lambda session: invitations.accept(session, code, hashed, instead_of=before))
    except InvalidError as error:
        return HTMLResponse(form(error=str(error)), status_code=422)
    except NotFoundError as error:
        return _refused(error)
    except DatabaseUnusableError as error:
        return HTMLResponse(form(error=str(error)), status_code=503)
    return signed_in(token, "/review")


def _refused(error: Exception) -> Response:
    if isinstance(error, NotFoundError):
        return notice(410, "This link has ended", str(error), "Sign in")
    if isinstance(error, InvalidError):
        return notice(413, "Too long", str(error))
    return notice(503, "Not available", str(error))
