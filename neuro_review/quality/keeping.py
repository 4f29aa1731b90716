"""What looks after quality though nobody is looking: labels are watched, alarms told, counts checked every night."""

import logging
import threading

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, HOUR, now
from db.engine import Database
from neuro_review.quality import drift, telling
from neuro_review.rollups import checking, write
from neuro_review.rollups.checking import Difference
from neuro_review.rollups.counting import empty

LOG = logging.getLogger("neuro_review.quality")
LOOKS_EVERY = 2.0  # seconds
AFTER_A_FAILURE = 10.0
BACK = 7
"""Days that are checked every night: verdicts come late."""
AFTER_MIDNIGHT = HOUR

FLOWS = sa.text("SELECT id, name FROM workflow ORDER BY id")
CHECKED = sa.text("SELECT day FROM count_check ORDER BY day DESC LIMIT 1")
NOTE = sa.text(
    "INSERT INTO count_check (day, checked_at, differences, first) VALUES (:day, :at, :n, :first)"
    " ON CONFLICT (day) DO UPDATE SET checked_at = excluded.checked_at, differences = excluded.differences,"
    " first = excluded.first"
)
SPAN = sa.text("SELECT min(created_at) AS first, max(created_at) AS last FROM item WHERE workflow_id = :flow")


def run(database: Database, stop: threading.Event) -> None:
    """Look after quality until told to stop; a failure is logged and tried again."""
    while not stop.is_set():
        try:
            while watch_some(database) and not stop.is_set():
                pass
            telling.tell_some(database)
            check_last_night(database)
            stop.wait(LOOKS_EVERY)
        except Exception as error:  # whatever it is: who has ended would warn of nothing any more
            LOG.warning("The look after quality was interrupted and goes on in a moment: %s", type(error).__name__)
            stop.wait(AFTER_A_FAILURE)


def watch_some(database: Database) -> int:
    """Watch a few of the labels that have left; returns how many messages were read."""
    with database.reading() as session:
        if not drift.waits(session):
            return 0
    with database.writing() as session:
        return drift.fold(session)


def check_last_night(database: Database) -> None:
    """Hold the counts of the last days against the rows, once after each midnight (UTC)."""
    yesterday = (now() - AFTER_MIDNIGHT) // DAY - 1
    with database.reading() as session:
        checked = session.connection().execute(CHECKED).scalar()
    if checked is not None and checked >= yesterday:
        return
    found = check(database, yesterday - BACK + 1, yesterday)
    with database.writing() as session:
        note(session, yesterday, found)
    if found:
        LOG.error("%s Run: python -m neuro_review check-counts", sentence(found))


def note(session: Session, day: int, found: list[Difference]) -> None:
    """Keep what came of a check up to this day."""
    first = sentence(found) if found else None
    session.connection().execute(NOTE, {"day": day, "at": now(), "n": len(found), "first": first})


def check(database: Database, first_day: int, last_day: int, *, workflow_id: int | None = None) -> list[Difference]:
    """Return every count of these days that is not what the rows say, of one workflow or all."""
    found: list[Difference] = []
    for flow in flows(database, workflow_id):
        with database.reading() as session:
            # As of one instant: between two looks a verdict could come in. SQLite reads so by itself.
            if not database.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            found += checking.differences(session, flow, first_day, last_day)
    return found


def flows(database: Database, workflow_id: int | None) -> list[int]:
    """Return the workflows that are meant: one, or all."""
    with database.reading() as session:
        every = [row.id for row in session.connection().execute(FLOWS)]
    return [one for one in every if workflow_id in (None, one)]


def span(database: Database, workflow_id: int) -> tuple[int, int] | None:
    """Return the first and the last day of which a workflow has outputs, cut to whole weeks; None without any."""
    with database.reading() as session:
        row = session.connection().execute(SPAN, {"flow": workflow_id}).one()
    if row.first is None:
        return None
    first, last = row.first // DAY, row.last // DAY
    return first - (first + 3) % 7, last + 6 - (last + 3) % 7


def repair(database: Database, found: list[Difference]) -> None:
    """Put counts right by what is missing from them; what changes meanwhile is counted by who changes it."""
    with database.writing() as session:
        tally = empty()
        for one in found:
            wide = max(len(one.kept), len(one.counted))
            kept, said = ([*side, *[0] * (wide - len(side))] for side in (one.kept, one.counted))
            tally[one.table][one.key] = [b - a for a, b in zip(kept, said, strict=True)]
        write(session, tally)


def sentence(found: list[Difference]) -> str:
    """Return what was found wrong."""
    one = found[0]
    of = "count is" if len(found) == 1 else "counts are"
    return (
        f"{len(found):,} {of} not what the rows say; the first in {one.table}: {one.kept or 'nothing'} kept,"
        f" {one.counted or 'nothing'} counted."
    )
