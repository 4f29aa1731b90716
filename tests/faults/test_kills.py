"""Writers killed at any moment, hundreds of times: what they acknowledged is there, and nothing else left.

The short form runs with every test; `--long` runs it 500 times on SQLite and 50 on PostgreSQL.
"""

import random
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.clock import new_id
from db.engine import Database
from tests.faults.checks import check, let_all_leave
from tests.faults.load import Load, furnish, load

KILLS = {"sqlite": (25, 500), "postgresql": (10, 50)}
LONGEST_PAUSE = 0.8  # seconds between two kills


def kill_at_random(running: Load, kills: int) -> None:
    """Kill one writer, or all at once as a crash of the machine's programs would, and start again."""
    for _ in range(kills):
        time.sleep(running.chance.uniform(0, LONGEST_PAUSE))
        everyone = running.chance.random() < 0.3
        dead = list(running.writers) if everyone else [running.chance.choice(list(running.writers))]
        running.kill(*dead)
        for email in dead:
            running.start(email)


def test_what_was_acknowledged_survives_every_kill(db: Database, request: pytest.FixtureRequest) -> None:
    seed = secrets.randbits(32)
    print("seed", seed)
    furnish(db)
    db.dispose()  # with no connection of ours open, a crash of all writers is a crash of the database
    short, long = KILLS["sqlite" if db.is_sqlite else "postgresql"]
    kills = long if request.config.getoption("--long") else short

    with load(str(db.url.render_as_string(hide_password=False)), random.Random(seed)) as running:
        running.start_all()
        running.wait_for("decided")
        kill_at_random(running, kills)
        running.wait_for("decided", "undone", "left")
        running.kill_all()
        running.catch_up()

    let_all_leave(db)
    check(db, running.lines)
    print("kills", kills, Counter(line["did"] for line in running.lines))


@pytest.fixture
def worked(sqlite_template: Path, tmp_path: Path) -> Iterator[tuple[Database, Load]]:
    """A database on which writers have worked, and what they said."""
    path = tmp_path / "worked.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    furnish(database)
    with load(str(database.url), random.Random(1)) as running:
        running.start_all()
        running.wait_for("decided", more=20)
        running.kill_all()
        running.catch_up()
    yield database, running
    database.dispose()


def test_a_lost_verdict_would_be_noticed(worked: tuple[Database, Load]) -> None:
    database, running = worked
    told = next(line for line in running.lines if line["did"] == "decided")

    for change in ({"decision": new_id()}, {"verdict": "reject", "text": "0" * 64}, {"item": new_id()}):
        with pytest.raises(AssertionError, match="lost or changed"):
            check(database, [*running.lines, told | change])


def test_a_lost_submit_undo_or_release_would_be_noticed(worked: tuple[Database, Load]) -> None:
    database, running = worked
    with database.reading() as session:  # an undo can be stored though nobody was told
        undone = set(session.connection().execute(sa.text("SELECT decision_id FROM retraction")).scalars())
    decided = [line["decision"] for line in running.lines if line["did"] == "decided"]
    decision = next(one for one in decided if one not in undone)

    for line, what in (
        ({"did": "imported", "first": 10_000_000, "rows": 1}, "submit was lost"),
        ({"did": "undone", "decision": decision}, "undo was lost"),
        ({"did": "left", "item": new_id(), "release": new_id()}, "release was lost"),
    ):
        with pytest.raises(AssertionError, match=what):
            check(database, [*running.lines, line])
