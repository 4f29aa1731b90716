"""Where the applications are told, and how far each message has come; and that somebody does the telling."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, one_of, serial
from .words import PausedFor

OPEN = sa.text("delivered_at IS NULL AND dead_at IS NULL")
DEAD = sa.text("dead_at IS NOT NULL")
DELIVERED = sa.text("delivered_at IS NOT NULL")


class Endpoint(Table, table=True):
    """An address that is told what became of a workflow's items."""

    id: int | None = serial()
    workflow_id: int = Field(foreign_key="workflow.id", index=True)
    source_id: int | None = Field(default=None, foreign_key="source.id", sa_type=sa.BigInteger)
    """Of this application's items only; none is of all of the workflow."""
    url: str
    nonce: str
    """With the house's own secret it makes the secret of the signatures, which is stored nowhere."""
    old_nonce: str | None = None
    old_until: int | None = micros(null=True)
    """Until when messages are also signed with the secret before."""
    created_at: int = micros()
    paused_at: int | None = micros(null=True)
    paused_for: str | None = None
    removed_at: int | None = micros(null=True)

    __table_args__ = (
        check("url", "url <> ''"),
        one_of("paused_for", PausedFor),
        check("paused", "(paused_at IS NULL) = (paused_for IS NULL)"),
        check("overlap", "(old_nonce IS NULL) = (old_until IS NULL)"),
    )


class Delivery(Table, table=True):
    """One message on its way to one endpoint; written in the transaction that wrote the message."""

    endpoint_id: int = Field(foreign_key="endpoint.id", primary_key=True, sa_type=sa.BigInteger)
    outbox_seq: int = Field(foreign_key="outbox.seq", primary_key=True, sa_type=sa.BigInteger)
    item_id: str = key("item.id")
    created_at: int = micros()
    attempts: int = 0
    next_at: int = micros()
    """When it is tried next; while a worker tries it, when another one may."""
    tried_at: int | None = micros(null=True)
    delivered_at: int | None = micros(null=True)
    dead_at: int | None = micros(null=True)
    """When the last try had failed; somebody can replay it."""
    status: int | None = None
    """HTTP, of the last try; none where nobody answered."""
    took_ms: int | None = None
    error: str | None = None
    """What was wrong with the last try, as a sentence."""

    __table_args__ = (
        check("ended", "delivered_at IS NULL OR dead_at IS NULL"),
        check("attempts", "attempts >= 0"),
        sa.Index("ix_delivery_due", "endpoint_id", "next_at", sqlite_where=OPEN, postgresql_where=OPEN),
        sa.Index("ix_delivery_order", "endpoint_id", "item_id", sqlite_where=OPEN, postgresql_where=OPEN),
        sa.Index("ix_delivery_dead", "endpoint_id", "dead_at", sqlite_where=DEAD, postgresql_where=DEAD),
        sa.Index("ix_delivery_done", "endpoint_id", "delivered_at", sqlite_where=DELIVERED, postgresql_where=DELIVERED),
    )


class WorkerBeat(Table, table=True):
    """A worker that lives says so."""

    __tablename__ = "worker_beat"

    worker: str = Field(primary_key=True)
    """Its name, its machine and its process."""
    seen_at: int = micros()
