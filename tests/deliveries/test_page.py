"""The page on which owners say where applications are told, and see whether they hear it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook
from streamlit.testing.v1 import AppTest

from db.engine import Database
from neuro_review import sessions, ui
from neuro_review.access import Actor
from tests.conftest import Team
from tests.deliveries.receiver import Receiver, plain

PAGE = Path(__file__).resolve().parent.parent.parent / "pages" / "deliveries.py"
Open = Callable[[Actor], AppTest]


@pytest.fixture
def open_page(db: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def run(by: Actor) -> AppTest:
        with db.writing() as session:
            token = sessions.sign_in(session, sessions.look_up(session, by.email))
        app = AppTest.from_file(str(PAGE), default_timeout=60)
        app.user = {"session": sessions.session_id(token)}
        return app.run()

    return run


def says(app: AppTest) -> str:
    assert not app.exception
    shown = [*app.text, *app.caption, *app.info, *app.error, *app.header, *app.markdown, *app.code]
    return "\n".join(str(one.value) for one in shown).replace("\\", "").replace(ui.JOINER, "")


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def test_an_owner_adds_an_endpoint_sees_its_secret_once_and_tests_it(
    db: Database, team: Team, there: Receiver, open_page: Open
) -> None:
    app = open_page(team.olu)
    assert "No endpoint yet" in says(app)
    app.text_input(key="url").input(there.url + "?key=hidden").run()
    press(app, "add")

    secret = next(one.value for one in app.code if one.value.startswith("whsec_"))
    assert "key=hidden" not in "".join(one.value for one in app.header)
    press(app, "put_away")
    assert "whsec_" not in says(app)
    with db.reading() as session:
        endpoint_id = session.connection().execute(sa.text("SELECT id FROM endpoint")).scalar_one()
    press(app, f"test_{endpoint_id}")

    assert "The test arrived: answered 200" in says(app)
    assert "no message yet\na test arrived 0 s ago" in says(app)
    event = Webhook(secret).verify(there.got[0].body, there.got[0].headers)
    assert (event["type"], event["item"]["id"], event["item"]["released"]) == ("test", "0" * 32, False)
    there.answer = plain(500)
    press(app, f"test_{endpoint_id}")
    assert "The test did not arrive. It answered 500" in says(app)


def test_what_was_given_up_is_shown_with_its_reason_and_sent_again(
    db: Database, team: Team, there: Receiver, add: Any, decided: Any, send: Any, open_page: Open
) -> None:
    there.answer = plain(500)
    add(there.url)
    decided()
    send()
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE delivery SET dead_at = 1"))
        row = session.connection().execute(sa.text("SELECT * FROM delivery")).one()
        named = session.connection().execute(sa.text("SELECT external_id FROM item")).scalar_one()
    app = open_page(team.olu)
    assert "1 given up" in says(app)
    assert f"{named}\nreleased · 1 try" in says(app)
    assert "It answered 500" in says(app)

    press(app, f"replay_{row.endpoint_id}_{row.outbox_seq}")

    assert "1 message will be sent again" in says(app)
    there.answer = plain(200)
    assert send() == 1
    assert "last arrived: 0 s ago" in says(app.run())


def test_what_waits_for_its_next_try_is_sent_at_a_press(
    db: Database, team: Team, there: Receiver, add: Any, decided: Any, send: Any, open_page: Open
) -> None:
    there.answer = plain(500)
    add(there.url)
    decided()
    app = open_page(team.olu)
    assert "Send what waits now" not in [one.label for one in app.button]
    send()
    there.answer = plain(200)
    with db.reading() as session:
        endpoint_id = session.connection().execute(sa.text("SELECT id FROM endpoint")).scalar_one()

    press(app.run(), f"now_{endpoint_id}")

    assert "1 message will be sent now." in says(app)
    assert send() == 1
    assert "last arrived: 0 s ago" in says(app.run())


def test_the_page_is_closed_to_reviewers_and_shows_no_other_owners_endpoints(
    team: Team, there: Receiver, add: Any, open_page: Open, add_person: Any
) -> None:
    from db.tables import Role

    add(there.url)
    closed = open_page(team.bo)
    assert "This page is for owners" in says(closed)
    assert not closed.button
    stranger = open_page(add_person("Zed", Role.OWNER, team.other.id))
    assert there.url not in says(stranger)
