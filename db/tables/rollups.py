"""Counts kept beside the labels, so that a chart over five million of them is read in milliseconds.

Each row is a sum over items of one UTC day (by the time of the submit) or one week; nothing in here is a fact of its
own: all of it can be counted again from items and reviews, and is, every night.
"""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, serial

# A table that is its own primary key: one tree to write instead of two.
ONE_TREE: dict[str, Any] = {"sqlite_with_rowid": False}


def _sum() -> Any:
    return Field(default=0, sa_type=sa.BigInteger)


def _part(text: type[Any] = sa.String, target: str | None = None) -> Any:
    """Return a column of the primary key."""
    keys = [sa.ForeignKey(target)] if target else []
    return Field(sa_type=text, primary_key=True, sa_column_args=keys, sa_column_kwargs={"autoincrement": False})


class RollupSeries(Table, table=True):
    """A model in a workflow, apart by where its outputs come from, so that a sample never mixes into production."""

    __tablename__ = "rollup_series"

    id: int | None = serial()
    workflow_id: int = Field(foreign_key="workflow.id")
    origin: str
    model: str

    __table_args__ = (sa.UniqueConstraint("workflow_id", "origin", "model"),)


class RollupLabel(Table, table=True):
    """How many outputs were routed like this and labelled like that; all rates come from here."""

    __tablename__ = "rollup_label"

    series_id: int = _part(sa.BigInteger, "rollup_series.id")
    day: int = _part(sa.Integer)
    """Days since 1970, UTC."""
    stratum: str = _part()
    cell: str = _part()
    """`panel`, `sure` (everybody's turn comes) or `chance` (seen by luck, or because somebody complained)."""
    label: str = _part()
    """What the item's reviews say together; `open` while it is held, `unseen` where nobody judged it in time."""
    reasons: str = _part()
    """JSON, as the review has it: the definition of bad can change without a count being made anew."""
    n: int = _sum()

    __table_args__ = (ONE_TREE,)


class RollupDay(Table, table=True):
    """What the outputs of a model cost in a day, and what became of them."""

    __tablename__ = "rollup_day"

    series_id: int = _part(sa.BigInteger, "rollup_series.id")
    day: int = _part(sa.Integer)
    items: int = _sum()
    cost_micro: int = _sum()
    cost_known: int = _sum()
    prompt_tokens: int = _sum()
    completion_tokens: int = _sum()
    tokens_known: int = _sum()
    released: int = _sum()
    recalled: int = _sum()
    handling_ms: int = _sum()
    """Of all reviews of an item together, at most five minutes an item."""
    handled: int = _sum()
    edits: int = _sum()
    """Corrections of which is known how much they changed."""
    edited: int = _sum()
    """By how much, in thousandths of the text, added up."""

    __table_args__ = (ONE_TREE,)


class RollupTime(Table, table=True):
    """How long it took: a histogram whose buckets grow by a tenth, so that any of them can be added up."""

    __tablename__ = "rollup_time"

    series_id: int = _part(sa.BigInteger, "rollup_series.id")
    day: int = _part(sa.Integer)
    kind: str = _part()
    """`latency` of the model; `release`, from submit to release."""
    bucket: int = _part(sa.Integer)
    n: int = _sum()

    __table_args__ = (ONE_TREE,)


class RollupVersion(Table, table=True):
    """How many outputs came of which version of a prompt."""

    __tablename__ = "rollup_version"

    series_id: int = _part(sa.BigInteger, "rollup_series.id")
    day: int = _part(sa.Integer)
    prompt_version: str = _part()
    n: int = _sum()

    __table_args__ = (ONE_TREE,)


class RollupReview(Table, table=True):
    """How many reviews of outputs of a day somebody gave, by what they said; one that was undone is none."""

    __tablename__ = "rollup_review"

    workflow_id: int = _part(sa.Integer, "workflow.id")
    origin: str = _part()
    day: int = _part(sa.Integer)
    reviewer: str = _part()
    verdict: str = _part()
    reasons: str = _part()
    n: int = _sum()
    handling_ms: int = _sum()
    handled: int = _sum()

    __table_args__ = (ONE_TREE,)


class RollupSource(Table, table=True):
    """How much an application handed in in a week, and how much of it went out."""

    __tablename__ = "rollup_source"

    workflow_id: int = _part(sa.Integer, "workflow.id")
    origin: str = _part()
    week: int = _part(sa.Integer)
    """Weeks that begin on a Monday, since the one of 1970."""
    source_id: int = _part(sa.BigInteger, "source.id")
    n: int = _sum()
    released: int = _sum()

    __table_args__ = (ONE_TREE,)


class RollupUser(Table, table=True):
    """How many outputs in a week were for one end user, known here by a hash; gone with the last of them."""

    __tablename__ = "rollup_user"

    workflow_id: int = _part(sa.Integer, "workflow.id")
    origin: str = _part()
    week: int = _part(sa.Integer)
    end_user: str = _part()
    n: int = _sum()

    __table_args__ = (ONE_TREE,)
