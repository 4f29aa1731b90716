"""The counts behind the charts, kept in the transaction of whatever changes them.

Whoever moves an item, or adds a review to it, calls `touch` before; whoever stores new items calls `born` after. The
difference is written last in the transaction, in one order for all, so that its hot rows are held for an instant.
What was changed under a savepoint that was rolled back changes nothing: the second look is at what stands then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import add_to_rows
from db.driver import driver
from db.engine import at_end
from neuro_review.rollups import counting
from neuro_review.rollups.counting import KEYS, SUMS, Facts, Said, Tally

PENDING = "rollups"


@dataclass
class _Pending:
    """What this transaction changes."""

    tally: Tally = field(default_factory=counting.empty)
    before: dict[str, Facts] = field(default_factory=dict)


def touch(session: Session, item_ids: Sequence[str]) -> None:
    """Remember what these items count for, before anything of them is changed; the caller has them locked."""
    pending = _pending(session)
    fresh = [one for one in item_ids if one not in pending.before]
    if fresh:
        pending.before |= read(session, fresh)


def born(session: Session, items: Iterable[Facts]) -> None:
    """Count new items, once they are stored: what the database refuses must not have been counted."""
    counting.count_new(_pending(session).tally, items)


def _pending(session: Session) -> _Pending:
    pending: _Pending | None = session.info.get(PENDING)
    if pending is None:
        pending = session.info[PENDING] = _Pending()
        at_end(session, _settle)
    return pending


def _settle(session: Session) -> None:
    pending: _Pending = session.info.pop(PENDING)
    if pending.before:
        after = read(session, list(pending.before))
        for item_id, facts in pending.before.items():
            if facts != after[item_id]:
                counting.count(pending.tally, facts, -1)
                counting.count(pending.tally, after[item_id])
    write(session, pending.tally)


_READ = (
    "SELECT i.id, i.workflow_id, i.origin, i.model, i.created_at, i.stratum, i.inclusion, i.panel, i.status,"
    " i.cost_micro, i.latency_ms, i.prompt_tokens, i.completion_tokens, i.source_id, i.prompt_version, i.end_user,"
    " i.label, i.released_at, i.recalled_at, v.id AS review_id, v.reviewer, v.purpose, v.verdict, v.reasons,"
    " v.handling_ms, v.edited, v.reviewed_at FROM item i LEFT JOIN review v ON v.item_id = i.id AND NOT EXISTS"
    " (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id WHERE d.review_id = v.id) WHERE i.id "
)
READ = {
    "sqlite": sa.text(_READ + "IN (SELECT value FROM json_each(:ids))"),
    "postgresql": sa.text(_READ + "= ANY(CAST(:ids AS uuid[]))"),
}
_ITEM = slice(1, 19)
_REVIEW = slice(19, None)


def read(session: Session, item_ids: Sequence[str]) -> dict[str, Facts]:
    """Return what the counts need to know of these items."""
    connection = session.connection()
    dialect = connection.dialect.name
    ids: Any = list(item_ids) if dialect == "postgresql" else orjson.dumps(list(item_ids)).decode()
    found: dict[str, Facts] = {}
    for row in connection.execute(READ[dialect], {"ids": ids}):
        if row[0] not in found:
            found[row[0]] = Facts._make((*row[_ITEM], []))
        if row.review_id is not None:
            found[row[0]].said.append(Said(*row[_REVIEW]))  # type: ignore[attr-defined]
    return {item_id: facts._replace(panel=bool(facts.panel)) for item_id, facts in found.items()}


_SERIES = "SELECT model, id FROM rollup_series WHERE workflow_id = {0} AND origin = {0} AND model "
FIND_SERIES = {
    True: _SERIES.format("?") + "IN (SELECT value FROM json_each(?))", False: _SERIES.format("%s") + "= ANY(%s)"
}  # fmt: skip
"""Whether it is for SQLite, and how it is said there."""
MAKE_SERIES = sa.text(
    "INSERT INTO rollup_series (workflow_id, origin, model) VALUES (:flow, :origin, :model)"
    " ON CONFLICT (workflow_id, origin, model) DO NOTHING"
)
FORGET_USERS = sa.text("DELETE FROM rollup_user WHERE workflow_id = :flow AND week = :week AND n <= 0")


def write(session: Session, tally: Tally) -> None:
    """Add a tally to the counts; the caller writes nothing after it in this transaction."""
    by_series = [table for table, keys in KEYS.items() if keys.startswith("series_id")]
    wanted = {key[0] for table in by_series for key, amounts in tally[table].items() if any(amounts)}
    series = _series(session, wanted)
    for table, rows in tally.items():
        numbered = table in by_series
        added = [
            ((series[key[0]], *key[1:]) if numbered else key, amounts) for key, amounts in rows.items() if any(amounts)
        ]
        added.sort(key=lambda row: row[0])
        add_to_rows(session, table, KEYS[table], SUMS[table], [(*key, *amounts) for key, amounts in added])
    gone = {(key[0], key[2]) for key, amounts in tally["rollup_user"].items() if amounts[0] < 0}
    for flow, week in sorted(gone, key=repr):
        session.connection().execute(FORGET_USERS, {"flow": flow, "week": week})


def _series(session: Session, wanted: set[Any]) -> dict[Any, int]:
    """Return the numbers of series (workflow, origin, model); those that are new are made."""
    found: dict[Any, int] = {}
    for flow, origin in sorted({one[:2] for one in wanted}):
        models = sorted(one[2] for one in wanted if one[:2] == (flow, origin))
        there = _numbers(session, flow, origin, models)
        new = [model for model in models if model not in there]
        for model in new:
            session.connection().execute(MAKE_SERIES, {"flow": flow, "origin": origin, "model": model})
        there |= _numbers(session, flow, origin, new) if new else {}
        found |= {(flow, origin, model): number for model, number in there.items()}
    return found


def _numbers(session: Session, flow: int, origin: str, models: list[str]) -> dict[str, int]:
    to = driver(session)
    return dict(to.run(FIND_SERIES[to.is_sqlite], (flow, origin, to.listed(models))).fetchall())
