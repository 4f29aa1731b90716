"""What the door reads from a request's headers, and what it adds to every answer."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Message, Scope, Send

COOKIE = "nr_session"
SESSION_HEADER = b"x-nr-session"
OURS = b"x-nr-"

# Vega compiles charts (unsafe-eval) and Streamlit styles inline; no address but ours is ever reached, so that no
# text of a model can load an image or send anything away.
SCREENS = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:;"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self';"
    " worker-src 'self' blob:; frame-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self';"
    " frame-ancestors 'none'"
)
FORMS = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
NOTHING = "default-src 'none'; frame-ancestors 'none'"  # an answer of the API is no page
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it a browser sends `Origin: null` with our own forms, which then look foreign.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def _added(policy: str, *, stored: bool) -> tuple[list[tuple[bytes, bytes]], frozenset[bytes]]:
    """Return the headers of one kind of answer as they travel, and their names."""
    headers = EVERYWHERE | {"Content-Security-Policy": policy} | ({} if stored else {"Cache-Control": "no-store"})
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return raw, frozenset(name for name, _ in raw)


# Made once: on the fast path of the API each header that is set one by one costs more than reading the request.
ADDED = {
    "api": _added(NOTHING, stored=False),
    "form": _added(FORMS, stored=False),
    "screen": _added(SCREENS, stored=True),
}


def token_of(headers: Headers) -> str | None:
    """Return the token of the session cookie, or None."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE) or None


def cleaned(scope: Scope, session_id: str | None) -> Scope:
    """Return the request as the house may see it: with the session's id, never its token.

    What a client sends under one of our own header names is dropped.
    """
    kept = []
    for name, value in scope["headers"]:
        if name.lower().replace(b"_", b"-").startswith(OURS):
            continue
        if name.lower() == b"cookie":
            parts = [part for part in value.split(b";") if part.split(b"=")[0].strip() != COOKIE.encode()]
            if parts:
                kept.append((name, b";".join(parts).strip()))
            continue
        kept.append((name, value))
    if session_id is not None:
        kept.append((SESSION_HEADER, session_id.encode()))
    return {**scope, "headers": kept}


def is_same_site(headers: Headers) -> bool:
    """Tell whether a request comes from one of our own pages, or from no page at all."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    if origin is None:
        return True
    if origin == "null":
        return site == "same-origin"
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False


def is_page_visit(method: str, headers: Headers) -> bool:
    """Tell whether a browser asks for a page to show, and not for a part of one."""
    if method not in {"GET", "HEAD"}:
        return False
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")


def guarded(send: Send, path: str) -> Send:
    """Return a `send` that adds the house's headers to every answer."""
    kind = "api" if path.startswith("/api/") else "form" if path.startswith("/auth/") else "screen"
    ours, names = ADDED[kind]

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [one for one in message.get("headers", ()) if one[0] not in names] + ours
        await send(message)

    return add


def safe_next(wanted: str | None) -> str:
    """Return the page to go to after sign-in: a path of ours, whatever was asked for."""
    fallback = "/review"
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/auth/")):
        return fallback
    if "\\" in wanted or any(ord(letter) <= 32 or ord(letter) >= 127 for letter in wanted) or len(wanted) > 500:
        return fallback
    return wanted if wanted != "/" else fallback
