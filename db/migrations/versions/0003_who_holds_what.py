"""Who holds what: the few items that are in somebody's hands, or of a person or a group, found among all that wait

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEXES = {"ix_item_assigned": "assigned_to", "ix_item_team": "team_id", "ix_item_leased": "lease_by"}


def upgrade() -> None:
    for name, column in INDEXES.items():
        few = sa.text(f"status = 'held' AND {column} IS NOT NULL")
        op.create_index(name, "item", [column], sqlite_where=few, postgresql_where=few)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="item")
