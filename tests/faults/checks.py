"""What must hold after any number of kills: nothing acknowledged is lost, and nothing left that should not have."""

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.engine import Database
from neuro_review import audit, releases, verify
from tests.faults.load import Line
from tests.faults.writer import name_of

STANDS = "NOT EXISTS (SELECT 1 FROM retraction t WHERE t.decision_id = d.id)"
# Each query names what must not be there.
NEVER = {
    "an item is decided twice":
        f"SELECT d.item_id FROM decision d WHERE {STANDS} GROUP BY d.item_id HAVING count(*) > 1",
    "an item does not say what stands":
        f"SELECT d.item_id FROM decision d JOIN item i ON i.id = d.item_id WHERE {STANDS}"
        " AND (i.decision_id IS NULL OR i.decision_id <> d.id OR i.status <> d.status)",
    "an item rests on a decision that was taken back":
        "SELECT i.id FROM item i JOIN retraction t ON t.decision_id = i.decision_id",
    "a release has no standing decision that releases just this text":
        "SELECT r.id FROM release r LEFT JOIN decision d ON d.id = r.decision_id JOIN item i ON i.id = r.item_id"
        f" WHERE d.id IS NULL OR NOT d.releases OR NOT {STANDS} OR i.decision_id <> d.id OR r.text_hash <> d.text_hash"
        " OR (d.verdict = 'approve' AND r.text_hash <> i.output_hash) OR i.released_at IS NULL",
    "a release has no message, or several":
        "SELECT r.id FROM release r LEFT JOIN outbox o ON o.release_id = r.id AND o.event = 'released'"
        " GROUP BY r.id HAVING count(o.seq) <> 1",
    "an item left without one message":
        "SELECT i.id FROM item i LEFT JOIN outbox o ON o.item_id = i.id"
        " WHERE i.status <> 'held' AND i.leaves_at IS NULL GROUP BY i.id HAVING count(o.seq) <> 1",
    "an item was told of before it left":
        "SELECT o.item_id FROM outbox o JOIN item i ON i.id = o.item_id WHERE i.leaves_at IS NOT NULL",
    "an item has no content":
        "SELECT i.id FROM item i LEFT JOIN item_content c ON c.item_id = i.id WHERE c.output IS NULL",
}  # fmt: skip


def check(database: Database, lines: Sequence[Line]) -> None:
    """Compare what the writers acknowledged with what is stored, and what is stored with itself."""
    said: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        said[line["did"]].append(line)
    assert said["failed"] == [], said["failed"][0]["why"]
    claims = Counter((one["item"], one["lease"]) for one in said["claimed"])
    assert [claim for claim, times in claims.items() if times > 1] == [], "An item was given to two reviewers at once."
    with database.reading() as session:
        _verdicts(session, said)
        _leavings(session, said)
        _submits(session, said)
        for what, query in NEVER.items():
            found = session.connection().execute(sa.text(query + " LIMIT 5")).all()
            assert found == [], f"{what}: {found}"
    if database.is_sqlite:
        _whole(database)
    while _seal(database):
        pass
    report = verify.verify(database)
    assert report.broken == [], report.broken[:5]
    assert report.events >= len(said["decided"])


def _verdicts(session: Session, said: dict[str, list[Line]]) -> None:
    stored = {
        row.id: (row.item_id, row.verdict, row.text_hash)
        for row in _rows(
            session,
            "SELECT d.id, d.item_id, v.verdict, d.text_hash FROM decision d JOIN review v ON v.id = d.review_id",
        )
    }
    lost = [one for one in said["decided"] if stored.get(one["decision"]) != (one["item"], one["verdict"], one["text"])]
    assert lost == [], f"{len(lost)} of {len(said['decided'])} verdicts were lost or changed: {lost[:3]}"

    taken_back = {row.id for row in _rows(session, "SELECT decision_id AS id FROM retraction")}
    undone = {one["decision"] for one in said["undone"]}
    asked = {one["decision"] for one in said["undoing"]}
    assert undone <= taken_back, "An acknowledged undo was lost."
    assert taken_back <= asked, "A verdict was taken back that nobody undid."


def _leavings(session: Session, said: dict[str, list[Line]]) -> None:
    told = {row.id for row in _rows(session, "SELECT decision_id AS id FROM outbox")}
    missing = [one for one in said["decided"] if one["left"] and one["decision"] not in told]
    assert missing == [], f"Without grace a verdict and its message are one step: {missing[:3]}"
    released = {row.item_id: row.id for row in _rows(session, "SELECT item_id, id FROM release")}
    gone = [one for one in said["left"] if released.get(one["item"]) != one["release"]]
    assert gone == [], f"An acknowledged release was lost: {gone[:3]}"


def _submits(session: Session, said: dict[str, list[Line]]) -> None:
    there: dict[str, list[str]] = defaultdict(list)
    for row in _rows(session, "SELECT id, external_id FROM item"):
        there[row.external_id].append(row.id)
    wanted = [
        name_of(number)
        for one in said["submitted"] + said["imported"]
        for number in range(one["first"], one["first"] + one["rows"])
    ]
    assert [name for name in wanted if name not in there] == [], "An acknowledged submit was lost."
    assert [name for name, ids in there.items() if len(ids) > 1] == [], "A submit was stored twice."
    moved = [one for one in said["submitted"] if there[name_of(one["first"])] != [one["item"]]]
    assert moved == [], f"A submit is another item than was said: {moved[:3]}"


def _rows(session: Session, query: str) -> Sequence[Any]:
    return session.connection().execute(sa.text(query)).all()


def _whole(database: Database) -> None:
    """Ask SQLite whether the file is in order, over a connection of its own."""
    connection = sqlite3.connect(database.path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()


def _seal(database: Database) -> int:
    with database.writing() as session:
        return audit.seal(session)


def let_all_leave(database: Database, within: float = 10) -> None:
    """Let everything leave whose grace ends, as the worker would, until nothing is left to leave."""
    deadline = time.monotonic() + within
    while leaving(database):
        assert time.monotonic() < deadline, "Something decided never leaves."
        with database.writing() as session:
            if not releases.release_due(session):
                time.sleep(0.05)


def leaving(database: Database) -> int:
    """Return how many items are decided and have not left."""
    with database.reading() as session:
        return int(
            session.connection().execute(sa.text("SELECT count(*) FROM item WHERE leaves_at IS NOT NULL")).scalar_one()
        )
