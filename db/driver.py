"""Statements handed to the driver itself, past SQLAlchemy's layers: for the few that every submit runs.

Measured in a transaction of 16 submits: SQLAlchemy takes some 60 µs a statement, SQLite 10 for one that finds a row.
What the driver raises, is raised as SQLAlchemy does; transactions begin and end with the session, as everywhere.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import psycopg
import sqlalchemy as sa
from sqlmodel import Session

HERE = "driver"


class Driver:
    """The driver's own connection, within one transaction of a session."""

    def __init__(self, connection: sa.Connection) -> None:
        self.raw: Any = connection.connection.driver_connection
        self.is_sqlite = connection.dialect.name == "sqlite"
        self._dialect = connection.dialect

    def run(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement, its parameters written as this driver does (`?` on SQLite, else `%s`); gives its cursor.

        Raises:
            sa.exc.DBAPIError: the database refuses it, or is away.
        """
        try:
            return self.raw.execute(statement, values)
        except (sqlite3.Error, psycopg.Error) as error:
            raise self.as_everywhere(statement, error) from error

    def listed(self, values: Sequence[str]) -> Any:
        """Return texts as one parameter: for `IN (SELECT value FROM json_each(?))` on SQLite, else for `= ANY(%s)`."""
        return orjson.dumps(list(values)).decode() if self.is_sqlite else list(values)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what was done within the block, and nothing else of the transaction, where it does not end well."""
        self.run("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sa.exc.DBAPIError):  # it is away: the whole transaction is gone
                self.run("ROLLBACK TO SAVEPOINT part")
                self.run("RELEASE SAVEPOINT part")
            raise
        self.run("RELEASE SAVEPOINT part")

    def as_everywhere(self, statement: str, error: Exception) -> BaseException:
        """Return what SQLAlchemy raises in place of an error of the driver."""
        return sa.exc.DBAPIError.instance(
            statement, None, error, sqlite3.Error if self.is_sqlite else psycopg.Error, hide_parameters=True,
            dialect=self._dialect, connection_invalidated=bool(getattr(self.raw, "closed", False)),
        )  # fmt: skip


def driver(session: Session) -> Driver:
    """Return the driver's connection of the transaction that a session is in, which begins here if it has not yet."""
    transaction = session.get_transaction()
    kept = session.info.get(HERE)
    if kept is not None and kept[0] is transaction:
        there: Driver = kept[1]
        return there
    found = Driver(session.connection())
    session.info[HERE] = session.get_transaction(), found
    return found
