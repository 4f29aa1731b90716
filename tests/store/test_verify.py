"""Who goes around the triggers is found: `verify-audit` names the first event that does not fit."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.engine import Database
from db.migrate import missing_guards
from db.tables import Origin, Verdict
from neuro_review import audit, decisions, history, intake, queue, releases, workflows
from neuro_review.__main__ import main
from neuro_review.decisions import Opinion
from neuro_review.history import PastReview
from neuro_review.intake import Door, Submission
from neuro_review.verify import PAGE, verify
from tests.conftest import Clock, Team


@pytest.fixture
def story(db: Database, team: Team, moved_clock: Clock) -> dict[str, str]:
    """Items to which everything has happened that can, all of it sealed; their ids by name."""
    ids = {}
    with db.writing() as session:
        source = workflows.source_id(session, workflows.IMPORT_SOURCE)
        door = Door(team.support, source, "operator:tests")
        for name in ("approved", "corrected", "rejected", "undone", "held"):
            one = intake.prepare(door, Submission(model="m", output=f"Output {name}.", external_id=name))
            ids[name] = intake.store(session, door, [one])[0].item_id
        past = Door(team.support, source, "operator:tests", Origin.HISTORY)
        one = intake.prepare(past, Submission(model="m", output="Of the past.", external_id="past"))
        history.store(session, past, [(one, PastReview(verdict="correct", correction="Better.", reviewer="ann"))])
        ids["past"] = one.item_id
    _decide(db, team, ids)
    moved_clock.forward(10_000_000)
    with db.writing() as session:
        releases.release_due(session)
        opinion = Opinion(Verdict.REJECT, reasons=["Tone"])
        decisions.recall(session, ids["approved"], team.bo, reason="Wrong.", opinion=opinion)
        audit.seal(session)
    return ids


def _decide(db: Database, team: Team, ids: dict[str, str]) -> None:
    verdicts = {"approved": Verdict.APPROVE, "corrected": Verdict.CORRECT, "rejected": Verdict.REJECT}
    with db.writing() as session:
        for lease in queue.claim(session, team.bo, [team.support.id]):
            name = next(name for name, item_id in ids.items() if item_id == lease.item_id)
            if name == "held":
                continue
            opinion = Opinion(verdicts.get(name, Verdict.APPROVE), "Corrected text.", ["Tone"])
            decisions.decide(session, lease.item_id, team.bo, lease.lease_n, opinion)
        decisions.undo(session, ids["undone"], team.bo)


@pytest.fixture
def vandal(db: Database) -> Iterator[Any]:
    """Run SQL with every trigger, check and foreign key out of the way."""
    if db.is_sqlite:
        raw = db.engine.raw_connection()
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        yield raw.execute
        raw.close()
        return
    with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")
        checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid IN"
        checks += " (SELECT c::regclass FROM unnest(ARRAY['item', 'review', 'decision', 'release']) c)"
        for table, name in connection.exec_driver_sql(checks).all():
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        yield connection.exec_driver_sql


def test_everything_that_was_done_properly_fits(db: Database, story: dict[str, str]) -> None:
    report = verify(db)

    assert report.broken == []
    with db.reading() as session:
        counted = session.connection().execute(sa.text("SELECT count(*) FROM audit")).scalar_one()
    assert report.events == counted > 20


CASES = [
    (
        "an event's body",
        "UPDATE audit SET body = replace(body, 'approve', 'reject ') WHERE stream = '{approved}' AND seq = 3",
        "approved",
        3,
        "edited",
    ),
    (
        "an event's time",
        "UPDATE audit SET at = at - 1 WHERE stream = '{approved}' AND seq = 2",
        "approved",
        2,
        "edited",
    ),
    (
        "an event's hash",
        "UPDATE audit SET hash = '{zeros}' WHERE stream = '{approved}' AND seq = 1",
        "approved",
        1,
        "edited",
    ),
    ("a middle event gone", "DELETE FROM audit WHERE stream = '{approved}' AND seq = 2", "approved", 2, "missing"),
    ("a last event gone", "DELETE FROM audit WHERE stream = '{corrected}' AND seq = 4", "corrected", 4, "missing"),
    ("a whole chain gone", "DELETE FROM audit WHERE stream = '{held}'", "held", 1, "missing"),
    ("an output", "UPDATE item_content SET output = 'Other.' WHERE item_id = '{held}'", "held", 1, "output was edited"),
    ("an output erased by hand", "UPDATE item_content SET output = NULL WHERE item_id = '{held}'", "held", 1, "gone"),
    ("an item's origin", "UPDATE item SET origin = 'sample' WHERE id = '{held}'", "held", 1, "item was edited"),
    (
        "a verdict",
        "UPDATE review SET verdict = 'reject' WHERE item_id = '{corrected}'",
        "corrected",
        2,
        "verdict was edited",
    ),
    (
        "a reviewer",
        "UPDATE review SET reviewer = 'eve@example.com' WHERE item_id = '{rejected}'",
        "rejected",
        2,
        "verdict",
    ),
    ("a verdict gone", "DELETE FROM review WHERE item_id = '{past}'", "past", 2, "deleted"),
    (
        "a correction",
        "UPDATE review_content SET text = 'Mine.' WHERE text = 'Corrected text.'",
        "corrected",
        2,
        "correction was edited",
    ),
    (
        "a decision",
        "UPDATE decision SET status = 'approved' WHERE item_id = '{rejected}'",
        "rejected",
        3,
        "decision was edited",
    ),
    ("a decision gone", "DELETE FROM decision WHERE item_id = '{rejected}'", "rejected", 3, "deleted"),
    ("an undo gone", "DELETE FROM retraction", "undone", 4, "deleted"),
    (
        "a release's text",
        "UPDATE release SET text_hash = '{zeros}' WHERE item_id = '{corrected}'",
        "corrected",
        4,
        "release",
    ),
    ("a release gone", "DELETE FROM release WHERE item_id = '{corrected}'", "corrected", 4, "deleted"),
]


@pytest.mark.parametrize(("statement", "item", "seq", "says"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_the_first_event_that_does_not_fit_is_named(
    db: Database, story: dict[str, str], vandal: Any, statement: str, item: str, seq: int, says: str
) -> None:
    vandal(statement.format(**story, zeros="0" * 64))

    first = verify(db).first

    assert first is not None
    assert (first.stream, first.seq) == (story[item], seq)
    assert says in first.what


def test_a_decision_put_in_by_hand_is_found(db: Database, story: dict[str, str], vandal: Any) -> None:
    vandal(
        "INSERT INTO decision (id, item_id, seq, by, status, releases, text_hash, actor, decided_at, final_at)"
        f" VALUES ('{'a' * 32}', '{story['held']}', 1, 'human', 'approved', TRUE, 'x', 'person:1', 1, 1)"
    )

    first = verify(db).first

    assert first is not None
    assert first.stream == story["held"]
    assert "no event" in first.what


def test_an_item_deleted_whole_is_found_by_the_seal(db: Database, story: dict[str, str], vandal: Any) -> None:
    for table, column in (("audit", "stream"), ("item_content", "item_id"), ("item", "id")):
        vandal(f"DELETE FROM {table} WHERE {column} = '{story['held']}'")

    first = verify(db).first

    assert first is not None
    assert first.stream == "seal"
    assert "1 of the" in first.what


def test_an_edited_seal_is_found(db: Database, story: dict[str, str], vandal: Any) -> None:
    vandal("UPDATE seal SET events = events - 1")

    first = verify(db).first

    assert first is not None
    assert (first.stream, first.what) == ("seal", "This seal was edited.")


def test_a_chain_longer_than_a_page_is_checked_across_it(db: Database, team: Team) -> None:
    with db.writing() as session:
        for number in range(PAGE + 10):
            audit.record(session, "house", "operator:tests", audit.Action.WORKFLOW_CHANGED, {"n": number})

    report = verify(db)

    assert report.broken == []
    assert report.events > PAGE


def test_the_command_names_it_though_the_guards_are_gone(
    db: Database, url: str, story: dict[str, str], vandal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    vandal(f"DELETE FROM audit WHERE stream = '{story['held']}'")

    result = CliRunner().invoke(main, ["verify-audit", "--json"])

    assert result.exit_code == 1
    assert orjson.loads(result.stdout)["first_broken"]["stream"] == story["held"]


def test_missing_guards_are_put_back_where_everything_fits(
    db: Database, url: str, story: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    with db.engine.begin() as connection:
        on = "" if db.is_sqlite else " ON release"
        connection.exec_driver_sql(f"DROP TRIGGER guard_release_decided{on}")
    refused = CliRunner().invoke(main, ["workflow", "add", "x", "--owner", "olu@example.com"])

    result = CliRunner().invoke(main, ["verify-audit", "--restore-guards"])

    assert "guard_release_decided" in refused.stderr
    assert result.exit_code == 0
    assert missing_guards(db) == []
