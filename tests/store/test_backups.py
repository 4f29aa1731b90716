"""Backup, restore and move: everything or nothing, checked, and never over what is there."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from db.clock import SECOND
from db.copying import TABLES, is_empty
from db.engine import Database, DatabaseUnusableError, database_url
from db.migrate import migrate
from db.tables import Role, Verdict
from neuro_review import access, audit, backups, decisions, releases
from neuro_review.__main__ import main
from neuro_review.decisions import Opinion
from neuro_review.verify import verify
from tests.conftest import OPERATOR, Clock
from tests.engines import Postgres

SECRET = "a secret of the tests, long enough to count"


@pytest.fixture
def elsewhere(postgres: Postgres) -> Iterator[str]:
    """The address of a PostgreSQL database in which nothing is yet."""
    name = "elsewhere"
    with postgres.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.drop(name)


def call(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> Result:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    return CliRunner().invoke(main, list(arguments))


def everything(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    with db.engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table)).all()), key=repr) for table in TABLES
        }


def same(url: str, db: Database) -> Database:
    """Open what was restored: it must hold what the other holds, verify, and have its guards."""
    there = Database(url)
    assert migrate(there) is False
    assert everything(there) == everything(db)
    assert verify(there).broken == []
    return there


def test_a_backup_restored_holds_the_same_and_goes_on(
    url: str, db: Database, story: dict[str, str], elsewhere: str, tmp_path: Path, moved_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "backup.db"
    made = call(monkeypatch, url, "backup", str(file))
    assert made.exit_code == 0, made.output
    assert "The secret is not in it." in made.output
    assert SECRET.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup.db"]

    home = f"sqlite:///{tmp_path / 'new' / 'place' / 'neuro_review.db'}" if db.is_sqlite else elsewhere
    restored = call(monkeypatch, home, "restore", str(file), "--json")

    assert restored.exit_code == 0, restored.output
    assert orjson.loads(restored.stdout)["events"] > 20
    goes_on(same(home, db), story, moved_clock)


def test_a_folder_may_be_called_as_it_likes(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "why? 100%20#" / "backup.db"
    file.parent.mkdir()
    for _ in range(2):
        assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
    assert [path.name for path in tmp_path.rglob("*.db*") if path.parent != Path(db.path).parent] == ["backup.db"]
    if not db.is_sqlite:
        return  # a backup of PostgreSQL does not go into SQLite

    folder = tmp_path / "what? 5%41"
    monkeypatch.setenv("NEURO_REVIEW_FOLDER", str(folder))
    monkeypatch.delenv("NEURO_REVIEW_DATABASE_URL")
    assert CliRunner().invoke(main, ["restore", str(file)]).exit_code == 0
    assert (folder / "neuro_review.db").is_file()
    same(database_url(), db).dispose()


def test_a_backup_of_sqlite_is_restored_into_postgresql_and_not_the_other_way(
    url: str, db: Database, story: dict[str, str], elsewhere: str, tmp_path: Path, moved_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file, other = tmp_path / "backup.db", tmp_path / "other.db"
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0

    if db.is_sqlite:
        restored = call(monkeypatch, elsewhere, "restore", str(file))
        assert restored.exit_code == 0, restored.output
        goes_on(same(elsewhere, db), story, moved_clock)
    else:
        restored = call(monkeypatch, f"sqlite:///{other}", "restore", str(file))
        assert restored.exit_code == 1
        assert "This backup is of a PostgreSQL database" in restored.output
        assert not other.exists()


def test_everything_moves_to_postgresql(
    url: str, db: Database, story: dict[str, str], elsewhere: str, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = call(monkeypatch, url, "move", "--to", elsewhere)

    assert moved.exit_code == 0, moved.output
    assert "Set NEURO_REVIEW_DATABASE_URL to that address" in moved.output
    goes_on(same(elsewhere, db), story, moved_clock)
    again = call(monkeypatch, url, "move", "--to", elsewhere)
    assert again.exit_code == 1
    assert "There is a database with data" in again.output


def test_postgresql_knows_how_much_has_moved(
    url: str, db: Database, story: dict[str, str], elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, url, "move", "--to", elsewhere).exit_code == 0

    there = Database(elsewhere)
    known = "SELECT relname FROM pg_class WHERE relname IN ('item', 'review', 'rollup_day') AND reltuples > 0"
    with there.engine.connect() as connection:
        assert set(connection.exec_driver_sql(known).scalars()) == {"item", "review", "rollup_day"}
    there.dispose()


def goes_on(there: Database, story: dict[str, str], clock: Clock) -> None:
    """Decide and release one more item, and seal it: numbers go on after the highest there were."""
    with there.writing() as session:
        bo = access.actor(session, session.connection().execute(BO).scalar_one())
        lease_n = session.connection().execute(LEASE, {"id": story["held"]}).scalar_one()
        decisions.decide(session, story["held"], bo, lease_n, Opinion(Verdict.APPROVE))
    clock.forward(10 * SECOND)
    with there.writing() as session:
        assert releases.release_due(session) == 1
        assert audit.seal(session) > 0
    assert verify(there).broken == []
    there.dispose()


BO = sa.text("SELECT id FROM person WHERE name = 'Bo'")
LEASE = sa.text("SELECT lease_n FROM item WHERE id = :id")


def test_a_database_with_data_is_never_restored_over(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.db"
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
    before = everything(db)

    restored = call(monkeypatch, url, "restore", str(file))

    assert restored.exit_code == 1
    assert "There is a database with data" in restored.output
    assert everything(db) == before


def test_a_database_that_somebody_has_open_is_not_replaced(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL is copied into, row by row")
    file, place = tmp_path / "backup.db", tmp_path / "place.db"
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
    app = Database(f"sqlite:///{place}")
    migrate(app)  # an app that waits for its first visit

    refused = call(monkeypatch, f"sqlite:///{place}", "restore", str(file))
    app.ping()
    app.dispose()
    restored = call(monkeypatch, f"sqlite:///{place}", "restore", str(file))

    assert (refused.exit_code, restored.exit_code) == (1, 0)
    assert "is in use. Nothing was changed. Stop the app and every worker" in refused.output
    same(f"sqlite:///{place}", db).dispose()


def test_what_came_in_while_a_backup_was_looked_through_is_not_replaced(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL is copied into, and refuses what is there already")
    file, place, check = tmp_path / "backup.db", tmp_path / "place.db", backups._checked
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0

    def look_and_begin(database: Database, says: str) -> backups.Done:
        """Begin at the same place meanwhile, as an app does that its service starts again."""
        done = check(database, says)
        begun = Database(f"sqlite:///{place}")
        migrate(begun)
        with begun.writing() as session:
            access.add_person(session, OPERATOR, "Ada", "ada@example.com", Role.ADMIN, password_hash="-")
        begun.dispose()
        return done

    monkeypatch.setattr(backups, "_checked", look_and_begin)

    refused = call(monkeypatch, f"sqlite:///{place}", "restore", str(file))

    assert refused.exit_code == 1
    assert "There is a database with data" in refused.output
    there = Database(f"sqlite:///{place}")
    with there.reading() as session:
        assert session.connection().exec_driver_sql("SELECT name FROM person").scalar_one() == "Ada"
    there.dispose()


SPOILED = ["cut short", "another program's", "text", "a row edited", "missing"]


@pytest.mark.parametrize("how", SPOILED)
def test_a_broken_backup_changes_nothing(
    url: str, db: Database, story: dict[str, str], elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:  # fmt: skip
    if not db.is_sqlite and how != "a row edited":
        pytest.skip("it is the same file, read before PostgreSQL is asked")
    file, place = tmp_path / "backup.db", tmp_path / "place.db"
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
    spoil(file, how)
    home = f"sqlite:///{place}" if db.is_sqlite else elsewhere

    restored = call(monkeypatch, home, "restore", str(file))

    assert restored.exit_code == 1
    assert restored.output.strip().endswith(".")
    assert "Traceback" not in restored.output
    assert not place.exists()
    assert not list(tmp_path.glob("*.tmp*"))
    if not db.is_sqlite:
        there = Database(home)
        assert not sa.inspect(there.engine).get_table_names() or is_empty(there)
        there.dispose()


def spoil(file: Path, how: str) -> None:
    if how == "cut short":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "text":
        file.write_text("Dear diary, " * 1000)
    elif how == "missing":
        file.unlink()
    else:
        with sqlite3.connect(file) as connection:
            if how == "a row edited":
                connection.execute("DROP TRIGGER guard_item_no_rewrite")
                connection.execute("UPDATE item SET cost_micro = 7")
            else:
                connection.execute("DROP TABLE schema_info")
                connection.execute("DROP TABLE alembic_version")


def test_a_failure_half_way_leaves_the_new_place_empty_and_the_old_one_as_it_was(
    url: str, db: Database, story: dict[str, str], elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(db)
    monkeypatch.setattr("db.copying._compare", _fail_at_reviews)

    moved = call(monkeypatch, url, "move", "--to", elsewhere)

    assert moved.exit_code == 1
    there = Database(elsewhere)
    assert is_empty(there)
    there.dispose()
    assert everything(db) == before


def _fail_at_reviews(reading: Any, writing: Any, table: sa.Table) -> None:
    if table.name == "review":
        raise DatabaseUnusableError("The disk is full.")


def test_a_move_to_sqlite_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = call(monkeypatch, url, "move", "--to", f"sqlite:///{tmp_path / 'x.db'}")

    assert moved.exit_code == 1
    assert "Write --to postgresql://" in moved.output


def test_a_backup_that_cannot_be_written_says_so_and_keeps_what_was_there(
    url: str, db: Database, story: dict[str, str], vandal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Make it, or name a file" in call(monkeypatch, url, "backup", str(tmp_path / "no" / "b.db")).output
    assert "not a plain file" in call(monkeypatch, url, "backup", str(tmp_path)).output
    file = tmp_path / "b.db"
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
    kept = file.read_bytes()
    vandal(f"UPDATE item SET cost_micro = 7 WHERE id = '{story['held']}'")

    made = call(monkeypatch, url, "backup", str(file))

    assert made.exit_code == 1
    assert "does not fit its audit log" in made.output
    assert file.read_bytes() == kept


OTHERS = ["a text", "begun only", "another program's", "a living database's", "cut short"]


@pytest.mark.parametrize("whose", OTHERS)
def test_a_file_that_is_no_backup_is_not_replaced_by_one(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    file = folder / "b.db"
    if whose == "a text":
        file.write_text("Dear diary")
    elif whose == "begun only":
        file.write_bytes(b"SQLite format 3\0")
    elif whose == "another program's":
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE bookmark (address TEXT)")
    elif whose == "a living database's":
        living = Database(f"sqlite:///{tmp_path / 'living.db'}")
        migrate(living)
        living.dispose()
        file.write_bytes((tmp_path / "living.db").read_bytes())
    else:
        assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
        spoil(file, "cut short")
    kept = file.read_bytes()

    made = call(monkeypatch, url, "backup", str(file))

    assert made.exit_code == 1
    assert "is no backup of Neuro Review and is not replaced. Name another file, or move this one away." in made.output
    assert file.read_bytes() == kept
    assert list(folder.iterdir()) == [file]


def test_an_earlier_backup_and_an_empty_file_are_replaced(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    file = folder / "b.db"
    file.touch()
    first = call(monkeypatch, url, "backup", str(file))
    with db.writing() as session:
        access.add_person(session, OPERATOR, "Zoe", "zoe@example.com", Role.ADMIN, password_hash="-")

    second = call(monkeypatch, url, "backup", str(file))

    assert (first.exit_code, second.exit_code) == (0, 0), second.output
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM person WHERE name = 'Zoe'").fetchone() == (1,)


def test_a_backup_whose_last_pages_do_not_reach_the_file_is_none(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, readers, check = tmp_path / "b.db", [], backups._checked

    def look_and_stay(database: Database, says: str) -> backups.Done:
        """Keep what is beside the copy from being brought into it, as a disk does that has just become full."""
        done = check(database, says)
        readers.append(sqlite3.connect(database.path))
        readers[-1].execute("BEGIN")
        readers[-1].execute("SELECT count(*) FROM audit").fetchone()
        return done

    monkeypatch.setattr(backups, "_checked", look_and_stay)

    made = call(monkeypatch, url, "backup", str(file))

    readers[-1].close()
    assert made.exit_code == 1
    assert "could not be completed" in made.output
    assert not list(tmp_path.glob("b.db*"))


class Full(sqlite3.Connection):
    """A connection to a file on a disk that is full."""

    def backup(self, *_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_a_full_disk_is_called_full_and_no_file_damaged(
    url: str, db: Database, story: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, place, connect = tmp_path / "b.db", tmp_path / "new.db", sqlite3.connect
    assert call(monkeypatch, url, "backup", str(file)).exit_code == 0
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, factory=Full, **more))

    restored = call(monkeypatch, f"sqlite:///{place}", "restore", str(file))

    assert restored.exit_code == 1
    assert restored.output.startswith("The disk is full.")
    assert not place.exists()


@pytest.mark.parametrize("part", ["", "-wal", "-shm", "-journal", ".lock", ".migrate.lock"])
def test_a_database_is_not_overwritten_by_its_own_backup(
    url: str, db: Database, story: dict[str, str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL is no file")
    before = everything(db)

    made = call(monkeypatch, url, "backup", f"{db.path}{part}")

    assert made.exit_code == 1
    assert "is the database itself" in made.output
    db.dispose()
    assert everything(db) == before
