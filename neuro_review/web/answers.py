"""Answers that several parts of the web door give: a page with one sentence, and the way on after a sign-in."""

from html import escape

from starlette.responses import HTMLResponse, RedirectResponse, Response

from db.clock import HOUR, SECOND
from neuro_review.settings import settings
from neuro_review.web import forms
from neuro_review.web.headers import COOKIE


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
