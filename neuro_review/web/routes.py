"""What answers without Streamlit: the forms, the health check and the Review card."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from db.engine import DatabaseUnusableError
from neuro_review import sessions
from neuro_review.api.answers import refusal
from neuro_review.api.metrics import CONTENT_TYPE
from neuro_review.errors import ConflictError, InvalidError, NeuroReviewError, NotSignedInError
from neuro_review.settings import settings
from neuro_review.web import demo, desk, files, forms, invited, set_up
from neuro_review.web.answers import notice, signed_in
from neuro_review.web.door import Door
from neuro_review.web.headers import COOKIE, SESSION_HEADER, safe_next
from neuro_review.web.typed import form_fields

STYLE = (Path(__file__).parent / "style.css").read_text()
FIRST_PAGE = "/review"
# Failed sign-ins in 15 minutes: of one address from one place, of one place, of one address from everywhere. The last
# is wide, so that a stranger can hardly lock somebody out by failing in their name.
MOST_FROM_ONE_PLACE_FOR_ONE, MOST_FROM_ONE_PLACE, MOST_FOR_ONE = 5, 20, 50
WRONG = "E-mail or password is wrong. Try again."


def routes(door: Door) -> list[BaseRoute]:
    """Return our own routes; they come before Streamlit's."""
    pages = Pages(door)
    return [
        Route("/", _to_first_page),
        *routes_alone(door),
        # A mount takes everything under its path: Streamlit's own /auth/login is never reached.
        Mount(
            "/auth",
            routes=[
                Route("/style.css", _style),
                Route("/setup", pages.show_set_up),
                Route("/setup", pages.set_up, methods=["POST"]),
                Route("/sign-in", pages.show_sign_in),
                Route("/sign-in", pages.sign_in, methods=["POST"]),
                Route("/invitation", partial(invited.show, door)),
                Route("/invitation", partial(invited.accept, door), methods=["POST"]),
                Route("/demo", partial(demo.sign_in_by_link, door)),
                Route("/sign-out", _show_sign_out),
                Route("/sign-out", pages.sign_out, methods=["POST"]),
            ],
        ),
        *desk.routes(door),
        Route("/files/{job}/{part}", partial(files.download, door)),
    ]


def routes_alone(door: Door) -> list[BaseRoute]:
    """Return what there is without the screens too, beside the API, which the guard calls: health check and metrics."""
    return [
        Route("/healthz", Pages(door).health),
        Route("/metrics", Pages(door).metrics),
    ]


class Pages:
    """The answers that need the door."""

    def __init__(self, door: Door) -> None:
        self.door = door

    async def health(self, _request: Request) -> Response:
        """Tell a load balancer whether the database answers."""
        try:
            await self.door.ping()
        except (DatabaseUnusableError, TimeoutError):
            return refusal(503, "unavailable", "The database does not answer.")
        return JSONResponse({"status": "ok"})

    async def metrics(self, _request: Request) -> Response:
        """Answer a scraper, whose token the guard has seen."""
        try:
            errors = self.door.database().errors
            text = await self.door.reading(lambda session: self.door.gate.metrics.text(session, errors))
        except DatabaseUnusableError:
            return refusal(503, "unavailable", "The database does not answer.")
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def show_set_up(self, request: Request) -> Response:
        """Show the form of the first visit."""
        if await self.door.is_set_up():
            return RedirectResponse("/auth/sign-in", status_code=303)
        return HTMLResponse(forms.set_up(code=request.query_params.get("code", "")[:200]))

    async def set_up(self, request: Request) -> Response:
        """Create the first admin and sign them in."""
        if await self.door.is_set_up():
            return notice(409, "Set up already", sessions.SET_UP_ALREADY)
        try:
            fields = await form_fields(request)
        except InvalidError as error:
            return notice(413, "Too long", str(error))
        typed = {key: fields.get(key, "") for key in ("code", "name", "email")}
        form = partial(forms.set_up, **typed, samples=fields.get("samples") == "yes")
        try:
            token = await set_up.first_admin(self.door, _place(request), fields)
        except ConflictError as error:
            return notice(409, "Set up already", str(error))
        except (NeuroReviewError, DatabaseUnusableError) as error:
            return _not_stored(error, form)
        return signed_in(token, FIRST_PAGE)

    async def show_sign_in(self, request: Request) -> Response:
        """Show the sign-in form; whoever is signed in goes on."""
        wanted = safe_next(request.query_params.get("next"))
        if _session_id(request) is not None:
            return RedirectResponse(wanted, status_code=303)
        return HTMLResponse(forms.sign_in(wanted=wanted))

    async def sign_in(self, request: Request) -> Response:
        """Compare the password and open a session."""
        try:
            fields = await form_fields(request)
        except InvalidError as error:
            return notice(413, "Too long", str(error))
        email, password, wanted = fields.get("email", ""), fields.get("password", ""), safe_next(fields.get("next"))
        form = partial(forms.sign_in, wanted=wanted, email=email)
        limits = _limits(_place(request), email)
        seconds = self.door.throttle.take(limits)
        if seconds:
            return _wait(form(error=f"Too many failed tries. {_try_again(seconds)}"), seconds)
        try:
            token = await self._token(email, password, _session_id(request))
        except NotSignedInError as error:
            return HTMLResponse(form(error=str(error)), status_code=401)
        except DatabaseUnusableError as error:
            self.door.throttle.give_back(limits)
            return HTMLResponse(form(error=str(error)), status_code=503)
        self.door.throttle.give_back(limits)
        return signed_in(token, wanted)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        session_id = _session_id(request)
        if session_id is not None:
            await self.door.writing(lambda session: sessions.sign_out(session, session_id))
        answer = RedirectResponse("/auth/sign-in", status_code=303)
        answer.delete_cookie(COOKIE, path="/", secure=settings().cookie_secure, httponly=True, samesite="lax")
        return answer

    async def _token(self, email: str, password: str, instead_of: str | None) -> str:
        credentials = await self.door.reading(lambda session: sessions.look_up(session, email))
        if not await self.door.hashing(lambda: sessions.matches(credentials, password)):
            await self.door.writing(lambda session: sessions.refuse(session, credentials))
            raise NotSignedInError(WRONG)
        new_hash = await self.door.hashing(lambda: sessions.rehashed(credentials, password))
        return await self.door.writing(
            lambda session: sessions.sign_in(session, credentials, new_hash=new_hash, instead_of=instead_of)
        )


def _not_stored(error: Exception, form: Callable[..., str]) -> Response:
    """Return the form of the first visit again, with what was wrong."""
    if isinstance(error, set_up.TooManyTriesError):
        return _wait(form(error=str(error), wrong="code"), error.seconds)
    if isinstance(error, InvalidError):
        return HTMLResponse(form(error=str(error), wrong=error.field), status_code=422)
    return HTMLResponse(form(error=str(error)), status_code=503)


def _place(request: Request) -> str:
    """Return where a try comes from; a header that anybody can write counts only where a proxy is trusted."""
    if "x-forwarded-for" in request.headers and not settings().trust_proxy:
        return "behind an unknown proxy"
    return request.client.host if request.client else "unknown"


def _limits(place: str, email: str) -> dict[str, int]:
    address = email.strip().lower()[:254]
    return {
        f"{place} {address}": MOST_FROM_ONE_PLACE_FOR_ONE,
        f"from {place}": MOST_FROM_ONE_PLACE,
        f"for {address}": MOST_FOR_ONE,
    }


def _try_again(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return f"Wait {minutes} minute{'s' if minutes > 1 else ''}, then try again."


def _wait(html: str, seconds: int) -> Response:
    return HTMLResponse(html, status_code=429, headers={"Retry-After": str(seconds)})


def _session_id(request: Request) -> str | None:
    """Return the id of the living session that the guard found, or None."""
    return request.headers.get(SESSION_HEADER.decode())


async def _to_first_page(_request: Request) -> Response:
    return RedirectResponse(FIRST_PAGE, status_code=303)


async def _style(_request: Request) -> Response:
    return Response(STYLE, media_type="text/css")


async def _show_sign_out(_request: Request) -> Response:
    return HTMLResponse(forms.sign_out())
