"""What shows tampering: a hash chain per thing, seals over all of them, and which code may write here."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, micros, serial


class Audit(Table, table=True):
    """Who did what to what: each event carries the hash of the one before it; ids and hashes only, never content."""

    position: int | None = serial()
    xid: int = Field(default=None, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": sa.text("0")})
    """PostgreSQL: the writing transaction; with the position the order in which events are sealed. 0 on SQLite."""
    stream: str
    """What it happened to: an item's id, or `workflow/3`, `person/5`, `source/2`, `house`."""
    seq: int
    at: int = micros()
    actor: str
    """`person:5`, `source:2`, `operator:NAME`, `policy`."""
    action: str
    body: str
    """Canonical JSON, kept as text: a JSON column would reorder keys and break the chain."""
    prev: str
    hash: str

    __table_args__ = (
        sa.UniqueConstraint("stream", "seq"),
        check("chain", "(seq = 1) = (prev = '')"),
        sa.Index("ix_audit_order", "xid", "position"),
    )


class Seal(Table, table=True):
    """A seal over all events up to one: what was deleted whole still shows."""

    n: int | None = serial()
    last_xid: int = micros()
    last_position: int = micros()
    """The last event sealed, in the order of (xid, position)."""
    events: int
    root: str
    """Merkle root of the events' hashes."""
    prev: str
    hash: str
    at: int = micros()


class SchemaInfo(Table, table=True):
    """Which code may use this database."""

    __tablename__ = "schema_info"

    id: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    oldest_code: int
    """The lowest `CODE_VERSION` that may write here."""
    xid_shift: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": sa.text("0")})
    """PostgreSQL: what is added to the server's transaction ids, so that they ascend after a restore elsewhere too."""

    __table_args__ = (check("one", "id = 1"),)
