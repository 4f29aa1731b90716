"""The share of the traffic that a candidate on trial really got, beside the one that was set."""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY
from db.tables import Origin, Role
from neuro_review.access import Actor
from neuro_review.models import Use


@dataclass(frozen=True)
class Traffic:
    """Outputs that applications handed in since a trial began."""

    canary: int
    current: int
    """Of the model in use."""
    other: int
    """Of neither, or of a name that fits both: they count neither way."""

    @property
    def both(self) -> int:
        """Return how many outputs the two wrote together."""
        return self.canary + self.current

    @property
    def share(self) -> float | None:
        """Return the part of the candidate in what the two wrote; None where that is nothing."""
        return self.canary / self.both if self.both else None


# Whole days are counted already; of the day on which it began only what came after.
WHOLE_DAYS = sa.text(
    "SELECT s.model, CAST(sum(r.items) AS BIGINT) AS n FROM rollup_series s JOIN rollup_day r ON r.series_id = s.id"
    f" WHERE s.workflow_id = :flow AND s.origin = '{Origin.GATE}' AND r.day >= :day GROUP BY s.model"
)
FIRST_DAY = sa.text(
    f"SELECT model, count(*) AS n FROM item WHERE workflow_id = :flow AND origin = '{Origin.GATE}'"
    " AND created_at >= :since AND created_at < :until GROUP BY model"
)


def since(session: Session, by: Actor, workflow_id: int, use: Use) -> Traffic:
    """Return what came in since a change that put a candidate on trial, of the candidate and of the model in use.

    Raises:
        NotAllowedError: neither a reviewer nor an owner of the workflow.
    """
    if not by.may(Role.OWNER, workflow_id):
        by.require(Role.REVIEWER, workflow_id)
    day = use.at // DAY + 1
    connection, came = session.connection(), Counter[str]()
    for query, bound in (
        (FIRST_DAY, {"since": use.at, "until": day * DAY}),
        (WHOLE_DAYS, {"day": day}),
    ):  # fmt: skip
        for row in connection.execute(query, {"flow": workflow_id, **bound}):
            came[_whose(row.model, use)] += int(row.n)
    return Traffic(came["canary"], came["current"], came["other"])


def _whose(name: str, use: Use) -> str:
    """Return which of the two wrote under a name, where it can be told."""
    assert use.canary_model is not None
    if name in (use.canary_model, use.model):
        return "canary" if name == use.canary_model else "current"
    canary, current = _alike(name, use.canary_model), _alike(name, use.model)
    if canary == current:
        return "other"
    return "canary" if canary else "current"


def _alike(one: str, other: str) -> bool:
    """Tell whether two names are of one model: an application may leave the provider out, or put a proxy before it."""
    one, other = one.lower(), other.lower()
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")
