"""A database of an older shape with data in it: it comes to this one whole, also while an older process writes."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlmodel import Session

from db import migrate as migration
from db.clock import DAY, new_id
from db.copying import TABLES
from db.engine import Database, DatabaseUnusableError
from db.guards import GUARDS, NEVER_EMPTIED
from db.migrate import migrate
from db.triggers import never_emptied_facts, postgres_facts, sqlite_trigger
from neuro_review.rollups import checking
from neuro_review.verify import verify
from tests.store.test_migrations import alembic

BEFORE_THE_COUNTS = "0007"


def age(db: Database, revision: str = BEFORE_THE_COUNTS) -> None:
    """Take a database back to the shape it had as of a revision."""
    engine = db.engine.execution_options(sqlite_begin="IMMEDIATE")
    with engine.connect() as connection:
        if db.is_sqlite:  # as in a migration: a table that is rebuilt is gone for a moment
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        with connection.begin():
            command.downgrade(alembic(connection), revision)
        if db.is_sqlite:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def rows(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the older shape has too."""
    with db.engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(_without_counts(table)).all()), key=repr)
            for table in TABLES if not table.name.startswith("rollup_")
        }  # fmt: skip


def _without_counts(table: sa.Table) -> sa.Select[Any]:
    return sa.select(*[column for column in table.columns if column.name != "edited"])


def miscounted(db: Database) -> list[checking.Difference]:
    engine = db.engine if db.is_sqlite else db.engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(engine) as session:
        flows = session.connection().exec_driver_sql("SELECT id FROM workflow").scalars().all()
        last = session.connection().exec_driver_sql("SELECT max(created_at) FROM item").scalar_one() // DAY + 7
        return [one for flow in flows for one in checking.differences(session, flow, 0, last)]


def test_a_filled_database_of_an_older_shape_loses_nothing_and_is_counted(db: Database, story: dict[str, str]) -> None:
    before = rows(db)
    age(db)

    assert migrate(db)

    assert rows(db) == before
    assert verify(db).broken == []
    assert miscounted(db) == []
    with db.reading() as session:
        assert session.connection().exec_driver_sql("SELECT sum(items) FROM rollup_day").scalar_one() == len(story)


def test_postgresql_knows_how_much_there_is_before_it_counts(db: Database, story: dict[str, str]) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite asks no figures")
    age(db)

    migrate(db)

    asked = "SELECT relname FROM pg_class WHERE relname IN ('item', 'review', 'rollup_series') AND reltuples > 0"
    with db.engine.connect() as connection:
        assert set(connection.exec_driver_sql(asked).scalars()) == {"item", "review", "rollup_series"}


@contextlib.contextmanager
def older_process(db: Database) -> Iterator[sa.Connection]:
    """Stand in for the process of an older version that is still up: it has just taken in an output, uncommitted."""
    with db.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        names = [column["name"] for column in sa.inspect(connection).get_columns("item")]
        kept = [f'"{name}"' for name in names if name not in ("id", "external_id")]
        connection.execute(
            sa.text(
                f"INSERT INTO item (id, external_id, {', '.join(kept)}) SELECT :id, 'late', {', '.join(kept)} FROM item"
                " WHERE external_id = 'held'"
            ),
            {"id": new_id()},
        )
        yield connection


def wait_until_it_waits(db: Database, done: Future[bool]) -> None:
    """Return once the migration waits for the older process; SQLite cannot be asked, and there it waits at once."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not db.is_sqlite and not done.done():
        with db.engine.connect() as connection:
            if connection.exec_driver_sql(asked).scalar_one():
                return
        time.sleep(0.01)


def test_what_an_older_process_writes_meanwhile_is_counted_and_ends_no_migration(
    db: Database, story: dict[str, str]
) -> None:
    age(db)
    later = Database(str(db.url.render_as_string(hide_password=False)))

    with ThreadPoolExecutor(1) as beside:
        with older_process(db) as older:
            done = beside.submit(migrate, later)
            wait_until_it_waits(db, done)
            # Had the migration changed this table by now, each would wait for the other.
            older.execute(sa.text("DELETE FROM review WHERE id = :none"), {"none": new_id()})
        assert done.result()

    assert miscounted(later) == []
    with later.reading() as session:
        counted = session.connection().exec_driver_sql("SELECT sum(items) FROM rollup_day").scalar_one()
    assert counted == len(story) + 1
    later.dispose()


@pytest.mark.parametrize("kind", ["55P03", "40P01"])
def test_a_migration_waits_its_turn_whatever_language_postgresql_speaks(
    db: Database, story: dict[str, str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite waits for a writer by itself")
    age(db)
    hold, waited = migration._hold, []

    def in_the_way_once(connection: sa.Connection, patience: str) -> None:
        if not waited:
            waited.append(patience)
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE 'Verklemmung entdeckt' USING ERRCODE = '{kind}'; END $$")
        hold(connection, patience)

    monkeypatch.setattr(migration, "_hold", in_the_way_once)

    assert migrate(db)
    assert waited


def test_a_migration_that_never_gets_its_turn_says_what_to_stop(
    db: Database, story: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite waits for a writer by itself, and readers do not hold it up")
    age(db)
    monkeypatch.setattr(migration, "PATIENCE", 0)

    with older_process(db), pytest.raises(DatabaseUnusableError, match="Stop every other app and worker"):
        migrate(Database(str(db.url.render_as_string(hide_password=False))))


GUARDS_AS_OF = {"0013": "995ee1cef9f91ee8"}
"""What the guards are as of the newest revision, which puts them in place."""


def test_a_guard_changes_only_with_a_revision() -> None:
    each = [(guard.trigger, guard.only_on, sqlite_trigger(guard), postgres_facts(guard)) for guard in GUARDS]
    each += [(table, never_emptied_facts(table)) for table in sorted(NEVER_EMPTIED)]

    found = {migration.head(): hashlib.sha256(repr(each).encode()).hexdigest()[:16]}

    assert found == GUARDS_AS_OF, (
        "A guard is another one. Every database there is has the guards of its revision, and would be refused at its"
        " start as if somebody had taken one away. Add a revision, as 0012 is, and write here what is found."
    )
