"""What left the house: releases, recalls, and what the applications are told."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Id, Table, check, key, micros, one_of, serial
from .words import Event


class Release(Table, table=True):
    """An output went out: once per item, of a gate item only, and only under a decision that releases."""

    id: str = key(primary=True)
    """Single use: the application can tell a repeated message from a new one."""
    item_id: str = key()
    origin: str = "gate"
    decision_id: str = key()
    releases: bool = True
    text_hash: str
    """Of the reviewed text, byte for byte."""
    at: int = micros()

    __table_args__ = (
        check("gate", "origin = 'gate'"),
        check("releases", "releases"),
        sa.UniqueConstraint("item_id"),
        sa.UniqueConstraint("id", "item_id"),
        sa.ForeignKeyConstraint(["item_id", "origin"], ["item.id", "item.origin"], name="fk_release_gate_item"),
        sa.ForeignKeyConstraint(
            ["decision_id", "item_id", "releases", "text_hash"],
            ["decision.id", "decision.item_id", "decision.releases", "decision.text_hash"],
            name="fk_release_releasing_decision",
        ),
    )


class Recall(Table, table=True):
    """A release was taken back after it had left."""

    release_id: str = Field(sa_column=sa.Column("release_id", Id, sa.ForeignKey("release.id"), primary_key=True))
    item_id: str = key("item.id")
    review_id: str | None = key("review.id", null=True)
    """The review that replaces the label."""
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger)
    reason: str
    at: int = micros()

    __table_args__ = (check("reason", "reason <> ''"), sa.UniqueConstraint("item_id"))


class Outbox(Table, table=True):
    """What an application is to be told; written in the transaction that made it true."""

    seq: int | None = serial()
    xid: int = Field(default=None, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": sa.text("0")})
    """PostgreSQL: the writing transaction, so that a reader never runs past one still open; 0 on SQLite."""
    item_id: str = key()
    origin: str = "gate"
    source_id: int = Field(foreign_key="source.id", sa_type=sa.BigInteger)
    workflow_id: int = Field(foreign_key="workflow.id")
    event: str
    decision_id: str = key("decision.id")
    release_id: str | None = key(null=True)
    created_at: int = micros()
    delivered_at: int | None = micros(null=True)
    dead_at: int | None = micros(null=True)
    attempts: int = 0
    next_at: int = micros()

    __table_args__ = (
        one_of("event", Event),
        check("gate", "origin = 'gate'"),
        check("release", "(event IN ('released', 'recalled')) = (release_id IS NOT NULL)"),
        sa.UniqueConstraint("item_id", "event", "decision_id"),
        sa.ForeignKeyConstraint(["item_id", "origin"], ["item.id", "item.origin"], name="fk_outbox_gate_item"),
        sa.ForeignKeyConstraint(["release_id", "item_id"], ["release.id", "release.item_id"], name="fk_outbox_release"),
        sa.Index("ix_outbox_feed", "source_id", "xid", "seq"),
    )


class OutboxContent(Table, table=True):
    """The message itself while it is undelivered; erased with the text it carries."""

    __tablename__ = "outbox_content"

    outbox_seq: int = Field(
        sa_column=sa.Column(
            "outbox_seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("outbox.seq"),
            primary_key=True,
            autoincrement=False,
        )
    )
    payload: str | None = None
