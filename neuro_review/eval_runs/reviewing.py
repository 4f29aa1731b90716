"""Answers of candidates before reviewers: held like any output, and the card does not say whose they are."""

import hashlib
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.tables import Origin, Role
from neuro_review import intake, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.errors import ConflictError, InvalidError
from neuro_review.eval_runs.asking import RECORDED, hold
from neuro_review.eval_runs.outcomes import Tried

SOURCE = "candidates"
MOST = 500
"""At a time: people have to read them."""
OPEN = sa.text(
    "SELECT r.id, r.case_id, o.output, c.prompt, c.prompt_is_chat, c.context FROM eval_result r"
    " JOIN eval_result_content o ON o.result_id = r.id JOIN eval_case_content c ON c.case_id = r.case_id"
    " WHERE r.run_id = :run AND r.candidate = :candidate AND r.repeat = 0 AND r.error IS NULL AND o.output <> ''"
    " AND c.prompt IS NOT NULL AND NOT EXISTS (SELECT 1 FROM eval_review w WHERE w.result_id = r.id)"
)


def put(session: Session, by: Actor, tried: Tried, *, many: int) -> int:
    """Put answers of a candidate before the reviewers of its workflow, drawn by chance, and return how many.

    The draw goes by the case, so that two candidates of whom as many are put are judged on the same cases.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: the workflow was put away, or these outputs were reviewed already.
        InvalidError: too many at a time.
    """
    by.require(Role.OWNER, tried.workflow_id)
    if not 1 <= many <= MOST:
        raise InvalidError(f"1 to {MOST} answers are put before reviewers at a time.", "many")
    if tried.model == RECORDED:
        raise ConflictError("These outputs were reviewed already. Choose a candidate that wrote new ones.")
    flow = workflows.by_id(session, tried.workflow_id)
    if flow.archived_at is not None:
        raise ConflictError("The workflow was put away. Bring it back first.")
    hold(session, tried.run_id)  # two who press at once put different answers there
    found = session.connection().execute(OPEN, {"run": tried.run_id, "candidate": tried.candidate}).all()
    chosen = sorted(found, key=lambda row: _lot(row.case_id))[:many]
    door = intake.Door(flow, workflows.source_id(session, SOURCE), by.audit_name, Origin.CANDIDATE)
    batch = [intake.prepare(door, _output(tried, row)) for row in chosen]
    stored = intake.store(session, door, batch)
    insert_rows(
        session, "eval_review", "result_id item_id",
        [(row.id, one.item_id) for row, one in zip(chosen, stored, strict=True)],
    )  # fmt: skip
    facts = {"model": tried.model, "answers": len(chosen)}
    record(session, f"evalrun/{tried.run_id}", by.audit_name, Action.EVALRUN_REVIEWED, facts)
    return len(chosen)


def _lot(case_id: str) -> str:
    return hashlib.sha256(case_id.encode()).hexdigest()


def _output(tried: Tried, row: Any) -> intake.Output:
    prompt = orjson.loads(row.prompt) if row.prompt_is_chat else row.prompt
    return intake.Output(
        model=tried.model, output=row.output, prompt=prompt, context=row.context, external_id=f"candidate {row.id}"
    )
