"""The label and what came of it: reviews, decisions, and their undoing. Rows are only ever added."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, one_of
from .words import DecidedBy, Purpose, Status, Verdict

BY_A_PERSON = sa.text("person_id IS NOT NULL")


class Review(Table, table=True):
    """What one reviewer said of one output: the label."""

    id: str = key(primary=True)
    workflow_id: int = Field(foreign_key="workflow.id")
    item_id: str = key("item.id")
    person_id: int | None = Field(default=None, foreign_key="person.id", sa_type=sa.BigInteger)
    """None only for labels of the past, whose reviewers need no account."""
    reviewer: str
    """The name shown in exports: the e-mail of the person, or the name in the imported file."""
    purpose: str
    verdict: str
    text_hash: str
    """Of the text the reviewer stands behind: the output's on approve, the correction's on correct, '' on reject."""
    reasons: str = "[]"
    """JSON list of the workflow's reasons."""
    rubric_version: int
    shown_at: int | None = micros(null=True)
    handling_ms: int | None = Field(default=None, sa_type=sa.BigInteger)
    reviewed_at: int = micros()
    """When the verdict was given; for history as the file says."""
    created_at: int = micros()
    """When the row was written."""
    edited: int | None = Field(default=None, sa_type=sa.SmallInteger)
    """How much of the text a correction changed, in thousandths; none where that is not known."""
    client_id: str | None = None
    """Names the click, so that a verdict sent again is the same verdict."""

    __table_args__ = (
        one_of("purpose", Purpose),
        one_of("verdict", Verdict),
        check("person", "person_id IS NOT NULL OR purpose IN ('history', 'adjudication')"),
        check("text", "(verdict = 'reject') = (text_hash = '')"),
        check("handling", "handling_ms >= 0"),
        sa.UniqueConstraint("client_id"),
        sa.UniqueConstraint("id", "item_id", "verdict", "text_hash"),
        sa.Index("ix_review_item", "item_id"),
        sa.Index("ix_review_workflow", "workflow_id", "id"),
        sa.Index("ix_review_person", "person_id", "created_at", sqlite_where=BY_A_PERSON, postgresql_where=BY_A_PERSON),
    )


class ReviewContent(Table, table=True):
    """What a reviewer wrote: the corrected text, and a note."""

    __tablename__ = "review_content"

    review_id: str = key("review.id", primary=True)
    text: str | None = None
    """The whole corrected text; none unless the verdict is `correct`."""
    note: str | None = None


class Decision(Table, table=True):
    """What became of an item: by a person, by policy, or by its own source."""

    id: str = key(primary=True)
    item_id: str = key("item.id")
    seq: int
    """Counts the decisions of an item; a second one needs the first undone."""
    by: str
    status: str
    review_id: str | None = key("review.id", null=True)
    verdict: str | None = None
    certificate_id: str | None = key("certificate.id", null=True)
    releases: bool
    text_hash: str
    """Of the text that may leave; '' where none may."""
    actor: str
    decided_at: int = micros()
    final_at: int = micros()
    """When grace ends: until then it can be undone, from then on it leaves."""

    __table_args__ = (
        one_of("by", DecidedBy),
        one_of("status", [s for s in Status if s not in (Status.HELD, Status.RECORDED)]),
        check("releases", "releases = (status IN ('approved', 'corrected'))"),
        check("text", "releases = (text_hash <> '')"),
        check(
            "grounds",
            "(by = 'human' AND review_id IS NOT NULL AND certificate_id IS NULL AND verdict IS NOT NULL AND"
            " status = CASE verdict WHEN 'approve' THEN 'approved' WHEN 'correct' THEN 'corrected' ELSE 'rejected' END)"
            " OR (by = 'policy' AND review_id IS NULL AND verdict IS NULL AND"
            " ((status = 'approved' AND certificate_id IS NOT NULL) OR (status = 'lapsed' AND certificate_id IS NULL)))"
            " OR (by = 'source' AND review_id IS NULL AND verdict IS NULL AND certificate_id IS NULL"
            " AND status = 'withdrawn')",
        ),
        check("final", "final_at >= decided_at"),
        sa.UniqueConstraint("item_id", "seq"),
        sa.UniqueConstraint("review_id"),
        sa.UniqueConstraint("id", "item_id", "status"),
        sa.UniqueConstraint("id", "item_id", "releases", "text_hash"),
        sa.ForeignKeyConstraint(
            ["review_id", "item_id", "verdict", "text_hash"],
            ["review.id", "review.item_id", "review.verdict", "review.text_hash"],
            name="fk_decision_review_says_so",
        ),
    )


class Retraction(Table, table=True):
    """An undo: legal only while nothing of the decision has left."""

    decision_id: str = Field(sa_column=sa.Column("decision_id", sa.ForeignKey("decision.id"), primary_key=True))
    item_id: str = key("item.id")
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger)
    at: int = micros()
