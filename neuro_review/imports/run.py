"""One import: a file in, batch after batch, each in one short transaction of its own.

It can be stopped anywhere and run again: what is there already is found by its name and counted as a duplicate.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.engine import Database
from db.tables import Origin
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.content import check_text
from neuro_review.cycles import few_looks
from neuro_review.errors import InvalidError
from neuro_review.imports.batches import Batch, Doors, Rejected, as_line, batches
from neuro_review.imports.beside import batches_beside, pays
from neuro_review.imports.fields import Fields
from neuro_review.imports.readers import STDIN, reading
from neuro_review.imports.rejects import Rejects
from neuro_review.imports.rows import Shape
from neuro_review.imports.storing import Fate, Storing
from neuro_review.imports.traces.spans import Kind, Passed, trace_rows
from neuro_review.intake import Door, Outcome


@dataclass
class Tally:
    """What became of the rows so far."""

    read: int = 0
    held: int = 0
    history: int = 0
    duplicates: int = 0
    rejected: int = 0
    unreadable: int = 0
    """Of the rejected, those that were no rows at all."""
    rejected_path: Path | None = None
    """Where they are written down, once there is one."""
    first: Rejected | None = None
    """The first of the rejected."""
    passed: Passed | None = None
    """What a file of traces held beside rows."""

    @property
    def useless(self) -> bool:
        """Tell whether rows were read, and not one could be used."""
        return 0 < self.read == self.rejected

    def add(self, other: "Tally") -> None:
        """Count another file in."""
        for name in ("read", "held", "history", "duplicates", "rejected", "unreadable"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.passed:
            self.passed = self.passed or Passed(other.passed.kind)
            self.passed.add(other.passed)

    def counts(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {
            "read": self.read, "held": self.held, "history": self.history,
            "duplicates": self.duplicates, "rejected": self.rejected, **(self.passed.counts() if self.passed else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """How far an import is."""

    done: int
    total: int | None
    """Bytes; None where nobody knows how many there are."""
    ignored: list[str]
    """Columns that are no fields, each named once."""


def import_file(
    database: Database, file: str | Path, workflow: str, by: Actor, *,
    fields: Fields | None = None,
    model: str | None = None,
    rejected: Path | None = None,
    traces: Kind | None = None,
    tally: Tally | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Tally:  # fmt: skip
    """Import one file, or standard input for `-`, and return what became of its rows.

    A workflow that does not exist is made, without an owner, where this person may. A tally that is handed in counts
    along, also when something fails; `progress` is told after each batch. With `traces` the file is an export of that
    tool, and its rows are the calls of models in it that hold their text.

    Raises:
        NotFoundError: there is no such file.
        NotAllowedError: there is no such workflow, and this person may not add one.
        ConflictError: the workflow is put away.
        InvalidError: not one row can be read, a column is missing, or the name is none; nothing was imported.
        UnavailableError, DatabaseUnusableError: it fails half-way; what the tally counts is stored.
    """
    check_text(workflow := " ".join(workflow.split()), "workflow")
    doors = functools.cache(lambda: open_doors(database, workflow, by))
    source = None if str(file) == STDIN else Path(file)
    tally, rejects = tally or Tally(), Rejects(source, rejected)
    tally.passed = passed = Passed(traces) if traces else None
    try:
        with rejects, few_looks(), _opened(source, fields or Fields(), model, doors, passed) as (total, found):
            done = functools.partial(_count, rejects, tally, progress, total)
            Storing(database, doors, done).run(found)
            rejects.clear()
    finally:
        tally.rejected_path = rejects.path
    if tally.read == tally.unreadable and not (passed and passed.spans):
        raise InvalidError(f"Not one row of {source or 'standard input'} could be read. Nothing was imported.")
    return tally


@contextlib.contextmanager
def _opened(
    source: Path | None, fields: Fields, model: str | None, doors: Callable[[], Doors], passed: Passed | None
) -> Iterator[tuple[int | None, Iterator[Batch]]]:
    """Open a file here, or beside where that pays, and give its size and its batches."""
    if passed:
        with reading(source or STDIN) as opened:
            rows = replace(opened, rows=trace_rows(opened, passed))
            yield opened.total, batches(rows, Shape(fields, model), doors)
    elif source and pays(source):
        with contextlib.closing(batches_beside(source, fields, model, doors)) as found:
            yield source.stat().st_size, found
    else:
        with reading(source or STDIN) as opened:
            yield opened.total, batches(opened, Shape(fields, model, opened.cells), doors)


def open_doors(database: Database, workflow: str, by: Actor) -> Doors:
    """Return the doors into a workflow, which is made, without an owner, if there is none of this name."""
    with database.writing() as session:
        flow = workflows.open_for(session, by, workflow)
        source = workflows.source_id(session, workflows.IMPORT_SOURCE)
    return Doors(Door(flow, source, by.audit_name), Door(flow, source, by.audit_name, Origin.HISTORY))


def _count(
    rejects: Rejects, tally: Tally, progress: Callable[[Progress], None], total: int | None,
    batch: Batch, fates: list[Fate],
) -> None:  # fmt: skip
    """Count into the tally what became of each row of a batch, write down those set aside, and say how far it is."""
    rejected = list(batch.rejected)
    for row, (outcome, why) in zip(batch.ready, fates, strict=True):
        if outcome is None or outcome is Outcome.CONFLICT:
            rejected.append(Rejected(row.number, why, as_line(row.row)))
        elif outcome is Outcome.DUPLICATE:
            tally.duplicates += 1
        elif row.past is None:
            tally.held += 1
        else:
            tally.history += 1
    tally.read += batch.read
    tally.unreadable += batch.unreadable
    tally.rejected += len(rejected)
    rejected.sort()
    if rejected and tally.first is None:
        tally.first = rejected[0]._replace(row=b"")
    rejects.write(rejected)
    progress(Progress(batch.done, total, batch.ignored))
