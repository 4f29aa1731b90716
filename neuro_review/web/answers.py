"""Answers that several parts of the web door give: a JSON refusal, and a page with one sentence."""

from html import escape

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from db.clock import HOUR, SECOND
from neuro_review.settings import settings
from neuro_review.web import forms
from neuro_review.web.headers import COOKIE


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return a refusal in the shape that every caller of the API knows."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


def notice(status: int, title: str, sentence: str, way_on: str = "Try again") -> Response:
    """Return a page that says one thing."""
    body = f'<p role="alert">{escape(sentence)}</p><p><a href="/">{escape(way_on)}</a></p>'
    return HTMLResponse(forms.page(title, body), status_code=status)


def signed_in(token: str, wanted: str) -> Response:
    """Return the way on after a sign-in, with the cookie that carries it."""
    answer = RedirectResponse(wanted, status_code=303)
    lasts = int(settings().session_hours * HOUR / SECOND)
    answer.set_cookie(
        COOKIE, token, max_age=lasts, path="/", secure=settings().cookie_secure, httponly=True, samesite="lax"
    )
    return answer
