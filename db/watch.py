"""A look that is cheap enough to be taken many times a second: has somebody written since?

On SQLite the file counts its commits, and to read that count costs microseconds and no lock, whichever process wrote.
On PostgreSQL the question itself is asked, over a connection of its own: one round trip, and no transaction begins.
That works behind every pooler, where LISTEN does not, and costs the writers nothing.
"""

import contextlib
from typing import Any

from db.engine import Database, explained


class Watch:
    """The answer to one question (one value, no parameters), as of the last commit."""

    def __init__(self, database: Database, question: str) -> None:
        self._database = database
        self._question = question
        self._connection: Any = None
        self._version: int | None = None
        self._answer: Any = None

    def look(self) -> Any:
        """Return the answer.

        Raises:
            DatabaseUnusableError: the database does not answer; the next look connects again.
        """
        try:
            with explained():
                return self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        connection, self._connection, self._version = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
                connection.close()

    def _look(self) -> Any:
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
            if not self._database.is_sqlite:
                self._connection.driver_connection.autocommit = True
        raw = self._connection.driver_connection
        if self._database.is_sqlite:
            version = raw.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return self._answer
            self._version = version
        self._answer = raw.execute(self._question).fetchone()[0]
        return self._answer
