"""Bring the database to the shape this code needs: one process does it, the others wait.

The whole step is one transaction: revisions, guards and the version note, or nothing.
"""

import time
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout

from db import guarding
from db.engine import Database, DatabaseUnusableError, cannot_write, explained, sqlite_file
from db.tables import Table

# Counts up with each change of the schema that older code must not write to; then OLDEST_CODE follows it.
CODE_VERSION = 2
OLDEST_CODE = 2  # version 1 writes items and verdicts without counting them

ADVISORY_LOCK = 0x4E524556
PATIENCE = 120  # seconds
# After a second PostgreSQL ends one of those that wait for each other: we step back before it ends an older process's
# work. A vacuum gives way only to who waits longer.
STEPS_BACK, STAYS = "500ms", "5s"
GENTLE = 10  # seconds
IN_THE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


NAME_IT = "Name it in NEURO_REVIEW_DATABASE_URL."
NO_PAUSE = (
    "The database has to be brought into a new shape, and others work on it without a pause. Stop every other app and"
    " worker of this database, then start again."
)
FOREIGN = "This database holds tables of another program. Name an empty one in NEURO_REVIEW_DATABASE_URL."


def migrate(database: Database) -> bool:
    """Bring the database up to date and return whether anything had to be done.

    Raises:
        DatabaseUnusableError: newer code has claimed the database, a guard is missing, or it is not ours.
    """
    with explained():
        with database.engine.connect() as connection:
            _refuse_if_newer(connection)
            current = _current(connection) == head()
        changed = False
        if not current:
            changed = _migrate_sqlite(database) if database.is_sqlite else _migrate_postgres(database)
        if not database.is_sqlite:
            with database.engine.begin() as connection:
                guarding.follow(connection)
        _check(missing_guards(database))
        _alone(strangers(database))
    return changed


def open_as_it_is(url: str) -> Database:
    """Open a database to look into it: nothing is made, migrated or refused for a missing guard.

    Raises:
        DatabaseUnusableError: there is none, or it is not of this code's shape.
    """
    file = sqlite_file(url)
    if file is not None and (not file.is_file() or not file.stat().st_size):
        raise DatabaseUnusableError(f"There is no database at {file}. {NAME_IT}")
    database = Database(url)
    with explained(), database.engine.connect() as connection:
        _refuse_if_newer(connection)
        current = _current(connection)
    if current is None:
        where = database.url.render_as_string(hide_password=True) if file is None else file
        raise DatabaseUnusableError(f"There is no database of Neuro Review at {where}. {NAME_IT}")
    if current != head():
        raise DatabaseUnusableError("This database has an older shape. Start the app once, which updates it.")
    return database


def is_new(database: Database) -> bool:
    """Tell whether nothing is there yet, neither of ours nor of anybody else's.

    Raises:
        DatabaseUnusableError: newer code has claimed the database, or it is not ours.
    """
    with explained(), database.engine.connect() as connection:
        _refuse_if_newer(connection)
        return _current(connection) is None


def is_current(database: Database) -> bool:
    """Tell whether a database has this code's shape."""
    with explained(), database.engine.connect() as connection:
        return _current(connection) == head()


def missing_guards(database: Database) -> list[str]:
    """Return the names of the guards that are missing or switched off."""
    with database.engine.connect() as connection:
        return guarding.missing(connection)


def strangers(database: Database) -> list[str]:
    """Return the triggers and rules on our tables that are not ours."""
    with database.engine.connect() as connection:
        return guarding.strangers(connection)


def restore_guards(database: Database) -> None:
    """Put every guard back in place."""
    with explained(), database.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        guarding.install(connection)


def head() -> str:
    """Return the revision this code needs."""
    return str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_if_newer(connection: sa.Connection) -> None:
    tables = set(sa.inspect(connection).get_table_names())
    if tables and "alembic_version" not in tables:
        raise DatabaseUnusableError(FOREIGN)
    if "schema_info" in tables:
        oldest = connection.execute(sa.text("SELECT max(oldest_code) FROM schema_info")).scalar_one() or 0
        if oldest > CODE_VERSION:
            raise DatabaseUnusableError(
                f"A newer Neuro Review has claimed this database (it needs version {oldest} of the store, this code"
                f" has {CODE_VERSION}). Update this installation; nothing was changed."
            )
    elif tables - {"alembic_version"}:
        raise DatabaseUnusableError(FOREIGN)
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    current = _current(connection)
    if current is not None and current not in known:
        raise DatabaseUnusableError(
            f"This database has revision {current}, which this code does not know. Update this installation."
        )


def _migrate_sqlite(database: Database) -> bool:
    lock = FileLock(f"{database.path}.migrate.lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise DatabaseUnusableError(
            "Another process is still migrating the database. Try again in a minute."
        ) from error
    except OSError as error:
        raise DatabaseUnusableError(cannot_write(database.path.parent)) from error
    try:
        with database.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
            # Rebuilding a table would trip over its own foreign keys; they are checked as a whole before the commit.
            raw = connection.connection.driver_connection
            raw.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
            try:
                with connection.begin():
                    if _current(connection) == head():
                        return False
                    _upgrade(connection)
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                    if broken:
                        raise DatabaseUnusableError(f"Migration stopped: {len(broken)} rows would point at nothing.")
            finally:
                raw.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
        return True
    finally:
        lock.release()


def _migrate_postgres(database: Database) -> bool:
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        try:
            with database.engine.begin() as connection:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                if _current(connection) == head():
                    return False
                _hold(connection, STEPS_BACK if waited < GENTLE else STAYS)
                _upgrade(connection)
                return True
        except sa.exc.OperationalError as error:
            # Another process migrates, or an older one still writes: look again. By its kind, because PostgreSQL says
            # it in the language of the server.
            if not isinstance(error.orig, IN_THE_WAY):
                raise
            if waited > PATIENCE:
                raise DatabaseUnusableError(NO_PAUSE) from error


def _hold(connection: sa.Connection, patience: str) -> None:
    """Let nobody else at our tables until the transaction ends.

    All of them before the first change: an older process that writes meanwhile would be missed by what is counted from
    rows, and would end the migration by a deadlock half-way, with its work lost.
    """
    there = set(sa.inspect(connection).get_table_names())
    # As everybody who writes comes to them: the item, what hangs on it, its event.
    order = {"item": 0, "audit": 2}
    names = sorted(there & set(Table.metadata.tables), key=lambda name: (order.get(name, 1), name))
    if names:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{patience}'")
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")


def _upgrade(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    guarding.install(connection)
    claim = "INSERT INTO schema_info (id, oldest_code) VALUES (1, :oldest)"
    claim += " ON CONFLICT (id) DO UPDATE SET oldest_code = excluded.oldest_code"
    connection.execute(sa.text(claim), {"oldest": OLDEST_CODE})


def _check(absent: list[str]) -> None:
    if absent:
        raise DatabaseUnusableError(
            f"{len(absent)} of the database's guards are missing or switched off (first: {absent[0]}). Somebody has"
            " changed the schema by hand. Run `python -m neuro_review verify-audit` to see whether something was"
            " altered meanwhile; then restore a backup, or put them back with its option --restore-guards."
        )


def _alone(others: list[str]) -> None:
    if others:
        raise DatabaseUnusableError(
            f"Somebody else's work is on the database's tables ({len(others)}, first: {others[0]}): it can"
            " change a row after the guards have looked at it. Find out who put it there, remove it, and run"
            " `python -m neuro_review verify-audit` to see whether something was altered meanwhile."
        )
