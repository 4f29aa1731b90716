"""Newest first: the items of a workflow in the order of their submits, for History and for whatever counts by day

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_item_created", "item", ["workflow_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_item_created", table_name="item")
