"""Guards that look at all rows of an INSERT together; the shift of transaction ids after a restore elsewhere

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schema_info", sa.Column("xid_shift", sa.BigInteger(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("schema_info", "xid_shift")
