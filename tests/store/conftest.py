"""Items to which everything has happened, and somebody who goes around the guards."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import now
from db.engine import Database
from db.tables import Origin, Verdict
from neuro_review import audit, decisions, history, intake, queue, releases, workflows
from neuro_review.decisions import Opinion
from neuro_review.history import PastReview
from neuro_review.intake import Door, Submission
from tests.conftest import Clock, Team


@pytest.fixture
def story(db: Database, team: Team, moved_clock: Clock) -> dict[str, str]:
    """Items to which everything has happened that can, all of it sealed; their ids by name."""
    ids = {}
    with db.writing() as session:
        source = workflows.source_id(session, workflows.IMPORT_SOURCE)
        door = Door(team.support, source, "operator:tests")
        for name in ("approved", "corrected", "rejected", "undone", "held"):
            given = Submission(
                model="m", output=f"Output {name}.", external_id=name, prompt="A prompt.", context="A context.",
                metadata={"team": "returns"}, prompt_version="p1",
            )  # fmt: skip
            one = intake.prepare(door, given)
            ids[name] = intake.store(session, door, [one])[0].item_id
        past = Door(team.support, source, "operator:tests", Origin.HISTORY)
        for name, verdicts in (("past", ["correct"]), ("disputed", ["approve", "reject"])):
            one = intake.prepare(past, Submission(model="m", output="Of the past.", external_id=name))
            for reviewer, verdict in zip(("ann", "ben"), verdicts, strict=False):
                correction = "Better." if verdict == "correct" else None
                said = PastReview(verdict=verdict, correction=correction, reviewer=reviewer)
                history.store(session, past, [(one, said)])
            ids[name] = one.item_id
    _decide(db, team, ids)
    moved_clock.forward(10_000_000)
    with db.writing() as session:
        releases.release_due(session)
        opinion = Opinion(Verdict.REJECT, reasons=["Tone"])
        decisions.recall(session, ids["approved"], team.bo, reason="Wrong.", opinion=opinion)
        events = session.connection().execute(sa.text("SELECT count(*) FROM audit")).scalar_one()
    sealed = 0
    while sealed < events:  # the server's own work, as vacuum, can be a transaction that is still open
        with db.writing() as session:
            sealed += audit.seal(session)
    return ids


def _decide(db: Database, team: Team, ids: dict[str, str]) -> None:
    verdicts = {"approved": Verdict.APPROVE, "corrected": Verdict.CORRECT, "rejected": Verdict.REJECT}
    with db.writing() as session:
        for lease in queue.claim(session, team.bo, [team.support.id]):
            name = next(name for name, item_id in ids.items() if item_id == lease.item_id)
            if name == "held":
                continue
            verdict = verdicts.get(name, Verdict.APPROVE)
            opinion = Opinion(verdict, "Corrected text.", ["Tone"], "A note.", shown_at=now() - 5_000_000)
            decisions.decide(session, lease.item_id, team.bo, lease.lease_n, opinion)
        decisions.undo(session, ids["undone"], team.bo)


@pytest.fixture
def vandal(db: Database) -> Iterator[Any]:
    """Run SQL with every trigger, check and foreign key out of the way."""
    if db.is_sqlite:
        raw = db.engine.raw_connection()
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        yield raw.execute
        raw.close()
        return
    with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")
        checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid IN"
        checks += " (SELECT c::regclass FROM unnest(ARRAY['item', 'review', 'decision', 'release', 'outbox']) c)"
        for table, name in connection.exec_driver_sql(checks).all():
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        yield connection.exec_driver_sql
