"""Fresh databases of each engine, as they are in earnest."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from db.engine import Database
from db.migrate import migrate
from tests.engines import postgres_server


@contextlib.contextmanager
def databases(engine: str, folder: Path) -> Iterator[Callable[[], str]]:
    """Give what makes a fresh database and returns its address; PostgreSQL waits for the disk as in earnest."""
    if engine == "postgresql":
        with postgres_server(durable=True) as server:
            yield lambda: server.url(server.create())
        return

    def fresh() -> str:
        url = f"sqlite:///{folder / secrets.token_hex(4)}.db"
        database = Database(url)
        migrate(database)
        database.dispose()
        return url

    yield fresh


def settle(database: Database) -> None:
    """Let PostgreSQL finish with the rows that came in, which it would otherwise do in the middle of what follows."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
