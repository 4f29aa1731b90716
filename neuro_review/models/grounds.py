"""On what a model came into use, and on what another one may: candidates that were tried, and what the gate said."""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.tables import GateOutcome, Role
from neuro_review.access import Actor
from neuro_review.eval_runs.asking import RECORDED

MOST = 500
"""Gates of a workflow that are looked through, the newest."""


@dataclass(frozen=True)
class Tested:
    """A candidate as it was tried, and what the gate said of it."""

    gate_id: str
    model: str
    parameters: dict[str, Any]
    baseline: str
    """The model that it was held against."""
    version: str
    """The eval set with its number, as NAME@2."""
    outcome: GateOutcome
    difference: float | None
    """Of the bad rates, with its 90 % interval; None where too many cases had no outcome."""
    low: float | None
    high: float | None
    margin: float
    cases: int
    at: int
    who: str

    @property
    def passed(self) -> bool:
        """Tell whether the gate is grounds to put it in use."""
        return self.outcome is GateOutcome.PASS


GATES = (
    "SELECT g.id AS gate_id, g.model, c.parameters, b.model AS baseline, s.name, v.number, g.outcome, g.difference,"
    " g.low, g.high, g.margin, g.cases, g.made_at AS at, COALESCE(p.name, g.made_by) AS who FROM eval_gate g"
    " JOIN eval_candidate c ON c.run_id = g.candidate_run AND c.position = g.candidate"
    " JOIN eval_candidate b ON b.run_id = g.baseline_run AND b.position = g.baseline"
    " JOIN eval_version v ON v.id = g.version_id JOIN eval_set s ON s.id = v.set_id"
    " LEFT JOIN person p ON g.made_by = 'person:' || p.id WHERE g.workflow_id = :flow"
)
TRIED = sa.text(f"{GATES} AND g.model <> :recorded ORDER BY g.made_at DESC, g.id DESC LIMIT :most")
NAMED = sa.text(
    f"{GATES} AND EXISTS (SELECT 1 FROM model_use u WHERE u.workflow_id = g.workflow_id AND u.gate_id = g.id)"
)


def tried(session: Session, by: Actor, workflow_id: int) -> list[Tested]:
    """Return each model that the gate was asked about with each of its parameters, as it was answered last.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    rows = session.connection().execute(TRIED, {"flow": workflow_id, "recorded": RECORDED, "most": MOST})
    last: dict[tuple[str, str], Tested] = {}
    for row in rows:
        last.setdefault((row.model, row.parameters), _read(row))
    return list(last.values())


def named(session: Session, workflow_id: int) -> dict[str, Tested]:
    """Return the gates by which models came into use, by id; who may know is the caller's question (`history`)."""
    return {row.gate_id: _read(row) for row in session.connection().execute(NAMED, {"flow": workflow_id})}


def _read(row: Any) -> Tested:
    facts = dict(row._mapping)
    version = f"{facts.pop('name')}@{facts.pop('number')}"
    facts |= {"parameters": orjson.loads(row.parameters), "outcome": GateOutcome(row.outcome), "version": version}
    return Tested(**facts)
