"""What models are tried on, and what came of it: labels frozen into cases, runs of candidates, scores, gates."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, one_of
from .words import CaseKind, GateOutcome, RunOutcome, ScoredBy, Verdict


class EvalSet(Table, table=True):
    """A name for cases out of one workflow; what is in it, its versions say."""

    __tablename__ = "eval_set"

    id: int | None = Field(default=None, primary_key=True)
    workflow_id: int = Field(foreign_key="workflow.id", index=True)
    name: str = Field(unique=True)
    held_out: bool = False
    """Whether nothing of it may ever be trained on."""
    created_at: int = micros()
    created_by: str

    __table_args__ = (check("name", "name <> ''"),)


class EvalVersion(Table, table=True):
    """The cases of a set as they are (a draft) or were frozen, once and for ever."""

    __tablename__ = "eval_version"

    id: str = key(primary=True)
    set_id: int = Field(foreign_key="eval_set.id")
    number: int
    asked: str
    """JSON: the filter and the seed by which the cases were chosen."""
    left_out: str = "{}"
    """JSON: how many labels were left out, by why."""
    made_at: int = micros()
    made_by: str
    cases: int | None = None
    content_hash: str | None = None
    """Of all cases in their order; none while it is a draft."""
    frozen_at: int | None = micros(null=True)
    frozen_by: str | None = None

    __table_args__ = (
        check("frozen", "(frozen_at IS NULL) = (content_hash IS NULL) AND (frozen_at IS NULL) = (cases IS NULL)"),
        sa.UniqueConstraint("set_id", "number"),
    )


class EvalCase(Table, table=True):
    """One label as a case, and where it came from."""

    __tablename__ = "eval_case"

    id: str = key(primary=True)
    version_id: str = key("eval_version.id")
    position: int
    item_id: str = key("item.id")
    review_id: str = key("review.id")
    """The review that gave the item its label."""
    kind: str
    model: str
    """Of the output that was reviewed."""
    verdict: str
    reviewer: str
    reasons: str
    rubric_version: int
    inclusion: float | None = None
    """How likely this label was to become a case, as far as that is known."""
    hash: str
    """SHA-256 of the item's salt and all that the case says: the same label gives the same hash in every version."""

    __table_args__ = (
        one_of("kind", CaseKind),
        one_of("verdict", Verdict),
        check("kind_of_verdict", "(verdict = 'reject') = (kind = 'must_not')"),
        sa.UniqueConstraint("version_id", "position"),
        sa.UniqueConstraint("version_id", "item_id"),
        sa.Index("ix_eval_case_item_id", "item_id"),
        sa.Index("ix_eval_case_review_id", "review_id"),
    )


class EvalCaseContent(Table, table=True):
    """What a case says; goes with the erasure of its item."""

    __tablename__ = "eval_case_content"

    case_id: str = key("eval_case.id", primary=True)
    salt: str | None = None
    prompt: str | None = None
    prompt_is_chat: bool = False
    context: str | None = None
    output: str | None = None
    """What the model wrote then."""
    target: str | None = None
    """The approved or corrected text; none where the output was rejected."""


class EvalRun(Table, table=True):
    """Candidates tried on a frozen version: so many calls, each stored once."""

    __tablename__ = "eval_run"

    id: str = key(primary=True)
    version_id: str = key("eval_version.id")
    workflow_id: int = Field(foreign_key="workflow.id")
    scorers: str
    """JSON list."""
    judge: str | None = None
    """JSON: the judge's model and how it is reached; none where no scorer asks one."""
    judge_hash: str | None = None
    """Of the judge's model, its prompt and the rubric: a judge's record holds for exactly this."""
    rubric_version: int
    repeats: int
    budget_micro: int | None = micros(null=True)
    at_once: int
    """Calls to one provider at a time, at most."""
    prices: str | None = None
    """The library and the price list that costs were computed from."""
    asked_by: str
    created_at: int = micros()
    cancelled_at: int | None = micros(null=True)
    ended_at: int | None = micros(null=True)
    outcome: str | None = None
    lease_n: int = 0
    """Counts the processes that worked on it: whoever lost it can store nothing more."""
    lease_until: int = Field(default=0, sa_type=sa.BigInteger)

    __table_args__ = (
        one_of("outcome", RunOutcome),
        check("ended", "(ended_at IS NULL) = (outcome IS NULL)"),
        check("amounts", "repeats BETWEEN 1 AND 100 AND at_once BETWEEN 1 AND 1000 AND budget_micro >= 0"),
        sa.Index("ix_eval_run_version_id", "version_id"),
        sa.Index("ix_eval_run_workflow_id", "workflow_id", "created_at"),
    )


class EvalCandidate(Table, table=True):
    """A model under trial, or the outputs that were reviewed."""

    __tablename__ = "eval_candidate"

    run_id: str = key("eval_run.id", primary=True)
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    model: str
    """As it was asked for; `recorded` stands for the outputs that were reviewed."""
    reached: str = "{}"
    """JSON: the endpoint or address, and the name of the variable that holds the key; never a key."""
    parameters: str = "{}"

    __table_args__ = (sa.UniqueConstraint("run_id", "model"),)


class EvalResult(Table, table=True):
    """What a candidate said to one case; an error is no answer, and never a wrong one."""

    __tablename__ = "eval_result"

    id: str = key(primary=True)
    run_id: str = key()
    candidate: int
    case_id: str = key("eval_case.id")
    repeat: int
    error: str | None = None
    """What kind of failure; none where there is an answer."""
    tries: int
    latency_ms: int | None = Field(default=None, sa_type=sa.BigInteger)
    prompt_tokens: int | None = Field(default=None, sa_type=sa.BigInteger)
    completion_tokens: int | None = Field(default=None, sa_type=sa.BigInteger)
    cost_micro: int | None = micros(null=True)
    """Millionths of a dollar; none is unknown, never zero."""
    finish: str | None = None
    said_model: str | None = None
    fingerprint: str | None = None
    made_at: int = micros()

    __table_args__ = (
        sa.UniqueConstraint("run_id", "candidate", "case_id", "repeat"),
        sa.ForeignKeyConstraint(
            ["run_id", "candidate"],
            ["eval_candidate.run_id", "eval_candidate.position"],
            name="fk_eval_result_candidate",
        ),
        sa.Index("ix_eval_result_case_id", "case_id"),
    )


class EvalResultContent(Table, table=True):
    """The candidate's answer; goes with the erasure of the case's item."""

    __tablename__ = "eval_result_content"

    result_id: str = key("eval_result.id", primary=True)
    output: str | None = None


class EvalScore(Table, table=True):
    """What one scorer says of one answer."""

    __tablename__ = "eval_score"

    result_id: str = key("eval_result.id", primary=True)
    scorer: str = Field(primary_key=True)
    source: str
    value: float | None = None
    """From 0 to 1; none where the scorer could not tell."""
    passed: bool | None = None
    """None where the scorer could not tell: an unparsed judge is neither right nor wrong."""
    cost_micro: int | None = micros(null=True)
    made_at: int = micros()

    __table_args__ = (one_of("source", ScoredBy), check("value", "value BETWEEN 0 AND 1"))


class EvalScoreContent(Table, table=True):
    """Why a judge said so; it may quote, so it goes with the erasure of the case's item."""

    __tablename__ = "eval_score_content"

    result_id: str = key("eval_result.id", primary=True)
    scorer: str = Field(primary_key=True)
    rationale: str | None = None


class EvalReview(Table, table=True):
    """An answer that was put before reviewers, who are not told whose it is."""

    __tablename__ = "eval_review"

    result_id: str = key("eval_result.id", primary=True)
    item_id: str = key("item.id")

    __table_args__ = (sa.UniqueConstraint("item_id"),)


class EvalGate(Table, table=True):
    """One asking of the gate: may the candidate take the baseline's place?"""

    __tablename__ = "eval_gate"

    id: str = key(primary=True)
    version_id: str = key("eval_version.id")
    workflow_id: int = Field(foreign_key="workflow.id")
    baseline_run: str = key()
    baseline: int
    candidate_run: str = key()
    candidate: int
    model: str
    """The candidate's."""
    scorer: str | None = None
    """By which scorer alone; none is all of the run's."""
    margin: float
    outcome: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    cases: int
    more_cases_needed: int | None = None
    made_at: int = micros()
    made_by: str

    __table_args__ = (
        one_of("outcome", GateOutcome),
        check("margin", "margin > 0 AND margin < 1"),
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
        sa.UniqueConstraint("id", "workflow_id", "model", "outcome"),
        sa.Index("ix_eval_gate_version_id", "version_id"),
    )


class ModelUse(Table, table=True):
    """Which model a workflow's applications are to call; each change is a row, the last one holds."""

    __tablename__ = "model_use"

    workflow_id: int = Field(foreign_key="workflow.id", primary_key=True)
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    model: str
    parameters: str = "{}"
    canary_model: str | None = None
    canary_parameters: str | None = None
    canary_share: float | None = None
    """Of the traffic; all that the canary writes is reviewed."""
    gate_id: str | None = key(null=True)
    gate_outcome: str | None = None
    reason: str | None = None
    """Why it was changed without a gate that passed."""
    at: int = micros()
    by: str

    __table_args__ = (
        check("grounds", "gate_id IS NOT NULL OR reason <> ''"),
        check("passed", "(gate_id IS NULL) = (gate_outcome IS NULL) AND gate_outcome = 'pass'"),
        check(
            "canary",
            "(canary_model IS NULL) = (canary_share IS NULL) AND (canary_model IS NULL) = (canary_parameters IS NULL)"
            " AND canary_share > 0 AND canary_share <= 0.5",
        ),
        sa.ForeignKeyConstraint(
            ["gate_id", "workflow_id", "model", "gate_outcome"],
            ["eval_gate.id", "eval_gate.workflow_id", "eval_gate.model", "eval_gate.outcome"],
            name="fk_model_use_gate_passed",
        ),
    )
