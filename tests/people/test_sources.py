"""Applications and their keys: shown once, never stored, good until they are revoked."""

import hashlib
import subprocess
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from db.engine import Database
from db.tables import Role
from neuro_review import sources, workflows
from neuro_review.__main__ import main
from neuro_review.access import Actor
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.sources import NewKey
from tests.conftest import Team


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, list(words))

    return call


def add(db: Database, team: Team, name: str = "shop", **more: Any) -> NewKey:
    with db.writing() as session:
        return sources.add(session, team.olu, name, team.support.id, **more)


def listed(db: Database, by: Actor) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    with db.reading() as session:
        return [
            (one.name, [(key.workflow, key.scopes, key.revoked_at is None) for key in one.keys])
            for one in sources.mine(session, by)
        ]


def first_key(db: Database, team: Team) -> int:
    with db.reading() as session:
        return sources.mine(session, team.ada)[0].keys[0].id


def test_a_key_has_256_bits_and_only_its_hash_is_stored(
    db: Database, team: Team, audited: Callable[[str], list[dict[str, Any]]]
) -> None:
    made = add(db, team)

    assert made.key.startswith("nr_")
    assert len(made.key) == 3 + 43  # 32 bytes
    assert made.key != add(db, team, "other shop").key
    with db.reading() as session:
        rows = session.connection().execute(sa.text("SELECT * FROM source_key ORDER BY id")).all()
    assert rows[0].key_hash == hashlib.sha256(made.key.encode()).hexdigest()
    assert made.key not in str(rows) + str(audited(f"source/{rows[0].source_id}")) + repr(made)


def test_a_key_says_who_calls_for_what(db: Database, team: Team) -> None:
    both, reader = add(db, team), add(db, team, "reader", can_submit=False)

    with db.reading() as session:
        one, two = sources.caller(session, both.key), sources.caller(session, reader.key)

    assert (one.source, one.workflow_id, one.can_submit, one.can_read) == ("shop", team.support.id, True, True)
    assert (two.source, two.can_submit, two.can_read) == ("reader", False, True)


@pytest.mark.parametrize("key", ["", "nr_", "nr_" + "x" * 43, "\ud800", "x" * 10_000])
def test_a_key_that_is_none_is_refused(db: Database, team: Team, key: str) -> None:
    add(db, team)

    with db.reading() as session, pytest.raises(NotAllowedError, match="unknown or was revoked"):
        sources.caller(session, key)


def test_a_revoked_key_is_refused_at_once_and_the_others_are_not(
    db: Database, team: Team, audited: Callable[[str], list[dict[str, Any]]]
) -> None:
    old, other = add(db, team), add(db, team, "till")
    with db.writing() as session:
        (source, _) = sources.mine(session, team.olu)
        new = sources.replace(session, team.olu, source.keys[0].id)

    with db.writing() as session:
        sources.revoke(session, team.olu, source.keys[0].id)
        sources.revoke(session, team.olu, source.keys[0].id)

    with db.reading() as session:
        with pytest.raises(NotAllowedError):
            sources.caller(session, old.key)
        assert sources.caller(session, new.key).source == "shop"
        assert sources.caller(session, other.key).source == "till"
    assert listed(db, team.olu)[0] == (
        "shop", [("support", "can submit and read", True), ("support", "can submit and read", False)],
    )  # fmt: skip
    assert [one for one in audited(f"source/{source.id}") if "revoked" in one] == [
        {"revoked": source.keys[0].id, "workflow": team.support.id}
    ]
    with pytest.raises(ConflictError, match="was revoked"), db.writing() as session:
        sources.replace(session, team.olu, source.keys[0].id)


def test_a_new_key_can_what_the_old_one_could_and_no_more(db: Database, team: Team) -> None:
    add(db, team, can_read=False)
    with db.writing() as session:
        new = sources.replace(session, team.olu, first_key(db, team))

    with db.reading() as session:
        caller = sources.caller(session, new.key)
    assert (caller.workflow_id, caller.can_submit, caller.can_read) == (team.support.id, True, False)


def test_keys_are_made_and_revoked_by_owners_of_their_workflow_alone(
    db: Database, team: Team, add_person: Callable[..., Actor]
) -> None:
    pam = add_person("Pam", Role.OWNER, team.other.id)
    add(db, team)
    key_id = first_key(db, team)

    for by in (team.bo, pam):
        for verb in (
            lambda session, by=by: sources.add(session, by, "new", team.support.id),
            lambda session, by=by: sources.replace(session, by, key_id),
            lambda session, by=by: sources.revoke(session, by, key_id),
        ):
            with pytest.raises(NotAllowedError), db.writing() as session:
                verb(session)
    assert listed(db, pam) == []
    assert len(listed(db, team.ada)) == len(listed(db, team.olu)) == 1
    with pytest.raises(NotAllowedError):
        listed(db, team.bo)
    with pytest.raises(NotFoundError), db.writing() as session:
        sources.revoke(session, team.ada, 999)


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("", {}, "1 to 100"),
        ("x" * 101, {}, "1 to 100"),
        ("import", {}, "house's own name"),
        (" Sample ", {}, "house's own name"),
        ("a\0b", {}, "NUL"),
        ("idle", {"can_submit": False, "can_read": False}, "of no use"),
    ],
)
def test_an_application_that_cannot_be_is_refused(
    db: Database, team: Team, name: str, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidError, match=says):
        add(db, team, name, **more)

    assert listed(db, team.ada) == []


def test_a_name_is_taken_once_also_by_a_source_without_a_key(db: Database, team: Team) -> None:
    add(db, team)
    with db.writing() as session:
        workflows.source_id(session, "older")

    for name in (" shop ", "older"):
        with pytest.raises(ConflictError, match="already"):
            add(db, team, name)


def test_two_who_take_a_name_at_once_do_not_share_it(
    db: Database, team: Team, at_once: Callable[[Any, Any], str]
) -> None:
    said = at_once(
        lambda session: sources.add(session, team.olu, "shop", team.support.id),
        lambda session: sources.add(session, team.ada, "shop", team.other.id),
    )

    assert "already" in said
    assert listed(db, team.ada) == [("shop", [("support", "can submit and read", True)])]


def test_a_workflow_that_is_put_away_gets_no_key(db: Database, team: Team) -> None:
    with db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)

    with pytest.raises(ConflictError, match="put away"):
        add(db, team)


def test_the_call_that_is_shown_is_what_the_contract_says_whatever_the_names_are() -> None:
    made = NewKey("shop", 'it\'s; $(rm -rf ~) "quoted" \n`x`', "nr_key")

    # A shell is the judge: what does curl get?
    script = f"""curl() {{ printf '%s\\0' "$@"; }}\n{sources.example("https://gate.example", made)}"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    words = done.stdout.split("\0")[:-1]

    assert words[:3] == ["-X", "POST", "https://gate.example/api/v1/items"]
    assert words[3:8] == ["-H", "Authorization: Bearer nr_key", "-H", "Content-Type: application/json", "-d"]
    body = orjson.loads(words[8])
    assert body["workflow"] == made.workflow
    assert set(body) == {"workflow", "model", "prompt", "output"}
    assert done.stderr == ""


def test_the_command_prints_the_key_once_and_as_json_nothing_else(db: Database, team: Team, run: Any) -> None:
    plain = run("source", "add", "shop", "--workflow", "support")
    as_json = run("source", "add", "till", "--workflow", "support", "--json")

    assert (plain.exit_code, as_json.exit_code) == (0, 0)
    printed = orjson.loads(as_json.stdout)
    assert list(printed) == ["source", "key"]
    assert printed["source"] == "till"
    with db.reading() as session:
        assert sources.caller(session, plain.stdout.strip()).source == "shop"
        assert sources.caller(session, printed["key"]).source == "till"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "import", "--workflow", "support"), "house's own name"),
        (("add", "shop", "--workflow", "nothing"), "There is no workflow"),
    ],
)
def test_the_command_refuses_with_a_sentence(db: Database, team: Team, run: Any, words: tuple[str], says: str) -> None:
    result = run("source", *words)

    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stdout == ""
