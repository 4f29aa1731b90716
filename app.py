"""The one entry: `streamlit run app.py`.

This file has two roles. The server imports it once and finds `app`: the guard, the routes and the life of the process.
Streamlit then executes it on each run of a screen: who looks, which pages they may see, and the page itself.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

# With a folder called pages/, Streamlit would run a page's file directly, past this one, until the first navigation.
PagesManager.uses_pages_directory = False

if get_script_run_ctx(suppress_warning=True) is None:
    from starlette.middleware import Middleware

    from neuro_review.web.door import Door
    from neuro_review.web.guard import Guard
    from neuro_review.web.routes import routes
    from neuro_review.web.start import lifespan, quiet_logs, welcome

    def address() -> str:
        """Return the address that a browser on this machine opens."""
        scheme = "https" if st.get_option("server.sslCertFile") else "http"
        host = st.get_option("server.address") or "localhost"
        host = "localhost" if host in {"0.0.0.0", "::"} else host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{st.get_option('server.port')}"

    quiet_logs()
    door = Door()
    app = st.App(
        __file__,
        routes=routes(door),
        middleware=[Middleware(Guard, door=door)],
        lifespan=lifespan(door, welcome(address)),
    )
else:
    from neuro_review import ui
    from neuro_review.words import Role

    # Each page, its name in the menu, and the role without which it is not in the menu; the page asks again itself.
    PAGES = {
        "": (
            ("review", "Review", Role.REVIEWER),
            ("home", "Home", Role.REVIEWER),
            ("history", "History", Role.REVIEWER),
        ),
        "Quality": (("quality", "Quality", Role.OWNER), ("models", "Models", Role.REVIEWER)),
        "Labels": (
            ("exports", "Exports", Role.EXPORT),
            ("eval_sets", "Eval sets", Role.EXPORT),
            ("eval_runs", "Eval runs", Role.EXPORT),
        ),
        "Governance": (
            ("workflows", "Workflows", Role.OWNER),
            ("sources", "Sources", Role.OWNER),
            ("deliveries", "Deliveries", Role.OWNER),
            ("people", "People", Role.ADMIN),
        ),
    }

    st.set_page_config(page_title="Neuro Review", layout="wide", initial_sidebar_state=224)
    visitor = ui.visitor() or ui.end_session()
    menu = {
        section: mine
        for section, pages in PAGES.items()
        if (mine := [st.Page(f"pages/{name}.py", title=title) for name, title, role in pages if visitor.may(role)])
    }
    # Who opens one that is not theirs reads for whom it is; Streamlit would say that there is no such page.
    closed = [
        st.Page(ui.closed_page(title, role), title=title, url_path=name, visibility="hidden")
        for pages in PAGES.values() for name, title, role in pages if not visitor.may(role)
    ]  # fmt: skip
    if not menu:
        ui.sign_out_form(visitor.name)
        ui.end_page("You have no role that opens a page. Ask an admin.")

    def first_page() -> None:
        """Go to the page that people come for."""
        st.switch_page(next(iter(menu.values()))[0])

    # Streamlit serves its default page at / only, and would not know /review; so the default is one that goes there.
    start = st.Page(first_page, title="Neuro Review", default=True, visibility="hidden")
    page = st.navigation([start, *closed, *(one for pages in menu.values() for one in pages)], position="hidden")
    ui.style()
    ui.menu(menu, visitor.name)
    page.run()
