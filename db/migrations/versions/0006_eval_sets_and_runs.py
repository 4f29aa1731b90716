"""Eval sets, runs of candidates on them, scores and gates

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS = "kind IN ('import', 'export'{more})"


def _kinds(more: str) -> None:
    with op.batch_alter_table("job") as job:
        job.drop_constraint(op.f("ck_job_kind"), type_="check")
        job.create_check_constraint(op.f("ck_job_kind"), KINDS.format(more=more))


def upgrade() -> None:
    _kinds(", 'eval'")
    op.create_table(
        "eval_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("held_out", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_eval_set_name")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_eval_set_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_set")),
        sa.UniqueConstraint("name", name=op.f("uq_eval_set_name")),
    )
    op.create_index(op.f("ix_eval_set_workflow_id"), "eval_set", ["workflow_id"], unique=False)
    op.create_table(
        "eval_version",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("left_out", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("frozen_at", sa.BigInteger(), nullable=True),
        sa.Column("frozen_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(frozen_at IS NULL) = (content_hash IS NULL) AND (frozen_at IS NULL) = (cases IS NULL)",
            name=op.f("ck_eval_version_frozen"),
        ),
        sa.ForeignKeyConstraint(["set_id"], ["eval_set.id"], name=op.f("fk_eval_version_set_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_version")),
        sa.UniqueConstraint("set_id", "number", name=op.f("uq_eval_version_set_id_number")),
    )
    op.create_table(
        "eval_case",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("version_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("review_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.Integer(), nullable=False),
        sa.Column("inclusion", sa.Float(), nullable=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("(verdict = 'reject') = (kind = 'must_not')", name=op.f("ck_eval_case_kind_of_verdict")),
        sa.CheckConstraint("kind IN ('target', 'must_not')", name=op.f("ck_eval_case_kind")),
        sa.CheckConstraint("verdict IN ('approve', 'correct', 'reject')", name=op.f("ck_eval_case_verdict")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_eval_case_item_id")),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name=op.f("fk_eval_case_review_id")),
        sa.ForeignKeyConstraint(["version_id"], ["eval_version.id"], name=op.f("fk_eval_case_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_case")),
        sa.UniqueConstraint("version_id", "item_id", name=op.f("uq_eval_case_version_id_item_id")),
        sa.UniqueConstraint("version_id", "position", name=op.f("uq_eval_case_version_id_position")),
    )
    op.create_index("ix_eval_case_item_id", "eval_case", ["item_id"], unique=False)
    op.create_index("ix_eval_case_review_id", "eval_case", ["review_id"], unique=False)
    op.create_table(
        "eval_case_content",
        sa.Column("case_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("salt", sa.String(), nullable=True),
        sa.Column("prompt", sa.String(), nullable=True),
        sa.Column("prompt_is_chat", sa.Boolean(), nullable=False),
        sa.Column("context", sa.String(), nullable=True),
        sa.Column("output", sa.String(), nullable=True),
        sa.Column("target", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["eval_case.id"], name=op.f("fk_eval_case_content_case_id")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_eval_case_content")),
    )
    op.create_table(
        "eval_run",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("version_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("scorers", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=True),
        sa.Column("judge_hash", sa.String(), nullable=True),
        sa.Column("rubric_version", sa.Integer(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("budget_micro", sa.BigInteger(), nullable=True),
        sa.Column("at_once", sa.Integer(), nullable=False),
        sa.Column("prices", sa.String(), nullable=True),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("lease_n", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("outcome IN ('done', 'cancelled', 'budget', 'failed')", name=op.f("ck_eval_run_outcome")),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name=op.f("ck_eval_run_ended")),
        sa.CheckConstraint(
            "repeats BETWEEN 1 AND 100 AND at_once BETWEEN 1 AND 1000 AND budget_micro >= 0",
            name=op.f("ck_eval_run_amounts"),
        ),
        sa.ForeignKeyConstraint(["version_id"], ["eval_version.id"], name=op.f("fk_eval_run_version_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_eval_run_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_run")),
    )
    op.create_index("ix_eval_run_version_id", "eval_run", ["version_id"], unique=False)
    op.create_index("ix_eval_run_workflow_id", "eval_run", ["workflow_id", "created_at"], unique=False)
    op.create_table(
        "eval_candidate",
        sa.Column("run_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("reached", sa.String(), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["eval_run.id"], name=op.f("fk_eval_candidate_run_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_eval_candidate")),
        sa.UniqueConstraint("run_id", "model", name=op.f("uq_eval_candidate_run_id_model")),
    )
    op.create_table(
        "eval_result",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("run_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("candidate", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=True),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cost_micro", sa.BigInteger(), nullable=True),
        sa.Column("finish", sa.String(), nullable=True),
        sa.Column("said_model", sa.String(), nullable=True),
        sa.Column("fingerprint", sa.String(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["eval_case.id"], name=op.f("fk_eval_result_case_id")),
        sa.ForeignKeyConstraint(
            ["run_id", "candidate"],
            ["eval_candidate.run_id", "eval_candidate.position"],
            name="fk_eval_result_candidate",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_result")),
        sa.UniqueConstraint(
            "run_id", "candidate", "case_id", "repeat", name=op.f("uq_eval_result_run_id_candidate_case_id_repeat")
        ),
    )
    op.create_index("ix_eval_result_case_id", "eval_result", ["case_id"], unique=False)
    op.create_table(
        "eval_result_content",
        sa.Column("result_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("output", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["eval_result.id"], name=op.f("fk_eval_result_content_result_id")),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_eval_result_content")),
    )
    op.create_table(
        "eval_score",
        sa.Column("result_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("scorer", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("cost_micro", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("source IN ('code', 'judge')", name=op.f("ck_eval_score_source")),
        sa.CheckConstraint("value BETWEEN 0 AND 1", name=op.f("ck_eval_score_value")),
        sa.ForeignKeyConstraint(["result_id"], ["eval_result.id"], name=op.f("fk_eval_score_result_id")),
        sa.PrimaryKeyConstraint("result_id", "scorer", name=op.f("pk_eval_score")),
    )
    op.create_table(
        "eval_score_content",
        sa.Column("result_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("scorer", sa.String(), nullable=False),
        sa.Column("rationale", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["eval_result.id"], name=op.f("fk_eval_score_content_result_id")),
        sa.PrimaryKeyConstraint("result_id", "scorer", name=op.f("pk_eval_score_content")),
    )
    op.create_table(
        "eval_review",
        sa.Column("result_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_eval_review_item_id")),
        sa.ForeignKeyConstraint(["result_id"], ["eval_result.id"], name=op.f("fk_eval_review_result_id")),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_eval_review")),
        sa.UniqueConstraint("item_id", name=op.f("uq_eval_review_item_id")),
    )
    op.create_table(
        "eval_gate",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("version_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column(
            "baseline_run", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False
        ),
        sa.Column("baseline", sa.Integer(), nullable=False),
        sa.Column(
            "candidate_run", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False
        ),
        sa.Column("candidate", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("scorer", sa.String(), nullable=True),
        sa.Column("margin", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("difference", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("more_cases_needed", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("outcome IN ('pass', 'block', 'inconclusive')", name=op.f("ck_eval_gate_outcome")),
        sa.CheckConstraint("margin > 0 AND margin < 1", name=op.f("ck_eval_gate_margin")),
        sa.ForeignKeyConstraint(
            ["baseline_run", "baseline"],
            ["eval_candidate.run_id", "eval_candidate.position"],
            name="fk_eval_gate_baseline",
        ),
        sa.ForeignKeyConstraint(
            ["candidate_run", "candidate"],
            ["eval_candidate.run_id", "eval_candidate.position"],
            name="fk_eval_gate_candidate",
        ),
        sa.ForeignKeyConstraint(["version_id"], ["eval_version.id"], name=op.f("fk_eval_gate_version_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_eval_gate_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_gate")),
        sa.UniqueConstraint(
            "id", "workflow_id", "model", "outcome", name=op.f("uq_eval_gate_id_workflow_id_model_outcome")
        ),
    )
    op.create_index("ix_eval_gate_version_id", "eval_gate", ["version_id"], unique=False)


def downgrade() -> None:
    for table in (
        "eval_gate",
        "eval_review",
        "eval_score_content",
        "eval_score",
        "eval_result_content",
        "eval_result",
        "eval_candidate",
        "eval_run",
        "eval_case_content",
        "eval_case",
        "eval_version",
        "eval_set",
    ):
        op.drop_table(table)
    _kinds("")
