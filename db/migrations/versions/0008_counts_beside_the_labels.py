"""Counts beside the labels: what the charts read, filled from what is there

Revision ID: 0008
Revises: 0007
"""

import hashlib
from bisect import bisect_right
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SUMS = {
    "rollup_label": "n",
    "rollup_day": "items cost_micro cost_known prompt_tokens completion_tokens tokens_known released recalled"
    " handling_ms handled edits edited",
    "rollup_time": "n",
    "rollup_version": "n",
    "rollup_review": "n handling_ms handled",
    "rollup_source": "n released",
    "rollup_user": "n",
}


def upgrade() -> None:
    op.add_column("review", sa.Column("edited", sa.SmallInteger(), nullable=True))
    op.create_table(
        "rollup_series",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_rollup_series_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_series")),
        sa.UniqueConstraint("workflow_id", "origin", "model", name=op.f("uq_rollup_series_workflow_id_origin_model")),
    )
    series, flow = ("series_id", sa.BigInteger(), "rollup_series.id"), ("workflow_id", sa.Integer(), "workflow.id")
    day, week = ("day", sa.Integer()), ("week", sa.Integer())
    _table("rollup_label", series, day, *_texts("stratum cell label reasons"))
    _table("rollup_day", series, day)
    _table("rollup_time", series, day, *_texts("kind"), ("bucket", sa.Integer()))
    _table("rollup_version", series, day, *_texts("prompt_version"))
    _table("rollup_review", flow, *_texts("origin"), day, *_texts("reviewer verdict reasons"))
    _table("rollup_source", flow, *_texts("origin"), week, ("source_id", sa.BigInteger(), "source.id"))
    _table("rollup_user", flow, *_texts("origin"), week, *_texts("end_user"))
    _fill(op.get_bind())


def _texts(names: str) -> list[tuple[Any, ...]]:
    return [(name, sa.String()) for name in names.split()]


def _table(name: str, *keys: tuple[Any, ...]) -> None:
    op.create_table(
        name,
        *[sa.Column(key[0], key[1], nullable=False, autoincrement=False) for key in keys],
        *[sa.Column(one, sa.BigInteger(), nullable=False) for one in SUMS[name].split()],
        sa.PrimaryKeyConstraint(*[key[0] for key in keys], name=op.f(f"pk_{name}")),
        *[
            sa.ForeignKeyConstraint([key[0]], [key[2]], name=op.f(f"fk_{name}_{key[0]}"))
            for key in keys if len(key) > 2
        ],
        sqlite_with_rowid=False,
    )  # fmt: skip


STANDING = (
    "standing AS (SELECT v.*, i.origin, i.created_at / 86400000000 AS day, i.label FROM item i JOIN review v"
    " ON v.item_id = i.id WHERE NOT EXISTS (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id"
    " WHERE d.review_id = v.id))"
)
RANKED = (
    "ranked AS (SELECT item_id, reasons, ROW_NUMBER() OVER (PARTITION BY item_id ORDER BY CASE purpose"
    " WHEN 'adjudication' THEN 0 WHEN 'second' THEN 2 ELSE 1 END, reviewed_at DESC, id DESC) AS place FROM standing"
    " WHERE verdict = label)"
)
SPENT = (
    "spent AS (SELECT item_id, CASE WHEN sum(handling_ms) > 300000 THEN 300000 ELSE sum(handling_ms) END AS ms"
    " FROM standing GROUP BY item_id)"
)
SHORT = "CASE WHEN length({0}) <= 120 THEN {0} ELSE '[\"…\"]' END"
SERIES = "JOIN rollup_series s ON s.workflow_id = i.workflow_id AND s.origin = i.origin AND s.model = i.model"
FILLED = (
    "INSERT INTO rollup_series (workflow_id, origin, model) SELECT DISTINCT workflow_id, origin, model FROM item"
    " ORDER BY workflow_id, origin, model",
    f"INSERT INTO rollup_label (series_id, day, stratum, cell, label, reasons, n) WITH {STANDING}, {RANKED} SELECT"
    " s.id, i.created_at / 86400000000, coalesce(i.stratum, ''), CASE WHEN i.panel THEN 'panel' WHEN i.inclusion IS"
    " NULL OR i.inclusion >= 1 THEN 'sure' ELSE 'chance' END, CASE WHEN i.label IS NOT NULL THEN i.label WHEN"
    " i.status = 'held' THEN 'open' ELSE 'unseen' END, CASE WHEN r.reasons IS NULL THEN '' ELSE"
    f" {SHORT.format('r.reasons')} END, count(*) FROM item i {SERIES} LEFT JOIN ranked r ON r.item_id = i.id"
    " AND r.place = 1 GROUP BY 1, 2, 3, 4, 5, 6",
    f"INSERT INTO rollup_day (series_id, day, {', '.join(SUMS['rollup_day'].split())}) WITH {STANDING}, {SPENT} SELECT"
    " s.id, i.created_at / 86400000000, count(*), coalesce(sum(i.cost_micro), 0), count(i.cost_micro),"
    " coalesce(sum(i.prompt_tokens), 0), coalesce(sum(i.completion_tokens), 0), count(coalesce(i.prompt_tokens,"
    " i.completion_tokens)), count(i.released_at), count(i.recalled_at), coalesce(sum(p.ms), 0), count(p.ms), 0, 0"
    f" FROM item i {SERIES} LEFT JOIN spent p ON p.item_id = i.id GROUP BY 1, 2",
    "INSERT INTO rollup_version (series_id, day, prompt_version, n) SELECT s.id, i.created_at / 86400000000,"
    f" i.prompt_version, count(*) FROM item i {SERIES} WHERE i.prompt_version IS NOT NULL GROUP BY 1, 2, 3",
    "INSERT INTO rollup_review (workflow_id, origin, day, reviewer, verdict, reasons, n, handling_ms, handled)"
    f" WITH {STANDING} SELECT v.workflow_id, v.origin, v.day, v.reviewer, v.verdict, {SHORT.format('v.reasons')},"
    " count(*), coalesce(sum(CASE WHEN v.handling_ms > 300000 THEN 300000 ELSE v.handling_ms END), 0),"
    " count(v.handling_ms) FROM standing v GROUP BY 1, 2, 3, 4, 5, 6",
    "INSERT INTO rollup_source (workflow_id, origin, week, source_id, n, released) SELECT workflow_id, origin,"
    " (created_at / 86400000000 + 3) / 7, source_id, count(*), count(released_at) FROM item GROUP BY 1, 2, 3, 4",
)
LATENCIES = (
    f"SELECT s.id, i.created_at / 86400000000, 'latency', i.latency_ms, count(*) FROM item i {SERIES}"
    " WHERE i.latency_ms IS NOT NULL GROUP BY 1, 2, 3, 4"
)
RELEASES = (
    f"SELECT s.id, i.created_at / 86400000000, 'release', CASE WHEN i.released_at > i.created_at THEN (i.released_at"
    f" - i.created_at) / 1000 ELSE 0 END, count(*) FROM item i {SERIES} WHERE i.released_at IS NOT NULL"
    " GROUP BY 1, 2, 3, 4"
)
USERS = (
    "SELECT workflow_id, origin, (created_at / 86400000000 + 3) / 7, end_user, count(*) FROM item"
    " WHERE end_user IS NOT NULL GROUP BY 1, 2, 3, 4"
)


def _fill(connection: sa.Connection) -> None:
    if connection.exec_driver_sql("SELECT 1 FROM item LIMIT 1").first() is None:
        return  # a new database; one measured while it is empty would have PostgreSQL plan for empty tables
    series, *others = FILLED
    _measure(connection, "item, review, decision, retraction")
    connection.exec_driver_sql(series)
    _measure(connection, "rollup_series")
    for statement in others:
        connection.exec_driver_sql(statement)
    bounds = [1]
    while bounds[-1] < 10**13:
        bounds.append(max(bounds[-1] + 1, round(bounds[-1] * 1.1)))
    times: Counter[tuple[Any, ...]] = Counter()
    for query in (LATENCIES, RELEASES):
        for *key, value, n in connection.exec_driver_sql(query):
            times[(*key, bisect_right(bounds, value))] += n
    users: Counter[tuple[Any, ...]] = Counter()
    for *key, end_user, n in connection.exec_driver_sql(USERS):
        users[(*key, hashlib.sha256(end_user.encode()).hexdigest()[:20])] += n
    _put(connection, "rollup_time", "series_id day kind bucket n", times)
    _put(connection, "rollup_user", "workflow_id origin week end_user n", users)


def _measure(connection: sa.Connection, tables: str) -> None:
    """Tell PostgreSQL how much is there: what it only guesses of a new table has it hold each output against each."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {tables}")


def _put(connection: sa.Connection, table: str, columns: str, counts: "Counter[tuple[Any, ...]]") -> None:
    names = columns.split()
    statement = sa.text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})")
    rows = [dict(zip(names, (*key, n), strict=True)) for key, n in counts.items()]
    if rows:
        connection.execute(statement, rows)


def downgrade() -> None:
    for name in SUMS:
        op.drop_table(name)
    op.drop_table("rollup_series")
    op.drop_column("review", "edited")
