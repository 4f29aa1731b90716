"""What is shown once: a link or a key that is nowhere else, until it is put away or another page is opened."""

from typing import Any
from urllib.parse import urlsplit

import streamlit as st

KEPT = "_once"


def keep(page: str, made: Any) -> None:
    """Keep what was just made for its page, which shows it."""
    st.session_state[KEPT] = (page, made)


def kept(page: str) -> Any:
    """Return what this page shows once, or None."""
    of, made = st.session_state.get(KEPT, (None, None))
    return made if of == page else None


def shown() -> Any:
    """Return what is kept now, whichever page it belongs to: for `show`."""
    return st.session_state.get(KEPT)


def show(before: Any) -> None:
    """Keep again what was kept before something that failed."""
    if before is not None:
        st.session_state[KEPT] = before
    else:
        st.session_state.pop(KEPT, None)


def put_away(but_of: str | None = None) -> None:
    """Forget what was shown; with a page, only what belongs to another one."""
    if st.session_state.get(KEPT, (but_of,))[0] != but_of:
        del st.session_state[KEPT]


def address(path: str = "") -> str:
    """Return the address under which this browser reaches the house, with a path of ours."""
    here = urlsplit(st.context.url or "")
    return f"{here.scheme}://{here.netloc}{path}" if here.netloc else path
