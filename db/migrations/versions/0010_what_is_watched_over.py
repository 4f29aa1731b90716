"""What is watched over: alarms on drift, outcomes and the one metric, and whether the counts are right

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("acknowledged_at IS NULL")


def whole(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def flow(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f(f"fk_{table}_workflow_id"))


def upgrade() -> None:
    op.create_table(
        "metric",
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("baseline", sa.Float(), nullable=False),
        sa.Column("target", sa.Float(), nullable=False),
        whole("set_at"),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_metric_name")),
        sa.CheckConstraint("target <> 0 AND target >= -1", name=op.f("ck_metric_target")),
        flow("metric"),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_metric")),
    )
    op.create_table(
        "outcome",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        whole("source_id"),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        whole("value_micro"),
        whole("at"),
        whole("reported_at"),
        flow("outcome"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_outcome_source_id")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_outcome_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome")),
        sa.UniqueConstraint("item_id", "name", name=op.f("uq_outcome_item_id_name")),
    )
    op.create_index("ix_outcome_workflow", "outcome", ["workflow_id", "name", "at"])
    op.create_table(
        "rollup_outcome",
        sa.Column("workflow_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False),
        whole("n"),
        whole("total_micro"),
        sa.Column("squares", sa.Float(), nullable=False),
        flow("rollup_outcome"),
        sa.PrimaryKeyConstraint("workflow_id", "name", "day", name=op.f("pk_rollup_outcome")),
        sqlite_with_rowid=False,
    )
    _watching()


def _watching() -> None:
    op.create_table(
        "watch",
        sa.Column("workflow_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("target", sa.Float(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        *[whole(name) for name in ("labels", "bad", "since", "bad_since")],
        whole("since_at", null=True),
        whole("started_at"),
        flow("watch"),
        sa.PrimaryKeyConstraint("workflow_id", "model", name=op.f("pk_watch")),
    )
    op.create_table(
        "watch_cursor",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        whole("seq"),
        sa.CheckConstraint("id = 1", name=op.f("ck_watch_cursor_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watch_cursor")),
    )
    op.create_table(
        "alarm",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("target", sa.Float(), nullable=False),
        *[whole(name) for name in ("labels", "bad", "since_at", "seen_at")],
        whole("acknowledged_by", null=True),
        whole("acknowledged_at", null=True),
        whole("told_at", null=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        whole("next_at"),
        sa.CheckConstraint("(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name=op.f("ck_alarm_acknowledged")),
        flow("alarm"),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["person.id"], name=op.f("fk_alarm_acknowledged_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    op.create_index(
        "uq_alarm_open", "alarm", ["workflow_id", "model"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_table(
        "count_check",
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False),
        whole("checked_at"),
        whole("differences"),
        sa.Column("first", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_count_check")),
    )


def downgrade() -> None:
    for name in ("count_check", "alarm", "watch_cursor", "watch", "rollup_outcome", "outcome", "metric"):
        op.drop_table(name)
