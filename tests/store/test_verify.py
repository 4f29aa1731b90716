"""Who goes around the triggers is found: `verify-audit` names the first event that does not fit."""

import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.engine import Database
from db.migrate import missing_guards
from neuro_review import audit, intake, queue, workflows
from neuro_review.__main__ import main
from neuro_review.content import parts_hash
from neuro_review.intake import Door, Submission
from neuro_review.verify import PAGE, Report, run, verify
from neuro_review.verify.report import MOST_KEPT
from tests.conftest import Team
from tests.helpers import note_erasure


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
    *[
        (what, f"UPDATE item_content SET {column} = {value} WHERE item_id = '{{held}}'", "held", 1, "item was edited")
        for what, column, value in (
            ("a prompt", "prompt", "'Other.'"),
            ("a prompt gone", "prompt", "NULL"),
            ("a context", "context", "'Other.'"),
            ("metadata", "metadata", "'{{}}'"),
        )
    ],
    *[
        (f"an item's {column}", f"UPDATE item SET {column} = 'x' WHERE id = '{{held}}'", "held", 1, "item was edited")
        for column in ("model", "prompt_version", "prompt_hash", "external_id", "parameters", "trace_url")
    ],
    *[
        (
            f"an item's {column}",
            f"UPDATE item SET {column} = {value} WHERE id = '{{held}}'",
            "held",
            1,
            "not what came in",
        )
        for column, value in (
            ("created_at", "created_at - 1"),
            ("cost_micro", "7"),
            ("latency_ms", "7"),
            ("prompt_tokens", "7"),
            ("completion_tokens", "7"),
            ("panel_u", "0.123"),
            ("panel_rate", "0.123"),
            ("panel", "NOT panel"),
            ("rubric_version", "rubric_version + 1"),
            ("end_user", "'somebody'"),
            ("priority", "9"),
            ("routed_at", "routed_at - 1"),
            ("stratum", "'must review'"),
            ("inclusion", "0.5"),
        )
    ],
    *[
        (what, f"UPDATE item SET {change} WHERE id = '{{{item}}}'", item, seq, "not what its events say")
        for what, change, item, seq in (
            ("a status", "status = 'withdrawn'", "held", 1),
            ("which decision stands", "decision_id = NULL", "corrected", 4),
            ("who decided", "decided_by = 'policy'", "corrected", 4),
            ("when it was decided", "decided_at = decided_at - 1", "corrected", 4),
            ("when it leaves", "leaves_at = 1", "undone", 4),
            ("when it was released", "released_at = released_at + 1", "corrected", 4),
            ("that it was recalled", "recalled_at = NULL", "approved", 6),
            ("a label of the past", "label = 'approve'", "past", 2),
            ("a label that is disputed", "label = 'approve'", "disputed", 3),
            ("the label of a recall", "label = 'approve'", "approved", 6),
            ("the label of a decision", "label = NULL", "rejected", 4),
            ("the label of what was undone", "label = 'approve'", "undone", 4),
            ("how many events it has", "audit_seq = 3", "corrected", 4),
        )
    ],
    *[
        (
            f"a review's {column}",
            f"UPDATE review SET {column} = {value} WHERE item_id = '{{corrected}}'",
            "corrected",
            2,
            "verdict was edited",
        )
        for column, value in {
            "person_id": "person_id + 1",
            "shown_at": "shown_at - 1",
            "handling_ms": "1",
            "created_at": "1",
        }.items()
    ],
    (
        "a note",
        "UPDATE review_content SET note = 'Mine.' WHERE text IS NOT NULL AND note IS NOT NULL",
        "corrected",
        2,
        "note was edited",
    ),
    ("a note gone", "UPDATE review_content SET note = NULL WHERE text IS NOT NULL", "corrected", 2, "note was edited"),
    *[
        (
            f"a decision's {column}",
            f"UPDATE decision SET {column} = {value} WHERE item_id = '{{corrected}}'",
            "corrected",
            3,
            "decision was edited",
        )
        for column, value in {"actor": "'person:99'", "verdict": "'approve'", "releases": "FALSE"}.items()
    ],
    ("who undid it", "UPDATE retraction SET person_id = person_id + 1", "undone", 4, "undo was edited"),
    ("when it was undone", "UPDATE retraction SET at = at - 1", "undone", 4, "undo was edited"),
    ("a release's time", "UPDATE release SET at = at + 1 WHERE item_id = '{corrected}'", "corrected", 4, "release was"),
    ("a recall's reason", "UPDATE recall SET reason = 'None.'", "approved", 6, "its reason"),
    ("who recalled it", "UPDATE recall SET person_id = person_id + 1", "approved", 6, "recall was edited"),
    ("when it was recalled", "UPDATE recall SET at = at + 1", "approved", 6, "recall was edited"),
    ("a message gone", "DELETE FROM outbox WHERE item_id = '{corrected}'", "corrected", 4, "deleted"),
    ("a message of a rejection gone", "DELETE FROM outbox WHERE item_id = '{rejected}'", "rejected", 4, "deleted"),
    ("a message of a recall gone", "DELETE FROM outbox WHERE event = 'recalled'", "approved", 6, "message"),
    ("a message's word", "UPDATE outbox SET event = 'lapsed' WHERE event = 'rejected'", "rejected", 4, "message"),
    (
        "whom a message is for",
        "UPDATE outbox SET source_id = 99 WHERE item_id = '{corrected}'",
        "corrected",
        4,
        "message was edited",
    ),
    (
        "a message by hand",
        "INSERT INTO outbox (item_id, origin, source_id, workflow_id, event, decision_id, created_at,"
        " attempts, next_at) VALUES ('{undone}', 'gate', 1, 1, 'rejected', '{zeros32}', 1, 0, 1)",
        "undone",
        4,
        "A message has no event",
    ),
    (
        "an erasure by hand",
        "INSERT INTO erasure (item_id, reason, erased_by, at) VALUES ('{held}', 'x', 'person:1', 1)",
        "held",
        1,
        "An erasure has no event",
    ),
    ("a release gone", "DELETE FROM release WHERE item_id = '{corrected}'", "corrected", 4, "deleted"),
]


@pytest.mark.parametrize(("statement", "item", "seq", "says"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_the_first_event_that_does_not_fit_is_named(
    db: Database, story: dict[str, str], vandal: Any, statement: str, item: str, seq: int, says: str
) -> None:
    vandal(statement.format(**story, zeros="0" * 64, zeros32="0" * 32))

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


def test_a_number_that_a_rolled_back_seal_used_is_not_missed(db: Database, story: dict[str, str]) -> None:
    with db.writing() as session:
        audit.record(session, "house", "operator:tests", audit.Action.WORKFLOW_CHANGED, {})
        session.commit()
        audit.seal(session)
        session.rollback()
    with db.writing() as session:
        assert audit.seal(session)

    report = verify(db)

    assert report.broken == []
    with db.reading() as session:
        last = session.connection().execute(sa.text("SELECT hash FROM seal ORDER BY n DESC LIMIT 1")).scalar_one()
    assert report.last_seal == last


def test_a_first_seal_that_is_gone_is_found(db: Database, story: dict[str, str], vandal: Any) -> None:
    with db.writing() as session:
        audit.record(session, "house", "operator:tests", audit.Action.WORKFLOW_CHANGED, {})
    with db.writing() as session:
        audit.seal(session)
    vandal("DELETE FROM seal WHERE n = (SELECT min(n) FROM seal)")

    first = verify(db).first

    assert first is not None
    assert (first.stream, first.what) == ("seal", "A seal before this one is missing.")


def test_a_disputed_label_cannot_be_settled_with_the_guards_on_unnoticed(db: Database, story: dict[str, str]) -> None:
    with db.writing() as session:
        settle = sa.text("UPDATE item SET label = 'approve' WHERE id = :id AND label = 'disputed' RETURNING id")
        assert session.connection().execute(settle, {"id": story["disputed"]}).all()

    first = verify(db).first

    assert first is not None
    assert (first.stream, first.what) == (story["disputed"], "The item was edited: it is not what its events say.")


def test_an_erasure_that_was_told_fits_and_an_edited_one_does_not(
    db: Database, story: dict[str, str], vandal: Any
) -> None:
    with db.writing() as session:
        note_erasure(session, story["corrected"])
        gone = "UPDATE item_content SET salt = NULL, prompt = NULL, output = NULL, context = NULL WHERE item_id = :id"
        session.connection().execute(sa.text(gone), {"id": story["corrected"]})
    vandal("UPDATE review_content SET text = NULL, note = NULL WHERE text IS NOT NULL AND note IS NOT NULL")
    fits = verify(db)
    vandal("UPDATE erasure SET reason = 'Because.'")

    first = verify(db).first

    assert fits.broken == []
    assert first is not None
    assert (first.stream, first.what) == (story["corrected"], "The erasure was edited: it is not what was done.")


def test_what_is_written_meanwhile_is_not_taken_for_tampering(
    db: Database, team: Team, story: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PAGE", 2)

    def go_on(events: int) -> None:
        with db.writing() as session:
            queue.escalate(session, story["held"], team.bo)
            queue.escalate(session, story["undone"], team.bo)

    assert verify(db, go_on).broken == []


def test_of_very_many_findings_the_earliest_are_kept() -> None:
    report = Report()

    for at in range(3 * MOST_KEPT, 0, -1):
        report.add("a", 1, at, "x")

    assert report.first is not None
    assert (report.first.at, report.found) == (1, 3 * MOST_KEPT)
    assert len(report.broken) <= 2 * MOST_KEPT
    assert set(range(1, MOST_KEPT + 1)) <= {one.at for one in report.broken}


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

    missed = CliRunner().invoke(main, ["verify-audit", "--json"])
    told = CliRunner().invoke(main, ["verify-audit"])
    still_missing = missing_guards(db)

    result = CliRunner().invoke(main, ["verify-audit", "--restore-guards", "--json"])

    assert "guard_release_decided" in refused.stderr
    said = orjson.loads(missed.stdout)
    assert (missed.exit_code, said["ok"], said["first_broken"], said["guards_missing"]) == (1, False, None, 1)
    assert told.exit_code == 1
    assert "put them back with --restore-guards" in told.stdout
    assert still_missing == ["guard_release_decided"]
    said = orjson.loads(result.stdout)
    assert (result.exit_code, said["ok"], said["guards_missing"]) == (0, True, 0)
    assert missing_guards(db) == []


def test_the_last_seal_is_told_so_that_it_can_be_kept_outside(
    db: Database, url: str, story: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    with db.reading() as session:
        seal = session.connection().execute(sa.text("SELECT hash FROM seal")).scalar_one()

    as_json = CliRunner().invoke(main, ["verify-audit", "--json"])
    as_text = CliRunner().invoke(main, ["verify-audit"])

    assert orjson.loads(as_json.stdout)["last_seal"] == seal
    assert seal in as_text.stdout


@pytest.mark.parametrize("there", ["nothing", "an empty file"])
def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    path = tmp_path / "folder" / "none.db"
    if there == "an empty file":
        path.parent.mkdir()
        path.touch()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", f"sqlite:///{path}")

    result = CliRunner().invoke(main, ["verify-audit", "--json"])

    assert result.exit_code == 1
    assert result.stderr == f"There is no database at {path}. Name it in NEURO_REVIEW_DATABASE_URL.\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_database_is_not_migrated(db: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if db.is_sqlite:
        db.dispose()
        db.path.unlink()
        empty = sqlite3.connect(db.path)
        empty.execute("PRAGMA user_version = 1")
        empty.close()
    else:
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    result = CliRunner().invoke(main, ["verify-audit"])

    assert result.exit_code == 1
    assert result.stderr.startswith("There is no database of Neuro Review at ")
    with db.engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_a_priority_that_an_owner_changed_fits_and_one_that_nobody_did_is_found(
    db: Database, team: Team, story: dict[str, str], vandal: Any
) -> None:
    with db.writing() as session:
        for priority in (8, 2):
            queue.prioritise(session, story["held"], team.olu, priority)
    assert verify(db).broken == []

    vandal(f"UPDATE item SET priority = 9 WHERE id = '{story['held']}'")

    first = verify(db).first
    assert first is not None
    assert "not what its events say" in first.what


@pytest.mark.parametrize("known", ["all but how it was born", "nothing beside the texts"])
def test_a_first_event_of_before_stays_valid(db: Database, team: Team, vandal: Any, known: str) -> None:
    with db.writing() as session:
        door = Door(team.support, workflows.source_id(session, workflows.IMPORT_SOURCE), "operator:tests")
        one = intake.prepare(door, Submission(model="m", output="An output.", end_user="u"))
        intake.store(session, door, [one])
    stream, seq, at, actor, action, body, *_ = one.event
    facts = orjson.loads(body)
    del facts["born"]
    if known == "all but how it was born":
        names = intake.ITEM_COLUMNS.split()
        facts["facts"] = parts_hash(one.salt, [one.item[names.index(name)] for name in intake.FIXED])
    body = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    its_hash = audit.event_hash("", stream, seq, at, actor, action, body)
    vandal(f"UPDATE audit SET body = '{body}', hash = '{its_hash}' WHERE stream = '{stream}'")

    assert verify(db).broken == []
    vandal(f"UPDATE item SET cost_micro = 7 WHERE id = '{one.item_id}'")
    assert bool(verify(db).broken) == ("facts" in facts)
