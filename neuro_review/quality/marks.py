"""When something changed that moves a chart: a model, a prompt version, the rubric, what counts as bad, a policy."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY
from db.tables import Role
from neuro_review.access import Actor
from neuro_review.quality.periods import ALL_TIME, Window, as_date


class What(StrEnum):
    """What changed."""

    MODEL = "model"
    PROMPT = "prompt version"
    RUBRIC = "rubric"
    BAD = "definition of bad"
    POLICY = "policy"


@dataclass(frozen=True)
class Mark:
    """A change, on the day from which it held."""

    day: date
    what: What
    model: str | None
    """None where it holds for all of them."""
    text: str
    """As it stands beside the chart: “rubric 3”, “prompt v12”."""


MODELS = sa.text(
    "SELECT s.model, min(r.day) AS day FROM rollup_series s JOIN rollup_day r ON r.series_id = s.id"
    " WHERE s.workflow_id = :flow AND s.origin IN ('gate', 'history') AND r.items > 0 GROUP BY s.model"
)
PROMPTS = sa.text(
    "SELECT s.model, r.prompt_version, min(r.day) AS day FROM rollup_series s JOIN rollup_version r"
    " ON r.series_id = s.id WHERE s.workflow_id = :flow AND s.origin IN ('gate', 'history') AND r.n > 0"
    " GROUP BY s.model, r.prompt_version"
)
RUBRICS = sa.text("SELECT version, written_at FROM rubric WHERE workflow_id = :flow ORDER BY version")
DEFINITIONS = sa.text(
    "SELECT version, written_at, minor_reasons FROM bad_definition WHERE workflow_id = :flow ORDER BY version"
)
POLICIES = sa.text(
    "SELECT at, body FROM audit WHERE stream = :stream AND action = 'workflow.changed' AND body LIKE '%\"policy%'"
    " ORDER BY seq"
)


def marks(session: Session, by: Actor, workflow_id: int, *, window: Window = ALL_TIME) -> list[Mark]:
    """Return what changed in a window, the earliest first; what was there from the first day on is no change.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    connection, bound = session.connection(), {"flow": workflow_id}
    first = {row.model: row.day for row in connection.execute(MODELS, bound)}
    start = min(first.values(), default=0)
    found = [(day, What.MODEL, model, model) for model, day in first.items() if day > start]
    found += [
        (row.day, What.PROMPT, row.model, f"prompt {row.prompt_version}")
        for row in connection.execute(PROMPTS, bound)
        if row.day > first.get(row.model, 0)
    ]
    found += [
        (row.written_at // DAY, What.RUBRIC, None, f"rubric {row.version}")
        for row in connection.execute(RUBRICS, bound)
    ]
    found += [
        (row.written_at // DAY, What.BAD, None, _definition(orjson.loads(row.minor_reasons)))
        for row in connection.execute(DEFINITIONS, bound)
    ]
    found += [
        (row.at // DAY, What.POLICY, None, "policy")
        for row in connection.execute(POLICIES, {"stream": f"workflow/{workflow_id}"})
    ]
    return [
        Mark(as_date(day), what, model, text)
        for day, what, model, text in sorted(found, key=lambda one: (one[0], one[1], one[3]))
        if window.first <= day <= window.last
    ]


def _definition(minor: list[str]) -> str:
    return f"bad: without {', '.join(minor)}" if minor else "bad: every correction"
