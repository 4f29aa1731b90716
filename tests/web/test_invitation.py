"""The link of an invitation in a browser: one form, one password, one way in."""

from collections.abc import Callable
from html import unescape

import pytest
from starlette.testclient import TestClient

from db.engine import Database
from db.tables import Role
from neuro_review import invitations, people, sessions
from neuro_review.access import Actor
from tests.web.conftest import CODE, PAGE, PASSWORD, sign_in


@pytest.fixture
def link(db: Database, ada: Actor) -> invitations.Link:
    with db.writing() as session:
        return invitations.invite(session, ada, '<b onclick="x">Di</b>', "di@example.com", Role.REVIEWER)


def choose(client: TestClient, code: str, password: str = PASSWORD) -> object:
    return client.post("/auth/invitation", data={"code": code, "password": password})


def test_the_link_shows_a_form_that_names_the_person_and_holds_no_script(
    client: TestClient, link: invitations.Link
) -> None:
    answer = client.get("/auth/invitation", params={"code": link.code}, headers=PAGE)

    assert answer.status_code == 200
    assert "<b onclick" not in answer.text
    assert '<b onclick="x">Di</b>' in unescape(answer.text)
    assert 'value="di@example.com"' in answer.text
    assert '<label for="password">' in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_password_signs_the_person_in_and_the_link_is_used_up(
    browser: Callable[[], TestClient], link: invitations.Link
) -> None:
    di, thief = browser(), browser()

    answer = choose(di, link.code)

    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    assert di.get("/review").status_code == 200
    assert sign_in(browser(), email="di@example.com").status_code == 303
    for late in (thief.get("/auth/invitation", params={"code": link.code}), choose(thief, link.code, "another one!")):
        assert late.status_code == 410
        assert "was used" in late.text
    assert "set-cookie" not in late.headers


def test_a_password_that_cannot_be_is_refused_and_the_link_stays_good(
    client: TestClient, link: invitations.Link
) -> None:
    for password, says in (("short", "10 to 200"), ("di@example.com", "e-mail address")):
        answer = choose(client, link.code, password)
        assert answer.status_code == 422
        assert says in unescape(answer.text)
        assert link.code in answer.text

    assert choose(client, link.code).status_code == 303


def test_a_wrong_code_costs_no_hash(client: TestClient, ada: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "hash_password", lambda *_: pytest.fail("hashed"))

    for code in ("", "wrong", "\0", "x" * 10_000):
        assert choose(client, code).status_code == 410
        assert client.get("/auth/invitation", params={"code": code}).status_code == 410


def test_a_disabled_person_is_not_let_in(client: TestClient, db: Database, ada: Actor, link: invitations.Link) -> None:
    with db.writing() as session:
        people.disable(session, ada, link.person_id)

    assert choose(client, link.code).status_code == 410


def test_whoever_was_signed_in_here_is_replaced(
    client: TestClient, db: Database, ada: Actor, link: invitations.Link
) -> None:
    sign_in(client)
    before = sessions.session_id(client.cookies["nr_session"])

    choose(client, link.code)

    with db.reading() as session:
        assert sessions.person_of(session, before) is None
        now = sessions.person_of(session, sessions.session_id(client.cookies["nr_session"]))
    assert now is not None
    assert now.email == "di@example.com"


def test_another_site_cannot_choose_a_password(client: TestClient, link: invitations.Link) -> None:
    answer = client.post(
        "/auth/invitation", data={"code": link.code, "password": PASSWORD}, headers={"origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert choose(client, link.code).status_code == 303


def test_before_the_first_visit_there_is_no_invitation(client: TestClient) -> None:
    assert client.get("/auth/invitation", params={"code": CODE}, headers=PAGE).headers["location"] == "/auth/setup"
