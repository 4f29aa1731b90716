"""The walk over all events, a page at a time."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from db.engine import Database
from neuro_review.audit import event_hash
from neuro_review.verify.lives import Lives
from neuro_review.verify.report import Report
from neuro_review.verify.rows import Facts, check_rows
from neuro_review.verify.seals import check_seals, rows_without_events

PAGE = 2_000

EVENTS = sa.text(
    "SELECT stream, seq, at, actor, action, body, prev, hash FROM audit WHERE (stream, seq) > (:stream, :seq)"
    " ORDER BY stream, seq LIMIT :most"
)


def verify(database: Database, progress: Callable[[int], None] = lambda events: None) -> Report:
    """Check every event and return what does not fit, the earliest first in `Report.first`."""
    report = Report()
    chain, lives = _Chain(report), Lives(report)
    for connection, page in _pages(database):
        by_action: dict[str, list[tuple[Any, Facts]]] = defaultdict(list)
        for event in page:
            facts = _facts(event.body)
            chain.link(event)
            lives.follow(event, facts)
            by_action[event.action].append((event, facts))
        check_rows(connection, by_action, report)
        lives.compare(connection, ended=not page)
        report.events += len(page)
        progress(report.events)
    with database.engine.connect() as connection:
        rows_without_events(connection, report)
        check_seals(connection, report)
    return report


def _pages(database: Database) -> Iterator[tuple[sa.Connection, Sequence[Any]]]:
    """Yield pages of events, and an empty one at the end, each with a connection that sees the rows of that moment.

    Others go on writing meanwhile: an item is compared with its events as one and the same snapshot shows them.
    """
    engine = database.engine
    if not database.is_sqlite:
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    stream, seq, page = "", 0, None
    while page is None or page:
        with engine.connect() as connection:
            page = connection.execute(EVENTS, {"stream": stream, "seq": seq, "most": PAGE}).all()
            yield connection, page
        if page:
            stream, seq = page[-1].stream, page[-1].seq


def _facts(body: str) -> Facts:
    try:
        facts = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return facts if isinstance(facts, dict) else {}


class _Chain:
    """Follows the chains in the order (stream, seq)."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.stream, self.seq, self.head = "", 0, ""

    def link(self, event: Any) -> None:
        """Check one event's place in its chain, and its hash."""
        stream, seq, at, actor, action, body, prev, its_hash = event
        if stream != self.stream:
            self.stream, self.seq, self.head = stream, 0, ""
        if seq != self.seq + 1:
            self.report.add(stream, self.seq + 1, at, "This event is missing.")
        elif prev != self.head:
            self.report.add(stream, seq, at, "This event does not follow the one before it.")
        if event_hash(prev, stream, seq, at, actor, action, body) != its_hash:
            self.report.add(stream, seq, at, "This event was edited: its hash does not fit.")
        self.seq, self.head = seq, its_hash
