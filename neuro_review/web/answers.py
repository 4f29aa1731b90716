"""Answers that several parts of the web door give: a JSON refusal, and a page with one sentence."""

from html import escape

from starlette.responses import HTMLResponse, JSONResponse, Response

from neuro_review.web import forms


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return a refusal in the shape that every caller of the API knows."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


def notice(status: int, title: str, sentence: str) -> Response:
    """Return a page that says one thing."""
    body = f'<p role="alert">{escape(sentence)}</p><p><a href="/">Try again</a></p>'
    return HTMLResponse(forms.page(title, body), status_code=status)
