"""The web door over each engine, with a stand-in for Streamlit behind it that says what reached it."""

from collections.abc import Callable, Iterator

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from db.engine import Database
from db.tables import Role
from neuro_review import access, sessions, settings
from neuro_review.web.door import Door
from neuro_review.web.guard import Guard
from neuro_review.web.routes import routes
from tests.conftest import OPERATOR

CODE = "code-of-the-test"
PASSWORD = "correct horse battery"
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash in a millisecond; what the real parameters cost is argon2's to test."""
    monkeypatch.setattr(sessions, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setenv("NEURO_REVIEW_SETUP_CODE", CODE)
    settings.settings.cache_clear()
    sessions._nobodys_hash.cache_clear()
    yield
    sessions._nobodys_hash.cache_clear()


async def echo(request: Request) -> Response:
    return JSONResponse({"reached": request.url.path, "headers": dict(request.headers)})


async def echo_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(dict(websocket.headers))
    await websocket.close()


@pytest.fixture
def door(db: Database) -> Door:
    return Door(lambda: db)


@pytest.fixture
def browser(door: Door) -> Iterator[Callable[[], TestClient]]:
    """Open a new browser, without a cookie, on the same server."""
    behind = [
        WebSocketRoute("/_stcore/stream", echo_socket),
        Route("/{path:path}", echo, methods=["GET", "POST", "PUT"]),
    ]
    app = Starlette(routes=[*routes(door), *behind], middleware=[Middleware(Guard, door=door)])
    opened: list[TestClient] = []

    def open_one() -> TestClient:
        client = TestClient(app, base_url="http://testserver", follow_redirects=False)
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def client(browser: Callable[[], TestClient]) -> TestClient:
    return browser()


@pytest.fixture
def ada(db: Database) -> access.Actor:
    """An admin who can sign in with `PASSWORD`."""
    with db.writing() as session:
        hashed = sessions.hash_password(PASSWORD, "ada@example.com")
        person_id = access.add_person(session, OPERATOR, "Ada", "ada@example.com", Role.ADMIN, password_hash=hashed)
        return access.actor(session, person_id)


def sign_in(client: TestClient, password: str = PASSWORD, email: str = "ada@example.com", **more: str) -> Response:
    return client.post("/auth/sign-in", data={"email": email, "password": password, **more})
