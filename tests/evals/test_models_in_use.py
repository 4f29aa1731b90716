"""The model in use: applications are told, another takes its place on evidence or a reason, and back in one step."""

from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.clock import new_id
from db.engine import Database
from neuro_review import models, sources
from neuro_review.__main__ import main
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.models import Use
from tests.conftest import OPERATOR, Team


def call(db: Database, team: Team, verb: Any, **more: Any) -> Use:
    with db.writing() as session:
        made = verb(session, team.support.id, more.pop("by", team.olu), **more)
    assert isinstance(made, Use)
    return made


def told(db: Database, team: Team, name: str = "support") -> dict[str, Any]:
    with db.writing() as session:
        key = sources.add(session, OPERATOR, f"shop {new_id()}", team.support.id).key
    with db.reading() as session:
        return models.told(session, sources.caller(session, key), name)


def test_an_application_is_told_what_to_call_and_of_a_canary(db: Database, team: Team) -> None:
    assert told(db, team) == {"workflow": "support", "version": 0, "model": None, "parameters": {}, "canary": None}

    call(db, team, models.promote, model="openai/a", parameters={"temperature": 0}, reason="the first")
    call(db, team, models.try_on_traffic, model="openai/b", share=0.1)

    assert told(db, team) == {
        "workflow": "support", "version": 2, "model": "openai/a", "parameters": {"temperature": 0},
        "canary": {"model": "openai/b", "parameters": {}, "share": 0.1},
    }  # fmt: skip
    with pytest.raises(NotFoundError):
        told(db, team, "other")
    call(db, team, models.end_canary)
    assert told(db, team)["canary"] is None


def test_another_model_needs_a_gate_that_passed_or_a_written_reason(db: Database, team: Team) -> None:
    with pytest.raises(InvalidError, match="Name a gate that passed"):
        call(db, team, models.promote, model="openai/a", reason="  ")
    with pytest.raises(NotFoundError):
        call(db, team, models.promote, model="openai/a", gate_id=new_id())
    with pytest.raises(NotAllowedError):
        call(db, team, models.promote, model="openai/a", reason="because", by=team.bo)

    assert call(db, team, models.promote, model="openai/a", reason="because").reason == "because"


def test_the_command_line_names_the_model_and_goes_back(
    url: str, db: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def run(*words: str) -> tuple[int, Any]:
        ran = CliRunner().invoke(main, ["workflow", "model", "support", "--json", *words])
        return ran.exit_code, orjson.loads(ran.stdout)["model"] if ran.exit_code == 0 else None

    assert run() == (0, None)
    assert run("--use", "openai/a") == (1, None)
    assert run("--use", "openai/a", "--reason", "the first", "--parameters", '{"seed": 1}') == (0, "openai/a")
    assert told(db, team)["parameters"] == {"seed": 1}
    assert run("--use", "openai/b", "--reason", "cheaper") == (0, "openai/b")
    assert run("--back") == (0, "openai/a")
    assert run("--back", "--use", "openai/b")[0] == run("--use", "x", "--parameters", "[1]")[0] == 2
    assert run() == (0, "openai/a")


def test_one_step_leads_back_to_the_model_before(db: Database, team: Team) -> None:
    with pytest.raises(ConflictError, match="no other model"):
        call(db, team, models.roll_back)
    call(db, team, models.promote, model="openai/a", parameters={"seed": 1}, reason="the first")
    call(db, team, models.promote, model="openai/b", reason="newer")
    call(db, team, models.try_on_traffic, model="openai/c", share=0.5)

    back = call(db, team, models.roll_back)

    assert (back.model, back.parameters, back.canary_model, back.seq) == ("openai/a", {"seed": 1}, None, 4)
    with db.reading() as session:
        assert [one.model for one in models.history(session, team.olu, team.support.id)] == [
            "openai/a", "openai/b", "openai/b", "openai/a",
        ]  # fmt: skip
        events = sa.text("SELECT count(*) FROM audit WHERE action = 'model.changed' AND actor = :by")
        assert session.connection().execute(events, {"by": team.olu.audit_name}).scalar_one() == 4


def test_what_was_decided_on_an_old_screen_is_refused(db: Database, team: Team) -> None:
    first = call(db, team, models.promote, model="openai/a", reason="the first", after=0)
    call(db, team, models.promote, model="openai/b", reason="newer", after=first.seq)

    for verb, more in (
        (models.promote, {"model": "openai/c", "reason": "mine"}), (models.roll_back, {}), (models.end_canary, {}),
        (models.try_on_traffic, {"model": "openai/c", "share": 0.1}),
    ):  # fmt: skip
        with pytest.raises(ConflictError, match="meanwhile"):
            call(db, team, verb, after=first.seq, **more)
    assert call(db, team, models.roll_back, after=2).model == "openai/a"


def test_reviewers_know_what_is_in_use_and_who_put_it_there_and_others_do_not(db: Database, team: Team) -> None:
    call(db, team, models.promote, model="openai/a", reason="the first")
    call(db, team, models.try_on_traffic, model="openai/b", share=0.1)
    with db.reading() as session:
        rows = models.history(session, team.bo, team.support.id)
        with pytest.raises(NotAllowedError):
            models.history(session, team.eve, team.support.id)

    assert [one.who for one in rows] == ["Olu", "Olu"]
    assert (models.came(rows).seq, models.before(rows)) == (1, None)
    for verb, more in ((models.roll_back, {}), (models.end_canary, {}), (models.try_on_traffic, {"share": 0.1})):
        with pytest.raises(NotAllowedError):
            call(db, team, verb, by=team.bo, **({"model": "openai/c"} | more if more else {}))


def test_neither_a_key_nor_an_address_nor_what_stands_for_reviewed_outputs_comes_into_use(
    db: Database, team: Team
) -> None:
    call(db, team, models.promote, model="openai/a", reason="the first")
    for more in ({"model": "recorded"}, {"model": "openai/b", "parameters": {"api_key": "sk-1"}},
                 {"model": "openai/b", "parameters": {"api_base": "http://evil.example"}}):  # fmt: skip
        with pytest.raises(InvalidError):
            call(db, team, models.promote, reason="why", **more)
        with pytest.raises(InvalidError):
            call(db, team, models.try_on_traffic, share=0.1, **more)


def test_a_share_is_at_most_half_and_needs_another_model_in_use(db: Database, team: Team) -> None:
    with pytest.raises(ConflictError):
        call(db, team, models.try_on_traffic, model="openai/b", share=0.1)
    call(db, team, models.promote, model="openai/a", reason="the first")
    with pytest.raises(ConflictError):
        call(db, team, models.try_on_traffic, model="openai/a", share=0.1)
    for share in (0, 0.6, -1):
        with pytest.raises(InvalidError):
            call(db, team, models.try_on_traffic, model="openai/b", share=share)


INSERT = (
    "INSERT INTO model_use (workflow_id, seq, model, parameters, gate_id, gate_outcome, reason, at, by)"
    " VALUES ({flow}, {seq}, 'openai/x', '{{}}', {gate}, {outcome}, {reason}, 1, 'x')"
)


def test_no_model_comes_into_use_by_sql_without_grounds_and_none_is_rewritten(db: Database, team: Team) -> None:
    call(db, team, models.promote, model="openai/a", reason="the first")
    facts = {"flow": team.support.id, "seq": 2, "gate": "NULL", "outcome": "NULL", "reason": "''"}

    for lie in (
        INSERT.format(**facts), INSERT.format(**facts | {"reason": "NULL"}),
        INSERT.format(**facts | {"seq": 7, "reason": "'why'"}),
        INSERT.format(**facts | {"gate": f"'{new_id()}'", "outcome": "'pass'"}),
        "UPDATE model_use SET model = 'openai/x'", "DELETE FROM model_use",
    ):  # fmt: skip
        with pytest.raises(sa.exc.IntegrityError), db.writing() as session:
            session.connection().exec_driver_sql(lie)
