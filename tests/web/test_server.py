"""`streamlit run app.py` itself, from the first visit to the end of a session."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from db.engine import Database
from neuro_review import sources, workflows
from tests.conftest import OPERATOR
from tests.web.server import Server

SECRET = "MARKER-pass-word-4711"
ADA = {"name": "Ada", "email": "ada@example.com", "password": SECRET}
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}
# Streamlit and our pages must not run for a stranger: the words that a page or the menu would send.
OF_A_PAGE = ("Sign out", "navigation {")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), NEURO_REVIEW_METRICS_TOKEN="MARKER-metrics-token")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """Set the server up, several at once and once with a wrong code, and return the session of the winner."""
    code = server.code
    with server.client() as browser:
        assert browser.get("/review", headers=PAGE).headers["location"] == "/auth/setup"
        assert browser.get("/_stcore/host-config").status_code == 503
        assert browser.post("/auth/setup", data={**ADA, "code": "MARKER-wrong-code"}).status_code == 422
        assert browser.get(f"/auth/setup?code={code}").text.count(code) == 1

    def attempt(number: int) -> httpx.Response:
        with server.client() as browser:
            fields = {**ADA, "code": code, "email": f"ada{number}@example.com", "samples": "yes"}
            return browser.post("/auth/setup", data=fields)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(attempt, range(2)))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    winner = next(answer for answer in answers if answer.status_code == 303)
    email = f"ada{answers.index(winner)}@example.com"
    with server.client() as browser:
        again = browser.post("/auth/sign-in", data={"email": email, "password": SECRET})
        assert again.status_code == 303
    server.email = email  # type: ignore[attr-defined]
    return winner.cookies["nr_session"]


def refused(server: Server, *args: str | None, **headers: str) -> bool:
    try:
        with server.tab(*args, **headers):
            return False
    except InvalidStatus as error:
        return error.response.status_code == 403


def sign_in(server: Server) -> str:
    with server.client() as browser:
        answer = browser.post("/auth/sign-in", data={"email": server.email, "password": SECRET})  # type: ignore[attr-defined]
        return answer.cookies["nr_session"]


def test_it_starts_in_a_terminal_with_an_empty_home_and_asks_nothing(server: Server) -> None:
    said = server.wait_for("to create the first admin.")

    assert said.strip() == f"Open {server.url}/auth/setup?code={server.code} to create the first admin."


def test_of_two_set_ups_at_once_one_wins_and_later_ones_are_refused(server: Server, token: str) -> None:
    with server.client() as browser:
        answer = browser.post("/auth/setup", data={**ADA, "code": server.code})

    assert token
    assert answer.status_code == 409


def test_a_stranger_never_reaches_streamlit(server: Server, token: str) -> None:
    with server.client() as stranger:
        for page in ("/", "/home", "/review", "/quality"):
            assert stranger.get(page, headers=PAGE).headers["location"].startswith("/auth/sign-in?next=/")
        assert stranger.get("/_stcore/metrics").status_code == 401
    assert refused(server, None)
    assert refused(server, "x" * 43)
    assert refused(server, None, None, **{"X-NR-Session": "1", "X-NR-Role": "admin"})


def test_a_websocket_from_another_site_is_refused_even_with_the_cookie(server: Server, token: str) -> None:
    assert refused(server, token, "http://evil.example")
    assert refused(server, token, "null")
    assert refused(server, token, None, **{"Sec-Fetch-Site": "cross-site"})


def test_with_the_cookie_a_deep_link_runs_through_the_apps_own_menu(server: Server, token: str) -> None:
    for page in ("home", "review", ""):
        with server.tab(sign_in(server), **{"X-NR-Session": "forged"}) as tab:
            seen = tab.open(page)

        for words in OF_A_PAGE:
            assert words in seen
        assert "Your session has ended. Sign in again." not in seen  # the card has a sentence of its own
        assert "traceback" not in seen.lower()


def test_an_open_tab_loses_its_rights_at_the_next_action(server: Server, token: str) -> None:
    mine = sign_in(server)
    with server.tab(mine) as tab, server.client() as browser:
        assert "Sign out" in tab.open("review")
        browser.post("/auth/sign-out", headers={"cookie": f"nr_session={mine}"})

        seen = tab.open("review")

        assert "Your session has ended. Sign in again." in seen
        for words in OF_A_PAGE:
            assert words not in seen
    assert refused(server, mine)


# Every kind of address that Streamlit or our screens answer, with the methods that reach something there.
SCREENS = (
    ("GET", "/"), ("GET", "/review"), ("GET", "/history?id=1"), ("GET", "/sources"), ("GET", "/people"),
    ("POST", "/desk/sync"), ("GET", "/files/1/file"), ("PUT", "/_stcore/upload_file/a/b"),
    ("DELETE", "/_stcore/upload_file/a/b"), ("GET", "/media/0123.png"), ("GET", "/static/js/index.js"),
    ("GET", "/component/x/index.html"), ("GET", "/_stcore/bidi-components/x/y.js"), ("GET", "/_stcore/host-config"),
    ("GET", "/_stcore/health"), ("GET", "/_stcore/script-health-check"), ("GET", "/app/static/x"),
)  # fmt: skip


def test_a_key_of_an_application_opens_no_screen(server: Server, token: str) -> None:
    database = Database(f"sqlite:///{server.folder / 'nr.db'}")
    with database.writing() as session:
        flow = workflows.add(session, OPERATOR, "isolated")
        key = sources.add(session, OPERATOR, "isolated shop", flow.id).key
    database.dispose()
    shown = {"authorization": f"Bearer {key}"}

    with server.client() as browser:
        said = browser.get("/api/v1/key", headers={**shown, "accept-encoding": "gzip", "cookie": "streamlit_session=x"})
        assert said.json()["source"] == "isolated shop"
        assert not {"set-cookie", "content-encoding", "vary"} & said.headers.keys()  # nothing of Streamlit's touches it
        for headers in (shown, {**shown, "cookie": f"nr_session={key}"}, {**shown, "x-nr-session": key}):
            for method, path in SCREENS:
                answer = browser.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path)
                assert answer.json()["error"]["code"] == "not_signed_in"
            for path in ("/metrics", "/_stcore/metrics"):
                assert browser.get(path, headers=headers).status_code == 401
    assert refused(server, None, Authorization=f"Bearer {key}")
    assert refused(server, key, Authorization=f"Bearer {key}")


def test_every_answer_of_streamlit_carries_our_headers(server: Server, token: str) -> None:
    with server.client() as browser:
        answer = browser.get("/review", headers={**PAGE, "cookie": f"nr_session={sign_in(server)}"})

    assert "<title>" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_no_secret_is_ever_written_to_the_terminal(server: Server, token: str) -> None:
    mine = sign_in(server)
    with server.client() as browser:
        browser.get("/review?search=MARKER-query", headers={**PAGE, "cookie": f"nr_session={mine}"})
        browser.get("/auth/setup?code=MARKER-code")
        browser.get("/api/v1/items?key=MARKER-key", headers={"authorization": "Bearer MARKER-bearer"})
        browser.post("/auth/sign-in?password=MARKER-in-query", data={"email": "eve@example.com", "password": SECRET})
        browser.post("/auth/sign-in", content=b"\xff\xfe" + SECRET.encode())
    with server.tab(mine) as tab:
        tab.open("review?search=MARKER-page")

    assert "MARKER" not in server.output
    assert mine not in server.output
    assert token not in server.output


def test_guessing_is_slowed_down(server: Server, token: str) -> None:
    with server.client() as browser:
        answers = [
            browser.post("/auth/sign-in", data={"email": "guess@example.com", "password": "wrong wrong"})
            for _ in range(6)
        ]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_a_database_that_cannot_be_used_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "nr.db").write_text("this is no database at all, not even a little one")
    server = Server(tmp_path)

    code = server.process.wait(30)
    server.stop()

    assert code != 0
    assert "The file is not a Neuro Review database." in server.output
    assert "Traceback" not in server.output
    assert len(server.output.strip().splitlines()) <= 3
