"""What people keep for themselves, and long work that is under way."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, one_of, serial
from .words import JobKind, JobState


class SavedView(Table, table=True):
    """A search that somebody wants to find again."""

    __tablename__ = "saved_view"

    id: int | None = serial()
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger)
    page: str
    name: str
    query: str
    """JSON: what was asked for, as the page keeps it."""
    saved_at: int = micros()

    __table_args__ = (check("name", "name <> ''"), sa.UniqueConstraint("person_id", "page", "name"))


class Job(Table, table=True):
    """Long work that a person asked for: it can be left and found again, and survives a restart."""

    id: str = key(primary=True)
    kind: str
    state: str
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger)
    """On whose word: what this person may is asked again when the work begins."""
    workflow_id: int | None = Field(default=None, foreign_key="workflow.id")
    asked: str
    """JSON: what was asked for; never what an output says."""
    done: int = Field(default=0, sa_type=sa.BigInteger)
    total: int | None = Field(default=None, sa_type=sa.BigInteger)
    result: str | None = None
    """JSON: what came of it."""
    error: str | None = None
    """A sentence, where it failed."""
    created_at: int = micros()
    started_at: int | None = micros(null=True)
    finished_at: int | None = micros(null=True)
    lease_until: int = Field(default=0, sa_type=sa.BigInteger)
    """Until when the process that works on it is taken to be alive; then another may begin again."""
    attempts: int = 0

    __table_args__ = (
        one_of("kind", JobKind),
        one_of("state", JobState),
        check("finished", "(state IN ('done', 'failed')) = (finished_at IS NOT NULL)"),
        sa.Index("ix_job_person", "person_id", "created_at"),
        sa.Index(
            "ix_job_open",
            "created_at",
            sqlite_where=sa.text("finished_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL"),
        ),
    )
