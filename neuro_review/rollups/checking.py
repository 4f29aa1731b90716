"""The counts made anew from items and reviews, by the database's own means, and held against those that are kept.

A second way to the same numbers: `counting` says in Python what one item adds, this says in SQL what all of them are.
Where the two differ, either somebody changed rows by hand or one of them is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY
from neuro_review.rollups.counting import KEYS, LATENCY, RELEASE, SUMS, Key, Tally, bucket, empty, user_hash

_ITEMS = "i.workflow_id = :flow AND i.created_at >= :since AND i.created_at < :until"
_STANDING = (
    "standing AS (SELECT v.*, i.origin, i.created_at / 86400000000 AS day, i.label FROM item i JOIN review v"
    f" ON v.item_id = i.id WHERE {_ITEMS} AND NOT EXISTS (SELECT 1 FROM decision d JOIN retraction x"
    " ON x.decision_id = d.id WHERE d.review_id = v.id))"
)
_RANKED = (
    "ranked AS (SELECT item_id, reasons, edited, ROW_NUMBER() OVER (PARTITION BY item_id ORDER BY CASE purpose"
    " WHEN 'adjudication' THEN 0 WHEN 'second' THEN 2 ELSE 1 END, reviewed_at DESC, id DESC) AS place FROM standing"
    " WHERE verdict = label)"
)
_SPENT = (
    "spent AS (SELECT item_id, CASE WHEN sum(handling_ms) > 300000 THEN 300000 ELSE sum(handling_ms) END AS ms"
    " FROM standing GROUP BY item_id)"
)
_SHORT = "CASE WHEN length({0}) <= 120 THEN {0} ELSE '[\"…\"]' END"
_SERIES = "i.workflow_id, i.origin, i.model, i.created_at / 86400000000"
GROUPED = {
    "rollup_label": (
        f"WITH {_STANDING}, {_RANKED} SELECT {_SERIES}, coalesce(i.stratum, ''), CASE WHEN i.panel THEN 'panel'"
        " WHEN i.inclusion IS NULL OR i.inclusion >= 1 THEN 'sure' ELSE 'chance' END, CASE WHEN i.label IS NOT NULL"
        " THEN i.label WHEN i.status = 'held' THEN 'open' ELSE 'unseen' END, CASE WHEN r.reasons IS NULL THEN ''"
        f" ELSE {_SHORT.format('r.reasons')} END, count(*) FROM item i LEFT JOIN ranked r ON r.item_id = i.id"
        f" AND r.place = 1 WHERE {_ITEMS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
    ),
    "rollup_day": (
        f"WITH {_STANDING}, {_RANKED}, {_SPENT} SELECT {_SERIES}, count(*), coalesce(sum(i.cost_micro), 0),"
        " count(i.cost_micro), coalesce(sum(i.prompt_tokens), 0), coalesce(sum(i.completion_tokens), 0),"
        " count(coalesce(i.prompt_tokens, i.completion_tokens)), count(i.released_at), count(i.recalled_at),"
        " coalesce(sum(s.ms), 0), count(s.ms), count(r.edited), coalesce(sum(r.edited), 0) FROM item i"
        " LEFT JOIN ranked r ON r.item_id = i.id AND r.place = 1 LEFT JOIN spent s ON s.item_id = i.id"
        f" WHERE {_ITEMS} GROUP BY 1, 2, 3, 4"
    ),
    "rollup_version": (
        f"SELECT {_SERIES}, i.prompt_version, count(*) FROM item i WHERE {_ITEMS} AND i.prompt_version IS NOT NULL"
        " GROUP BY 1, 2, 3, 4, 5"
    ),
    "rollup_review": (
        f"WITH {_STANDING} SELECT v.workflow_id, v.origin, v.day, v.reviewer, v.verdict,"
        f" {_SHORT.format('v.reasons')}, count(*), coalesce(sum(CASE WHEN v.handling_ms > 300000 THEN 300000"
        " ELSE v.handling_ms END), 0), count(v.handling_ms) FROM standing v GROUP BY 1, 2, 3, 4, 5, 6"
    ),
    "rollup_source": (
        "SELECT i.workflow_id, i.origin, (i.created_at / 86400000000 + 3) / 7, i.source_id, count(*),"
        f" count(i.released_at) FROM item i WHERE {_ITEMS} GROUP BY 1, 2, 3, 4"
    ),
}
LATENCIES = sa.text(
    f"SELECT {_SERIES}, i.latency_ms, count(*) FROM item i WHERE {_ITEMS} AND i.latency_ms IS NOT NULL"
    " GROUP BY 1, 2, 3, 4, 5"
)
RELEASES = sa.text(
    f"SELECT {_SERIES}, CASE WHEN i.released_at > i.created_at THEN (i.released_at - i.created_at) / 1000 ELSE 0 END,"
    f" count(*) FROM item i WHERE {_ITEMS} AND i.released_at IS NOT NULL GROUP BY 1, 2, 3, 4, 5"
)
USERS = sa.text(
    "SELECT i.workflow_id, i.origin, (i.created_at / 86400000000 + 3) / 7, i.end_user, count(*) FROM item i"
    f" WHERE {_ITEMS} AND i.end_user IS NOT NULL GROUP BY 1, 2, 3, 4"
)
BY_SERIES = frozenset(table for table, keys in KEYS.items() if keys.startswith("series_id"))


def counted(session: Session, workflow_id: int, first_day: int, last_day: int) -> Tally:
    """Return the counts of the outputs that came in on these days, from the rows themselves."""
    connection, tally = session.connection(), empty()
    bound = {"flow": workflow_id, "since": first_day * DAY, "until": (last_day + 1) * DAY}
    for table, query in GROUPED.items():
        parts = len(KEYS[table].split()) + (2 if table in BY_SERIES else 0)
        for row in connection.execute(sa.text(query), bound):
            tally[table][_key(table, row[:parts])] = [int(amount) for amount in row[parts:]]
    for kind, statement in ((LATENCY, LATENCIES), (RELEASE, RELEASES)):
        for *series, day, value, n in connection.execute(statement, bound):
            _more(tally, "rollup_time", (tuple(series), day, kind, bucket(value)), n)
    for *where, user, n in connection.execute(USERS, bound):
        _more(tally, "rollup_user", (*where, user_hash(user)), n)
    return tally


def _key(table: str, parts: Any) -> Key:
    """Return a key as a tally has it: workflow, origin and model stand together."""
    return (tuple(parts[:3]), *parts[3:]) if table in BY_SERIES else tuple(parts)


def _more(tally: Tally, table: str, key: Key, n: int) -> None:
    tally[table].setdefault(key, [0])[0] += int(n)


def kept(session: Session, workflow_id: int, first_day: int, last_day: int) -> Tally:
    """Return the counts that are kept of these days; rows of nothing are left out."""
    connection, tally = session.connection(), empty()
    for table, keys in KEYS.items():
        weekly, parts = "week" in keys.split(), len(keys.split())
        first, last = _weeks(first_day, last_day) if weekly else (first_day, last_day)
        columns = ", ".join(f"r.{name}" for name in f"{keys} {SUMS[table]}".split()[1:])
        if table in BY_SERIES:
            parts += 2
            query = (
                f"SELECT s.workflow_id, s.origin, s.model, {columns} FROM rollup_series s JOIN {table} r"
                " ON r.series_id = s.id WHERE s.workflow_id = :flow AND r.day BETWEEN :first AND :last"
            )
        else:
            when = "week" if weekly else "day"
            query = (
                f"SELECT r.workflow_id, {columns} FROM {table} r WHERE r.workflow_id = :flow"
                f" AND r.{when} BETWEEN :first AND :last"
            )
        for row in connection.execute(sa.text(query), {"flow": workflow_id, "first": first, "last": last}):
            if any(row[parts:]):
                tally[table][_key(table, row[:parts])] = [int(amount) for amount in row[parts:]]
    return tally


def _weeks(first_day: int, last_day: int) -> tuple[int, int]:
    """Return the weeks that lie within these days as a whole."""
    return (first_day + 3 + 6) // 7, (last_day + 3 + 1) // 7 - 1


@dataclass(frozen=True)
class Difference:
    """A count that is not what the rows say."""

    table: str
    key: Key
    kept: list[int]
    """What is kept, in the order of the table's sums; empty where there is no row."""
    counted: list[int]
    """What the rows say."""


def differences(session: Session, workflow_id: int, first_day: int, last_day: int) -> Iterator[Difference]:
    """Yield each count of these days that is not what the rows say; of counts by week, of the whole weeks in them.

    On PostgreSQL the caller's transaction must read as of one instant (REPEATABLE READ).
    """
    anew, there = (look(session, workflow_id, first_day, last_day) for look in (counted, kept))
    first_week, last_week = _weeks(first_day, last_day)
    for table in KEYS:
        for key in sorted(anew[table].keys() | there[table].keys(), key=repr):
            if "week" in KEYS[table].split() and not first_week <= int(key[2]) <= last_week:  # type: ignore[call-overload]
                continue
            mine, said = there[table].get(key, []), anew[table].get(key, [])
            if mine != said and (any(mine) or any(said)):
                yield Difference(table, key, mine, said)
