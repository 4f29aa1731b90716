"""Who may pass, what is stripped on the way, and what every answer carries."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from db.engine import Database
from neuro_review import access, sessions, settings
from neuro_review.access import Actor
from neuro_review.web import alone
from neuro_review.web.door import Door
from neuro_review.words import Role
from tests.conftest import OPERATOR
from tests.web.conftest import PAGE, PASSWORD, sign_in

STREAM = "/_stcore/stream"


def test_before_set_up_pages_lead_to_the_form_and_everything_else_is_refused(client: TestClient) -> None:
    for path in ("/", "/review", "/auth/sign-in", "/whatever"):
        answer = client.get(path, headers=PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/auth/setup")
    for path in ("/api/v1/items", "/static/js/index.js", "/_stcore/health", "/_stcore/host-config"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "not_set_up"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
        pass
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_stranger_is_led_to_the_sign_in_form_and_back_to_the_page(client: TestClient, ada: Actor) -> None:
    answer = client.get("/quality?model=a%26b", headers=PAGE)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/auth/sign-in?next=/quality%3Fmodel%3Da%2526b"
    assert sign_in(client, next="/quality?model=a%26b").headers["location"] == "/quality?model=a%26b"


def test_a_stranger_gets_no_part_of_a_page(client: TestClient, ada: Actor) -> None:
    for method, path in (("GET", "/static/js/index.js"), ("PUT", "/_stcore/upload_file/a/b"), ("GET", "/media/x.png")):
        answer = client.request(method, path)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "not_signed_in"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
        pass


def test_only_an_owner_sends_files_into_the_servers_memory(
    browser: Callable[[], TestClient], db: Database, ada: Actor
) -> None:
    for name, role, status in (("Ron", Role.REVIEWER, 403), ("Ola", Role.OWNER, 200)):
        email = f"{name.lower()}@example.com"
        with db.writing() as session:
            hashed = sessions.hash_password(PASSWORD, email)
            access.add_person(session, OPERATOR, name, email, role, password_hash=hashed)
        client = browser()
        sign_in(client, email=email)
        assert client.put("/_stcore/upload_file/a/b", content=b"x").status_code == status


def test_the_house_sees_the_session_id_and_never_the_token_or_a_forged_header(client: TestClient, ada: Actor) -> None:
    sign_in(client)
    token = client.cookies["nr_session"]
    forged = {"X-NR-Session": "forged", "x_nr_session": "forged", "X-NR-Role": "admin"}

    seen = client.get("/review", headers=forged).json()["headers"]
    with client.websocket_connect(STREAM, headers=forged) as socket:
        seen_by_socket = socket.receive_json()

    for headers in (seen, seen_by_socket):
        assert headers["x-nr-session"] == sessions.session_id(token)
        assert "forged" not in str(headers)
        assert "x-nr-role" not in headers
        assert token not in str(headers)


def test_a_forged_header_opens_nothing(client: TestClient, db: Database, ada: Actor) -> None:
    sign_in(client)
    session_id = sessions.session_id(client.cookies["nr_session"])
    client.cookies.clear()

    for cookie in ({}, {"cookie": f"nr_session={session_id}"}):
        assert client.get("/review", headers={"X-NR-Session": session_id, **cookie}).status_code == 401
        with pytest.raises(WebSocketDisconnect):
            client.websocket_connect(STREAM, headers={"X-NR-Session": session_id, **cookie}).__enter__()


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"origin": "http://testserver"}, True),
        ({"origin": "http://testserver", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "null"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://testserver:81"}, False),
        ({"origin": "http://testserver.evil.example"}, False),
        ({"origin": "http://[broken"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://testserver", "sec-fetch-site": "cross-site"}, False),
    ],
)
def test_a_form_and_a_websocket_count_only_from_our_own_pages(
    browser: Callable[[], TestClient], ada: Actor, headers: dict[str, str], passes: bool
) -> None:
    client = browser()
    sign_in(client)

    if passes:
        with client.websocket_connect(STREAM, headers=headers) as socket:
            assert socket.receive_json()
    else:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM, headers=headers):
            pass
    assert client.post("/_stcore/upload", headers=headers).status_code == (200 if passes else 403)
    assert client.post("/auth/sign-out", headers=headers).status_code == (303 if passes else 403)


def test_the_api_never_takes_the_cookie(client: TestClient, ada: Actor) -> None:
    sign_in(client)

    answer = client.get("/api/v1/releases")

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unknown_key"


@pytest.mark.parametrize("path", ["/metrics", "/_stcore/metrics"])
def test_metrics_need_their_own_token(
    client: TestClient, ada: Actor, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client)
    assert client.get(path).status_code == 404

    monkeypatch.setenv("NEURO_REVIEW_METRICS_TOKEN", "a token of the tests")
    settings.settings.cache_clear()

    assert client.get(path).status_code == 401
    assert client.get(path, headers={"authorization": "Bearer another"}).status_code == 401
    allowed = client.get("/_stcore/metrics", headers={"authorization": "Bearer a token of the tests"})
    assert allowed.json()["reached"] == "/_stcore/metrics"


def test_streamlits_own_sign_in_routes_are_out_of_reach(client: TestClient, ada: Actor) -> None:
    for path in ("/auth/login", "/auth/logout", "/auth/", "/auth/../review"):
        assert client.get(path).status_code in {401, 404}


@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/style.css", "/healthz", "/review", "/api/x"])
def test_every_answer_carries_the_headers_of_the_house(client: TestClient, ada: Actor, path: str) -> None:
    headers = client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    if path.startswith("/auth/"):
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert headers["cache-control"] == "no-store"


def test_an_ended_session_opens_nothing_anywhere(browser: Callable[[], TestClient], db: Database, ada: Actor) -> None:
    here, there = browser(), browser()
    sign_in(here)
    sign_in(there)

    here.post("/auth/sign-out")
    assert there.get("/review").status_code == 200
    with db.writing() as session:
        access.end_sessions(session, [ada.person_id or 0])

    for client in (here, there):
        assert client.get("/review").status_code == 401
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
            pass


def test_an_address_that_is_no_page_is_answered_with_a_sentence_and_the_way_on(client: TestClient, ada: Actor) -> None:
    sign_in(client)

    nowhere = client.get("/reviews", headers=PAGE)

    assert nowhere.status_code == 404
    assert "There is no page at this address." in nowhere.text
    assert 'href="/"' in nowhere.text
    assert client.get("/", headers=PAGE).status_code == 303
    for path in ("/review", "/people?person=1", "/media/a.csv"):
        assert client.get(path, headers=PAGE).json()["reached"] == path.split("?")[0]


def test_the_api_without_the_screens_sends_nobody_to_a_page_that_is_not_there(door: Door, db: Database) -> None:
    client = TestClient(alone.app(door), follow_redirects=False)
    before = client.get("/api/v1/items", headers=PAGE)
    assert (before.status_code, before.json()["error"]["code"]) == (503, "not_set_up")
    with db.writing() as session:
        access.add_person(session, OPERATOR, "Ada", "ada@example.com", Role.ADMIN, password_hash=None)

    for path in ("/", "/review", "/auth/sign-in", "/auth/setup", "/nowhere"):
        answer = client.get(path, headers=PAGE)
        assert answer.status_code == 404
        assert "/api/v1/openapi.json" in answer.json()["error"]["message"]
    assert client.post("/desk/sync").status_code == 404
    assert client.get("/api/v1/openapi.json").status_code == client.get("/healthz").status_code == 200


def test_where_the_database_is_away_nothing_opens_and_a_sentence_says_so(
    client: TestClient, door: Door, ada: Actor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sign_in(client)
    empty = Database(f"sqlite:///{tmp_path_factory.mktemp('away')}/x.db")
    empty.path.write_text("this is no database")
    door.database = lambda: empty

    page, part = client.get("/review", headers=PAGE), client.get("/static/x.js")

    assert page.status_code == part.status_code == client.get("/healthz").status_code == 503
    assert "does not answer" in page.text
    assert part.json()["error"]["code"] == "unavailable"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
        pass
    empty.dispose()
