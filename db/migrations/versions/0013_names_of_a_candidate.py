"""Guard: while a candidate is on trial, nothing leaves unseen under a name that may be another one of the candidate's

Revision ID: 0013
Revises: 0012
"""

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table; the guards are put in place after every revision."""


def downgrade() -> None:
    """Change no table."""
