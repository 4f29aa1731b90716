"""What waits now: how much, since when, and how old it is."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.tables import Role
from neuro_review import queue
from neuro_review.access import Actor
from neuro_review.rollups.counting import OPEN

AGES = (("today", 0), ("yesterday", 1), ("2–6 days", 6))
OLDER = "a week and more"
BY_DAY = sa.text(
    "SELECT r.day, sum(r.n) AS n FROM rollup_series s JOIN rollup_label r ON r.series_id = s.id"
    " WHERE s.workflow_id = :flow AND s.origin = 'gate' AND r.label = :open GROUP BY r.day HAVING sum(r.n) > 0"
)


@dataclass(frozen=True)
class Backlog:
    """What waits for a reviewer."""

    held: int
    oldest_at: int | None
    ages: list[tuple[str, int]]
    """How many came in when (days in UTC), the youngest first."""


def waiting(session: Session, by: Actor, workflow_id: int) -> Backlog:
    """Return what of a workflow waits now; samples and tests of reviewers are left out.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    today, counts = now() // DAY, [0] * (len(AGES) + 1)
    for row in session.connection().execute(BY_DAY, {"flow": workflow_id, "open": OPEN}):
        place = next((n for n, (_, most) in enumerate(AGES) if today - row.day <= most), len(AGES))
        counts[place] += int(row.n)
    names = [*(name for name, _ in AGES), OLDER]
    oldest = queue.waiting(session, workflow_id).oldest_at
    return Backlog(sum(counts), oldest, list(zip(names, counts, strict=True)))
