"""Guards: a model comes into use as it passed its gate, and nothing that a candidate on trial writes leaves unseen

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table; the guards are put in place after every revision."""


def downgrade() -> None:
    """Take the guard away that asks a table of an earlier revision: without that table nothing could be altered."""
    of = " ON decision" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER IF EXISTS guard_decision_no_trial_unseen{of}")
