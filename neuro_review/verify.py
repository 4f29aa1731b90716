"""Check the audit chain against itself, against the rows it speaks of, and against the seals.

Reads page by page in constant memory: each event's hash and link; that what the event says is what the row says; that a
stored text still has the hash it was given; that no row lacks its event; that every seal still fits. Triggers stop
accidents and ordinary code; this finds who went around them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from db.engine import Database
from neuro_review.audit import Action, event_hash, merkle_root, seal_hash
from neuro_review.content import text_hash

PAGE = 2_000
MOST_KEPT = 1_000


@dataclass(frozen=True)
class Broken:
    """An event that does not fit."""

    stream: str
    seq: int
    at: int
    what: str


@dataclass
class Report:
    """What was found."""

    events: int
    broken: list[Broken]

    @property
    def first(self) -> Broken | None:
        """Return the earliest event that does not fit."""
        return min(self.broken, key=lambda one: (one.at, one.stream, one.seq)) if self.broken else None


EVENTS = sa.text(
    "SELECT stream, seq, at, actor, action, body, prev, hash FROM audit WHERE (stream, seq) > (:stream, :seq)"
    " ORDER BY stream, seq LIMIT :most"
)


def verify(database: Database, progress: Callable[[int], None] = lambda events: None) -> Report:
    """Check every event and return what does not fit, the earliest first in `Report.first`."""
    report = Report(0, [])
    state = _Chain(report)
    for page in _pages(database):
        with database.engine.connect() as connection:
            for event in page:
                state.link(event)
            for checker in CHECKS:
                _check_rows(connection, page, checker, report)
        report.events += len(page)
        del report.broken[MOST_KEPT:]
        progress(report.events)
    with database.engine.connect() as connection:
        _rows_without_events(connection, report)
        _seals(connection, report)
    return report


def _pages(database: Database) -> Iterator[list[Any]]:
    stream, seq = "", 0
    while True:
        with database.engine.connect() as connection:
            page = list(connection.execute(EVENTS, {"stream": stream, "seq": seq, "most": PAGE}))
        if not page:
            return
        yield page
        stream, seq = page[-1].stream, page[-1].seq


class _Chain:
    """Follows the chains in the order (stream, seq)."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.stream, self.seq, self.head = "", 0, ""

    def link(self, event: Any) -> None:
        """Check one event's place in its chain, and its hash."""
        if event.stream != self.stream:
            self.stream, self.seq, self.head = event.stream, 0, ""
        if event.seq != self.seq + 1:
            self._broken(event, self.seq + 1, "This event is missing.")
        elif event.prev != self.head:
            self._broken(event, event.seq, "This event does not follow the one before it.")
        facts = (event.prev, event.stream, event.seq, event.at, event.actor, event.action, event.body)
        if event_hash(*facts) != event.hash:
            self._broken(event, event.seq, "This event was edited: its hash does not fit.")
        self.seq, self.head = event.seq, event.hash

    def _broken(self, event: Any, seq: int, what: str) -> None:
        self.report.broken.append(Broken(event.stream, seq, event.at, what))


@dataclass(frozen=True)
class _Check:
    """Which rows an action's events speak of, and how to compare them."""

    actions: tuple[Action, ...]
    query: str
    key: str | None
    """The fact that holds the row's id; None where it is the stream itself."""
    complaint: Callable[[dict[str, Any], Any], str | None]


def _item(facts: dict[str, Any], row: Any) -> str | None:
    said = (facts["origin"], facts["output"], facts["content"], facts["source"], facts["workflow"])
    if said != (row.origin, row.output_hash, row.content_hash, row.source_id, row.workflow_id):
        return "The item was edited: it is not what was submitted."
    if row.salt is not None and row.output is not None and text_hash(row.salt, row.output) != row.output_hash:
        return "The output was edited: its text does not have the hash it came in with."
    if row.output is None and not row.erased:
        return "The output is gone without an erasure."
    return None


def _review(facts: dict[str, Any], row: Any) -> str | None:
    said = (
        facts["verdict"],
        facts["text"],
        facts["reviewer"],
        facts["purpose"],
        facts["reasons"],
        facts["reviewed_at"],
    )
    if said != (row.verdict, row.text_hash, row.reviewer, row.purpose, row.reasons, row.reviewed_at):
        return "The verdict was edited: it is not what the reviewer said."
    if (
        row.verdict == "correct"
        and not row.erased
        and (row.text is None or text_hash(row.salt, row.text) != row.text_hash)
    ):
        return "The correction was edited: its text does not have the hash it was given."
    return None


def _decision(facts: dict[str, Any], row: Any) -> str | None:
    said = (facts["by"], facts["status"], facts["review"], facts["text"], facts["decided_at"], facts["final_at"])
    found = (row.by, row.status, row.review_id, row.text_hash, row.decided_at, row.final_at)
    return None if said == found else "The decision was edited: it is not what was decided."


def _release(facts: dict[str, Any], row: Any) -> str | None:
    fits = (facts["decision"], facts["text"]) == (row.decision_id, row.text_hash)
    return None if fits else "The release was edited: it is not what was reviewed."


def _there(facts: dict[str, Any], row: Any) -> str | None:
    return None


CHECKS = (
    _Check(
        (Action.ITEM_SUBMITTED, Action.ITEM_RECORDED),
        "SELECT i.id, i.origin, i.output_hash, i.content_hash, i.source_id, i.workflow_id, c.salt, c.output,"
        " e.item_id IS NOT NULL AS erased FROM item i LEFT JOIN item_content c ON c.item_id = i.id"
        " LEFT JOIN erasure e ON e.item_id = i.id WHERE i.id",
        None, _item,
    ),
    _Check(
        (Action.ITEM_REVIEWED,),
        "SELECT v.id, v.verdict, v.text_hash, v.reviewer, v.purpose, v.reasons, v.reviewed_at, t.text, c.salt,"
        " e.item_id IS NOT NULL AS erased FROM review v LEFT JOIN review_content t ON t.review_id = v.id"
        " LEFT JOIN item_content c ON c.item_id = v.item_id LEFT JOIN erasure e ON e.item_id = v.item_id WHERE v.id",
        "review", _review,
    ),
    _Check(
        (Action.ITEM_DECIDED,),
        "SELECT id, by, status, review_id, text_hash, decided_at, final_at FROM decision WHERE id",
        "decision", _decision,
    ),
    _Check((Action.ITEM_UNDONE,), "SELECT decision_id AS id FROM retraction WHERE decision_id", "decision", _there),
    _Check((Action.ITEM_RELEASED,), "SELECT id, decision_id, text_hash FROM release WHERE id", "release", _release),
    _Check((Action.ITEM_RECALLED,), "SELECT release_id AS id FROM recall WHERE release_id", "release", _there),
)  # fmt: skip


def _check_rows(connection: sa.Connection, page: list[Any], check: _Check, report: Report) -> None:
    events = []
    for event in page:
        if event.action in check.actions:
            facts = _facts(event)
            row_id = event.stream if check.key is None else facts.get(check.key)
            if row_id:
                events.append((event, facts, row_id))
    if not events:
        return
    rows = {row.id: row for row in _fetch(connection, check.query, [row_id for _, _, row_id in events])}
    for event, facts, row_id in events:
        row = rows.get(row_id)
        try:
            what = "What this event speaks of was deleted." if row is None else check.complaint(facts, row)
        except KeyError:
            what = "This event was edited: it lacks what its action says."
        if what:
            report.broken.append(Broken(event.stream, event.seq, event.at, what))


def _facts(event: Any) -> dict[str, Any]:
    try:
        facts = orjson.loads(event.body)
    except orjson.JSONDecodeError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _fetch(connection: sa.Connection, query: str, ids: list[str]) -> list[Any]:
    if connection.dialect.name == "postgresql":
        return list(connection.execute(sa.text(query + " = ANY(CAST(:ids AS uuid[]))"), {"ids": ids}))
    listed = orjson.dumps(ids).decode()
    return list(connection.execute(sa.text(query + " IN (SELECT value FROM json_each(:ids))"), {"ids": listed}))


_STREAM = {"sqlite": "i.id", "postgresql": "replace(i.id::text, '-', '')"}
# Each query names rows that no event speaks of; the joins go by the numbers that the guards keep.
MISSING_TAIL = (
    "SELECT i.id, i.audit_seq AS seq, i.created_at AS at FROM item i WHERE NOT EXISTS"
    " (SELECT 1 FROM audit a WHERE a.stream = {stream} AND a.seq = i.audit_seq) LIMIT 100"
)
COUNTS = (
    ("review", "item.reviewed", "A verdict has no event: it was put in by hand, or its event was deleted."),
    ("decision", "item.decided", "A decision has no event: it was put in by hand, or its event was deleted."),
    ("retraction", "item.undone", "An undo has no event: it was put in by hand, or its event was deleted."),
    ("recall", "item.recalled", "A recall has no event: it was put in by hand, or its event was deleted."),
)


def _rows_without_events(connection: sa.Connection, report: Report) -> None:
    stream = _STREAM[connection.dialect.name]
    named = {one.stream for one in report.broken}  # what is missing there shows in the counts as well
    for row in connection.execute(sa.text(MISSING_TAIL.format(stream=stream))):
        if row.id not in named:
            named.add(row.id)
            report.broken.append(Broken(row.id, row.seq, row.at, "This event is missing."))
    for table, action, what in COUNTS:
        by_item = (
            f"SELECT i.id, i.audit_seq, i.created_at AS at FROM item i JOIN"
            f" (SELECT item_id, count(*) AS n FROM {table} GROUP BY item_id) t ON t.item_id = i.id"
            f" WHERE t.n <> (SELECT count(*) FROM audit a WHERE a.stream = {stream} AND a.action = '{action}')"
            " LIMIT 100"
        )
        for row in connection.execute(sa.text(by_item)):
            if row.id not in named:
                report.broken.append(Broken(row.id, row.audit_seq, row.at, what))
    unsaid = (
        f"SELECT i.id, i.audit_seq, r.at FROM release r JOIN item i ON i.id = r.item_id WHERE NOT EXISTS (SELECT 1"
        f" FROM audit a WHERE a.stream = {stream} AND a.action = 'item.released') LIMIT 100"
    )
    for row in connection.execute(sa.text(unsaid)):
        report.broken.append(Broken(row.id, row.audit_seq, row.at, "A release has no event: it was put in by hand."))


SEALS = sa.text("SELECT n, last_xid, last_position, events, root, prev, hash, at FROM seal ORDER BY n")
SEALED = sa.text(
    "SELECT hash FROM audit WHERE (xid, position) > (:xid, :position) AND (xid, position) <= (:to_xid, :to_position)"
    " ORDER BY xid, position"
)


def _seals(connection: sa.Connection, report: Report) -> None:
    xid, position, prev, number = -1, 0, "", 0
    for seal in connection.execute(SEALS).all():
        bounds = {"xid": xid, "position": position, "to_xid": seal.last_xid, "to_position": seal.last_position}
        hashes = [row.hash for row in connection.execute(SEALED, bounds)]
        number += 1
        what = None
        if seal.n != number or seal.prev != prev:
            what = "A seal before this one is missing."
        elif seal_hash(seal.prev, seal.root, seal.last_xid, seal.last_position, seal.events) != seal.hash:
            what = "This seal was edited."
        elif len(hashes) != seal.events:
            what = f"{seal.events - len(hashes)} of the {seal.events} events under this seal were deleted."
        elif merkle_root(hashes) != seal.root:
            what = "An event under this seal was edited."
        if what:
            report.broken.append(Broken("seal", seal.n, seal.at, what))
        xid, position, prev, number = seal.last_xid, seal.last_position, seal.hash, seal.n
