"""A backup, the way back from it, and the move to PostgreSQL.

A backup is one SQLite file, whichever engine it is of: checked when it is made, checked again before it is restored,
and then either all of it is there or nothing was changed. The secret is never in it.
"""

import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from db import copying, migrate
from db.engine import DISK_FULL, Database, DatabaseUnusableError, file_url, sqlite_file
from neuro_review.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from neuro_review.verify import verify

Progress = Callable[[int], None]
NOT_ALTERED = "Nothing was changed."
NO_BACKUP = "is no backup of Neuro Review and is not replaced. Name another file, or move this one away."
PATIENCE = 5
"""Seconds in which others let go of a place."""
BESIDE = ("-wal", "-shm", "-journal", ".lock", ".migrate.lock")
"""What SQLite and we keep beside a database; of a living one it holds what was stored last, and who writes."""
SQLITE, AT_REST = b"SQLite format 3\0", b"\1"
"""How a SQLite file begins, and its nineteenth byte: another one where an app writes to it as to ours (WAL)."""
OURS = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_info'"


@dataclass(frozen=True)
class Done:
    """What was copied, and that it fits."""

    events: int
    """Audit events that were checked."""
    last_seal: str | None
    bytes: int = 0


def backup(database: Database, file: Path, progress: Progress = lambda rows: None) -> Done:
    """Write everything in a database to one file, while others go on writing, and check the file.

    Raises:
        InvalidError: the file cannot be written there.
        UnavailableError: what is in the database does not fit its audit log.
        DatabaseUnusableError: the database or the disk fails; what was at this place is still there.
    """
    if file.exists() and not file.is_file():
        raise InvalidError(f"{file} is not a plain file and is not replaced. Name another.", "file")
    if database.is_sqlite and _is_of(database, file):
        raise InvalidError(f"{file} is the database itself. Name another file.", "file")
    if not file.parent.is_dir():
        raise InvalidError(f"There is no folder {file.parent}. Make it, or name a file in another one.", "file")
    if file.exists() and not _may_be_replaced(file):
        raise InvalidError(f"{file} {NO_BACKUP}", "file")
    with _beside(file) as copy:
        if database.is_sqlite:
            _copy_file(database.path, copy)
        else:
            with _opened(copy, fresh=True) as target:
                copying.copy(database, target, progress)
        with _opened(copy) as target:
            done = _checked(target, "The database does not fit its audit log")
        _one_file(copy)
        return Done(done.events, done.last_seal, _put(copy, file))


def restore(file: Path, url: str, progress: Progress = lambda rows: None) -> Done:
    """Put a backup in place of a database that is empty or not there yet.

    Raises:
        NotFoundError: there is no such file.
        ConflictError: the database holds something, or it is SQLite and the backup is of PostgreSQL.
        UnavailableError: the file is damaged, or was altered.
        DatabaseUnusableError: the file is of a newer Neuro Review, or the database fails. Nothing was changed.
    """
    if not file.is_file():
        raise NotFoundError(f"There is no file {file}. Check the path.")
    place = sqlite_file(url)
    if place is None or (place.exists() and place.stat().st_size):
        _refuse_if_full(url)
    with _beside(place or Path(tempfile.gettempdir()) / file.name) as copy:
        _copy_file(file, copy)
        with _opened(copy) as source:
            migrate.migrate(source)
            done = _checked(source, "This backup does not fit its own audit log")
            if place is None:
                with contextlib.closing(_Disposed(Database(url))) as opened:
                    migrate.migrate(opened.database)
                    copying.copy(source, opened.database, progress)
                return done
            if _is_of_postgres(copy):
                raise ConflictError(
                    "This backup is of a PostgreSQL database, whose order of events SQLite cannot go on with. Name a"
                    f" PostgreSQL database in NEURO_REVIEW_DATABASE_URL. {NOT_ALTERED}"
                )
        _one_file(copy)
        with _nobody_at(place, url):
            for rest in ("-wal", "-shm"):
                place.with_name(place.name + rest).unlink(missing_ok=True)
            _put(copy, place)
        return done


def move(database: Database, to: str, progress: Progress = lambda rows: None) -> Done:
    """Copy everything to a PostgreSQL database that is empty; what is left behind stays as it is.

    Raises:
        InvalidError: the address is not of PostgreSQL.
        ConflictError: the database there holds something.
        UnavailableError: what is in this database does not fit its audit log.
        DatabaseUnusableError: a database fails. Nothing was changed.
    """
    if sqlite_file(to) is not None:
        raise InvalidError("`move` goes to PostgreSQL. Write --to postgresql://user:password@host/name.", "to")
    _refuse_if_full(to)
    done = _checked(database, "The database does not fit its audit log")
    with contextlib.closing(_Disposed(Database(to))) as opened:
        migrate.migrate(opened.database)
        copying.copy(database, opened.database, progress)
    return done


@dataclass(frozen=True)
class _Disposed:
    database: Database

    def close(self) -> None:
        self.database.dispose()


@contextlib.contextmanager
def _opened(file: Path, *, fresh: bool = False) -> Iterator[Database]:
    """Open a copy that nobody else knows of."""
    database = Database(file_url(file))
    try:
        if fresh:
            migrate.migrate(database)
        yield database
    except sqlite3.DatabaseError as error:
        raise UnavailableError(f"{file} is damaged: {error}. {NOT_ALTERED}") from error
    finally:
        database.dispose()


def _is_of(database: Database, file: Path) -> bool:
    """Tell whether a file is a SQLite database, or what is kept beside it."""
    if file.exists() and file.samefile(database.path):
        return True
    places = (database.path, database.path.resolve())
    return file.resolve() in [Path(f"{place}{rest}").resolve() for place in places for rest in BESIDE]


def _may_be_replaced(file: Path) -> bool:
    """Tell whether a file is empty or an earlier backup; a database that an app writes to is none."""
    try:
        with file.open("rb") as there:
            head = there.read(20)
        if not head.startswith(SQLITE) or head[18:19] != AT_REST:
            return not head
        # Read as it lies there: nothing may appear beside a file that is perhaps somebody else's.
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
            return bool(opened.execute(OURS).fetchone()[0])
    except (OSError, sqlite3.DatabaseError):
        return False


def _checked(database: Database, says: str) -> Done:
    report = verify(database)
    if report.first is not None:
        raise UnavailableError(
            f"{says}: {report.first.stream} number {report.first.seq}: {report.first.what} {NOT_ALTERED}"
            " Run `verify-audit` where it came from, and take the last backup that fits."
        )
    return Done(report.events, report.last_seal)


def _refuse_if_full(url: str) -> None:
    with contextlib.closing(_Disposed(Database(url))) as opened:
        if migrate.is_new(opened.database):
            return
        if not migrate.is_current(opened.database) or not copying.is_empty(opened.database):
            where = opened.database.url.render_as_string(hide_password=True)
            raise ConflictError(f"There is a database with data at {where}. {NOT_ALTERED} Name an empty one.")


@contextlib.contextmanager
def _nobody_at(place: Path, url: str) -> Iterator[None]:
    """Keep others away from a place, and refuse where somebody was there meanwhile: what they store would be lost."""
    try:
        with FileLock(f"{place}.migrate.lock", timeout=PATIENCE), FileLock(f"{place}.lock", timeout=PATIENCE):
            if place.exists() and place.stat().st_size:
                _refuse_if_full(url)
                _one_file(place)  # SQLite does so only for who is alone
            yield
    except (Timeout, _OpenElsewhereError) as error:
        raise ConflictError(f"{place} is in use. {NOT_ALTERED} Stop the app and every worker, then restore.") from error


class _OpenElsewhereError(DatabaseUnusableError):
    """Others have this database open."""


@contextlib.contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """Give a name beside a file, on the same disk, and leave nothing of it behind."""
    made = file.with_name(f"{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.touch(mode=0o600)
    except OSError as error:
        raise InvalidError(f"The folder {file.parent} cannot be written. Name another.", "file") from error
    try:
        yield made
    finally:
        for rest in ("", *BESIDE):
            made.with_name(made.name + rest).unlink(missing_ok=True)


def _copy_file(file: Path, to: Path) -> None:
    """Copy a SQLite database as of one moment, and look whether every page of it can be read."""
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(to)) as target,
        ):
            # All pages in one step: a copy in steps begins anew whenever somebody writes, and may never end.
            source.backup(target, pages=-1)
            (said,) = target.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        _refuse_if_disk_full(error)
        raise UnavailableError(f"{file} is damaged or no backup of Neuro Review: {error}. {NOT_ALTERED}") from error
    if said != "ok":
        raise UnavailableError(f"{file} is damaged: {said}. {NOT_ALTERED}")


def _one_file(copy: Path) -> None:
    """Bring all of a copy into the one file that is kept; where the disk is full, SQLite leaves a part beside it."""
    try:
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        _refuse_if_disk_full(error)
        said = f"{copy} could not be completed: {error}. {NOT_ALTERED}"
        raise (_OpenElsewhereError if "locked" in str(error) else DatabaseUnusableError)(said) from error


def _refuse_if_disk_full(error: sqlite3.Error) -> None:
    if "full" in str(error):
        raise DatabaseUnusableError(DISK_FULL) from error


def _is_of_postgres(file: Path) -> bool:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM audit WHERE xid > 0)").fetchone()[0])


def _put(copy: Path, file: Path) -> int:
    """Bring a file to the disk and give it its name; returns its length."""
    try:
        with copy.open("rb+") as made:
            os.fsync(made.fileno())
        length = copy.stat().st_size
        copy.replace(file)
    except OSError as error:
        raise DatabaseUnusableError(f"{file} was not written: {error.strerror}. {NOT_ALTERED}") from error
    return length
