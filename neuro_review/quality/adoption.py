"""Who uses it: outputs, releases, applications and end users active in a week."""

from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlmodel import Session

from db.tables import Role
from neuro_review.access import Actor
from neuro_review.quality.periods import ALL_TIME, Per, Window, first_day
from neuro_review.rollups.counting import week_of

SOURCES = sa.text(
    "SELECT week, sum(n) AS n, sum(released) AS released, count(DISTINCT source_id) AS sources FROM rollup_source"
    " WHERE workflow_id = :flow AND origin = 'gate' AND n > 0 AND week BETWEEN :first AND :last GROUP BY week"
)
USERS = sa.text(
    "SELECT week, count(*) AS n FROM rollup_user WHERE workflow_id = :flow AND origin = 'gate' AND n > 0"
    " AND week BETWEEN :first AND :last GROUP BY week"
)


@dataclass(frozen=True)
class Week:
    """One ISO week of a workflow."""

    first: date
    """Its Monday."""
    outputs: int
    released: int
    """Of the outputs that came in in this week."""
    sources: int
    end_users: int | None
    """None where applications do not say for whom an output is."""


def weeks(session: Session, by: Actor, workflow_id: int, *, window: Window = ALL_TIME) -> list[Week]:
    """Return who was active, week by week; labels of the past are nobody's use of it.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    bound = {"flow": workflow_id, "first": week_of(window.first), "last": week_of(window.last)}
    users = {row.week: row.n for row in session.connection().execute(USERS, bound)}
    return [
        Week(first_day(Per.WEEK, row.week), int(row.n), int(row.released), row.sources, users.get(row.week))
        for row in sorted(session.connection().execute(SOURCES, bound), key=lambda row: row.week)
    ]
