"""The engine of either database, and the two ways to open a session: to read, and to write.

Why writers queue here: on SQLite a second writer that waits inside the database starves (seconds at the worst), and a
transaction that reads before it writes fails at once when another wrote in between. So every writing transaction of
every process first takes one file lock and begins IMMEDIATE. It must be short and wait for nothing inside.
On PostgreSQL row locks do this work and the lock is a no-op.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout
from psycopg.adapt import Loader
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlmodel import Session

from db.driver import Driver

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / ".neuro_review"
PATIENCE = 15  # seconds; as busy_timeout
# A turn lasts milliseconds; who holds it for longer was stopped in the middle of one.
TURN_COMES_WITHIN = 20.0  # seconds
HELD = (
    "Another process holds the database and does not go on. Nothing was stored. Look for a stopped import or worker"
    " (`ps`, state T), continue or end it, then try again."
)
OLDEST_SQLITE = (3, 39, 0)  # IS DISTINCT FROM, RETURNING and partial indexes as the guards need them

PRAGMAS = (
    "busy_timeout=15000",
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged verdict survives power loss; NORMAL would lose the last commits
    "foreign_keys=ON",
    "cache_size=-65536",
    "temp_store=MEMORY",
    "wal_autocheckpoint=16000",
    "journal_size_limit=134217728",
    "fullfsync=1",
    "checkpoint_fullfsync=1",
)
# A forgotten transaction would stop vacuum and slow every claim.
PG_OPTIONS = "-c idle_in_transaction_session_timeout=60000 -c synchronous_commit=on"


class DatabaseUnusableError(Exception):
    """The database cannot be used as it is; the text says why and what to do."""


def database_url() -> str:
    """Return the URL of the environment, or of the file beside the app."""
    folder = Path(os.environ.get("NEURO_REVIEW_FOLDER") or DEFAULT_FOLDER)
    return os.environ.get("NEURO_REVIEW_DATABASE_URL") or file_url(folder / "neuro_review.db")


def file_url(file: Path) -> str:
    """Return the address of a SQLite file, whatever its folders are called: `?` and `%` mean something in addresses."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


class Database:
    """One database, opened once a process and shared by its threads."""

    def __init__(self, url: str) -> None:
        self.url: URL = _normal(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _check_sqlite(self.url)
        self.engine = _make_engine(self.url)
        self.errors = 0
        """How often the database failed a session since this was opened; a rule that it kept is no failure."""
        self._writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        self._mutex = threading.Lock()
        self._file_lock = FileLock(f"{self.path}.lock", thread_local=False) if self.is_sqlite else None

    @classmethod
    def from_environment(cls) -> "Database":
        """Open the database that the environment names."""
        return cls(database_url())

    @property
    def path(self) -> Path:
        """Where the SQLite file lies."""
        return Path(self.url.database or "")

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            if not isinstance(error, sa.exc.IntegrityError):
                self.errors += 1
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that only reads; what it is asked to change is rolled back."""
        with Session(self.engine, expire_on_commit=False) as session, self._counting():
            yield session
            session.rollback()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session that commits when its block ends well, and rolls back when it does not.

        What verbs have put `at_end` is done before it commits.

        Raises:
            DatabaseUnusableError: the disk is full, the file is read-only, or the server is away.
        """
        # Explained from outside: with the server away, the end of the session fails too, and says less.
        with self._turn(), explained(), Session(self._writer, expire_on_commit=False) as session, self._counting():
            yield session
            for step in session.info.pop(LAST, ()):
                step(session)
            session.commit()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if self._file_lock is None:
            yield
            return
        # The threads of one process queue on the mutex, so that at most one of them polls the file.
        if not self._mutex.acquire(timeout=TURN_COMES_WITHIN):
            raise DatabaseUnusableError(HELD)
        try:
            self._take(self._file_lock)
            try:
                yield
            finally:
                self._file_lock.release()
        finally:
            self._mutex.release()

    def _take(self, lock: FileLock) -> None:
        try:
            lock.acquire(timeout=TURN_COMES_WITHIN, poll_interval=0.001)
        except Timeout as error:
            raise DatabaseUnusableError(HELD) from error
        except OSError as error:
            raise DatabaseUnusableError(cannot_write(self.path.parent)) from error

    def ping(self) -> None:
        """Ask the database for one value.

        Raises:
            DatabaseUnusableError: it does not answer.
        """
        with explained(), self._counting(), self.engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


LAST = "last"


def at_end(session: Session, step: Callable[[Session], None]) -> None:
    """Have a step done last in the caller's transaction, because it holds rows that many others want too."""
    session.info.setdefault(LAST, []).append(step)


def _normal(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise DatabaseUnusableError(
            "NEURO_REVIEW_DATABASE_URL is not a database address. "
            "Write postgresql://user:password@host/name, or sqlite:////folder/file.db."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgres":
        parsed = parsed.set(drivername="postgresql")
        backend = "postgresql"
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise DatabaseUnusableError(
                "A database in memory would lose every verdict. Name a file: sqlite:////folder/file.db."
            )
        return parsed.set(database=str(Path(str(parsed.database)).expanduser().absolute()))
    raise DatabaseUnusableError(f"Neuro Review runs on SQLite and PostgreSQL, not on {backend}.")


def sqlite_file(url: str) -> Path | None:
    """Return where the file of a SQLite address lies, without touching it; None for another engine."""
    parsed = _normal(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def _check_sqlite(url: URL) -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise DatabaseUnusableError(
            f"This Python carries SQLite {sqlite3.sqlite_version}; {wanted} or newer is needed. Use a newer Python."
        )
    folder = Path(str(url.database)).parent
    try:
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise DatabaseUnusableError(cannot_write(folder)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DatabaseUnusableError(cannot_write(folder))


def cannot_write(folder: Path) -> str:
    """Return the sentence for a folder that may not be written."""
    return (
        f"The folder {folder} cannot be written. "
        "Give this user the right to write there, or name another database in NEURO_REVIEW_DATABASE_URL."
    )


def _make_engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url, hide_parameters=True, poolclass=sa.QueuePool, pool_size=8, max_overflow=64,
            connect_args={"check_same_thread": False, "cached_statements": 512},
        )  # fmt: skip
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = sa.create_engine(
        url, hide_parameters=True, pool_pre_ping=True, pool_size=8, max_overflow=64,
        connect_args={"options": PG_OPTIONS, "connect_timeout": 10},
    )  # fmt: skip
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: we say how
    for pragma in PRAGMAS:
        _patiently(connection, "PRAGMA " + pragma)


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Run a statement that SQLite refuses at once where it should wait: of many first connections one makes it WAL."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    Driver(connection).run("BEGIN " + connection.get_execution_options().get("sqlite_begin", "DEFERRED"))


def _prepare_postgres(connection: Any, _record: Any) -> None:
    connection.adapters.register_loader("uuid", HexLoader)


class HexLoader(Loader):
    """Read a `uuid` as the house writes ids: 32 hexadecimal digits."""

    def load(self, data: Any) -> str:
        """Return one id."""
        return bytes(data).decode().replace("-", "")


DISK_FULL = "The disk is full. Nothing of this step was stored. Free some space, then try again."
# What a driver says, and what a person needs to hear.
SENTENCES = (
    ("disk is full", DISK_FULL),
    ("no space left", DISK_FULL),
    (
        "readonly database",
        "The database cannot be written. Give this user the right to write the file and its folder.",
    ),
    ("read-only", "The database cannot be written. Give this user the right to write to it."),
    (
        "unable to open database",
        "The database file cannot be opened. Check that its folder exists and may be written.",
    ),
    (
        "not a database",
        "The file is not a Neuro Review database. Name another one in NEURO_REVIEW_DATABASE_URL.",
    ),
    ("malformed", "The database file is damaged. Restore the last backup."),
    (
        "disk i/o error",
        "The disk failed while writing. Nothing of this step was stored. Check the disk, then try again.",
    ),
    ("password authentication failed", "PostgreSQL refused the password. Check NEURO_REVIEW_DATABASE_URL."),
    ('fatal:  role "', "PostgreSQL has no user by this name. Check NEURO_REVIEW_DATABASE_URL."),
    (
        'fatal:  database "',
        "PostgreSQL has no database by this name. Make it first (`createdb NAME`), or check NEURO_REVIEW_DATABASE_URL.",
    ),
)
NO_SERVER = ("connect", "resolve", "name or service", "no route", "timeout expired", "shutting down", "terminating")
AWAY = "The database does not answer. Check that the server runs and that NEURO_REVIEW_DATABASE_URL is right."


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn a failure of the database itself into a sentence; a broken rule passes as it is."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.OperationalError, sa.exc.InternalError, sa.exc.DatabaseError) as error:
        said = str(error.orig).lower()
        for words, sentence in SENTENCES:
            if words in said:
                raise DatabaseUnusableError(sentence) from error
        if getattr(error, "connection_invalidated", False) or any(words in said for words in NO_SERVER):
            raise DatabaseUnusableError(AWAY) from error
        raise
