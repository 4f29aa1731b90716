"""The screens' door: who looks, what a page may read and do, and how text of others is shown."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from textwrap import dedent
from typing import Any, NoReturn, cast
from urllib.parse import quote, urlsplit

import sqlalchemy as sa
import streamlit as st
from sqlmodel import Session

from db.engine import Database, DatabaseUnusableError, explained
from db.tables import Role
from neuro_review import people, sessions
from neuro_review.access import Actor
from neuro_review.errors import RACED, NeuroReviewError, NotSignedInError
from neuro_review.sessions import Visit
from neuro_review.ui import once
from neuro_review.ui.links import link
from neuro_review.web import opened

REFUSAL = "_refusal"
HINT = "_hint"
UNATTENDED = "_unattended"
MOST_NAMED = 3
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
    st.set_page_config(page_title=f"{title} · Neuro Review", layout="wide", initial_sidebar_state=224)
    with _told():
        found = _visit()
        if found is None:
            end_session()
        if not found.person.may(needs):
            _closed(title, needs)
        if not st.session_state.pop(UNATTENDED, False):
            _note_activity(found)
    once.put_away(but_of=title)
    notices()
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
def read_in_steps() -> Iterator[None]:
    """Let a verb that opens the database itself read; a refusal ends the page, or the fragment, with its sentence."""
    with _told():
        yield


@contextmanager
def act() -> Iterator[Session]:
    """Open a transaction for one verb, in a callback; a refusal is shown above the page, which stays.

    Only the verb belongs in the block: it is left at the first refusal. A key or a link that was to be shown once is
    not shown when the commit was refused: it would open nothing.
    """
    shown = once.shown()
    try:
        with ExitStack() as stack:
            found, session = _begin(stack)
            yield cast(Session, session)
            if isinstance(session, Unopened):
                raise session.why
            if found is not None and found.is_stale:
                sessions.touch(session, found.session_id)
    except (NeuroReviewError, DatabaseUnusableError, sa.exc.IntegrityError) as error:
        once.show(shown)
        refuse(RACED if isinstance(error, sa.exc.IntegrityError) else _sentence(error))


@contextmanager
def act_in_steps() -> Iterator[None]:
    """Let a verb that opens the database itself work in a callback; a refusal is shown above the page."""
    try:
        yield
    except (NeuroReviewError, DatabaseUnusableError, sa.exc.IntegrityError) as error:
        refuse(RACED if isinstance(error, sa.exc.IntegrityError) else _sentence(error))


class Unopened:
    """A session that could not be opened: the verb that uses it hears why.

    A `with` block cannot be skipped from within; this stands in, so that the page stays as after any other refusal.
    """

    def __init__(self, why: Exception) -> None:
        self.why = why

    def __getattr__(self, _name: str) -> NoReturn:
        raise self.why


def _begin(stack: ExitStack) -> tuple[Visit | None, Session | Unopened]:
    try:
        found = _visit()
        if found is None:
            raise NotSignedInError(f"{sessions.ENDED} This was not stored.")
        return found, stack.enter_context(database().writing())
    except (NeuroReviewError, DatabaseUnusableError) as error:
        return None, Unopened(error)


def refuse(sentence: str) -> None:
    """Keep a sentence that is shown above the page at its next run, instead of what was to be said of a success."""
    st.session_state[REFUSAL] = sentence
    st.session_state.pop(HINT, None)


def hint(sentence: str) -> None:
    """Keep a sentence that is shown above the page at its next run: what came of the last action."""
    st.session_state[HINT] = sentence


def notices() -> None:
    """Show the refusal and the hint of the last action, once."""
    refusal, kept_hint = st.session_state.pop(REFUSAL, None), st.session_state.pop(HINT, None)
    if refusal:
        st.error(md_escape(refusal))
    if kept_hint:
        st.info(md_escape(kept_hint))


STYLE = """
<style>
.stApp { --quiet: light-dark(#566273, #9fb0c0); --bad: light-dark(#b3261e, #ffb4ab); }
[data-testid="stSidebarHeader"]::before { content: "Neuro Review"; font-weight: 700; align-self: center; }
.stMainBlockContainer { padding: 2.5rem 2rem 0; max-width: 82rem; }
.stMainBlockContainer h1 { font-size: 1.5rem; padding: 0 0 .5rem; }
.stMainBlockContainer h2 { font-size: 1.15rem; padding: .6rem 0 .4rem; }
/* Chosen and under the pointer, the accent on its own tint would be too pale to read. */
[data-testid="stButtonGroup"] button[aria-checked="true"] p { color: light-dark(#0b4f4a, #7ff0e2); }
.stMainBlockContainer h3 { font-size: 1.05rem; }
[class*="st-key-row_"] { padding: .3rem .9rem; }
[class*="st-key-open_"] button p { font-size: 1rem; text-decoration: underline; text-underline-offset: .2em; }
[data-testid="stText"] { white-space: pre-wrap; overflow-wrap: anywhere; }
[data-testid="stCaptionContainer"] { opacity: 1; color: var(--quiet); }
[data-testid="stCaptionContainer"] p { color: inherit; }
button[kind^="primary"]:enabled, button[kind^="primary"]:enabled * { color: light-dark(#fff, #06211e); }

/* Where the keys are is always seen: Streamlit shows it by nothing on some of these. */
.stApp :is(a, button, main):focus-visible {
  outline: 2px solid light-dark(#0f766e, #2dd4bf) !important; outline-offset: 2px;
}
.stApp main:focus-visible { outline-offset: -2px; }
/* After a choice with Enter it takes the frame from a select in which the focus still is. */
[data-testid="stSelectbox"] div:has(> input:focus) { border-color: light-dark(#0f766e, #2dd4bf) !important; }

.st-key-menu { gap: .4rem; }
.st-key-menu [data-testid="stCaptionContainer"] { padding-top: .9rem; }
[class*="st-key-workflow_"] a, .st-key-go a { border: 1px solid #8886; padding: .35rem .8rem; }
.st-key-go a { background: light-dark(#0f766e, #2dd4bf); }
.st-key-go a p { color: light-dark(#fff, #06211e); }
/* Streamlit drops what is pressed while the line is down. The Review card keeps it, and stays usable. */
.stApp:not([data-test-connection-state="CONNECTED"], :has(.st-key-card)) .stMain { pointer-events: none; opacity: .6; }
.stApp:not([data-test-connection-state="CONNECTED"], :has(.st-key-card))::after {
  content: "No connection to the server. Trying again…"; position: fixed; z-index: 1000000; bottom: 1rem; left: 50%;
  transform: translateX(-50%); padding: .4rem 1rem; border-radius: .4rem; color: #fff; background: #1b2430;
  font-size: .9rem;
}
@media (max-width: 48rem) {
  .stMainBlockContainer { padding: 4rem 1rem 0; }
}
</style>
"""


def style() -> None:
    """Lay the screens out: the name above the menu, quiet captions, and texts that keep their lines."""
    st.html(STYLE)


def closed_page(title: str, needs: Role) -> Callable[[], None]:
    """Return what is drawn in place of a page that is not for who looks."""

    def closed() -> None:
        open_page(title, needs)

    return closed


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


def _closed(title: str, needs: Role) -> NoReturn:
    """Say for whom a page is and whom to ask, show the way on, and end it."""
    with explained(), database().reading() as session:
        admins = people.admins(session)
    st.title(title)
    others = f" or {len(admins) - MOST_NAMED} more" if len(admins) > MOST_NAMED else ""
    asked = f"{', '.join(admins[:MOST_NAMED])}{others}"
    st.error(md_escape(f"This page is for {PEOPLE[needs]}. Ask an admin for the role: {asked}."))
    with st.container(key="go"):
        if not link("pages/home.py", "Go to Home"):
            link("pages/exports.py", "Go to Exports")
    st.stop()


def menu(pages: dict[str, list[Any]], name: str) -> None:
    """Draw the way to each page, section by section, and the way out.

    Streamlit's own menu with sections puts list items outside of any list, which a screen reader stumbles over.
    """
    with st.sidebar, st.container(key="menu"):
        for section, listed in pages.items():
            if section:
                st.caption(section)
            for page in listed:
                st.page_link(page, width="stretch")
        st.divider()
        sign_out_form(name)


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
    # Streamlit would take away the space around it; an invisible joiner keeps what the model really wrote.
    st.text(text if text == dedent(text).strip() else f"{JOINER}{text}{JOINER}")


# Streamlit also turns these into links, icons, emoji and arrows after Markdown was parsed, where a backslash is gone.
LATE = re.compile(r"(https?|ftp)(?=:)|www(?=\.)|[:@](?=\w)|[-<>~](?=[-=>])", re.IGNORECASE)
# They would turn the words around a name around, numbers included.
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
JOINER = "\u2060"


def md_escape(text: str) -> str:
    """Return text of others so that a label or a heading shows it literally, in one line."""
    one_line = TURNING.sub("\ufffd", " ".join(text.split()))
    broken = LATE.sub(rf"\g<0>{JOINER}", one_line)
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


def _sentence(error: Exception) -> str:
    return str(error) or (type(error).__doc__ or "").strip()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (NeuroReviewError, DatabaseUnusableError) as error:
        end_page(_sentence(error))
