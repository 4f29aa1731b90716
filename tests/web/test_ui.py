"""The screens' door: every page gates itself, a refusal keeps the page, and text of others stays text."""

from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa
from sqlmodel import Session
from streamlit.testing.v1 import AppTest

from db.clock import HOUR, MINUTE
from db.engine import Database, DatabaseUnusableError
from db.tables import Role
from neuro_review import access, sessions, ui
from neuro_review.access import Actor
from tests.conftest import OPERATOR, Clock
from tests.web.conftest import PASSWORD

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py"))
ENDED = "Your session has ended. Sign in again."


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)


@pytest.fixture
def ada_session(db: Database, ada: Actor) -> str:
    with db.writing() as session:
        credentials = sessions.look_up(session, ada.email)
        return sessions.session_id(sessions.sign_in(session, credentials))


def exporter_session(db: Database) -> str:
    """Return a session of somebody who may export and nothing else."""
    with db.writing() as session:
        hashed = sessions.hash_password(PASSWORD, "eve@example.com")
        access.add_person(session, OPERATOR, "Eve", "eve@example.com", Role.EXPORT, password_hash=hashed)
        credentials = sessions.look_up(session, "eve@example.com")
        return sessions.session_id(sessions.sign_in(session, credentials))


def run(script: str, session_id: str | None) -> AppTest:
    app = AppTest.from_string(dedent(script), default_timeout=20)
    app.user = {"session": session_id}
    return app.run()


def words(app: AppTest) -> list[str]:
    return [element.value for element in (*app.text, *app.error)]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("stranger", [None, "0" * 64])
def test_each_page_run_by_itself_shows_a_stranger_nothing_but_the_way_in(page: str, stranger: str | None) -> None:
    app = AppTest.from_file(str(ROOT / "pages" / page), default_timeout=20)
    app.user = {"session": stranger}
    app.run()

    assert words(app) == [ENDED]
    assert not app.exception


def test_a_page_is_shown_to_its_role_and_to_nobody_else(db: Database, ada_session: str) -> None:
    script = """
        from neuro_review import ui
        ui.plain(ui.open_page("Page").name)
    """

    assert words(run(script, ada_session)) == ["Ada"]
    assert words(run(script, exporter_session(db))) == [
        ui.md_escape("This page is for reviewers. Ask an admin for the role: Ada.")
    ]


def test_roles_are_read_anew_in_each_run(db: Database, ada: Actor, ada_session: str) -> None:
    app = run("from neuro_review import ui\nui.plain(ui.open_page('Page').name)", ada_session)
    with db.writing() as session:
        session.connection().execute(sa.text("DELETE FROM role_grant"))

    app.run()

    assert "Ada" not in words(app)


ACTING = """
    import streamlit as st
    from neuro_review import errors, ui

    def press():
        with ui.act() as session:
            session.connection()
            st.session_state.did = ui.person().name
            raise errors.ConflictError("The item [has](http://x) moved on.")

    ui.open_page("Page")
    st.text_input("Typed", key="typed")
    st.button("Press", on_click=press)
"""


def test_a_refusal_is_shown_once_above_the_page_and_what_was_typed_stays(ada_session: str) -> None:
    app = run(ACTING, ada_session)
    app.text_input(key="typed").input("my words")

    app.button[0].click().run()

    assert [error.value for error in app.error] == [ui.md_escape("The item [has](http://x) moved on.")]
    assert app.text_input(key="typed").value == "my words"
    assert app.session_state.did == "Ada"
    app.run()
    assert not app.error


MAKING = """
    import streamlit as st
    from neuro_review import ui
    from neuro_review.ui import once

    ui.open_page("Page")

    def press(key):
        with ui.act() as session:
            session.connection()
            once.keep("Page", key)
            ui.hint("It is done.")

    st.button("One", on_click=press, args=("key-1",))
    st.button("Two", on_click=press, args=("key-2",))
    ui.plain(f"{once.kept('Page')}")
"""


def test_a_key_is_not_shown_and_no_success_is_told_when_the_commit_is_refused(
    ada_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run(MAKING, ada_session)
    for button, shown in ((0, "None"), (1, "key-1")):
        with monkeypatch.context() as full:
            full.setattr(Session, "commit", no_room)
            app.button[button].click().run()
        assert not app.info
        assert words(app) == [shown, ui.md_escape("The disk is full.")]

        app.button[button].click().run()

        assert [note.value for note in app.info] == [ui.md_escape("It is done.")]
        assert words(app) == [f"key-{button + 1}"]


def no_room(*_: object) -> None:
    raise DatabaseUnusableError("The disk is full.")


def test_what_the_clock_does_keeps_nobody_signed_in(db: Database, ada_session: str, moved_clock: Clock) -> None:
    query = "SELECT max(seen_at) FROM sign_in"
    app = run("from neuro_review import ui\nui.open_page('Page')", ada_session)
    with db.reading() as session:
        before = session.connection().execute(sa.text(query)).scalar()
    moved_clock.forward(HOUR)
    app.session_state[ui.UNATTENDED] = True
    app.run()

    with db.reading() as session:
        assert session.connection().execute(sa.text(query)).scalar() == before
    app.run()

    with db.reading() as session:
        assert session.connection().execute(sa.text(query)).scalar() > before


def test_an_action_after_the_session_ended_is_not_done_and_says_so(db: Database, ada: Actor, ada_session: str) -> None:
    app = run(ACTING, ada_session)
    with db.writing() as session:
        sessions.sign_out(session, ada_session)

    app.button[0].click().run()

    assert words(app) == [f"{ENDED} This was not stored."]
    assert "did" not in app.session_state


def test_a_refusal_while_reading_ends_the_page_with_its_sentence(ada_session: str) -> None:
    app = run(
        """
        from neuro_review import errors, ui
        ui.open_page("Page")
        with ui.read() as session:
            raise errors.NotFoundError("There is no such item.")
        ui.plain("never")
        """,
        ada_session,
    )

    assert words(app) == [ui.md_escape("There is no such item.")]


def test_reading_asks_who_it_is_too(ada_session: str) -> None:
    app = run(
        """
        from neuro_review import ui
        with ui.read() as session:
            ui.plain("secret")
        """,
        None,
    )

    assert words(app) == [ENDED]


def test_an_action_commits_and_looking_at_a_page_keeps_the_session_alive(
    db: Database, ada_session: str, moved_clock: Clock
) -> None:
    script = """
        import sqlalchemy as sa
        from neuro_review import ui
        ui.open_page("Page")
        with ui.act() as session:
            session.connection().execute(sa.text("UPDATE person SET name = 'Countess'"))
    """
    moved_clock.forward(2 * HOUR - MINUTE)
    run(script, ada_session)
    moved_clock.forward(2 * HOUR - MINUTE)

    with db.reading() as session:
        person = sessions.person_of(session, ada_session)
    assert person is not None
    assert person.name == "Countess"


def test_the_app_shows_the_menu_to_a_person_and_nothing_to_a_stranger(db: Database, ada_session: str) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=20)
    app.user = {"session": ada_session}
    assert "Ada" in [element.value for element in app.run().sidebar.text]
    assert not app.exception

    nobodys = exporter_session(db)
    with db.writing() as session:
        session.connection().execute(sa.text("DELETE FROM role_grant"))
    for session_id, says in ((None, ENDED), (nobodys, "role that opens a page")):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=20)
        app.user = {"session": session_id}
        app.run()
        assert says in " ".join(words(app)).replace("\\", "")
        assert not app.sidebar.text


def test_who_may_only_export_finds_the_exports_and_no_other_page(db: Database) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=20)
    app.user = {"session": exporter_session(db)}

    app.run()

    assert [title.value for title in app.title] == ["Exports"]
    assert not app.exception


def test_plain_text_keeps_the_space_around_it(ada_session: str) -> None:
    app = run("from neuro_review import ui\nui.plain('  indented\\n')\nui.plain('as it is')", ada_session)

    assert [element.value for element in app.text] == [f"{ui.JOINER}  indented\n{ui.JOINER}", "as it is"]
