"""The model in use: which one a workflow's applications are to call; another takes its place on evidence or a reason.

Every change is a row, and the last one holds. A canary, a candidate on trial, gets a share of the traffic, and all that
it writes is reviewed: the database lets none of it out unseen until the candidate was put in use, whatever certificate
there is. A name tells whose an output is only so far: while there is a trial, and for a day after it, only what bears
the name of a model that was in use can go unseen (db/eval_guards.py).
"""

from dataclasses import dataclass
from itertools import takewhile
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
from neuro_review.eval_runs.asking import RECORDED, check_parameters
from neuro_review.sources import Caller
from neuro_review.workflows import measured

MOST_SHARE = 0.5
MOST_KNOWN = 1000
MEANWHILE = "Somebody has changed the model in use meanwhile. Look at what is in use now, then press again."
VOIDED = "Another model, or other parameters, came into use."
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
    who: str
    """`by` as people know them."""

    @property
    def way(self) -> tuple[str, dict[str, Any]]:
        """Return what is called and how."""
        return self.model, self.parameters


COLUMNS = "seq, model, parameters, canary_model, canary_parameters, canary_share, gate_id, reason, at, by"
ALL = sa.text(
    f"SELECT {COLUMNS}, COALESCE(p.name, model_use.by) AS who FROM model_use"
    " LEFT JOIN person p ON model_use.by = 'person:' || p.id"
    " WHERE workflow_id = :flow ORDER BY seq DESC LIMIT :most"
)
ADD = sa.text(
    "INSERT INTO model_use (workflow_id, seq, model, parameters, canary_model, canary_parameters, canary_share,"
    " gate_id, gate_outcome, reason, at, by) VALUES (:flow, :seq, :model, :parameters, :canary_model,"
    " :canary_parameters, :canary_share, :gate, :outcome, :reason, :at, :by)"
)


def in_use(session: Session, workflow_id: int) -> Use | None:
    """Return what a workflow's applications are to call now; None while nothing was named."""
    return next(iter(_rows(session, workflow_id, 1)), None)


def history(session: Session, by: Actor, workflow_id: int) -> list[Use]:
    """Return what was in use, the newest first; reviewers of the workflow may know it too.

    Raises:
        NotAllowedError: neither a reviewer nor an owner of the workflow.
    """
    if not by.may(Role.OWNER, workflow_id):
        by.require(Role.REVIEWER, workflow_id)
    return _rows(session, workflow_id, MOST_KNOWN)


def came(rows: list[Use]) -> Use:
    """Return the change by which the model of now came into use; a canary may have begun or ended since."""
    return list(takewhile(lambda one: one.way == rows[0].way, rows))[-1]


def before(rows: list[Use]) -> Use | None:
    """Return what one step back leads to: what was in use before the model of now."""
    return next((one for one in rows if one.way != rows[0].way), None)


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
    gate_id: str | None = None, reason: str | None = None, after: int | None = None,
) -> Use:  # fmt: skip
    """Let a model take the place of the one in use; a canary ends with it.

    By a gate it is called as it was tried there, whatever of that is not said again. `after` is the number of the
    change that was read before this was asked for.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: neither a gate nor a reason, or a name or parameters that cannot be used.
        ConflictError: the gate did not pass, or was asked of another model or of other parameters; or somebody else has
            changed the model meanwhile.
    """
    _take(session, by, workflow_id, after)
    if gate_id is None and not (reason or "").strip():
        raise InvalidError(NO_GROUNDS, "reason")
    if gate_id is not None:
        tried = _must_have_passed(session, workflow_id, model, gate_id)
        if parameters not in (None, tried):
            raise ConflictError(f"That gate passed {model} with other parameters. {NO_GROUNDS}")
        parameters = tried
    else:
        check_parameters(parameters or {})
    return _add(session, workflow_id, by, model=model, parameters=parameters or {}, gate_id=gate_id, reason=reason)


def roll_back(
    session: Session, workflow_id: int, by: Actor, *, reason: str = "rolled back", after: int | None = None
) -> Use:
    """Put the model back that was in use before the one of now; a canary ends with it.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: there was none before, or somebody else has changed the model meanwhile (`after`).
    """
    _take(session, by, workflow_id, after)
    there = before(_rows(session, workflow_id, MOST_KNOWN))
    if there is None:
        raise ConflictError("There is no other model to go back to.")
    return _add(session, workflow_id, by, model=there.model, parameters=there.parameters, reason=reason)


def try_on_traffic(
    session: Session, workflow_id: int, by: Actor, *, model: str, share: float,
    parameters: dict[str, Any] | None = None, reason: str = "canary", after: int | None = None,
) -> Use:  # fmt: skip
    """Give a candidate a share of the traffic; all that it writes is reviewed.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: no model is in use yet, or it is this one; or somebody has changed it meanwhile (`after`).
        InvalidError: the share is none, or a name or parameters cannot be used.
    """
    current = _take(session, by, workflow_id, after)
    if current is None or current.model == model.strip():
        raise ConflictError("A canary runs beside another model in use. Name that one first.")
    if not 0 < share <= MOST_SHARE:
        raise InvalidError(f"A canary gets more than 0 and at most {MOST_SHARE:.0%} of the traffic.", "share")
    check_parameters(parameters or {})
    canary = (_checked(model), parameters or {}, share)
    return _add(
        session, workflow_id, by, model=current.model, parameters=current.parameters, reason=reason, canary=canary
    )


def end_canary(
    session: Session, workflow_id: int, by: Actor, *, reason: str = "canary ended", after: int | None = None
) -> Use:
    """Take the share of traffic from the candidate again.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: there is no canary, or somebody has changed the model meanwhile (`after`).
    """
    current = _take(session, by, workflow_id, after)
    if current is None or current.canary_model is None:
        raise ConflictError("No candidate has a share of the traffic.")
    return _add(session, workflow_id, by, model=current.model, parameters=current.parameters, reason=reason)


def _take(session: Session, by: Actor, workflow_id: int, after: int | None) -> Use | None:
    """Let nobody else change the model until the transaction ends, and return what is in use."""
    workflows.take(session, by, workflow_id)
    current = in_use(session, workflow_id)
    if after is not None and after != (current.seq if current else 0):
        raise ConflictError(MEANWHILE)
    return current


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
    if model.strip() == RECORDED:
        raise InvalidError(f"“{RECORDED}” stands for the outputs that were reviewed, and cannot be called.", "model")
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
    if last is None or last.way != made.way:
        measured.void_certificates(session, workflow_id, VOIDED)
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
