"""What each kind of job does, on the word of the person who asked and with the roles of the moment they begin."""

import re
from collections.abc import Callable
from typing import Any

from db.clock import iso, now
from db.engine import Database
from db.tables import JobKind, Verdict
from neuro_review import access, workflows
from neuro_review.access import Actor
from neuro_review.errors import ConflictError
from neuro_review.eval_runs import run as eval_runs
from neuro_review.exports import run as exports
from neuro_review.exports.formats import Format
from neuro_review.exports.rows import Filter
from neuro_review.imports.fields import Fields
from neuro_review.imports.run import Progress, Tally, import_file
from neuro_review.jobs import files
from neuro_review.jobs.rows import NEEDS, Job

Told = Callable[[int, int | None, dict[str, Any]], None]
"""Called with how much is done, of how much, and the counts so far."""
FOR_THE_COMMAND_LINE = re.compile(r"\s*[^.;]*--(?:field|model|rejected|watch)\b.*", re.DOTALL)


def do(database: Database, job: Job, told: Told) -> dict[str, Any]:
    """Do a job from its beginning and return what came of it; what an attempt before has stored is found again.

    Raises:
        NotAllowedError: whoever asked may not do it any more.
        ConflictError: the workflow was put away.
        NeuroReviewError: what importing or exporting raises.
        DatabaseUnusableError: the database is away or damaged.
    """
    with database.reading() as session:
        by = access.actor(session, job.person_id)
        by.require(NEEDS[job.kind], job.workflow_id)
        name = workflows.by_id(session, job.workflow_id).name
        if job.workflow_id not in {flow.id for flow in workflows.every(session)}:
            raise ConflictError("The workflow was put away. Choose another one.")
    files.remove_unfinished(job.id)
    if job.kind is JobKind.EVAL:
        return eval_runs.work_on(database, job.asked["run"], told=told, anyway=True)
    return (_import if job.kind is JobKind.IMPORT else _export)(database, job, by, name, told)


def _import(database: Database, job: Job, by: Actor, workflow: str, told: Told) -> dict[str, Any]:
    tally = Tally()
    # What an attempt before has stored counts as there already; whoever reads the counts must know of it.
    again = {"resumed": 1} if job.attempts > 1 or job.result else {}

    def progress(far: Progress) -> None:
        told(far.done, far.total, tally.counts() | again)

    fields = Fields([(target, column) for target, column in job.asked["fields"]], only=True)
    import_file(
        database, files.upload(job.id), workflow, by, fields=fields, model=job.asked["model"], tally=tally,
        rejected=files.made(job.id) / files.REJECTED, progress=progress,
    )  # fmt: skip
    return tally.counts() | again


def _export(database: Database, job: Job, by: Actor, workflow: str, told: Told) -> dict[str, Any]:
    form, asked = Format(job.asked["format"]), job.asked["filter"]
    choice = Filter(**{**asked, "verdict": asked["verdict"] and Verdict(asked["verdict"])})
    eval_set = job.asked.get("set")
    out = files.made(job.id) / file_name(eval_set or workflow, form, job.created_at)
    done = exports.write(
        database, by, workflow, form, out, choice=choice, eval_set=eval_set,
        progress=lambda looked_at, of: told(looked_at, of, {}),
    )  # fmt: skip
    left = {} if form.is_table else {"left_out": done.left_out.total()}
    return {"rows": done.rows, "bytes": done.bytes, "sha256": done.sha256, "file": out.name} | left


def file_name(of: str, form: Format, at: int | None = None) -> str:
    """Return what an export is called: plain letters, so that every system can keep it."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", of).strip("-").lower()[:60] or "export"
    whose = "" if form.is_table else f"-{form}"
    return f"{plain}{whose}-{iso(now() if at is None else at)[:19].replace(':', '')}.{form.suffix}"


def sentence(error: Exception, job: Job) -> str:
    """Return what went wrong as a person at a screen can use it: without our paths, and without commands."""
    said = str(error) or (type(error).__doc__ or "").strip()
    name = job.asked.get("file", "The file")
    for path in sorted(map(str, files.folder(job.id).glob("*")), key=len, reverse=True):
        said = said.replace(path, name)
    return for_screen(said.replace(str(files.folder(job.id)), "the folder of the server"))


def for_screen(reason: str) -> str:
    """Return a reason without what it says of the command line."""
    return FOR_THE_COMMAND_LINE.sub("", reason) or reason
