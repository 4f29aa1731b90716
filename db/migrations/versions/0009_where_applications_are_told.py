"""Where applications are told, how far each message has come, and what happens at a deadline

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    op.create_table(
        "endpoint",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("old_nonce", sa.String(), nullable=True),
        sa.Column("old_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_for", sa.String(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("url <> ''", name=op.f("ck_endpoint_url")),
        sa.CheckConstraint("paused_for IN ('asked', 'gone')", name=op.f("ck_endpoint_paused_for")),
        sa.CheckConstraint("(paused_at IS NULL) = (paused_for IS NULL)", name=op.f("ck_endpoint_paused")),
        sa.CheckConstraint("(old_nonce IS NULL) = (old_until IS NULL)", name=op.f("ck_endpoint_overlap")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_endpoint_workflow_id")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_endpoint_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint")),
    )
    op.create_index("ix_endpoint_workflow_id", "endpoint", ["workflow_id"])
    op.create_table(
        "delivery",
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("outbox_seq", sa.BigInteger(), nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint("delivered_at IS NULL OR dead_at IS NULL", name=op.f("ck_delivery_ended")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_delivery_attempts")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name=op.f("fk_delivery_endpoint_id")),
        sa.ForeignKeyConstraint(["outbox_seq"], ["outbox.seq"], name=op.f("fk_delivery_outbox_seq")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_delivery_item_id")),
        sa.PrimaryKeyConstraint("endpoint_id", "outbox_seq", name=op.f("pk_delivery")),
    )
    for name, column, where in (
        ("due", "next_at", "delivered_at IS NULL AND dead_at IS NULL"),
        ("order", "item_id", "delivered_at IS NULL AND dead_at IS NULL"),
        ("dead", "dead_at", "dead_at IS NOT NULL"),
        ("done", "delivered_at", "delivered_at IS NOT NULL"),
    ):
        rows = sa.text(where)
        op.create_index(
            f"ix_delivery_{name}", "delivery", ["endpoint_id", column], sqlite_where=rows, postgresql_where=rows
        )
    op.create_table(
        "worker_beat",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_beat")),
    )
    # How far a message has come is now said of each endpoint: this index only grew.
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.execute(
        "ALTER TABLE workflow ADD COLUMN lapse_ms BIGINT"
        " CONSTRAINT ck_workflow_lapse CHECK (lapse_ms IS NULL OR lapse_ms >= 0)"
    )
    op.add_column("item", sa.Column("overdue_at", sa.BigInteger(), nullable=True))
    late = sa.text("status = 'held' AND due_at IS NOT NULL AND overdue_at IS NULL")
    op.create_index("ix_item_overdue", "item", ["workflow_id", "due_at"], sqlite_where=late, postgresql_where=late)


def downgrade() -> None:
    op.drop_index("ix_item_overdue", table_name="item")
    op.drop_column("item", "overdue_at")
    with op.batch_alter_table("workflow") as batch:
        batch.drop_constraint(op.f("ck_workflow_lapse"), type_="check")
        batch.drop_column("lapse_ms")
    waiting = sa.text("delivered_at IS NULL AND dead_at IS NULL")
    op.create_index("ix_outbox_due", "outbox", ["next_at"], sqlite_where=waiting, postgresql_where=waiting)
    op.drop_table("worker_beat")
    op.drop_table("delivery")
    op.drop_table("endpoint")
