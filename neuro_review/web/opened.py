"""The one database of this process, shared by the web door and the screens."""

import functools

from db.engine import Database, database_url


def database() -> Database:
    """Return the database that the environment names, opened at the first call."""
    return _opened(database_url())


# Keyed by the address, because a test names another database and expects it.
@functools.lru_cache(maxsize=1)
def _opened(url: str) -> Database:
    return Database(url)
