"""What the Review card asks for over HTTP: only from our own pages, only for who is signed in, and told to no log."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from db.engine import Database
from db.tables import Role
from neuro_review import access, intake, sessions, workflows
from neuro_review.web.desk import NOT_UNDERSTOOD
from tests.conftest import OPERATOR, Team
from tests.helpers import make_item
from tests.web.conftest import PASSWORD, sign_in

SYNC, RENDERED = "/desk/sync", "/desk/rendered"
TYPED = "MARKER what was typed"


@pytest.fixture
def outputs(db: Database, team: Team) -> list[str]:
    """Three items that wait in `support`."""
    with db.writing() as session:
        return [make_item(session, team.support.id, output=f"MARKER output {n}.", created_at=1 + n) for n in range(3)]


@pytest.fixture
def reviewer(db: Database, team: Team, browser: Callable[[], TestClient]) -> Callable[..., TestClient]:
    """Open a browser in which somebody new has signed in."""

    def open_one(name: str, role: Role = Role.REVIEWER) -> TestClient:
        with db.writing() as session:
            email = f"{name.lower()}@example.com"
            hashed = sessions.hash_password(PASSWORD, email)
            access.add_person(session, OPERATOR, name, email, role, password_hash=hashed, workflow_id=team.support.id)
        client = browser()
        assert sign_in(client, email=email).status_code == 303
        return client

    return open_one


def decide(card: dict[str, Any], verdict: str = "approve", **more: Any) -> dict[str, Any]:
    return {"id": f"click-{card['item']}", "kind": "decide", "item": card["item"], "lease": card["lease"],
            "verdict": verdict, "given": card["given"], "looked": 900, **more}  # fmt: skip


def reviews(db: Database) -> list[tuple[Any, ...]]:
    query = "SELECT v.reviewer, v.verdict, t.text FROM review v LEFT JOIN review_content t ON t.review_id = v.id"
    with db.reading() as session:
        return [tuple(row) for row in session.connection().execute(sa.text(query))]


def test_a_reviewer_gets_cards_and_decides(
    db: Database, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    nia = reviewer("Nia")
    said = nia.post(SYNC, json={"want": 2, "count": True})
    assert said.headers["cache-control"] == "no-store"
    first, _ = said.json()["cards"]
    assert (first["item"], said.json()["counts"]["held"]) == (outputs[0], 3)

    (ack,) = nia.post(SYNC, json={"ops": [decide(first, "correct", text="Better.")]}).json()["acks"]

    assert (ack["ok"], ack["verdict"]) == (True, "correct")
    assert reviews(db) == [("nia@example.com", "correct", "Better.")]


@pytest.mark.parametrize("path", [SYNC, RENDERED])
def test_without_a_session_nothing_is_answered(
    path: str, outputs: list[str], browser: Callable[[], TestClient], db: Database, team: Team
) -> None:
    stranger = browser()

    for headers in ({}, {"cookie": "nr_session=" + "x" * 43}, {"X-NR-Session": "0" * 64, "accept": "text/html"}):
        answer = stranger.post(path, json={"want": 1} if path == SYNC else {"text": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_signed_in")
        assert "MARKER" not in answer.text


def test_a_session_that_has_ended_does_nothing(
    db: Database, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    nia = reviewer("Nia")
    (card,) = nia.post(SYNC, json={"want": 1}).json()["cards"]
    token = nia.cookies["nr_session"]
    nia.post("/auth/sign-out")

    answer = nia.post(SYNC, json={"ops": [decide(card)]}, headers={"cookie": f"nr_session={token}"})

    assert answer.status_code == 401
    assert reviews(db) == []


@pytest.mark.parametrize("path", [SYNC, RENDERED])
@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_another_site_reaches_nothing_even_with_the_cookie(
    path: str, headers: dict[str, str], db: Database, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    answer = reviewer("Nia").post(path, json={"want": 1}, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
    with db.reading() as session:
        assert session.connection().execute(sa.text("SELECT max(lease_n) FROM item")).scalar() == 0


@pytest.mark.parametrize("path", [SYNC, RENDERED])
def test_nothing_is_asked_by_reading_an_address(
    path: str, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    nia = reviewer("Nia")

    assert nia.get(path).status_code == 405
    assert nia.put(path, json={}).status_code == 405
    assert nia.get(f"{path}?want=3").status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"[]", b'"MARKER"', b'{"want": "MARKER"}', b'{"want": 1e9}', b'{"MARKER": 1}',
        b'{"want": NaN}', b'{"ops": [{}]}', b'{"ops": "MARKER"}', b"[" * 100_000, b'{"want": ' + b"9" * 5000 + b"}",
        b'{"ops": [{"id": "12345678", "kind": "draft", "item": "' + b"0" * 32 + b'", "text": "\\ud800 MARKER"}]}',
    ],
)  # fmt: skip
def test_what_is_not_understood_is_answered_with_one_clear_sentence(
    body: bytes, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    answer = reviewer("Nia").post(SYNC, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert answer.json() == {"error": {"code": "not_understood", "message": NOT_UNDERSTOOD}}


def test_too_much_at_once_is_refused_before_it_is_read_to_its_end(
    outputs: list[str], reviewer: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    nia = reviewer("Nia")
    read = []

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            read.append(1)
            yield b" " * (1 << 20)

    answer = nia.post(SYNC, content=pieces())

    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "That is too much at once. Shorten the correction."


def test_who_may_only_export_gets_no_cards(outputs: list[str], reviewer: Callable[..., TestClient]) -> None:
    answer = reviewer("Ed", Role.EXPORT).post(SYNC, json={"want": 10, "count": True})

    assert answer.status_code == 200
    assert (answer.json()["cards"], answer.json()["workflows"]) == ([], [])
    assert "MARKER" not in answer.text


def test_two_persons_cookies_do_not_mix(db: Database, outputs: list[str], reviewer: Callable[..., TestClient]) -> None:
    nia, oz = reviewer("Nia"), reviewer("Oz")
    (hers,) = nia.post(SYNC, json={"want": 1}).json()["cards"]
    (his,) = oz.post(SYNC, json={"want": 1}).json()["cards"]
    assert hers["item"] != his["item"]

    stolen = oz.post(SYNC, json={"ops": [decide(hers)]}).json()["acks"][0]
    as_her = nia.post(SYNC, json={"person": -1, "ops": [decide(hers)]})
    own = nia.post(SYNC, json={"ops": [decide(hers)]}).json()["acks"][0]

    assert (stolen["ok"], stolen["code"]) == (False, "lease_lost")
    assert (as_her.status_code, as_her.json()["error"]["code"]) == (409, "somebody_else")
    assert own["ok"]
    assert [row[:2] for row in reviews(db)] == [("nia@example.com", "approve")]


@contextmanager
def without(db: Database, *beginnings: str) -> Iterator[None]:
    """Let the server go away whenever a statement begins so."""

    def gone(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(beginnings):
            raise sa.exc.OperationalError(statement, {}, Exception("MARKER: terminating connection"))

    sa.event.listen(db.engine, "before_cursor_execute", gone)
    try:
        yield
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", gone)


def test_while_the_database_is_away_a_verdict_waits_and_is_done_once_afterwards(
    db: Database, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    nia = reviewer("Nia")
    (card,) = nia.post(SYNC, json={"want": 1}).json()["cards"]
    ops = {"ops": [decide(card, "correct", text=TYPED)]}

    for beginnings in (("INSERT INTO review",), ("INSERT INTO decision",), ("",)):
        with without(db, *beginnings):
            answer = nia.post(SYNC, json=ops)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert "MARKER" not in answer.text
        assert reviews(db) == []

    for _ in range(2):
        (ack,) = nia.post(SYNC, json=ops).json()["acks"]
        assert ack["ok"]
    assert [row[2] for row in reviews(db)] == [TYPED]


def test_an_item_nested_as_deep_as_can_be_stored_keeps_nobody_from_the_others(
    db: Database, team: Team, outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    nia = reviewer("Nia")
    deep: Any = "x"
    for _ in range(251):
        deep = [deep]
    with db.writing() as session:
        door = intake.Door(team.support, workflows.source_id(session, "app"), "source:1")
        given = {"model": "m", "output": "An output.", "prompt": [{"role": "user", "content": deep}]}
        intake.store(session, door, [intake.prepare(door, intake.Submission.model_validate(given))])

    said = nia.post(SYNC, json={"want": 10})

    assert said.status_code == 200
    assert len(said.json()["cards"]) == len(outputs) + 1


def test_a_text_is_rendered_for_who_is_signed_in_and_a_very_long_one_is_not(
    outputs: list[str], reviewer: Callable[..., TestClient]
) -> None:
    nia = reviewer("Nia")

    assert nia.post(RENDERED, json={"text": "**a** <b>"}).json() == ["div", ["p", ["strong", "a"], " <b>"]]
    assert nia.post(RENDERED, json={"text": "*a " * 3000 + "b* " * 3000}).status_code == 200
    assert nia.post(RENDERED, json={"text": "x" * 100_001}).status_code == 422


def test_nothing_typed_and_nothing_shown_appears_in_a_log(
    outputs: list[str], reviewer: Callable[..., TestClient], caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    nia = reviewer("Nia")
    cards = nia.post(SYNC, json={"want": 3}).json()["cards"]
    nia.post(SYNC, json={"ops": [decide(cards[0], "correct", text=TYPED)]})
    nia.post(SYNC, json={"ops": [decide(cards[0], "correct", text=TYPED + "\0") | {"id": "another click"}]})
    nia.post(SYNC, json={"ops": [decide(cards[1], "reject", reasons=[TYPED])]})
    nia.post(SYNC, json={"ops": [{"text": TYPED}]})
    nia.post(SYNC, content=orjson.dumps({"text": TYPED})[:-1])
    nia.post(RENDERED, json={"text": [TYPED]})

    written = capfd.readouterr()
    assert "MARKER" not in caplog.text + written.out + written.err
