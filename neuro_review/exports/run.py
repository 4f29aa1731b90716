"""An export from the question to the file: whole or not at all, with a manifest beside it and an event in the log.

The file is written under another name and takes its own when all of it is on the disk. The event comes before that:
a file that nobody logged must not exist, while an event whose file then failed to appear misleads nobody for long.
"""

import contextlib
import errno
import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from db.clock import iso, now
from db.engine import Database, explained
from db.tables import Role
from neuro_review import __version__, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import check_text
from neuro_review.cycles import few_looks
from neuro_review.errors import InvalidError, NotAllowedError, UnavailableError
from neuro_review.eval_sets import rows as eval_sets
from neuro_review.exports.cells import HOW_TO_READ
from neuro_review.exports.columns import A_ROW, COLUMNS
from neuro_review.exports.formats import Format, Writer, writer
from neuro_review.exports.lines import A_LINE, MEANS, Left
from neuro_review.exports.nothing import why_nothing
from neuro_review.exports.parts import helpers_for, parts
from neuro_review.exports.rows import Filter, Question, count

Progress = Callable[[int, int], None]
"""Called with how many reviews were looked at, and how many there are."""
EVERYTHING = Filter()
SYNCED_AT_ONCE = 64 << 20


@dataclass
class Written:
    """What an export holds, and where it lies."""

    format: Format
    file: Path | None = None
    manifest: Path | None = None
    sha256: str = ""
    bytes: int = 0
    rows: int = 0
    """Rows, or lines: of some labels a format makes two."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many reviews are not in it, by why; only where another tool reads it."""
    kept_out: list[str] = field(default_factory=list)
    """The held-out versions of eval sets against which a training file was held."""
    verdicts: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    nothing: str = ""
    """Where it holds no row: why."""


def write(
    database: Database, by: Actor, workflow: str, form: Format, out: Path, *, choice: Filter = EVERYTHING,
    eval_set: str | None = None, progress: Progress | None = None,
) -> Written:  # fmt: skip
    """Write the reviews of a workflow, or a version of an eval set of it, to a file, replacing what was there.

    A manifest beside it says what it holds.

    Raises:
        NotFoundError: there is no such workflow, or no such version.
        NotAllowedError: this person may not export it.
        InvalidError: the file cannot be written there, or that is not to be had in this format.
        UnavailableError: the disk is full, or failed; what was there before is still there.
        DatabaseUnusableError: the database is away or damaged.
    """
    question = _ask(database, by, workflow, form, choice, eval_set)
    _check_place(out)
    manifest = out.with_name(out.name + ".manifest.json")
    _check_place(manifest)
    done = Written(form, out, manifest)
    with _unfinished(out) as data, _unfinished(manifest) as facts:
        _copy(database, question, data, done, progress)
        facts.write(orjson.dumps(_manifest(by, question, done), option=orjson.OPT_INDENT_2) + b"\n")
        for one in (data, facts):
            one.keep()
        _log(database, by, question, done, complete=True)
        data.publish()
        facts.publish()
    return done


def stream(
    database: Database, by: Actor, workflow: str, form: Format, to: BinaryIO, *, choice: Filter = EVERYTHING,
    eval_set: str | None = None, progress: Progress | None = None,
) -> Written:  # fmt: skip
    """Write what `write` does to an open stream; what had left when it broke off is logged as well.

    Raises:
        NotFoundError: there is no such workflow, or no such version.
        NotAllowedError: this person may not export it.
        InvalidError: that is not to be had in this format.
        UnavailableError: the stream was closed, or its disk is full.
        DatabaseUnusableError: the database is away or damaged.
    """
    question = _ask(database, by, workflow, form, choice, eval_set)
    done, complete = Written(form), False
    try:
        _copy(database, question, Out(to, Path("the output")), done, progress)
        complete = True
    finally:
        _log(database, by, question, done, complete=complete)
    return done


ONLY_LABELS = "The cases of an eval set are written in a format of another tool. Choose sft, inspect or the like."
NO_FILTER = "An eval set names its cases itself. Leave the filters away."
NEVER_TRAINED_ON = "What is held out is kept out of every training file. Leave --held-out away."
OTHER_SET = "The eval set “{}” belongs to another workflow. Name that one."


def _ask(
    database: Database, by: Actor, workflow: str, form: Format, choice: Filter, eval_set: str | None
) -> Question:  # fmt: skip
    if choice.held_out and form.trains:
        raise InvalidError(NEVER_TRAINED_ON, "held_out")
    if eval_set is not None and (form.is_table or choice != EVERYTHING):
        raise InvalidError(ONLY_LABELS if form.is_table else NO_FILTER, "set")
    name = " ".join(workflow.split())  # as it was written down when the workflow was made
    check_text(name, "workflow")
    with database.reading() as session:
        found = workflows.by_name(session, name)
        if not by.may(Role.EXPORT, found.id):
            raise NotAllowedError(f"You may not export the workflow “{found.name}”. Ask an admin for the role export.")
        if eval_set is None:
            return Question(found.id, found.name, choice, now())
        version = eval_sets.version(session, eval_set, by)
    if version.workflow_id != found.id:
        raise InvalidError(OTHER_SET.format(version.name), "set")
    return Question(found.id, found.name, choice, now(), version.id, version.ref)


class Out:
    """A file or stream that counts and hashes what it takes, and fails with a sentence."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path
        self.hash = hashlib.sha256()
        self.length = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Write all of it and return its length.

        Raises:
            UnavailableError: the disk is full or failed, or the reader of a pipe went away.
        """
        with _explained(self.path):
            self.file.write(data)
        self.hash.update(data)
        self.length += len(data)
        return len(data)

    def flush(self) -> None:
        """Hand on what waits."""
        with _explained(self.path):
            self.file.flush()

    def tell(self) -> int:
        """Return how much was written."""
        return self.length

    def close(self) -> None:
        """Leave the file open for who opened it."""


class Unfinished(Out):
    """A file under a name of its own until it is whole.

    It goes to the disk while it is written: all of it at the end would hold up the verdicts that wait for that disk.
    """

    def __init__(self, path: Path) -> None:
        self.temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        with _explained(path):
            super().__init__(self.temporary.open("xb"), path)
        self.syncer = ThreadPoolExecutor(1, "export sync")
        self.syncing: Future[None] | None = None
        self.handed_on = 0

    def write(self, data: Any) -> int:
        """Write all of it and return its length.

        Raises:
            UnavailableError: the disk is full or failed.
        """
        length = super().write(data)
        if self.length - self.handed_on >= SYNCED_AT_ONCE:
            self._sync()
        return length

    def keep(self) -> None:
        """Bring what was written to the disk."""
        self._sync()
        self._synced()
        with _explained(self.path):
            self.file.close()

    def _sync(self) -> None:
        self._synced()
        self.flush()
        self.handed_on = self.length
        self.syncing = self.syncer.submit(os.fsync, self.file.fileno())

    def _synced(self) -> None:
        if self.syncing is not None:
            with _explained(self.path):
                self.syncing.result()  # the disk tells of a failure once, so it must be heard here

    def publish(self) -> None:
        """Give the file its name."""
        with _explained(self.path):
            self.temporary.replace(self.path)

    def discard(self) -> None:
        """Remove what was not published."""
        self.syncer.shutdown()
        with contextlib.suppress(OSError):
            self.file.close()
        self.temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Unfinished]:
    file = Unfinished(path)
    try:
        yield file
    finally:
        file.discard()


def _copy(database: Database, question: Question, out: Out, done: Written, progress: Progress | None) -> None:
    if done.format.trains:
        with explained(), database.reading() as session:
            done.kept_out = eval_sets.held_out_versions(session, question.workflow_id)
    total = 0 if question.version_id else count(database, question.workflow_id)
    looked_at = 0
    with few_looks(), _writing(done.format, out) as file:
        for part, scanned in parts(database, question, done.format, helpers_for(total)):
            if part.rows:
                file.add(part.data)
            done.rows += part.rows
            done.left_out.update(part.left_out)
            done.verdicts.update(part.verdicts)
            done.models.update(part.models)
            looked_at += scanned
            if progress:
                progress(looked_at, max(total, looked_at))
    if not done.rows and done.left_out:
        done.nothing = "all of it is left out."
    elif not done.rows:
        done.nothing = why_nothing(database, question.workflow_id, question.choice)
    out.flush()
    done.sha256, done.bytes = out.hash.hexdigest(), out.length


@contextlib.contextmanager
def _writing(form: Format, out: Out) -> Iterator[Writer]:
    file = writer(form, out, out.path.name)
    try:
        yield file
        file.close()
    except BaseException:
        file.abandon()
        raise


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise InvalidError(f"{path} is a folder. Name a file in it.", "out")
    if path.exists() and not path.is_file():
        raise InvalidError(f"{path} is not a plain file and is not replaced. Name another, or - for the output.", "out")
    if not path.parent.is_dir():
        raise InvalidError(f"There is no folder {path.parent}. Make it, or name a file in another one.", "out")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise UnavailableError("Who read the output stopped before its end. The export is not whole.") from error
    except PermissionError as error:
        raise InvalidError(
            f"The folder {path.parent} cannot be written. Give this user the right, or name another.", "out"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = f"The disk is full; {path} was not written. Free some space, or name a file on another disk."
        else:
            said = f"{path} was not written: {os.strerror(error.errno or 0)}. Check the disk, or name another file."
        raise UnavailableError(said) from error


def asked_for(choice: Filter) -> dict[str, Any]:
    """Return a filter as the manifest and the log show it: only what was asked, times in ISO 8601."""
    times = ("since", "until")
    return {name: iso(v) if name in times else v for name, v in asdict(choice).items() if v is not None}


def _manifest(by: Actor, question: Question, done: Written) -> dict[str, Any]:
    return {
        "file": done.file.name if done.file else None,
        "format": done.format,
        "sha256": done.sha256,
        "bytes": done.bytes,
        "workflow": question.workflow,
        "created_at": iso(question.as_of),
        "created_by": by.email,
        "filter": asked_for(question.choice),
        "rows": done.rows,
        "rows_by_verdict": dict(sorted(done.verdicts.items())),
        "rows_by_model": dict(sorted(done.models.items())),
        **(_of_rows(done) if done.format.is_table else _of_labels(question, done)),
        "time_axis": "since and until go by created_at of the item, since included, until not; all times are UTC.",
        "software": f"neuro-review {__version__}",
    }


def _of_rows(done: Written) -> dict[str, Any]:
    columns = [{"name": c.name, "holds": c.kind, "means": c.means} for c in COLUMNS]
    return {"row": A_ROW, **({"csv": HOW_TO_READ} if done.format is Format.CSV else {}), "columns": columns}


def _of_labels(question: Question, done: Written) -> dict[str, Any]:
    """Say what a file for another tool is made of, and what of the workflow is not in it."""
    left = {str(why): {"reviews": done.left_out[why], "means": MEANS[why]} for why in Left if done.left_out[why]}
    return {
        "row": A_LINE[done.format], "labels": done.verdicts.total(), "left_out": left,
        **({"held_out_sets": done.kept_out} if done.format.trains else {}),
        **({"eval_set": question.eval_set} if question.eval_set else {}),
    }  # fmt: skip


def _log(database: Database, by: Actor, question: Question, done: Written, *, complete: bool) -> None:
    facts = {
        "format": done.format, "filter": asked_for(question.choice), "rows": done.rows, "sha256": done.sha256 or None,
        "to": "file" if done.file else "stream", "complete": complete,
    }  # fmt: skip
    if not done.format.is_table:
        facts |= {"left_out": dict(done.left_out), "eval_set": question.eval_set}
    with database.writing() as session:
        record(session, f"workflow/{question.workflow_id}", by.audit_name, Action.EXPORT_WRITTEN, facts)
