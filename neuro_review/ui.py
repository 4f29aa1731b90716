"""The screens' door: who looks, what a page may read and do, and how text of others is shown."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn
from urllib.parse import quote, urlsplit

import sqlalchemy as sa
import streamlit as st
from sqlmodel import Session

from db.engine import Database, DatabaseUnusableError, explained
from db.tables import Role
from neuro_review import sessions
from neuro_review.access import Actor
from neuro_review.errors import NeuroReviewError, NotSignedInError
from neuro_review.sessions import Visit
from neuro_review.web import opened

REFUSAL = "_refusal"
HINT = "_hint"
RACED = "Somebody else changed the same thing in this moment. Nothing was stored; try again."
PEOPLE = {Role.REVIEWER: "reviewers", Role.OWNER: "owners", Role.ADMIN: "admins", Role.EXPORT: "people who may export"}


def database() -> Database:
    """Return the one database of this process."""
    return opened.database()


def visitor() -> Actor | None:
    """Return the signed-in person with the roles of this moment, or None once the session has ended."""
    found = _visit()
    return found.person if found else None


def person() -> Actor:
    """Return the signed-in person with the roles of this moment: for callbacks, anew in each action.

    Raises:
        NotSignedInError: the session has ended, or the account was disabled.
    """
    found = _visit()
    if found is None:
        raise NotSignedInError(sessions.ENDED)
    return found.person


def open_page(title: str, needs: Role = Role.REVIEWER) -> Actor:
    """Return who looks at the page, or end it with a sentence; the first call of every page.

    Every page gates itself, because Streamlit can run a page's file without app.py.
    """
    st.set_page_config(page_title=f"{title} · Neuro Review", layout="wide")
    with _told():
        found = _visit()
        if found is None:
            end_session()
        if not found.person.may(needs):
            end_page(f"This page is for {PEOPLE[needs]}. Ask an admin for the role.")
        _note_activity(found)
    refusal = st.session_state.pop(REFUSAL, None)
    if refusal:
        st.error(md_escape(refusal))
    return found.person


@contextmanager
def read() -> Iterator[Session]:
    """Open the database to read; a refusal ends the page, or the fragment, with its sentence."""
    with _told():
        if _visit() is None:
            end_session()
        with explained(), database().reading() as session:
            yield session


@contextmanager
def act() -> Iterator[Session]:
    """Open a transaction for one verb, in a callback; a refusal is shown above the page, which stays.

    Nothing after the verb should be in the block: it is left at the first refusal.
    """
    try:
        found = _visit()
        if found is None:
            raise NotSignedInError(f"{sessions.ENDED} This was not stored.")
        with database().writing() as session:
            if found.is_stale:
                sessions.touch(session, found.session_id)
            yield session
    except (NeuroReviewError, DatabaseUnusableError) as error:
        refuse(str(error) or (type(error).__doc__ or "").strip())
    except sa.exc.IntegrityError:
        refuse(RACED)


def refuse(sentence: str) -> None:
    """Keep a sentence that is shown above the page at its next run."""
    st.session_state[REFUSAL] = sentence


def hint(sentence: str) -> None:
    """Keep a hint that `notices` shows at the next run."""
    st.session_state[HINT] = sentence


def ignored() -> None:
    """Say that a key came too early to be meant for the item on screen."""
    hint("Ignored: that key came before the item had been on screen for a moment.")


def notices() -> None:
    """Show the refusal and the hint of the last action, once."""
    refusal, kept_hint = st.session_state.pop(REFUSAL, None), st.session_state.pop(HINT, None)
    if refusal:
        st.error(md_escape(refusal))
    if kept_hint:
        st.info(md_escape(kept_hint))


def lines_high(text: str) -> int:
    """Return a height in pixels in which most of a text can be seen at once."""
    lines = sum(1 + len(line) // 95 for line in text.splitlines())
    return min(460, max(120, 22 * lines + 40))


# Streamlit's shortcuts fire again and again while a key is held: only the first press may reach them.
ONE_PRESS = """
export default function () {
  if (window.neuroReviewOnePress) return;
  window.neuroReviewOnePress = true;
  window.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, [contenteditable]");
    if (event.repeat && !typing && /^[aexsu0-9]$/i.test(event.key)) {
      event.stopImmediatePropagation();
      event.preventDefault();
    }
  }, true);
}
"""


def one_press_one_key() -> None:
    """Let a held key count once."""
    if "_one_press" not in st.session_state:
        st.session_state["_one_press"] = st.components.v2.component("one_press", js=ONE_PRESS)
    st.session_state["_one_press"]()


STYLE = """
<style>
[data-testid="stLayoutWrapper"]:has(> .st-key-bar) { position: sticky; bottom: 0; z-index: 5; }
.st-key-bar { padding: .6rem 0; background: var(--nr-page, Canvas); border-top: 1px solid #8886; }
.stApp { --nr-page: inherit; }
.stMainBlockContainer { padding: 2.5rem 2rem 0; max-width: 82rem; }
.st-key-answer [data-testid="stText"] { font-size: 1.06rem; line-height: 1.6; }
.st-key-conversation, .st-key-answer, .st-key-beside { gap: .35rem; }
.st-key-conversation [data-testid="stText"], .st-key-beside [data-testid="stText"] { line-height: 1.5; }
[data-testid="stText"] { white-space: pre-wrap; overflow-wrap: anywhere; }
.st-key-conversation { background: #8881; }
.st-key-beside button { min-height: 1.8rem; padding: .05rem .5rem; }
.st-key-beside button, .st-key-beside button > div { justify-content: flex-start; text-align: left; width: 100%; }
.st-key-beside button kbd, .st-key-beside button > div > :last-child:not(:first-child) { margin-left: auto; }
.st-key-beside [data-testid="stText"] { font-size: .9rem; }
</style>
"""


def style() -> None:
    """Lay the review screen out: the bar of keys stays in sight."""
    st.html(STYLE)


def end_session() -> NoReturn:
    """Say that the session has ended, offer the sign-in that leads back here, and end the page."""
    here = urlsplit(st.context.url or "").path
    st.text(st.session_state.pop(REFUSAL, sessions.ENDED))
    st.html(f'<a href="/auth/sign-in?next={quote(here)}" target="_self" style="color:inherit">Sign in</a>')
    st.stop()


def end_page(sentence: str) -> NoReturn:
    """Say why there is nothing to see, and end the page."""
    st.error(md_escape(sentence))
    st.stop()


def sign_out_form(name: str) -> None:
    """Draw who is signed in and the way out."""
    st.text(name)
    st.html(SIGN_OUT)


SIGN_OUT = """
<form method="post" action="/auth/sign-out" target="_self">
<button type="submit" style="all:unset;cursor:pointer;text-decoration:underline;font-size:.875rem">Sign out</button>
</form>
"""


def plain(text: str) -> None:
    """Show text of others as it is: no Markdown, no HTML, no link, no image."""
    st.text(text)


# Streamlit also turns these into links, icons and emoji after Markdown was parsed, where a backslash is gone already.
LATE = re.compile(r"(https?|ftp)(?=:)|(www)(?=\.)|(:)(?=\w)|(@)(?=\w)", re.IGNORECASE)
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def md_escape(text: str) -> str:
    """Return text of others so that a label or a heading shows it literally, in one line."""
    broken = LATE.sub("\\g<0>\u2060", " ".join(text.split()))
    return PUNCTUATION.sub(r"\\\1", broken)


def _visit() -> Visit | None:
    session_id = st.user.get("session")
    if not isinstance(session_id, str):
        return None
    with explained(), database().reading() as session:
        return sessions.visit(session, session_id)


def _note_activity(found: Visit) -> None:
    # A page can still be read where nothing can be written.
    if found.is_stale:
        with suppress(DatabaseUnusableError), database().writing() as session:
            sessions.touch(session, found.session_id)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (NeuroReviewError, DatabaseUnusableError) as error:
        end_page(str(error) or (type(error).__doc__ or "").strip())
