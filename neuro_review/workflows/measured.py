"""By what the owner of a workflow measures it: the quality target, what a reviewer's hour costs, what is too small to
count as bad, and the one number the workflow is there to move.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import now
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import as_json, check_text
from neuro_review.errors import InvalidError

DEAREST = 10_000  # dollars an hour
LONGEST_NAME = 60


@dataclass(frozen=True)
class Metric:
    """The one number that a workflow is there to move."""

    name: str
    """As applications report it: `resolution_minutes`."""
    unit: str
    baseline: float
    """What it was before."""
    target: float
    """The change that is wanted, as a share of the baseline: −0.2 is a fifth less."""

    @property
    def wanted(self) -> float:
        """Return the value that is to be reached."""
        return self.baseline * (1 + self.target)


@dataclass(frozen=True)
class Measured:
    """By what a workflow is measured."""

    quality_target: float | None
    """Bad outputs of a model as a share of all; none is watched for without it."""
    reviewer_rate_micro: int | None
    """What an hour of review costs, in millionths of a dollar."""
    minor_reasons: tuple[str, ...]
    """A correction for these alone is not bad."""
    definition: int
    """The version of what counts as bad; 0 while nobody has changed it."""
    metric: Metric | None


FLOW = sa.text("SELECT quality_target, reviewer_rate_micro FROM workflow WHERE id = :flow")
DEFINITION = sa.text(
    "SELECT version, minor_reasons FROM bad_definition WHERE workflow_id = :flow ORDER BY version DESC LIMIT 1"
)
METRIC = sa.text("SELECT name, unit, baseline, target FROM metric WHERE workflow_id = :flow")


def measured(session: Session, workflow_id: int) -> Measured:
    """Return by what a workflow is measured."""
    connection, bound = session.connection(), {"flow": workflow_id}
    flow = connection.execute(FLOW, bound).one()
    bad, metric = connection.execute(DEFINITION, bound).first(), connection.execute(METRIC, bound).first()
    return Measured(
        flow.quality_target, flow.reviewer_rate_micro, tuple(orjson.loads(bad.minor_reasons)) if bad else (),
        bad.version if bad else 0, Metric(*metric) if metric else None,
    )  # fmt: skip


def set_quality_target(session: Session, by: Actor, workflow_id: int, share: float | None) -> None:
    """Set the share of a model's outputs that may be bad; what was watched for against another one begins anew.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: it is no share above 0 and below 1.
    """
    if share is not None and not (math.isfinite(share) and 0 < share < 1):
        raise InvalidError("A quality target lies between 0 and 100 %, like 5 %. Leave it empty for none.", "target")
    if _set(session, by, workflow_id, "quality_target", share):
        watch_anew(session, workflow_id)


def set_reviewer_rate(session: Session, by: Actor, workflow_id: int, micro: int | None) -> None:
    """Set what an hour of review costs, in millionths of a dollar.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: it is negative or beyond reason.
    """
    if micro is not None and not 0 <= micro <= DEAREST * 1_000_000:
        raise InvalidError(f"An hour of review costs 0 to {DEAREST:,} dollars. Leave it empty if unknown.", "rate")
    _set(session, by, workflow_id, "reviewer_rate_micro", micro)


def _set(session: Session, by: Actor, workflow_id: int, column: str, value: Any) -> bool:
    workflows.take(session, by, workflow_id)
    if getattr(measured(session, workflow_id), column) == value:
        return False
    session.connection().execute(
        sa.text(f"UPDATE workflow SET {column} = :value WHERE id = :id"), {"value": value, "id": workflow_id}
    )
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, {column: value})
    return True


VOID = sa.text(
    "UPDATE certificate SET voided_at = :at, void_reason = :why WHERE workflow_id = :flow AND voided_at IS NULL"
)


def set_minor_reasons(session: Session, by: Actor, workflow_id: int, names: Sequence[str]) -> int:
    """Say which reasons make a correction too small to count as bad, and return the version of this definition.

    Every rate, of the past too, is then read by it; certificates end, and what was watched for begins anew.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: one of them is no reason of the workflow.
    """
    workflows.take(session, by, workflow_id)
    known = workflows.reasons(session, workflow_id)
    wanted = [name for name in known if name in names]
    strange = sorted(set(names) - set(known))
    if strange:
        raise InvalidError(f"“{strange[0]}” is not a reason of this workflow. Choose from its list.", "reasons")
    before = measured(session, workflow_id)
    if set(before.minor_reasons) == set(wanted):
        return before.definition
    version, at = before.definition + 1, now()
    rows = [(workflow_id, version, as_json(wanted), at, by.audit_name)]
    insert_rows(session, "bad_definition", "workflow_id version minor_reasons written_at written_by", rows)
    void_certificates(session, workflow_id, "What counts as bad was changed.")
    watch_anew(session, workflow_id)
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, {"bad_definition": version})
    return version


def void_certificates(session: Session, workflow_id: int, why: str) -> None:
    """End every certificate of a workflow; until there is another, all of its outputs are reviewed."""
    session.connection().execute(VOID, {"flow": workflow_id, "at": now(), "why": why})


def watch_anew(session: Session, workflow_id: int) -> None:
    """Forget what was watched for: it was held against another measure."""
    session.connection().execute(sa.text("DELETE FROM watch WHERE workflow_id = :flow"), {"flow": workflow_id})


def set_metric(session: Session, by: Actor, workflow_id: int, metric: Metric | None) -> None:
    """Set the one number that the workflow is there to move, or none.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: something of it cannot be used.
    """
    workflows.take(session, by, workflow_id)
    if metric is not None:
        metric = _checked(metric)
    if metric == measured(session, workflow_id).metric:
        return
    connection = session.connection()
    connection.execute(sa.text("DELETE FROM metric WHERE workflow_id = :flow"), {"flow": workflow_id})
    facts: dict[str, Any] = {"metric": None}
    if metric is not None:
        row = (workflow_id, metric.name, metric.unit, metric.baseline, metric.target, now(), by.audit_name)
        insert_rows(session, "metric", "workflow_id name unit baseline target set_at set_by", [row])
        facts = {"metric": metric.name, "baseline": metric.baseline, "target": metric.target}
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, facts)


def _checked(metric: Metric) -> Metric:
    name, unit = " ".join(metric.name.split()), " ".join(metric.unit.split())
    for text, field in ((name, "name"), (unit, "unit")):
        check_text(text, field)
        if len(text) > LONGEST_NAME:
            raise InvalidError(f"A metric's {field} has at most {LONGEST_NAME} characters.", field)
    if not name:
        raise InvalidError("A metric needs the name under which applications report it: resolution_minutes.", "name")
    if not math.isfinite(metric.baseline) or metric.baseline <= 0 or metric.baseline > 1e9:
        raise InvalidError("The baseline is what the number was before: above 0, like 42.", "baseline")
    if not math.isfinite(metric.target) or metric.target == 0 or not -1 <= metric.target <= 10:
        raise InvalidError("The target is the change that is wanted, like −20 %.", "target")
    return Metric(name, unit, metric.baseline, metric.target)
