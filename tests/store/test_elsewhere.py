"""A database that came from another server, or that somebody else has put something into."""

import time
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.engine import Database, DatabaseUnusableError
from db.migrate import migrate
from db.tables import Verdict
from neuro_review import audit, sources
from neuro_review.__main__ import main
from neuro_review.gate import feed
from neuro_review.sources import Caller
from neuro_review.verify import verify
from tests.conftest import Clock, Team
from tests.gate.test_views import go, judge, submit

SECONDS = 1_000_000
LATER = 1_000_000_000
"""So many transactions the other server had seen more."""


def run(db: Database, *statements: str) -> None:
    with db.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _seal(db: Database) -> int:
    with db.writing() as session:
        return audit.seal(session)


def test_a_dump_restored_on_a_server_that_counts_lower_is_sealed_and_told_on(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has no transaction ids")
    with db.writing() as session:
        shop = sources.caller(session, sources.add(session, team.olu, "shop", team.support.id).key)
    submit(db, team, shop, "One.", "Two.")
    judge(db, team, Verdict.APPROVE)
    moved_clock.forward(10 * SECONDS)
    go(db)
    # As if all of it had been written on a server that had come further.
    run(db, "ALTER TABLE audit DISABLE TRIGGER USER", "ALTER TABLE outbox DISABLE TRIGGER USER")
    run(db, f"UPDATE audit SET xid = xid + {LATER}", f"UPDATE outbox SET xid = xid + {LATER}")
    run(db, "ALTER TABLE audit ENABLE TRIGGER USER", "ALTER TABLE outbox ENABLE TRIGGER USER")
    assert _seal(db) == 0
    with db.reading() as session:
        assert feed.feed(session, shop) == ([], None)

    assert migrate(db) is False
    judge(db, team, Verdict.APPROVE)
    moved_clock.forward(10 * SECONDS)
    go(db)

    with db.reading() as session:
        events = session.connection().execute(sa.text("SELECT count(*) FROM audit")).scalar_one()
    first, cursor = _one(db, shop, None)
    second, _ = _one(db, shop, cursor)
    assert first["id"] != second["id"]
    sealed = 0
    while sealed < events:
        sealed += _seal(db)
    assert verify(db).broken == []
    assert _shift(db) > 0
    before = _shift(db)
    assert migrate(db) is False
    assert _shift(db) == before


def _one(db: Database, shop: Caller, after: str | None) -> tuple[dict[str, Any], str]:
    """Wait for the next event: the server's own work, as vacuum, can be a transaction that is still open."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with db.reading() as session:
            told, cursor = feed.feed(session, shop, after, 1)
        if told and cursor:
            return told[0].item, cursor
        time.sleep(0.05)
    raise AssertionError("The feed stalls.")


def _shift(db: Database) -> int:
    with db.reading() as session:
        return int(session.connection().execute(sa.text("SELECT xid_shift FROM schema_info")).scalar_one())


TRIGGER = {
    "sqlite": ["CREATE TRIGGER zeal AFTER INSERT ON review BEGIN UPDATE item SET priority = 9; END"],
    "postgresql": [
        "CREATE FUNCTION zeal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.priority = 9; RETURN NEW; END'",
        "CREATE TRIGGER zeal BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION zeal()",
    ],
}
OTHERS = {
    "a rule": ["CREATE RULE zeal AS ON INSERT TO release DO INSTEAD NOTHING"],
    "a row policy": ["CREATE POLICY zeal ON audit USING (false)"],
    "a switched-off foreign key": [
        "ALTER TABLE release DISABLE TRIGGER ALL",
        "ALTER TABLE release ENABLE TRIGGER USER",
    ],
}


@pytest.mark.parametrize("what", ["a trigger", *OTHERS])
def test_what_somebody_else_put_on_our_tables_stops_the_start_and_is_named(db: Database, what: str) -> None:
    if db.is_sqlite and what != "a trigger":
        pytest.skip("SQLite knows triggers only")
    run(db, *(TRIGGER[db.engine.dialect.name] if what == "a trigger" else OTHERS[what]))

    with pytest.raises(DatabaseUnusableError, match=f"{what.split(' ', 1)[1]} .* Find out who put it there"):
        migrate(db)


def test_verify_audit_names_a_trigger_that_is_not_ours(url: str, db: Database, monkeypatch: Any) -> None:
    run(db, *TRIGGER[db.engine.dialect.name])
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    said = CliRunner().invoke(main, ["verify-audit"])

    assert said.exit_code == 1
    assert "Not ours: trigger zeal on " in said.output


def test_a_trigger_on_a_table_of_somebody_elses_is_none_of_our_business(db: Database) -> None:
    run(db, "CREATE TABLE notes (id INTEGER)")
    if db.is_sqlite:
        run(db, "CREATE TRIGGER mine AFTER INSERT ON notes BEGIN SELECT 1; END")
    else:
        run(
            db,
            TRIGGER["postgresql"][0],
            "CREATE TRIGGER mine BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION zeal()",
        )

    assert migrate(db) is False
