"""Names for rows that bring none: the hash of the content, and how often that came before in the same file."""

import sqlite3

from neuro_review.intake import content_name

COUNT = "INSERT INTO seen VALUES (?, 0) ON CONFLICT (hash) DO UPDATE SET times = times + 1 RETURNING times"


class Names:
    """Counts equal rows, in a file of its own: millions of rows stay small in memory."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None

    def __call__(self, parts: list[str | None]) -> str:
        """Return the name of the next row with this content; the same in every run over the same file."""
        name = content_name(parts, 0).removesuffix("-0")
        (times,) = self._open().execute(COUNT, (bytes.fromhex(name),)).fetchone()
        return f"{name}-{times}"

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            # An empty name is a file that SQLite deletes when it is closed.
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute("PRAGMA journal_mode=OFF")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.execute("PRAGMA cache_size=-32768")
            self._db.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID")
            self._db.execute("BEGIN")
        return self._db
