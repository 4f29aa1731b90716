"""Every row of a database into another, empty one, in one transaction; also from one engine to the other.

Rows go as the drivers give them: ids are hexadecimal, flags are 0 and 1 and instants are numbers on both engines. The
guards are for people who write; here they stand aside until all is in, and foreign keys are checked at the end.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db import guarding
from db.bulk import insert_rows
from db.engine import Database, DatabaseUnusableError, explained
from db.tables import SchemaInfo, Table

ROWS_AT_ONCE = 200
"""Each may carry texts of some megabytes."""
# What a database notes of itself goes nowhere.
TABLES = [table for table in Table.metadata.sorted_tables if table.name != SchemaInfo.__tablename__]
Progress = Callable[[int], None]
"""Called with how many rows are in."""


def is_empty(database: Database) -> bool:
    """Tell whether a database of ours holds nothing yet."""
    with explained(), database.engine.connect() as connection:
        return _is_empty(connection)


def _is_empty(connection: sa.Connection) -> bool:
    return not any(connection.execute(sa.select(sa.literal(1)).select_from(t).limit(1)).first() for t in TABLES)


def copy(source: Database, target: Database, progress: Progress = lambda rows: None) -> int:
    """Copy every row of one database into another that is empty, all or nothing, and return how many there were.

    Both must have this code's shape. Others may go on writing to the source: the copy is of one moment.

    Raises:
        DatabaseUnusableError: a database fails, holds something, or a row would point at nothing.
    """
    with explained(), _as_of_now(source) as reading, _unguarded(target) as session:
        if not _is_empty(session.connection()):
            raise DatabaseUnusableError("The database to copy into is not empty. Name an empty one.")
        rows = 0
        for table in TABLES:
            for some in _pages(reading, table):
                insert_rows(session, _quoted(table.name), " ".join(_quoted(c.name) for c in table.columns), some)
                rows += len(some)
                progress(rows)
            _compare(reading, session.connection(), table)
        if not target.is_sqlite:
            _count_on(session.connection())
            # Until PostgreSQL has counted by itself it guesses, and a first look at the charts could take minutes.
            session.connection().exec_driver_sql(f"ANALYZE {', '.join(_quoted(table.name) for table in TABLES)}")
        return rows


def _quoted(name: str) -> str:
    return f'"{name}"'  # `by` and `at` are words of SQL


@contextlib.contextmanager
def _as_of_now(source: Database) -> Iterator[sa.Connection]:
    engine = source.engine
    if not source.is_sqlite:
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        yield connection
        connection.rollback()


@contextlib.contextmanager
def _unguarded(target: Database) -> Iterator[Session]:
    """Open a session that writes past the guards, and puts them back before it commits."""
    if target.is_sqlite:
        with target.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA foreign_keys=OFF")  # inside a transaction it would be ignored
            try:
                with connection.begin():
                    names = connection.exec_driver_sql(
                        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                    ).scalars()
                    for name in names.all():
                        connection.exec_driver_sql(f"DROP TRIGGER {name}")
                    yield Session(connection)
                    guarding.install(connection)
                    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                        raise DatabaseUnusableError("Rows of this database point at others that are not there.")
            finally:
                raw.execute("PRAGMA foreign_keys=ON")
        return
    with target.writing() as session:
        connection = session.connection()
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        for table in TABLES:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
        late = list(_drop_circular(connection))
        yield session
        for statement in late:
            connection.exec_driver_sql(statement)
        for table in TABLES:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ENABLE TRIGGER USER")
        guarding.follow(connection)


def _drop_circular(connection: sa.Connection) -> Iterator[str]:
    """Drop the foreign keys that go in a circle, and yield how each is made again."""
    asked = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %(name)s AND conrelid = %(of)s::regclass"
    )
    for table in TABLES:
        for key in table.foreign_key_constraints:
            if key.use_alter:
                says = connection.exec_driver_sql(asked, {"name": key.name, "of": table.name}).scalar_one()
                connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name}")
                yield f"ALTER TABLE {table.name} ADD CONSTRAINT {key.name} {says}"


def _pages(reading: sa.Connection, table: sa.Table) -> Iterator[list[Any]]:
    columns, order = (", ".join(_quoted(c.name) for c in some) for some in (table.columns, table.primary_key))
    query = f"SELECT {columns} FROM {_quoted(table.name)} ORDER BY {order}"
    found = reading.execution_options(stream_results=True, max_row_buffer=ROWS_AT_ONCE).exec_driver_sql(query)
    while some := found.fetchmany(ROWS_AT_ONCE):
        yield [tuple(row) for row in some]


def _compare(reading: sa.Connection, writing: sa.Connection, table: sa.Table) -> None:
    count = sa.select(sa.func.count()).select_from(table)
    there, here = (connection.execute(count).scalar_one() for connection in (reading, writing))
    if there != here:
        raise DatabaseUnusableError(f"Of {there:,} rows of {table.name} {here:,} arrived. Nothing was kept; try again.")


def _count_on(connection: sa.Connection) -> None:
    """Let each number that counts up go on after the highest there is."""
    for table in TABLES:
        column = table.autoincrement_column
        if column is not None:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), m) FROM"
                f" (SELECT max({column.name}) AS m FROM {table.name}) h WHERE m IS NOT NULL"
                f" AND pg_get_serial_sequence('{table.name}', '{column.name}') IS NOT NULL"
            )
