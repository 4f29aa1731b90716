"""The model in use: which one a workflow's applications are to call; another takes its place on evidence or a reason.

Every change is a row, and the last one holds. A canary gets a share of the traffic; a certificate names its model, so
nothing that a canary writes leaves unseen before it has a certificate of its own.
"""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import GateOutcome, Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import as_json, check_text
from neuro_review.errors import ConflictError, InvalidError, NotFoundError
from neuro_review.sources import Caller

MOST_SHARE = 0.5
NO_GROUNDS = "Name a gate that passed for this model, or write down why it takes its place without one."


@dataclass(frozen=True)
class Use:
    """What is in use since when, and on what grounds."""

    seq: int
    model: str
    parameters: dict[str, Any]
    canary_model: str | None
    canary_parameters: dict[str, Any] | None
    canary_share: float | None
    gate_id: str | None
    reason: str | None
    at: int
    by: str


COLUMNS = "seq, model, parameters, canary_model, canary_parameters, canary_share, gate_id, reason, at, by"
ALL = sa.text(f"SELECT {COLUMNS} FROM model_use WHERE workflow_id = :flow ORDER BY seq DESC LIMIT :most")
ADD = sa.text(
    "INSERT INTO model_use (workflow_id, seq, model, parameters, canary_model, canary_parameters, canary_share,"
    " gate_id, gate_outcome, reason, at, by) VALUES (:flow, :seq, :model, :parameters, :canary_model,"
    " :canary_parameters, :canary_share, :gate, :outcome, :reason, :at, :by)"
)


def in_use(session: Session, workflow_id: int) -> Use | None:
    """Return what a workflow's applications are to call now; None while nothing was named."""
    return next(iter(_rows(session, workflow_id, 1)), None)


def history(session: Session, by: Actor, workflow_id: int) -> list[Use]:
    """Return what was in use, the newest first.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    return _rows(session, workflow_id, 1000)


def told(session: Session, by: Caller, name: str) -> dict[str, Any]:
    """Return what an application is told of its workflow.

    Raises:
        NotFoundError: its key is of another workflow, or there is none of this name.
    """
    flow = workflows.find(session, name)
    if flow is None or flow.id != by.workflow_id:
        raise NotFoundError("There is no such workflow of this key.")
    use = in_use(session, flow.id)
    canary = None
    if use and use.canary_model is not None:
        canary = {"model": use.canary_model, "parameters": use.canary_parameters, "share": use.canary_share}
    return {
        "workflow": flow.name, "version": use.seq if use else 0, "model": use.model if use else None,
        "parameters": use.parameters if use else {}, "canary": canary,
    }  # fmt: skip


def promote(
    session: Session, workflow_id: int, by: Actor, *, model: str, parameters: dict[str, Any] | None = None,
    gate_id: str | None = None, reason: str | None = None,
) -> Use:  # fmt: skip
    """Let a model take the place of the one in use; a canary ends with it.

    By a gate it is called as it was tried there, whatever of that is not said again.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: neither a gate nor a reason, or a name that cannot be used.
        ConflictError: the gate did not pass, or was asked of another model or of other parameters.
    """
    workflows.take(session, by, workflow_id)
    if gate_id is None and not (reason or "").strip():
        raise InvalidError(NO_GROUNDS, "reason")
    if gate_id is not None:
        tried = _must_have_passed(session, workflow_id, model, gate_id)
        if parameters not in (None, tried):
            raise ConflictError(f"That gate passed {model} with other parameters. {NO_GROUNDS}")
        parameters = tried
    return _add(session, workflow_id, by, model=model, parameters=parameters or {}, gate_id=gate_id, reason=reason)


def roll_back(session: Session, workflow_id: int, by: Actor, *, reason: str = "rolled back") -> Use:
    """Put the model back that was in use before the one of now; a canary ends with it.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: there was none before.
    """
    workflows.take(session, by, workflow_id)
    rows = _rows(session, workflow_id, 1000)
    current = rows[0] if rows else None
    others = (one for one in rows if current and (one.model, one.parameters) != (current.model, current.parameters))
    before = next(others, None)
    if before is None:
        raise ConflictError("There is no other model to go back to.")
    return _add(session, workflow_id, by, model=before.model, parameters=before.parameters, reason=reason)


def try_on_traffic(
    session: Session, workflow_id: int, by: Actor, *, model: str, share: float,
    parameters: dict[str, Any] | None = None, reason: str = "canary",
) -> Use:  # fmt: skip
    """Give a candidate a share of the traffic; all that it writes is reviewed.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: no model is in use yet, or it is this one.
        InvalidError: the share is none, or a name cannot be used.
    """
    workflows.take(session, by, workflow_id)
    current = in_use(session, workflow_id)
    if current is None or current.model == model:
        raise ConflictError("A canary runs beside another model in use. Name that one first.")
    if not 0 < share <= MOST_SHARE:
        raise InvalidError(f"A canary gets more than 0 and at most {MOST_SHARE:.0%} of the traffic.", "share")
    canary = (_checked(model), parameters or {}, share)
    return _add(
        session, workflow_id, by, model=current.model, parameters=current.parameters, reason=reason, canary=canary
    )


def end_canary(session: Session, workflow_id: int, by: Actor, *, reason: str = "canary ended") -> Use:
    """Take the share of traffic from the candidate again.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: there is no canary.
    """
    workflows.take(session, by, workflow_id)
    current = in_use(session, workflow_id)
    if current is None or current.canary_model is None:
        raise ConflictError("No candidate has a share of the traffic.")
    return _add(session, workflow_id, by, model=current.model, parameters=current.parameters, reason=reason)


GATE = sa.text(
    "SELECT g.workflow_id, g.model, g.outcome, c.parameters FROM eval_gate g JOIN eval_candidate c"
    " ON c.run_id = g.candidate_run AND c.position = g.candidate WHERE g.id = :id"
)


def _must_have_passed(session: Session, workflow_id: int, model: str, gate_id: str) -> dict[str, Any]:
    """Return the parameters with which a model passed a gate."""
    row = session.connection().execute(GATE, {"id": gate_id}).first()
    if row is None or row.workflow_id != workflow_id:
        raise NotFoundError("There is no such gate in this workflow.")
    if row.model != model or row.outcome != GateOutcome.PASS:
        raise ConflictError(f"That gate said {row.outcome} of {row.model}. {NO_GROUNDS}")
    return dict(orjson.loads(row.parameters))


def _checked(model: str) -> str:
    check_text(model, "model", 500)
    if not model.strip():
        raise InvalidError("Name a model as LiteLLM does, like openai/gpt-4o.", "model")
    return model.strip()


def _add(
    session: Session, workflow_id: int, by: Actor, *, model: str, parameters: dict[str, Any],
    gate_id: str | None = None, reason: str | None = None, canary: tuple[str, dict[str, Any], float] | None = None,
) -> Use:  # fmt: skip
    last, at = in_use(session, workflow_id), now()
    row: dict[str, Any] = {
        "flow": workflow_id, "seq": last.seq + 1 if last else 1, "model": _checked(model),
        "parameters": as_json(parameters), "canary_model": None, "canary_parameters": None, "canary_share": None,
        "gate": gate_id, "outcome": GateOutcome.PASS if gate_id else None, "reason": (reason or "").strip() or None,
        "at": at, "by": by.audit_name,
    }  # fmt: skip
    check_text(row["reason"] or "", "reason", 10_000)
    if canary is not None:
        row |= {"canary_model": canary[0], "canary_parameters": as_json(canary[1]), "canary_share": canary[2]}
    session.connection().execute(ADD, row)
    facts = {
        "version": row["seq"], "model": row["model"], "canary": row["canary_model"], "share": row["canary_share"],
        "gate": gate_id, "before": last.model if last else None,
    }  # fmt: skip
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.MODEL_CHANGED, facts, at)
    made = in_use(session, workflow_id)
    assert made is not None
    return made


def _rows(session: Session, workflow_id: int, most: int) -> list[Use]:
    rows = session.connection().execute(ALL, {"flow": workflow_id, "most": most})
    return [
        Use(**dict(row._mapping) | {
            "parameters": orjson.loads(row.parameters),
            "canary_parameters": orjson.loads(row.canary_parameters) if row.canary_parameters else None,
        })
        for row in rows
    ]  # fmt: skip
