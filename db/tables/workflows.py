"""What a workflow has agreed: its reasons, its rubric, what counts as bad, and on what evidence it lets go."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, one_of

DATA_POLICIES = ("flag", "mask", "refuse")


class Workflow(Table, table=True):
    """A stream of outputs that one owner answers for."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    created_at: int = micros()
    archived_at: int | None = micros(null=True)
    grace_ms: int = 5_000
    """How long a verdict can be undone before it leaves."""
    sla_ms: int | None = Field(default=None, sa_type=sa.BigInteger)
    """How long an item may wait; none is no deadline."""
    lapse_ms: int | None = Field(default=None, sa_type=sa.BigInteger)
    """How long an item waits for an owner after its deadline before it lapses; none is not at all."""
    fallback: str | None = None
    """What an application may send when an item was rejected or lapsed; a field of its own, never a release."""
    panel_rate: float = 0.10
    """The share of outputs that are reviewed whatever their risk."""
    tolerance: float | None = None
    """Bad outputs delivered unseen, as a share of all; no default."""
    quality_target: float | None = None
    """Bad outputs of a model, as a share of all; no default."""
    data_policy: str = "flag"
    rubric_version: int = 0
    """The rubric in force; 0 while none is written."""
    policy_version: int = 0
    reviewer_rate_micro: int | None = micros(null=True)
    """What an hour of review costs, in millionths of a dollar; the owner sets it."""

    __table_args__ = (
        one_of("data_policy", DATA_POLICIES),
        check("name_not_empty", "name <> ''"),
        check("grace", "grace_ms BETWEEN 0 AND 86400000"),
        check("sla", "sla_ms IS NULL OR sla_ms > 0"),
        check("lapse", "lapse_ms IS NULL OR lapse_ms >= 0"),
        check("panel_rate", "panel_rate BETWEEN 0 AND 1"),
        check("tolerance", "tolerance IS NULL OR tolerance BETWEEN 0 AND 1"),
        check("quality_target", "quality_target IS NULL OR quality_target BETWEEN 0 AND 1"),
    )


class Reason(Table, table=True):
    """A reason that a reviewer can give; the first nine have a key."""

    workflow_id: int = Field(foreign_key="workflow.id", primary_key=True)
    name: str = Field(primary_key=True)
    position: int
    retired_at: int | None = micros(null=True)


class Rubric(Table, table=True):
    """What reviewers go by; never changed, only followed by the next version."""

    workflow_id: int = Field(foreign_key="workflow.id", primary_key=True)
    version: int = Field(primary_key=True)
    text: str
    written_at: int = micros()
    written_by: str


class BadDefinition(Table, table=True):
    """Which corrections are too small to count as bad; versioned, because it moves every rate."""

    __tablename__ = "bad_definition"

    workflow_id: int = Field(foreign_key="workflow.id", primary_key=True)
    version: int = Field(primary_key=True)
    minor_reasons: str = "[]"
    """JSON list: a correction for these reasons alone is not bad."""
    written_at: int = micros()
    written_by: str


class Certificate(Table, table=True):
    """The evidence on which outputs may leave unseen; while there is none, none do."""

    id: str = key(primary=True)
    workflow_id: int = Field(foreign_key="workflow.id", index=True)
    model: str
    prompt_version: str | None = None
    risk_version: str
    policy_version: int
    threshold: float
    """Outputs with a risk up to here may leave."""
    tolerance: float
    confidence: float
    labels: int
    bad: int
    evidence: str
    """JSON: the method and the numbers it was computed from."""
    issued_at: int = micros()
    expires_at: int = micros()
    voided_at: int | None = micros(null=True)
    void_reason: str | None = None

    __table_args__ = (
        check("shares", "tolerance > 0 AND tolerance < 1 AND confidence > 0.5 AND confidence < 1"),
        check("counts", "labels > 0 AND bad BETWEEN 0 AND labels"),
        check("term", "expires_at > issued_at"),
    )
