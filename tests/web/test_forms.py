"""The forms: the first visit, sign-in, sign-out; what they keep, refuse and slow down."""

from collections.abc import Callable
from html import unescape

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from db.clock import MINUTE
from db.engine import Database
from neuro_review import samples, settings
from neuro_review.access import Actor
from neuro_review.web.headers import safe_next
from tests.conftest import Clock
from tests.web.conftest import CODE, PAGE, PASSWORD, sign_in

ADA = {"code": CODE, "name": "Ada", "email": "Ada@Example.com", "password": PASSWORD}


def count(db: Database, table: str) -> int:
    with db.reading() as session:
        return int(session.connection().execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_the_printed_link_fills_in_the_code_and_nothing_is_left_to_chance(client: TestClient) -> None:
    html = client.get("/auth/setup", params={"code": '"><script>'}).text

    assert 'value="&quot;&gt;&lt;script&gt;"' in html
    assert "<script" not in html
    assert 'name="samples" value="yes" checked' in html
    assert html.count("autofocus") == 1
    for name in ("code", "name", "email", "password"):
        assert f'<label for="{name}">' in html


def test_the_first_visit_makes_an_admin_signs_in_and_loads_the_samples(client: TestClient, db: Database) -> None:
    answer = client.post("/auth/setup", data={**ADA, "samples": "yes"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    assert client.get("/review").status_code == 200
    assert count(db, "item") == 60
    with db.reading() as session:
        row = session.connection().execute(sa.text("SELECT email, password_hash FROM person")).one()
        grant = session.connection().execute(sa.text("SELECT role, workflow_id FROM role_grant")).first()
    assert row.email == "ada@example.com"
    assert row.password_hash.startswith("$argon2id$")
    assert PASSWORD not in row.password_hash
    assert grant is not None


def test_without_the_tick_there_are_no_samples(client: TestClient, db: Database) -> None:
    client.post("/auth/setup", data=ADA)

    assert count(db, "item") == 0


def test_samples_that_fail_do_not_undo_the_admin(
    client: TestClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(samples, "load", fail)
    answer = client.post("/auth/setup", data={**ADA, "samples": "yes"})

    assert answer.status_code == 303
    assert client.get("/review").status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("code", "wrong", "one-time code is wrong"),
        ("code", "", "one-time code is wrong"),
        ("name", "  ", "1 to 100 characters"),
        ("name", "a\0b", "NUL"),
        ("name", "x" * 101, "1 to 100 characters"),
        ("email", "not an address", "not an e-mail address"),
        ("email", "a\0b@example.com", "NUL"),
        ("password", "too short", "10 to 200 characters"),
        ("password", "ada@example.com", "is the e-mail address"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_and_the_rest_is_kept(
    client: TestClient, db: Database, field: str, value: str, says: str
) -> None:
    answer = client.post("/auth/setup", data={**ADA, field: value})

    assert answer.status_code == 422
    assert count(db, "person") == 0
    assert 'role="alert"' in answer.text
    assert says in unescape(answer.text)
    assert 'aria-invalid="true"' in answer.text
    assert (field == "name") or 'value="Ada"' in answer.text
    assert PASSWORD not in answer.text
    assert "checked" not in answer.text


def test_a_second_set_up_is_refused_and_its_form_is_gone(browser: Callable[[], TestClient], db: Database) -> None:
    browser().post("/auth/setup", data=ADA)
    late = browser()

    assert late.get("/auth/setup?code=" + CODE).headers["location"] == "/auth/sign-in"
    answer = late.post("/auth/setup", data={**ADA, "email": "eve@example.com"})

    assert answer.status_code == 409
    assert "set-cookie" not in answer.headers
    assert count(db, "person") == 1


def test_codes_cannot_be_searched(client: TestClient, moved_clock: Clock) -> None:
    for _ in range(5):
        assert client.post("/auth/setup", data={**ADA, "code": "wrong"}).status_code == 422

    answer = client.post("/auth/setup", data=ADA)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 900
    moved_clock.forward(15 * MINUTE)
    assert client.post("/auth/setup", data=ADA).status_code == 303


@pytest.mark.parametrize("secure", [False, True])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    client: TestClient, ada: Actor, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_COOKIE_SECURE", str(secure))
    settings.settings.cache_clear()

    cookie = sign_in(client).headers["set-cookie"].lower()

    assert cookie.startswith("nr_session=")
    for mark in ("httponly", "samesite=lax", "path=/", "max-age=43200"):
        assert mark in cookie
    assert ("; secure" in cookie) is secure


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(client: TestClient, ada: Actor) -> None:
    wrong = sign_in(client, "wrong wrong")
    unknown = sign_in(client, "wrong wrong", email="eve@example.com")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text == unknown.text.replace("eve@", "ada@")
    assert 'role="alert"' in wrong.text
    assert 'value="ada@example.com"' in wrong.text
    assert "wrong wrong" not in wrong.text


def test_signing_in_is_recorded_and_so_is_a_refusal(client: TestClient, db: Database, ada: Actor) -> None:
    sign_in(client, "wrong wrong")
    sign_in(client, "wrong wrong", email="eve@example.com")
    sign_in(client)
    client.post("/auth/sign-out")

    with db.reading() as session:
        rows = session.connection().execute(sa.text("SELECT stream, action, body FROM audit WHERE actor <> 'x'")).all()
    seen = [(row.stream, row.action) for row in rows]
    mine = f"person/{ada.person_id}"
    assert seen.count((mine, "person.refused")) == 1
    assert seen.count(("house", "person.refused")) == 1
    assert seen.count((mine, "person.signed_in")) == 1
    assert seen.count((mine, "person.signed_out")) == 1
    assert "eve@" not in str(rows)


def test_after_five_failures_even_the_right_password_waits(client: TestClient, ada: Actor, moved_clock: Clock) -> None:
    for _ in range(5):
        assert sign_in(client, "wrong wrong").status_code == 401

    answer = sign_in(client)

    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert "Too many failed tries. Wait 15 minutes, then try again." in answer.text
    assert sign_in(client, "wrong wrong", email="bo@example.com").status_code == 401
    moved_clock.forward(15 * MINUTE)
    assert sign_in(client).status_code == 303


def test_one_place_cannot_try_many_addresses(client: TestClient, ada: Actor) -> None:
    for number in range(20):
        assert sign_in(client, "wrong wrong", email=f"p{number}@example.com").status_code == 401

    assert sign_in(client).status_code == 429


def test_signing_in_well_does_not_count_as_a_try(client: TestClient, ada: Actor) -> None:
    for _ in range(25):
        assert sign_in(client).status_code == 303


def test_a_new_sign_in_ends_the_session_this_browser_had(client: TestClient, ada: Actor) -> None:
    sign_in(client)
    first = client.cookies["nr_session"]
    sign_in(client)

    assert client.cookies["nr_session"] != first
    client.cookies.clear()
    assert client.get("/review", headers={"cookie": f"nr_session={first}"}).status_code == 401


def test_signing_out_takes_the_cookie_back_and_kills_the_session(client: TestClient, ada: Actor) -> None:
    sign_in(client)
    token = client.cookies["nr_session"]

    answer = client.post("/auth/sign-out")

    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/sign-in")
    assert 'nr_session=""' in answer.headers["set-cookie"]
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert client.get("/review", headers={"cookie": f"nr_session={token}"}).status_code == 401


def test_a_link_cannot_sign_anybody_out(client: TestClient, ada: Actor) -> None:
    sign_in(client)

    assert 'method="post"' in client.get("/auth/sign-out").text

    assert client.get("/review").status_code == 200


def test_whoever_is_signed_in_needs_no_form(client: TestClient, ada: Actor) -> None:
    sign_in(client)

    assert client.get("/auth/sign-in?next=/quality", headers=PAGE).headers["location"] == "/quality"


@pytest.mark.parametrize(
    "wanted",
    [
        None, "", "/", "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "/a\r\nX: y", "review",
        "javascript:alert(1)", "/auth/sign-out", "/ a", "/" + "a" * 600, "/\tevil",
    ],
)  # fmt: skip
def test_sign_in_never_leads_to_another_site(wanted: str | None) -> None:
    assert safe_next(wanted) == "/review"


def test_a_form_nobody_would_type_is_refused(client: TestClient, ada: Actor) -> None:
    assert sign_in(client, "x" * 20_000).status_code == 413
