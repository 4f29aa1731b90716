"""The guard: before every request and every websocket, who is it, and may it pass.

A pure ASGI middleware around everything, Streamlit included: an anonymous visitor never starts a Streamlit session.
It passes on the session's id only; who that is and what they may do, the screens read at each action.
What is for the API goes there at once: Streamlit's own layers (cookies, compression) take a fifth of a submit.
"""

import hmac
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.engine import DatabaseUnusableError
from neuro_review.api.answers import refusal
from neuro_review.api.app import application
from neuro_review.sessions import Visit
from neuro_review.settings import settings
from neuro_review.web.answers import notice
from neuro_review.web.door import Door
from neuro_review.web.headers import cleaned, guarded, is_page_visit, is_same_site, token_of
from neuro_review.words import Role

HEALTH = "/healthz"
API = "/api/"
SET_UP = "/auth/setup"
SIGN_IN = "/auth/sign-in"
BEFORE_SET_UP = frozenset({SET_UP, "/auth/style.css"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Streamlit keeps whatever comes in here in memory, for a page that asks for files or not.
UPLOADS = "/_stcore/upload_file/"
METRICS = frozenset({"/metrics", "/_stcore/metrics"})
# Streamlit would answer for any other address, and tell of files in a folder.
PAGES = frozenset({"", *(file.stem for file in (Path(__file__).resolve().parents[2] / "pages").glob("*.py"))})
NOT_SET_UP = "Neuro Review is not set up yet. Open the link that the terminal prints."
NOT_SET_UP_ALONE = "Neuro Review is not set up yet. Its operator starts the app, whose terminal prints the way."
ALONE = "Here is the API alone: its calls are in /api/v1/openapi.json. Open the screens where the app itself runs."
SIGNED_OUT = "You are not signed in, or your session has ended. Sign in at /auth/sign-in."
AWAY = "The database does not answer. Try again in a moment; if it stays so, tell whoever runs Neuro Review."


class Guard:
    """Lets a request pass, or answers it itself."""

    def __init__(self, app: ASGIApp, door: Door, *, screens: bool = True) -> None:
        self.app = app
        self.door = door
        self.screens = screens
        self.api = application(door.gate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, one websocket, or the life of the server."""
        if scope["type"] == "http":
            await self._http(scope, receive, guarded(send, scope["path"]))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._life(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            visit = await self._visit(scope["path"], headers)
            refused = self._refused if self.screens else self._refused_alone
            answer = await refused(scope, headers, visit)
        except DatabaseUnusableError:
            visit, answer = None, _unusable(scope, headers)
        passed = cleaned(scope, visit.session_id if visit else None)
        way = self.api if scope["path"].startswith(API) else self.app
        if way is self.api:
            passed["root_path"] = scope.get("root_path", "") + API.rstrip("/")
        await (answer or way)(passed, receive, send)

    async def _refused(self, scope: Scope, headers: Headers, visit: Visit | None) -> Response | None:
        """Return the answer to what may not pass, or None where it may."""
        path, method = scope["path"], scope["method"]
        if path in METRICS:
            return _metrics_refused(headers)
        if method not in READING and not path.startswith(API) and not is_same_site(headers):
            return refusal(403, "foreign_origin", "This was sent from another site. Open Neuro Review itself.")
        if path != HEALTH and not await self.door.is_set_up():
            return None if path in BEFORE_SET_UP else _not_set_up(method, headers)
        if path.startswith(UPLOADS) and visit is not None and not visit.person.may(Role.OWNER):
            return refusal(403, "not_allowed", "Only an owner of a workflow uploads files. Ask an admin for the role.")
        if path == HEALTH or path.startswith(("/auth/", API)):
            return None
        return _anonymous(scope, headers) if visit is None else _nowhere(scope, headers)

    async def _refused_alone(self, scope: Scope, headers: Headers, _visit: Visit | None) -> Response | None:
        """Return the answer to what may not pass where there are no screens: nobody is sent to one."""
        path = scope["path"]
        if path in METRICS:
            return _metrics_refused(headers)
        if path == HEALTH:
            return None
        if not path.startswith(API):
            return refusal(404, "not_found", ALONE)
        return None if await self.door.is_set_up() else refusal(503, "not_set_up", NOT_SET_UP_ALONE)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            visit = await self._visit(scope["path"], headers) if is_same_site(headers) else None
        except DatabaseUnusableError:
            visit = None
        if visit is None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the browser sees 403
            return
        await self.app(cleaned(scope, visit.session_id), receive, send)

    async def _visit(self, path: str, headers: Headers) -> Visit | None:
        # The API knows keys only, so that no page of another site can use a reviewer's cookie there.
        token = None if path.startswith(API) or path == HEALTH else token_of(headers)
        return None if token is None else await self.door.visit(token)

    async def _life(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self.door.failure:
                message = {**message, "message": self.door.failure}
            await send(message)

        await self.app(scope, receive, told)


def _metrics_refused(headers: Headers) -> Response | None:
    token = settings().metrics_token
    if not token:
        return refusal(404, "not_found", "There is nothing here.")
    if not hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {token}".encode()):
        return refusal(401, "not_allowed", "Metrics need the token of NEURO_REVIEW_METRICS_TOKEN.")
    return None


def _anonymous(scope: Scope, headers: Headers) -> Response:
    if not is_page_visit(scope["method"], headers):
        return refusal(401, "not_signed_in", SIGNED_OUT)
    query = scope["query_string"].decode("latin-1")
    wanted = quote(scope["path"] + ("?" + query if query else ""), safe="/")
    return RedirectResponse(f"{SIGN_IN}?next={wanted}", status_code=303)


def _nowhere(scope: Scope, headers: Headers) -> Response | None:
    path = scope["path"]
    if path[1:] in PAGES or path.count("/") > 1 or not is_page_visit(scope["method"], headers):
        return None
    return notice(404, "No such page", "There is no page at this address. It may be mistyped.", "Go to Review")


def _not_set_up(method: str, headers: Headers) -> Response:
    if is_page_visit(method, headers):
        return RedirectResponse(SET_UP, status_code=303)
    return refusal(503, "not_set_up", NOT_SET_UP)


def _unusable(scope: Scope, headers: Headers) -> Response:
    if is_page_visit(scope["method"], headers):
        return notice(503, "Not available", AWAY)
    return refusal(503, "unavailable", AWAY)
