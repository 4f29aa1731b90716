"""The HTML of the forms: self-contained, without a script, every value escaped."""

from html import escape

CODE_HINT = "The terminal printed it."
PASSWORD_HINT = "10 characters or more. A few words make a good one."

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Neuro Review</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/auth/style.css">
</head>
<body>
<main>
<p class="house">Neuro Review</p>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def page(title: str, body: str) -> str:
    """Return a whole page; the body is HTML already."""
    return PAGE.format(title=escape(title), body=body)


def sign_in(*, wanted: str, email: str = "", error: str | None = None) -> str:
    """Return the sign-in form; what was typed is kept, except the password."""
    first = "password" if email else "email"
    body = (
        _error(error)
        + '<form method="post" action="/auth/sign-in">'
        + f'<input type="hidden" name="next" value="{escape(wanted)}">'
        + _field("email", "E-mail", email, first, wrong=bool(error), kind="email", complete="username")
        + _field("password", "Password", "", first, wrong=bool(error), kind="password", complete="current-password")
        + '<button type="submit">Sign in</button></form>'
        + '<p class="hint">No account, or the password is lost? Ask an admin.</p>'
    )
    return page("Sign in", body)


def set_up(
    *, code: str = "", name: str = "", email: str = "", samples: bool = True, error: str | None = None,
    wrong: str | None = None,
) -> str:  # fmt: skip
    """Return the form of the first visit; `wrong` names the field that the error is about."""
    empty = [field for field, value in (("code", code), ("name", name), ("email", email)) if not value]
    first = wrong or (empty[0] if empty else "password")
    tick = " checked" if samples else ""
    body = (
        '<p class="lead">Create the first admin. Everybody else is added later, from within.</p>'
        + _error(error)
        + '<form method="post" action="/auth/setup">'
        + _field("code", "One-time code", code, first, wrong=wrong == "code", hint=CODE_HINT, maxlength="200")
        + _field("name", "Your name", name, first, wrong=wrong == "name", complete="name", maxlength="100")
        + _field("email", "E-mail", email, first, wrong=wrong == "email", kind="email", complete="username")
        + _field(
            "password", "Password", "", first, wrong=wrong == "password", kind="password",
            complete="new-password", hint=PASSWORD_HINT,
        )
        + f'<label class="tick"><input type="checkbox" name="samples" value="yes"{tick}>'
        + "<span>Load the sample queue<small>60 customer-support answers by three fictitious models;"
        + " removed by one click.</small></span></label>"
        + '<button type="submit">Create the admin and start</button></form>'
    )  # fmt: skip
    return page("Set up", body)


def invitation(code: str, name: str, email: str, *, error: str | None = None) -> str:
    """Return the form with which an invited person chooses a password."""
    body = (
        f'<p class="lead">Welcome, {escape(name)}. Choose a password; you sign in with your e-mail address.</p>'
        + _error(error)
        + '<form method="post" action="/auth/invitation">'
        + f'<input type="hidden" name="code" value="{escape(code)}">'
        + _field("email", "E-mail", email, "", wrong=False, kind="email", complete="username", readonly="readonly")
        + _field(
            "password", "Password", "", "password", wrong=bool(error), kind="password", complete="new-password",
            hint=PASSWORD_HINT,
        )
        + '<button type="submit">Set the password and sign in</button></form>'
    )  # fmt: skip
    return page("Choose a password", body)


def sign_out() -> str:
    """Return the form that asks before signing out."""
    body = (
        '<form method="post" action="/auth/sign-out"><button type="submit">Sign out</button></form>'
        '<p class="hint"><a href="/review">Back to the review</a></p>'
    )
    return page("Sign out", body)


def _error(sentence: str | None) -> str:
    return f'<p class="error" role="alert" id="error">{escape(sentence)}</p>' if sentence else ""


def _field(
    name: str, label: str, value: str, first: str, *, wrong: bool, kind: str = "text", complete: str = "off",
    hint: str | None = None, **more: str,
) -> str:  # fmt: skip
    about = [f"{name}-hint"] * (hint is not None) + ["error"] * wrong
    marks = "".join(f' {key}="{escape(text)}"' for key, text in more.items())
    marks += f' aria-describedby="{" ".join(about)}"' if about else ""
    marks += ' aria-invalid="true"' if wrong else ""
    marks += " autofocus" if name == first else ""
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" autocomplete="{complete}"'
        f' autocapitalize="off" spellcheck="false" required{marks}>'
        + (f'<p class="hint" id="{name}-hint">{escape(hint)}</p>' if hint else "")
    )
