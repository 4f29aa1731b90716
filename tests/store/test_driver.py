"""Statements handed to the driver itself behave as all others: errors, savepoints, transactions."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from db.driver import driver
from db.engine import Database, DatabaseUnusableError

ADD = "INSERT INTO source (name, created_at) VALUES ('{}', 1)"
GONE = "SELECT * FROM nowhere"


def names(db: Database) -> set[str]:
    with db.reading() as session:
        return {row[0] for row in driver(session).run("SELECT name FROM source").fetchall()} - {"import"}


def test_what_the_database_refuses_is_raised_as_everywhere_and_only_a_failure_is_counted(db: Database) -> None:
    with db.writing() as session:
        driver(session).run(ADD.format("shop"))
    before = db.errors

    with pytest.raises(sa.exc.IntegrityError), db.writing() as session:
        driver(session).run(ADD.format("shop"))
    assert db.errors == before

    with pytest.raises(sa.exc.DBAPIError) as raised, db.writing() as session:
        driver(session).run(ADD.format("press"))
        driver(session).run(GONE)
    assert not isinstance(raised.value, sa.exc.IntegrityError)
    assert db.errors == before + 1
    assert names(db) == {"shop"}


def test_a_savepoint_undoes_its_own_part_and_the_transaction_goes_on(db: Database) -> None:
    with db.writing() as session:
        to = driver(session)
        to.run(ADD.format("first"))
        with pytest.raises(sa.exc.IntegrityError), to.savepoint():
            to.run(ADD.format("undone"))
            to.run(ADD.format("first"))
        with pytest.raises(KeyError), to.savepoint():
            to.run(ADD.format("undone too"))
            raise KeyError
        with to.savepoint():
            to.run(ADD.format("second"))

    assert names(db) == {"first", "second"}


def test_texts_are_one_parameter_on_either_engine(db: Database) -> None:
    with db.writing() as session:
        to = driver(session)
        for name in ("one", 'two "2"', "three"):
            to.run(ADD.format(name))
        wanted = "IN (SELECT value FROM json_each(?))" if to.is_sqlite else "= ANY(%s)"
        found = to.run(f"SELECT name FROM source WHERE name {wanted}", (to.listed(["one", 'two "2"', "four"]),))

        assert {row[0] for row in found.fetchall()} == {"one", 'two "2"'}


def test_it_is_the_connection_of_the_transaction_at_hand(db: Database) -> None:
    with db.writing() as session:
        there = driver(session)
        assert driver(session) is there
        session.connection().execute(sa.text(ADD.format("by SQLAlchemy")))
        assert there.run("SELECT count(*) FROM source WHERE name = 'by SQLAlchemy'").fetchone()[0] == 1
        session.rollback()
        assert driver(session) is not there
        driver(session).run(ADD.format("after"))

    assert names(db) == {"after"}


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"no database at all" * 1000)

    with (
        pytest.raises(DatabaseUnusableError, match="not a Neuro Review database"),
        Database(f"sqlite:///{path}").writing() as session,
    ):
        driver(session)


@pytest.mark.parametrize(("part", "says"), [("database", "no database by this name"), ("username", "no user by this")])
def test_an_address_that_names_what_postgres_does_not_have_is_explained(db: Database, part: str, says: str) -> None:
    if db.is_sqlite:
        pytest.skip("of PostgreSQL alone")
    nowhere = Database(str(db.url.set(**{part: "nowhere"}).render_as_string(hide_password=False)))

    with pytest.raises(DatabaseUnusableError, match=says):
        nowhere.ping()
