"""The schema comes from the migrations alone: complete, once, and refused where it is not ours."""

import multiprocessing
import os
import re
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from db import engine, guarding
from db import migrate as migration
from db.engine import Database, DatabaseUnusableError
from db.migrate import migrate
from db.tables import DecidedBy, Event, Label, Origin, PassOver, Purpose, Role, Status, Table, Verdict
from db.tables.workflows import DATA_POLICIES
from tests.engines import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def nothing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create_empty()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def empty(nothing: str) -> Iterator[Database]:
    database = Database(nothing)
    yield database
    database.dispose()


def run(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def table_names(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_an_upgrade_from_nothing_makes_exactly_our_tables(empty: Database) -> None:
    changed = migrate(empty)

    with empty.engine.connect() as connection:
        options = {"compare_type": True, "render_as_batch": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata)
    assert changed
    assert differences == []


def test_a_second_migration_does_nothing(empty: Database) -> None:
    migrate(empty)

    assert migrate(empty) is False


def test_every_guard_is_there_after_the_migration(db: Database) -> None:
    with db.engine.connect() as connection:
        assert guarding.missing(connection) == []


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_all_back(empty: Database) -> None:
    migrate(empty)

    with empty.engine.begin() as connection:
        command.downgrade(alembic(connection), "base")
    left = table_names(empty)

    assert left <= {"alembic_version"}
    assert migrate(empty)
    assert migrate(empty) is False


def alembic(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migration.MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate_once(url: str, gate: Any, results: Any) -> None:
    database = Database(url)
    gate.wait()
    try:
        results.put(migrate(database))
    except Exception as error:
        results.put(repr(error))
    database.dispose()


def test_of_eight_processes_that_start_at_once_exactly_one_migrates(nothing: str) -> None:
    fork = multiprocessing.get_context("fork")  # to spawn costs seconds of imports each
    gate, results = fork.Barrier(8), fork.Queue()
    starters = [fork.Process(target=migrate_once, args=(nothing, gate, results)) for _ in range(8)]

    for starter in starters:
        starter.start()
    done = [results.get(timeout=60) for _ in starters]
    for starter in starters:
        starter.join()

    assert sorted(map(str, done)) == ["False"] * 7 + ["True"]


def test_a_missing_guard_is_refused_at_start_with_a_sentence(db: Database) -> None:
    on = "" if db.is_sqlite else " ON release"
    run(db, f"DROP TRIGGER guard_release_decided{on}")

    with pytest.raises(DatabaseUnusableError, match=r"guard_release_decided.*verify-audit"):
        migrate(db)


def test_a_guard_that_is_switched_off_is_refused_at_start(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite cannot switch a trigger off")
    run(db, "ALTER TABLE item DISABLE TRIGGER guard_item_needs_decision")

    with pytest.raises(DatabaseUnusableError, match="guard_item_needs_decision"):
        migrate(db)


def test_a_guard_that_lost_its_words_is_refused_at_start(db: Database) -> None:
    if db.is_sqlite:
        run(
            db,
            "DROP TRIGGER guard_release_decided",
            "CREATE TRIGGER guard_release_decided BEFORE INSERT ON release BEGIN SELECT 1; END",
        )
    else:
        run(
            db,
            "CREATE OR REPLACE FUNCTION guard_release_decided() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NEW; END $$",
        )

    with pytest.raises(DatabaseUnusableError, match="guard_release_decided"):
        migrate(db)


def test_a_guard_that_moved_to_another_table_is_refused_at_start(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("the words of a SQLite trigger name its table")
    run(
        db,
        "DROP TRIGGER guard_release_decided ON release",
        "CREATE TRIGGER guard_release_decided BEFORE INSERT ON draft FOR EACH ROW"
        " EXECUTE FUNCTION guard_release_decided()",
    )

    with pytest.raises(DatabaseUnusableError, match="guard_release_decided"):
        migrate(db)


@pytest.mark.parametrize(
    "when",
    [
        "BEFORE INSERT ON release FOR EACH ROW WHEN (FALSE)",
        "AFTER INSERT ON release FOR EACH ROW",
        "BEFORE INSERT ON release FOR EACH STATEMENT",
        "BEFORE UPDATE ON release FOR EACH ROW",
        "BEFORE UPDATE OF at ON release FOR EACH ROW",
    ],
)
def test_a_guard_that_fires_at_another_time_is_refused_at_start(db: Database, when: str) -> None:
    name = "guard_release_no_update" if "OF at" in when else "guard_release_decided"
    if db.is_sqlite:
        does = f"DROP TRIGGER {name}", f"CREATE TRIGGER {name} {_sqlite(when)} BEGIN SELECT RAISE(ABORT, 'x'); END"
    else:
        does = f"DROP TRIGGER {name} ON release", f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()"
    run(db, *does)

    with pytest.raises(DatabaseUnusableError, match=name):
        migrate(db)


def _sqlite(when: str) -> str:
    return when.replace(" FOR EACH STATEMENT", "")


def test_a_database_that_newer_code_has_claimed_is_refused(db: Database) -> None:
    run(db, "UPDATE schema_info SET oldest_code = 99")

    with pytest.raises(DatabaseUnusableError, match=r"A newer Neuro Review has claimed .* version 99 .* Update"):
        migrate(db)


def test_a_revision_that_this_code_does_not_know_is_refused(db: Database) -> None:
    run(db, "UPDATE alembic_version SET version_num = '0999'")

    with pytest.raises(DatabaseUnusableError, match=r"revision 0999.*Update this installation"):
        migrate(db)


def test_a_lost_version_note_does_not_stop_the_start(db: Database) -> None:
    run(db, "DELETE FROM schema_info")

    assert migrate(db) is False


@pytest.mark.parametrize("theirs", [[], ["CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"]])
def test_a_database_of_another_program_is_refused_and_untouched(empty: Database, theirs: list[str]) -> None:
    run(empty, "CREATE TABLE invoices (id INTEGER)", *theirs)
    before = table_names(empty)

    with pytest.raises(DatabaseUnusableError, match="tables of another program"):
        migrate(empty)

    assert table_names(empty) == before


def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("Dear diary, " * 1000)

    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnusableError, match="not a Neuro Review database"):
        migrate(database)

    assert path.read_text() == "Dear diary, " * 1000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the next test simulates it")
def test_a_read_only_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (folder := tmp_path / "locked").mkdir(mode=0o500)

    with pytest.raises(DatabaseUnusableError, match=r"locked cannot be written\. Give this user"):
        Database(f"sqlite:///{folder / 'test.db'}")


def test_a_folder_that_says_it_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # what root is never told

    with pytest.raises(DatabaseUnusableError, match=r"cannot be written\. Give this user"):
        Database(f"sqlite:///{tmp_path / 'test.db'}")


def test_a_lock_file_that_cannot_be_made_is_told_as_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Read-only file system")

    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    monkeypatch.setattr(migration.FileLock, "acquire", refuse)

    with pytest.raises(DatabaseUnusableError, match=r"cannot be written\. Give this user"):
        migrate(database)


@pytest.mark.parametrize("pages", [2, 20, 80])
def test_a_full_disk_stops_the_migration_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    path = tmp_path / "full.db"
    with monkeypatch.context() as full:
        full.setattr(engine, "PRAGMAS", (*engine.PRAGMAS, f"max_page_count={pages}"))
        database = Database(f"sqlite:///{path}")
        with pytest.raises(DatabaseUnusableError, match=r"disk is full\. Nothing of this step was stored"):
            migrate(database)
        database.dispose()

    assert sqlite3.connect(path).execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert migrate(Database(f"sqlite:///{path}"))


def test_a_full_disk_stops_a_write_and_leaves_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if not db.is_sqlite:
        pytest.skip("simulated by SQLite's page limit")
    with db.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    monkeypatch.setattr(engine, "PRAGMAS", (*engine.PRAGMAS, f"max_page_count={pages}"))
    db.dispose()

    with pytest.raises(DatabaseUnusableError, match="disk is full"), db.writing() as session:
        for number in range(10_000):
            session.connection().exec_driver_sql(
                "INSERT INTO source (name, created_at) VALUES (?, 1)", (f"a source of some length {number}",)
            )

    with db.reading() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM source").scalar_one() == 0


WORDS: dict[tuple[str, str], type[StrEnum] | tuple[str, ...]] = {
    ("item", "origin"): Origin,
    ("item", "status"): Status,
    ("item", "label"): Label,
    ("item_pass", "kind"): PassOver,
    ("review", "purpose"): Purpose,
    ("review", "verdict"): Verdict,
    ("decision", "by"): DecidedBy,
    ("outbox", "event"): Event,
    ("role_grant", "role"): Role,
    ("workflow", "data_policy"): DATA_POLICIES,
}


@pytest.mark.parametrize(("table", "column"), list(WORDS), ids="-".join)
def test_the_words_a_column_takes_are_the_words_of_the_code(db: Database, table: str, column: str) -> None:
    with db.engine.connect() as connection:
        checks = sa.inspect(connection).get_check_constraints(table)

    (rule,) = (one["sqltext"] for one in checks if one["name"] == f"ck_{table}_{column}")

    assert sorted(re.findall(r"'([^']*)'", rule)) == sorted(WORDS[table, column])


def test_a_decision_takes_every_status_but_held_and_recorded(db: Database) -> None:
    with db.engine.connect() as connection:
        checks = sa.inspect(connection).get_check_constraints("decision")

    (rule,) = (one["sqltext"] for one in checks if one["name"] == "ck_decision_status")

    assert set(re.findall(r"'([^']*)'", rule)) == set(Status) - {Status.HELD, Status.RECORDED}
