"""The model in use: what a workflow's applications are to call

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model_use",
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.Column("canary_model", sa.String(), nullable=True),
        sa.Column("canary_parameters", sa.String(), nullable=True),
        sa.Column("canary_share", sa.Float(), nullable=True),
        sa.Column("gate_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=True),
        sa.Column("gate_outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(gate_id IS NULL) = (gate_outcome IS NULL) AND gate_outcome = 'pass'", name=op.f("ck_model_use_passed")
        ),
        sa.CheckConstraint("gate_id IS NOT NULL OR reason <> ''", name=op.f("ck_model_use_grounds")),
        sa.CheckConstraint(
            "(canary_model IS NULL) = (canary_share IS NULL) AND (canary_model IS NULL) = (canary_parameters IS NULL)"
            " AND canary_share > 0 AND canary_share <= 0.5",
            name=op.f("ck_model_use_canary"),
        ),
        sa.ForeignKeyConstraint(
            ["gate_id", "workflow_id", "model", "gate_outcome"],
            ["eval_gate.id", "eval_gate.workflow_id", "eval_gate.model", "eval_gate.outcome"],
            name="fk_model_use_gate_passed",
        ),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_model_use_workflow_id")),
        sa.PrimaryKeyConstraint("workflow_id", "seq", name=op.f("pk_model_use")),
    )


def downgrade() -> None:
    op.drop_table("model_use")
