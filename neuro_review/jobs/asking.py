"""To ask for an import, an export or an eval run; who may, and that nobody asks for too much at once."""

from dataclasses import asdict
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import JobKind, JobState, Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError
from neuro_review.eval_runs import asking as eval_runs
from neuro_review.eval_runs.asking import Asked
from neuro_review.eval_sets import rows as eval_sets
from neuro_review.exports.formats import Format
from neuro_review.exports.rows import Filter
from neuro_review.exports.run import EVERYTHING, NEVER_TRAINED_ON, ONLY_LABELS
from neuro_review.imports.fields import Fields
from neuro_review.jobs import columns, files
from neuro_review.jobs.rows import NEEDS, find, of_runs
from neuro_review.workflows import Workflow

MOST_OPEN = 5
HELD_OUT_SET = "This set is held out: no training file has its cases. Choose another format."
ADD = sa.text(
    "INSERT INTO job (id, kind, state, person_id, workflow_id, asked, done, created_at, lease_until, attempts)"
    " VALUES (:id, :kind, :state, :person, :workflow, :asked, 0, :at, 0, 0)"
)
OPEN = sa.text("SELECT count(*) FROM job WHERE person_id = :person AND finished_at IS NULL")


def places(session: Session, by: Actor, kind: JobKind) -> list[Workflow]:
    """Return the workflows in use into which, or out of which, this person may take rows, by name."""
    return [flow for flow in workflows.every(session) if by.may(NEEDS[kind], flow.id)]


def ask_import(
    session: Session, job_id: str, by: Actor, *, file: str, fields: Fields, workflow_id: int | None = None,
    new_workflow: str | None = None, model: str | None = None,
) -> None:  # fmt: skip
    """Ask that the file which is kept for this job be imported; asking twice is asking once.

    An admin may name a workflow that is made first; they own it then.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: the file is not here any more.
        ConflictError: a workflow has that name already, or too much is under way.
        InvalidError: no output is named, or the name or the model cannot be used.
    """
    if find(session, job_id):
        return
    unchosen = columns.missing(fields, model)
    if unchosen:
        raise InvalidError(unchosen[0])
    check_text(model or "", "model", 500)
    files.upload(job_id)
    if workflow_id is None:
        by.require(Role.ADMIN)
        workflow_id = workflows.add(session, by, new_workflow or "", owner_id=by.person_id).id
    asked = {"file": files.shown_name(file), "fields": fields.pairs, "model": model or None}
    _ask(session, job_id, by, JobKind.IMPORT, workflow_id, asked)


def ask_set_export(session: Session, job_id: str, by: Actor, *, version_id: str, form: Format) -> None:
    """Ask for the cases of a frozen version of an eval set as a file of another tool; asking twice is asking once.

    Raises:
        NotAllowedError: this person may not export its workflow.
        NotFoundError: there is no such version.
        ConflictError: it is a draft, or too much is under way.
        InvalidError: that is not to be had in this format.
    """
    if find(session, job_id):
        return
    version = eval_sets.version_by_id(session, version_id, by)
    if version.frozen_at is None:
        raise ConflictError("This version is a draft. Freeze it, then export it.")
    if form.is_table:
        raise InvalidError(ONLY_LABELS, "format")
    if form.trains and version.held_out:
        raise InvalidError(HELD_OUT_SET, "format")
    asked = {"format": form, "filter": asdict(EVERYTHING), "set": version.ref}
    _ask(session, job_id, by, JobKind.EXPORT, version.workflow_id, asked)


def ask_export(session: Session, job_id: str, by: Actor, *, workflow_id: int, form: Format, choice: Filter) -> None:
    """Ask for the reviews of a workflow as a file; asking twice is asking once.

    Raises:
        NotAllowedError: this person may not export the workflow.
        ConflictError: too much is under way.
        InvalidError: the period ends before it begins, or a name cannot be used.
    """
    if find(session, job_id):
        return
    if choice.since is not None and choice.until is not None and choice.since >= choice.until:
        raise InvalidError("The last day lies before the first. Choose another one.", "until")
    for name in ("model", "reviewer"):
        check_text(getattr(choice, name) or "", name)
    if choice.held_out and form.trains:
        raise InvalidError(NEVER_TRAINED_ON, "held_out")
    _ask(session, job_id, by, JobKind.EXPORT, workflow_id, {"format": form, "filter": asdict(choice)})


def ask_eval(session: Session, run_id: str, by: Actor, *, version: str, asked: Asked) -> None:
    """Ask that candidates be tried on a version of an eval set; the run and its job have one id; twice is once.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such version.
        ConflictError: it is a draft, or too much is under way.
        InvalidError: a scorer, a model or a number cannot be used.
    """
    if find(session, run_id):
        return
    eval_runs.ask(session, by, version, asked, run_id=run_id)
    _ask(session, run_id, by, JobKind.EVAL, eval_sets.version(session, version, by).workflow_id, {"run": run_id})


def go_on_eval(session: Session, run_id: str, job_id: str, by: Actor, *, budget_micro: int | None = None) -> None:
    """Ask that a run that has ended go on, with what is missing or failed; a job of its own does it.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such run.
        ConflictError: it goes on already, or too much is under way.
    """
    if find(session, job_id):
        return
    workflow_id = eval_runs.reopen(session, run_id, by, budget_micro=budget_micro)
    job = of_runs(session, [run_id]).get(run_id)
    if job is not None and job.is_open:
        raise ConflictError(eval_runs.GOES_ON)
    _ask(session, job_id, by, JobKind.EVAL, workflow_id, {"run": run_id})


def _ask(session: Session, job_id: str, by: Actor, kind: JobKind, workflow_id: int, asked: dict[str, Any]) -> None:
    if by.person_id is None:
        raise NotAllowedError("A job belongs to a person. At the command line use: import, export.")
    by.require(NEEDS[kind], workflow_id)
    files.folder(job_id)
    connection = session.connection()
    if connection.execute(OPEN, {"person": by.person_id}).scalar_one() >= MOST_OPEN:
        raise ConflictError(
            f"{MOST_OPEN} of your imports, exports and eval runs are under way. Wait until one has ended."
        )
    row = {
        "id": job_id, "kind": kind, "state": JobState.WAITING, "person": by.person_id, "workflow": workflow_id,
        "asked": orjson.dumps(asked).decode(), "at": now(),
    }  # fmt: skip
    connection.execute(ADD, row)
    facts = {"kind": kind, "workflow": workflow_id}
    record(session, f"job/{job_id}", by.audit_name, Action.JOB_ASKED, facts)
