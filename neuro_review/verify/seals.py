"""That no row lacks its event, and that every seal still fits."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from neuro_review.audit import merkle_root, seal_hash
from neuro_review.verify.report import Report

_STREAM = {"sqlite": "i.id", "postgresql": "replace(i.id::text, '-', '')"}
# Each query names rows that no event speaks of; the joins go by the numbers that the guards keep.
MISSING_TAIL = (
    "SELECT i.id, i.audit_seq AS seq, i.created_at AS at FROM item i WHERE NOT EXISTS"
    " (SELECT 1 FROM audit a WHERE a.stream = {stream} AND a.seq = i.audit_seq) LIMIT 100"
)
BY_HAND = "{} has no event: it was put in by hand, or its event was deleted."
COUNTS = (
    ("review", "'item.reviewed'", BY_HAND.format("A verdict")),
    ("decision", "'item.decided'", BY_HAND.format("A decision")),
    ("retraction", "'item.undone'", BY_HAND.format("An undo")),
    ("outbox", "'item.released', 'item.recalled'", BY_HAND.format("A message")),
    ("recall", "'item.recalled'", BY_HAND.format("A recall")),
    ("erasure", "'item.erased'", BY_HAND.format("An erasure")),
)
COUNTED = (
    "SELECT i.id, i.audit_seq AS seq, i.created_at AS at FROM item i JOIN"
    " (SELECT item_id, count(*) AS n FROM {table} GROUP BY item_id) t ON t.item_id = i.id WHERE t.n <>"
    " (SELECT count(*) FROM audit a WHERE a.stream = {stream} AND a.action IN ({actions})) LIMIT 100"
)
UNTOLD = (
    "SELECT i.id, i.audit_seq AS seq, r.at FROM release r JOIN item i ON i.id = r.item_id WHERE NOT EXISTS"
    " (SELECT 1 FROM outbox o WHERE o.item_id = r.item_id AND o.event = 'released' AND o.release_id = r.id) LIMIT 100"
)


def rows_without_events(connection: sa.Connection, report: Report) -> None:
    """Find rows that no event speaks of."""
    stream = _STREAM[connection.dialect.name]
    named = {one.stream for one in report.broken}  # what is missing there shows in the counts as well
    queries = [(MISSING_TAIL.format(stream=stream), "This event is missing.")]
    queries += [(COUNTED.format(table=t, stream=stream, actions=a), what) for t, a, what in COUNTS]
    queries += [(UNTOLD, "A release has no message: it was put in by hand, or its message was deleted.")]
    for query, what in queries:
        for row in connection.execute(sa.text(query)):
            if row.id not in named:
                named.add(row.id)
                report.add(row.id, row.seq, row.at, what)


SEALS = sa.text(
    "SELECT n, last_xid, last_position, events, root, prev, hash, at FROM seal WHERE n > :n ORDER BY n LIMIT 1000"
)
SEALED = sa.text(
    "SELECT hash FROM audit WHERE (xid, position) > (:xid, :position) AND (xid, position) <= (:to_xid, :to_position)"
    " ORDER BY xid, position"
)


def check_seals(connection: sa.Connection, report: Report) -> None:
    """Check that each seal follows the one before it, and that the events under it are all there as they were."""
    xid, position, prev = -1, 0, ""
    for seal in _seals(connection):
        bounds = {"xid": xid, "position": position, "to_xid": seal.last_xid, "to_position": seal.last_position}
        hashes = [row.hash for row in connection.execute(SEALED, bounds)]
        what = None
        # Their numbers prove nothing: PostgreSQL leaves gaps where a transaction was rolled back.
        if seal.prev != prev:
            what = "A seal before this one is missing."
        elif seal_hash(seal.prev, seal.root, seal.last_xid, seal.last_position, seal.events) != seal.hash:
            what = "This seal was edited."
        elif len(hashes) < seal.events:
            what = f"{seal.events - len(hashes)} of the {seal.events} events under this seal were deleted."
        elif len(hashes) > seal.events:
            what = f"{len(hashes) - seal.events} events were put in under this seal."
        elif not _fits(hashes, seal.root):
            what = "An event under this seal was edited."
        if what:
            report.add("seal", seal.n, seal.at, what)
        xid, position, prev = seal.last_xid, seal.last_position, seal.hash
        report.last_seal = seal.hash


def _seals(connection: sa.Connection) -> Iterator[Any]:
    n = -(1 << 63)
    while page := connection.execute(SEALS, {"n": n}).all():
        yield from page
        n = page[-1].n


def _fits(hashes: list[str], root: str) -> bool:
    try:
        return merkle_root(hashes) == root
    except ValueError:  # what stands in the place of a hash is none
        return False
