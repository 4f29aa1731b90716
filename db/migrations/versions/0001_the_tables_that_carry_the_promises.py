"""The tables that carry the promises

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("xid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("prev", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("(seq = 1) = (prev = '')", name=op.f("ck_audit_chain")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit")),
        sa.UniqueConstraint("stream", "seq", name=op.f("uq_audit_stream_seq")),
    )
    op.create_index("ix_audit_order", "audit", ["xid", "position"], unique=False)

    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("email = lower(email) AND email <> ''", name=op.f("ck_person_email_lower")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("email", name=op.f("uq_person_email")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_person_issuer_subject")),
    )
    op.create_table(
        "schema_info",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest_code", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_info_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_info")),
    )
    op.create_table(
        "seal",
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_xid", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("prev", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_seal")),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        sa.UniqueConstraint("name", name=op.f("uq_source_name")),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("name", name=op.f("uq_team_name")),
    )
    op.create_table(
        "workflow",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("grace_ms", sa.Integer(), nullable=False),
        sa.Column("sla_ms", sa.BigInteger(), nullable=True),
        sa.Column("fallback", sa.String(), nullable=True),
        sa.Column("panel_rate", sa.Float(), nullable=False),
        sa.Column("tolerance", sa.Float(), nullable=True),
        sa.Column("quality_target", sa.Float(), nullable=True),
        sa.Column("data_policy", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("reviewer_rate_micro", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("data_policy IN ('flag', 'mask', 'refuse')", name=op.f("ck_workflow_data_policy")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_workflow_name_not_empty")),
        sa.CheckConstraint("grace_ms BETWEEN 0 AND 86400000", name=op.f("ck_workflow_grace")),
        sa.CheckConstraint("panel_rate BETWEEN 0 AND 1", name=op.f("ck_workflow_panel_rate")),
        sa.CheckConstraint(
            "quality_target IS NULL OR quality_target BETWEEN 0 AND 1",
            name=op.f("ck_workflow_quality_target"),
        ),
        sa.CheckConstraint("sla_ms IS NULL OR sla_ms > 0", name=op.f("ck_workflow_sla")),
        sa.CheckConstraint("tolerance IS NULL OR tolerance BETWEEN 0 AND 1", name=op.f("ck_workflow_tolerance")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow")),
        sa.UniqueConstraint("name", name=op.f("uq_workflow_name")),
    )
    op.create_table(
        "bad_definition",
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("minor_reasons", sa.String(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("written_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_bad_definition_workflow_id")),
        sa.PrimaryKeyConstraint("workflow_id", "version", name=op.f("pk_bad_definition")),
    )
    op.create_table(
        "certificate",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("prompt_version", sa.String(), nullable=True),
        sa.Column("risk_version", sa.String(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("tolerance", sa.Float(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("voided_at", sa.BigInteger(), nullable=True),
        sa.Column("void_reason", sa.String(), nullable=True),
        sa.CheckConstraint("expires_at > issued_at", name=op.f("ck_certificate_term")),
        sa.CheckConstraint("labels > 0 AND bad BETWEEN 0 AND labels", name=op.f("ck_certificate_counts")),
        sa.CheckConstraint(
            "tolerance > 0 AND tolerance < 1 AND confidence > 0.5 AND confidence < 1",
            name=op.f("ck_certificate_shares"),
        ),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_certificate_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
    )
    op.create_index(op.f("ix_certificate_workflow_id"), "certificate", ["workflow_id"], unique=False)

    op.create_table(
        "item",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("output_hash", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("prompt_version", sa.String(), nullable=True),
        sa.Column("prompt_hash", sa.String(), nullable=True),
        sa.Column("parameters", sa.String(), nullable=True),
        sa.Column("trace_url", sa.String(), nullable=True),
        sa.Column("end_user", sa.String(), nullable=True),
        sa.Column("cost_micro", sa.BigInteger(), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=True),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=True),
        sa.Column("panel_u", sa.Float(), nullable=False),
        sa.Column("panel_rate", sa.Float(), nullable=False),
        sa.Column("panel", sa.Boolean(), nullable=False),
        sa.Column("routed_at", sa.BigInteger(), nullable=True),
        sa.Column("stratum", sa.String(), nullable=True),
        sa.Column("inclusion", sa.Float(), nullable=True),
        sa.Column("risk", sa.Float(), nullable=True),
        sa.Column("risk_version", sa.String(), nullable=True),
        sa.Column("policy_version", sa.Integer(), nullable=True),
        sa.Column("rubric_version", sa.Integer(), nullable=False),
        sa.Column("would_release", sa.Boolean(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column(
            "decision_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=True,
        ),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("leaves_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("recalled_at", sa.BigInteger(), nullable=True),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("queue_band", sa.SmallInteger(), nullable=False),
        sa.Column("queue_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("escalated_at", sa.BigInteger(), nullable=True),
        sa.Column("assigned_to", sa.BigInteger(), nullable=True),
        sa.Column("team_id", sa.BigInteger(), nullable=True),
        sa.Column("lease_by", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("lease_n", sa.Integer(), nullable=False),
        sa.Column("audit_seq", sa.Integer(), nullable=False),
        sa.CheckConstraint("(origin = 'history') = (status = 'recorded')", name=op.f("ck_item_recorded")),
        sa.CheckConstraint("(status IN ('held', 'recorded')) = (decision_id IS NULL)", name=op.f("ck_item_decided")),
        sa.CheckConstraint("label IN ('approve', 'correct', 'reject', 'disputed')", name=op.f("ck_item_label")),
        sa.CheckConstraint("origin IN ('gate', 'history', 'gold', 'candidate', 'sample')", name=op.f("ck_item_origin")),
        sa.CheckConstraint(
            "released_at IS NULL OR (origin = 'gate' AND status IN ('approved', 'corrected'))",
            name=op.f("ck_item_released"),
        ),
        sa.CheckConstraint(
            "status IN ('held', 'approved', 'corrected', 'rejected', 'lapsed', 'withdrawn', 'recorded')",
            name=op.f("ck_item_status"),
        ),
        sa.CheckConstraint(
            "cost_micro >= 0 AND latency_ms >= 0 AND prompt_tokens >= 0 AND completion_tokens >= 0",
            name=op.f("ck_item_amounts"),
        ),
        sa.CheckConstraint("inclusion > 0 AND inclusion <= 1", name=op.f("ck_item_inclusion")),
        sa.CheckConstraint("panel_u >= 0 AND panel_u < 1 AND panel_rate BETWEEN 0 AND 1", name=op.f("ck_item_panel")),
        sa.CheckConstraint("priority BETWEEN 0 AND 9", name=op.f("ck_item_priority")),
        sa.CheckConstraint("recalled_at IS NULL OR released_at IS NOT NULL", name=op.f("ck_item_recalled")),
        sa.ForeignKeyConstraint(["assigned_to"], ["person.id"], name=op.f("fk_item_assigned_to")),
        sa.ForeignKeyConstraint(
            ["decision_id", "id", "status"],
            ["decision.id", "decision.item_id", "decision.status"],
            name="fk_item_decision",
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(["lease_by"], ["person.id"], name=op.f("fk_item_lease_by")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_item_source_id")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_item_team_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_item_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("id", "origin", name=op.f("uq_item_id_origin")),
        sa.UniqueConstraint(
            "workflow_id", "source_id", "external_id", name=op.f("uq_item_workflow_id_source_id_external_id")
        ),
    )
    op.create_index(
        "ix_item_due",
        "item",
        ["workflow_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("status = 'held' AND due_at IS NOT NULL"),
        postgresql_where=sa.text("status = 'held' AND due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_item_escalated",
        "item",
        ["workflow_id"],
        unique=False,
        sqlite_where=sa.text("status = 'held' AND escalated_at IS NOT NULL"),
        postgresql_where=sa.text("status = 'held' AND escalated_at IS NOT NULL"),
    )
    op.create_index(
        "ix_item_leaves",
        "item",
        ["leaves_at"],
        unique=False,
        sqlite_where=sa.text("leaves_at IS NOT NULL"),
        postgresql_where=sa.text("leaves_at IS NOT NULL"),
    )
    op.create_index(
        "ix_item_queue",
        "item",
        ["workflow_id", "queue_band", "queue_at", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'held' AND escalated_at IS NULL"),
        postgresql_where=sa.text("status = 'held' AND escalated_at IS NULL"),
    )

    op.create_table(
        "reason",
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_reason_workflow_id")),
        sa.PrimaryKeyConstraint("workflow_id", "name", name=op.f("pk_reason")),
    )
    op.create_table(
        "role_grant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=True),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.CheckConstraint("role IN ('reviewer', 'owner', 'admin', 'export')", name=op.f("ck_role_grant_role")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_role_grant_person_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_role_grant_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
        sa.UniqueConstraint("person_id", "role", "workflow_id", name=op.f("uq_role_grant_person_id_role_workflow_id")),
    )
    op.create_index(
        "uq_role_grant_everywhere",
        "role_grant",
        ["person_id", "role"],
        unique=True,
        sqlite_where=sa.text("workflow_id IS NULL"),
        postgresql_where=sa.text("workflow_id IS NULL"),
    )

    op.create_table(
        "rubric",
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("written_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_rubric_workflow_id")),
        sa.PrimaryKeyConstraint("workflow_id", "version", name=op.f("pk_rubric")),
    )
    op.create_table(
        "sign_in",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_sign_in_person_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in")),
    )
    op.create_index(op.f("ix_sign_in_person_id"), "sign_in", ["person_id"], unique=False)

    op.create_table(
        "source_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("can_submit", sa.Boolean(), nullable=False),
        sa.Column("can_read", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_source_key_source_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_source_key_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_source_key_key_hash")),
    )
    op.create_index(op.f("ix_source_key_source_id"), "source_key", ["source_id"], unique=False)

    op.create_table(
        "team_member",
        sa.Column("team_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_team_member_person_id")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_team_member_team_id")),
        sa.PrimaryKeyConstraint("team_id", "person_id", name=op.f("pk_team_member")),
    )
    op.create_table(
        "draft",
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_draft_item_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_draft_person_id")),
        sa.PrimaryKeyConstraint("item_id", "person_id", name=op.f("pk_draft")),
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("erased_by", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_erasure_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("item_id", name=op.f("uq_erasure_item_id")),
    )
    op.create_table(
        "item_content",
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("salt", sa.String(), nullable=True),
        sa.Column("prompt", sa.String(), nullable=True),
        sa.Column("prompt_is_chat", sa.Boolean(), nullable=False),
        sa.Column("output", sa.String(), nullable=True),
        sa.Column("context", sa.String(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_content_item_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_item_content")),
    )
    op.create_table(
        "item_pass",
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('skip', 'lost')", name=op.f("ck_item_pass_kind")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_pass_item_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_item_pass_person_id")),
        sa.PrimaryKeyConstraint("item_id", "person_id", "kind", name=op.f("pk_item_pass")),
    )
    op.create_table(
        "review",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("text_hash", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.Integer(), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=True),
        sa.Column("handling_ms", sa.BigInteger(), nullable=True),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.CheckConstraint("(verdict = 'reject') = (text_hash = '')", name=op.f("ck_review_text")),
        sa.CheckConstraint(
            "person_id IS NOT NULL OR purpose IN ('history', 'adjudication')", name=op.f("ck_review_person")
        ),
        sa.CheckConstraint(
            "purpose IN ('gate', 'second', 'gold', 'history', 'candidate', 'adjudication')",
            name=op.f("ck_review_purpose"),
        ),
        sa.CheckConstraint("verdict IN ('approve', 'correct', 'reject')", name=op.f("ck_review_verdict")),
        sa.CheckConstraint("handling_ms >= 0", name=op.f("ck_review_handling")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_review_item_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_review_person_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_review_workflow_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("client_id", name=op.f("uq_review_client_id")),
        sa.UniqueConstraint(
            "id", "item_id", "verdict", "text_hash", name=op.f("uq_review_id_item_id_verdict_text_hash")
        ),
    )
    op.create_index(
        "ix_review_person",
        "review",
        ["person_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("person_id IS NOT NULL"),
        postgresql_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index("ix_review_item", "review", ["item_id"], unique=False)
    op.create_index("ix_review_workflow", "review", ["workflow_id", "id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("review_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column(
            "certificate_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=True,
        ),
        sa.Column("releases", sa.Boolean(), nullable=False),
        sa.Column("text_hash", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("final_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(by = 'human' AND review_id IS NOT NULL AND certificate_id IS NULL AND verdict IS NOT NULL AND "
            "status = CASE verdict WHEN 'approve' THEN 'approved' WHEN 'correct' THEN 'corrected' ELSE "
            "'rejected' END) OR (by = 'policy' AND review_id IS NULL AND verdict IS NULL AND ((status = "
            "'approved' AND certificate_id IS NOT NULL) OR (status = 'lapsed' AND certificate_id IS NULL))) "
            "OR (by = 'source' AND review_id IS NULL AND verdict IS NULL AND certificate_id IS NULL AND "
            "status = 'withdrawn')",
            name=op.f("ck_decision_grounds"),
        ),
        sa.CheckConstraint("by IN ('human', 'policy', 'source')", name=op.f("ck_decision_by")),
        sa.CheckConstraint("releases = (status IN ('approved', 'corrected'))", name=op.f("ck_decision_releases")),
        sa.CheckConstraint("releases = (text_hash <> '')", name=op.f("ck_decision_text")),
        sa.CheckConstraint(
            "status IN ('approved', 'corrected', 'rejected', 'lapsed', 'withdrawn')",
            name=op.f("ck_decision_status"),
        ),
        sa.CheckConstraint("final_at >= decided_at", name=op.f("ck_decision_final")),
        sa.ForeignKeyConstraint(["certificate_id"], ["certificate.id"], name=op.f("fk_decision_certificate_id")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_decision_item_id")),
        sa.ForeignKeyConstraint(
            ["review_id", "item_id", "verdict", "text_hash"],
            ["review.id", "review.item_id", "review.verdict", "review.text_hash"],
            name="fk_decision_review_says_so",
        ),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name=op.f("fk_decision_review_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint(
            "id", "item_id", "releases", "text_hash", name=op.f("uq_decision_id_item_id_releases_text_hash")
        ),
        sa.UniqueConstraint("id", "item_id", "status", name=op.f("uq_decision_id_item_id_status")),
        sa.UniqueConstraint("item_id", "seq", name=op.f("uq_decision_item_id_seq")),
        sa.UniqueConstraint("review_id", name=op.f("uq_decision_review_id")),
    )
    if op.get_bind().dialect.name == "postgresql":  # SQLite has it inline; PostgreSQL only now, decision being there
        op.create_foreign_key(
            "fk_item_decision",
            "item",
            "decision",
            ["decision_id", "id", "status"],
            ["id", "item_id", "status"],
        )
    op.create_table(
        "review_content",
        sa.Column(
            "review_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=False,
        ),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name=op.f("fk_review_content_review_id")),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_review_content")),
    )
    op.create_table(
        "release",
        sa.Column("id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column(
            "decision_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=False,
        ),
        sa.Column("releases", sa.Boolean(), nullable=False),
        sa.Column("text_hash", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("origin = 'gate'", name=op.f("ck_release_gate")),
        sa.CheckConstraint("releases", name=op.f("ck_release_releases")),
        sa.ForeignKeyConstraint(
            ["decision_id", "item_id", "releases", "text_hash"],
            ["decision.id", "decision.item_id", "decision.releases", "decision.text_hash"],
            name="fk_release_releasing_decision",
        ),
        sa.ForeignKeyConstraint(["item_id", "origin"], ["item.id", "item.origin"], name="fk_release_gate_item"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("id", "item_id", name=op.f("uq_release_id_item_id")),
        sa.UniqueConstraint("item_id", name=op.f("uq_release_item_id")),
    )
    op.create_table(
        "retraction",
        sa.Column(
            "decision_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=False,
        ),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_retraction_decision_id")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_retraction_item_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_retraction_person_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_retraction")),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("xid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("workflow_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column(
            "decision_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "release_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=True,
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(event IN ('released', 'recalled')) = (release_id IS NOT NULL)", name=op.f("ck_outbox_release")
        ),
        sa.CheckConstraint(
            "event IN ('released', 'rejected', 'lapsed', 'withdrawn', 'recalled')",
            name=op.f("ck_outbox_event"),
        ),
        sa.CheckConstraint("origin = 'gate'", name=op.f("ck_outbox_gate")),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_outbox_decision_id")),
        sa.ForeignKeyConstraint(["item_id", "origin"], ["item.id", "item.origin"], name="fk_outbox_gate_item"),
        sa.ForeignKeyConstraint(["release_id", "item_id"], ["release.id", "release.item_id"], name="fk_outbox_release"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_outbox_source_id")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name=op.f("fk_outbox_workflow_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("item_id", "event", "decision_id", name=op.f("uq_outbox_item_id_event_decision_id")),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    )
    op.create_index("ix_outbox_feed", "outbox", ["source_id", "xid", "seq"], unique=False)

    op.create_table(
        "recall",
        sa.Column(
            "release_id",
            sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
            nullable=False,
        ),
        sa.Column("item_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("review_id", sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), "postgresql"), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_recall_reason")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_recall_item_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_recall_person_id")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_recall_release_id")),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name=op.f("fk_recall_review_id")),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_recall")),
        sa.UniqueConstraint("item_id", name=op.f("uq_recall_item_id")),
    )
    op.create_table(
        "outbox_content",
        sa.Column(
            "outbox_seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("payload", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["outbox_seq"], ["outbox.seq"], name=op.f("fk_outbox_content_outbox_seq")),
        sa.PrimaryKeyConstraint("outbox_seq", name=op.f("pk_outbox_content")),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("fk_item_decision", "item", type_="foreignkey")
    op.drop_table("outbox_content")
    op.drop_table("recall")
    op.drop_index("ix_outbox_feed", table_name="outbox")
    op.drop_index(
        "ix_outbox_due",
        table_name="outbox",
        sqlite_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    )

    op.drop_table("outbox")
    op.drop_table("retraction")
    op.drop_table("release")
    op.drop_table("review_content")
    op.drop_table("decision")
    op.drop_index("ix_review_workflow", table_name="review")
    op.drop_index("ix_review_person", table_name="review")
    op.drop_index("ix_review_item", table_name="review")

    op.drop_table("review")
    op.drop_table("item_pass")
    op.drop_table("item_content")
    op.drop_table("erasure")
    op.drop_table("draft")
    op.drop_table("team_member")
    op.drop_index(op.f("ix_source_key_source_id"), table_name="source_key")

    op.drop_table("source_key")
    op.drop_index(op.f("ix_sign_in_person_id"), table_name="sign_in")

    op.drop_table("sign_in")
    op.drop_table("rubric")
    op.drop_index(
        "uq_role_grant_everywhere",
        table_name="role_grant",
        sqlite_where=sa.text("workflow_id IS NULL"),
        postgresql_where=sa.text("workflow_id IS NULL"),
    )

    op.drop_table("role_grant")
    op.drop_table("reason")
    op.drop_index(
        "ix_item_queue",
        table_name="item",
        sqlite_where=sa.text("status = 'held' AND escalated_at IS NULL"),
        postgresql_where=sa.text("status = 'held' AND escalated_at IS NULL"),
    )
    op.drop_index("ix_item_escalated", table_name="item")
    op.drop_index(
        "ix_item_leaves",
        table_name="item",
        sqlite_where=sa.text("leaves_at IS NOT NULL"),
        postgresql_where=sa.text("leaves_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_item_due",
        table_name="item",
        sqlite_where=sa.text("status = 'held' AND due_at IS NOT NULL"),
        postgresql_where=sa.text("status = 'held' AND due_at IS NOT NULL"),
    )

    op.drop_table("item")
    op.drop_index(op.f("ix_certificate_workflow_id"), table_name="certificate")

    op.drop_table("certificate")
    op.drop_table("bad_definition")
    op.drop_table("workflow")
    op.drop_table("team")
    op.drop_table("source")
    op.drop_table("seal")
    op.drop_table("schema_info")
    op.drop_table("person")
    op.drop_index("ix_audit_order", table_name="audit")

    op.drop_table("audit")
