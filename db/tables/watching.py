"""What is watched over: the rate of each model against its target, and the one number a workflow is there to move."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, key, micros, serial


class Metric(Table, table=True):
    """The one number that a workflow is there to move, what it was before, and by how much it is to change."""

    workflow_id: int = Field(
        sa_column=sa.Column("workflow_id", sa.Integer, sa.ForeignKey("workflow.id"), primary_key=True)
    )
    name: str
    """As the application reports it: `resolution_minutes`."""
    unit: str
    baseline: float
    target: float
    """The change that is wanted, as a share of the baseline: −0.2 is a fifth less."""
    set_at: int = micros()
    set_by: str

    __table_args__ = (check("name", "name <> ''"), check("target", "target <> 0 AND target >= -1"))


class Outcome(Table, table=True):
    """What became of a case in the application's own world, as it reports it."""

    id: int | None = serial()
    workflow_id: int = Field(foreign_key="workflow.id")
    source_id: int = Field(foreign_key="source.id", sa_type=sa.BigInteger)
    item_id: str = key("item.id")
    name: str
    value_micro: int = micros()
    """In millionths, so that sums do not drift."""
    at: int = micros()
    """When it came about."""
    reported_at: int = micros()

    __table_args__ = (
        sa.UniqueConstraint("item_id", "name"),
        sa.Index("ix_outcome_workflow", "workflow_id", "name", "at"),
    )


def _part(text: type[Any], target: str | None = None) -> Any:
    keys = [sa.ForeignKey(target)] if target else []
    return Field(sa_type=text, primary_key=True, sa_column_args=keys, sa_column_kwargs={"autoincrement": False})


class RollupOutcome(Table, table=True):
    """Outcomes of a day, added up in the transaction that reports them."""

    __tablename__ = "rollup_outcome"

    workflow_id: int = _part(sa.Integer, "workflow.id")
    name: str = _part(sa.String)
    day: int = _part(sa.Integer)
    n: int = micros()
    total_micro: int = micros()
    squares: float
    """Of the values, for the spread."""

    __table_args__ = ({"sqlite_with_rowid": False},)


class Watch(Table, table=True):
    """What the detector has seen of a model: a few numbers, updated with each label of the audit panel."""

    workflow_id: int = _part(sa.Integer, "workflow.id")
    model: str = _part(sa.String)
    target: float
    evidence: str
    """JSON: the detector's numbers."""
    labels: int = micros()
    bad: int = micros()
    since: int = micros()
    """Labels that the evidence speaks of, how many of them bad, and when the first of them left."""
    bad_since: int = micros()
    since_at: int | None = micros(null=True)
    started_at: int = micros()


class WatchCursor(Table, table=True):
    """Up to which message labels have been watched; one row."""

    __tablename__ = "watch_cursor"

    id: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int = micros()

    __table_args__ = (check("one", "id = 1"),)


class Alarm(Table, table=True):
    """A model was found worse than its target; it stands until somebody says that they have seen it."""

    id: int | None = serial()
    workflow_id: int = Field(foreign_key="workflow.id")
    model: str
    target: float
    labels: int = micros()
    bad: int = micros()
    since_at: int = micros()
    seen_at: int = micros()
    acknowledged_by: int | None = Field(default=None, foreign_key="person.id", sa_type=sa.BigInteger)
    acknowledged_at: int | None = micros(null=True)
    told_at: int | None = micros(null=True)
    """When everybody who is to be told outside the app was."""
    attempts: int = 0
    next_at: int = micros()

    __table_args__ = (
        sa.Index(
            "uq_alarm_open",
            "workflow_id",
            "model",
            unique=True,
            sqlite_where=sa.text("acknowledged_at IS NULL"),
            postgresql_where=sa.text("acknowledged_at IS NULL"),
        ),
        check("acknowledged", "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)"),
    )


class CountCheck(Table, table=True):
    """What came of holding the counts of a day against the rows."""

    __tablename__ = "count_check"

    day: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """The last day that was checked."""
    checked_at: int = micros()
    differences: int = micros()
    first: str | None = None
    """The first of them, as a sentence."""
