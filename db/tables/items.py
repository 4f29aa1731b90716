"""The item: a narrow row that the queue reads, and its content in a table of its own."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, one_of, serial
from .words import Label, Origin, PassOver, Status

WAITING = sa.text("status = 'held' AND escalated_at IS NULL")
NOT_OVERDUE = sa.text("status = 'held' AND due_at IS NOT NULL AND overdue_at IS NULL")
HAS_DEADLINE = sa.text("status = 'held' AND due_at IS NOT NULL")
ESCALATED = sa.text("status = 'held' AND escalated_at IS NOT NULL")
NOT_LEFT = sa.text("leaves_at IS NOT NULL")
OF_A_PERSON = sa.text("status = 'held' AND assigned_to IS NOT NULL")
OF_A_TEAM = sa.text("status = 'held' AND team_id IS NOT NULL")
IN_HANDS = sa.text("status = 'held' AND lease_by IS NOT NULL")


class Item(Table, table=True):
    """One model output under review."""

    id: str = key(primary=True)
    workflow_id: int = Field(foreign_key="workflow.id")
    source_id: int = Field(foreign_key="source.id", sa_type=sa.BigInteger)
    external_id: str
    """The application's own name for it, unique per source and workflow."""
    origin: str
    model: str
    created_at: int = micros()
    """When it was submitted; for history, when the output was made or first labelled."""
    output_hash: str
    """SHA-256 of salt and output: what a release must carry."""
    content_hash: str
    """SHA-256 of salt and everything submitted: tells a repeated submit from a changed one."""
    prompt_version: str | None = None
    prompt_hash: str | None = None
    """SHA-256 of the prompt without salt, so that equal prompts are found; none without a prompt."""
    parameters: str | None = None
    """JSON: how the model was called."""
    trace_url: str | None = None
    end_user: str | None = None
    cost_micro: int | None = micros(null=True)
    """Millionths of a dollar; none is unknown, never zero."""
    latency_ms: int | None = Field(default=None, sa_type=sa.BigInteger)
    prompt_tokens: int | None = Field(default=None, sa_type=sa.BigInteger)
    completion_tokens: int | None = Field(default=None, sa_type=sa.BigInteger)

    panel_u: float
    """The coin of the audit panel, in [0, 1): HMAC of the secret and the id."""
    panel_rate: float
    """The share of the panel when the coin fell."""
    panel: bool
    routed_at: int | None = micros(null=True)
    """When it was decided how this item is treated; once, for ever."""
    stratum: str | None = None
    inclusion: float | None = None
    """The probability that a person would see it."""
    risk: float | None = None
    risk_version: str | None = None
    policy_version: int | None = None
    rubric_version: int
    would_release: bool | None = None

    status: str
    decision_id: str | None = key(null=True)
    decided_by: str | None = None
    decided_at: int | None = micros(null=True)
    leaves_at: int | None = micros(null=True)
    """When grace ends and the application is told; none before a verdict and after it has left."""
    released_at: int | None = micros(null=True)
    recalled_at: int | None = micros(null=True)
    label: str | None = None
    """What its reviews say together; kept by the verbs that add a review."""

    priority: int = Field(default=5, sa_type=sa.SmallInteger)
    queue_band: int = Field(default=1, sa_type=sa.SmallInteger)
    """0 the audit panel, 1 the others."""
    queue_at: int = micros()
    """Age and priority in one number: each step of priority is worth a fixed time of waiting, so nothing starves."""
    due_at: int | None = micros(null=True)
    overdue_at: int | None = micros(null=True)
    """When its deadline had passed and its owner was given it; once, so that an owner can put it back."""
    escalated_at: int | None = micros(null=True)
    assigned_to: int | None = Field(default=None, foreign_key="person.id", sa_type=sa.BigInteger)
    team_id: int | None = Field(default=None, foreign_key="team.id", sa_type=sa.BigInteger)
    lease_by: int | None = Field(default=None, foreign_key="person.id", sa_type=sa.BigInteger)
    lease_until: int = Field(default=0, sa_type=sa.BigInteger)
    """A lease that ran out needs no sweeper: the item can simply be claimed again."""
    lease_n: int = 0
    """Counts the leases of this item; a verdict must name the one it was given under."""
    audit_seq: int = 1
    """How many audit events this item has, so that a missing last one shows."""

    __table_args__ = (
        one_of("origin", Origin),
        one_of("status", Status),
        one_of("label", Label),
        check("recorded", "(origin = 'history') = (status = 'recorded')"),
        check("decided", "(status IN ('held', 'recorded')) = (decision_id IS NULL)"),
        check("released", "released_at IS NULL OR (origin = 'gate' AND status IN ('approved', 'corrected'))"),
        check("recalled", "recalled_at IS NULL OR released_at IS NOT NULL"),
        check("priority", "priority BETWEEN 0 AND 9"),
        check("panel", "panel_u >= 0 AND panel_u < 1 AND panel_rate BETWEEN 0 AND 1"),
        check("amounts", "cost_micro >= 0 AND latency_ms >= 0 AND prompt_tokens >= 0 AND completion_tokens >= 0"),
        check("inclusion", "inclusion > 0 AND inclusion <= 1"),
        sa.UniqueConstraint("workflow_id", "source_id", "external_id"),
        # The parent of every row that may exist only for a gate item.
        sa.UniqueConstraint("id", "origin"),
        sa.ForeignKeyConstraint(
            ["decision_id", "id", "status"],
            ["decision.id", "decision.item_id", "decision.status"],
            name="fk_item_decision",
            use_alter=True,
        ),
        sa.Index(
            "ix_item_queue",
            "workflow_id",
            "queue_band",
            "queue_at",
            "id",
            sqlite_where=WAITING,
            postgresql_where=WAITING,
        ),
        sa.Index("ix_item_created", "workflow_id", "created_at", "id"),
        sa.Index("ix_item_due", "workflow_id", "due_at", sqlite_where=HAS_DEADLINE, postgresql_where=HAS_DEADLINE),
        sa.Index("ix_item_overdue", "workflow_id", "due_at", sqlite_where=NOT_OVERDUE, postgresql_where=NOT_OVERDUE),
        sa.Index("ix_item_escalated", "workflow_id", sqlite_where=ESCALATED, postgresql_where=ESCALATED),
        sa.Index("ix_item_leaves", "leaves_at", sqlite_where=NOT_LEFT, postgresql_where=NOT_LEFT),
        sa.Index("ix_item_assigned", "assigned_to", sqlite_where=OF_A_PERSON, postgresql_where=OF_A_PERSON),
        sa.Index("ix_item_team", "team_id", sqlite_where=OF_A_TEAM, postgresql_where=OF_A_TEAM),
        sa.Index("ix_item_leased", "lease_by", sqlite_where=IN_HANDS, postgresql_where=IN_HANDS),
    )


class ItemContent(Table, table=True):
    """What was said: apart from the item, so that the queue stays narrow and a text can be erased."""

    __tablename__ = "item_content"

    item_id: str = key("item.id", primary=True)
    salt: str | None = None
    """Hexadecimal; goes with the content, so that an erased text cannot be guessed from its hash."""
    prompt: str | None = None
    """A text, or JSON with the chat messages where `prompt_is_chat`."""
    prompt_is_chat: bool = False
    output: str | None = None
    context: str | None = None
    metadata_json: str | None = Field(default=None, sa_column=sa.Column("metadata", sa.Text))


class Draft(Table, table=True):
    """What a reviewer has typed and not yet decided."""

    item_id: str = key("item.id", primary=True)
    person_id: int = Field(foreign_key="person.id", primary_key=True, sa_type=sa.BigInteger)
    text: str
    saved_at: int = micros()


class ItemPass(Table, table=True):
    """A reviewer let an item go: skipped it, or lost its lease."""

    __tablename__ = "item_pass"

    item_id: str = key("item.id", primary=True)
    person_id: int = Field(foreign_key="person.id", primary_key=True, sa_type=sa.BigInteger)
    kind: str = Field(primary_key=True)
    at: int = micros()

    __table_args__ = (one_of("kind", PassOver),)


class Erasure(Table, table=True):
    """The only reason for which a text may be gone."""

    id: int | None = serial()
    item_id: str = key("item.id")
    reason: str
    erased_by: str
    at: int = micros()

    __table_args__ = (sa.UniqueConstraint("item_id"),)
