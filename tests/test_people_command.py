"""`user`: who is here, a lost password, and an account that is closed."""

from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from db.engine import Database
from neuro_review import sessions
from neuro_review.__main__ import main
from tests.conftest import Team


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def call(*words: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, list(words), input=typed)

    return call


def signed_in(db: Database, email: str, password: str) -> str | None:
    with db.writing() as session:
        credentials = sessions.look_up(session, email)
        if not sessions.matches(credentials, password):
            return None
        return sessions.session_id(sessions.sign_in(session, credentials))


def test_a_lost_password_is_replaced_and_every_session_ends(db: Database, team: Team, run: Any) -> None:
    run("user", "password", "bo@example.com", "--password-stdin", typed="the first password\n")
    before = signed_in(db, "bo@example.com", "the first password")

    result = run("user", "password", "bo@example.com", "--password-stdin", typed="the second password\n")

    assert result.exit_code == 0
    assert before is not None
    with db.reading() as session:
        assert sessions.person_of(session, before) is None
    assert signed_in(db, "bo@example.com", "the first password") is None
    assert signed_in(db, "bo@example.com", "the second password") is not None


def test_a_closed_account_cannot_be_used_and_is_shown_as_closed(db: Database, team: Team, run: Any) -> None:
    run("user", "password", "bo@example.com", "--password-stdin", typed="the first password\n")
    before = signed_in(db, "bo@example.com", "the first password")

    result = run("user", "disable", "bo@example.com")

    assert result.exit_code == 0
    assert before is not None
    with db.reading() as session:
        assert sessions.person_of(session, before) is None
    listed = orjson.loads(run("user", "list", "--json").stdout)
    assert [(one["email"], one["in_use"]) for one in listed][:2] == [
        ("ada@example.com", True),
        ("bo@example.com", False),
    ]
    assert listed[1]["roles"] == "reviewer of support"


@pytest.mark.parametrize(
    ("email", "says"),
    [("ada@example.com", "last admin"), ("olu@example.com", "would have no owner"), ("no@example.com", "Nobody here")],
)
def test_an_account_that_is_needed_is_not_closed(db: Database, team: Team, run: Any, email: str, says: str) -> None:
    result = run("user", "disable", email)

    assert result.exit_code == 1
    assert says in result.stderr


def test_a_password_that_did_not_come_is_asked_for(db: Database, team: Team, run: Any) -> None:
    result = run("user", "add", "Di", "--email", "di@example.com", "--role", "reviewer", "--password-stdin")

    assert result.exit_code == 1
    assert "No password came" in result.stderr
