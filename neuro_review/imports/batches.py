"""Rows made ready to be stored, a batch at a time: nothing slow is left for the writing transaction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from neuro_review.errors import InvalidError
from neuro_review.history import PastReview, check
from neuro_review.imports.json_rows import BadRow, Row
from neuro_review.imports.names import Names
from neuro_review.imports.readers import Reading
from neuro_review.imports.rows import Shape
from neuro_review.intake import Door, Prepared, Submission, prepare
from neuro_review.workflows import Workflow

ROWS_AT_ONCE = 256
BYTES_AT_ONCE = 1 << 20
"""A batch ends with whichever comes first: long rows must neither fill the memory nor hold the writers up."""
UNUSABLE = (ValueError, TypeError, OverflowError, RecursionError)
"""What a row can raise that nobody foresaw; it costs the row, never the file."""
NOWHERE = Door(Workflow(0, "", 0, None, 0.0, 0, 0), 0, "")


class Rejected(NamedTuple):
    """A row that was set aside, as it is written down."""

    number: int
    reason: str
    row: bytes
    """JSON: the row as it was, or the text of one that is none."""


class Ready(NamedTuple):
    """A row that can be stored."""

    number: int
    row: bytes | dict[str, Any]
    prepared: Prepared
    past: PastReview | None


@dataclass(frozen=True)
class Doors:
    """Where the rows of one import come in: those to be held, and those of the past."""

    held: Door
    past: Door


@dataclass(slots=True)
class Batch:
    """Some rows of a file, the good and the bad."""

    ready: list[Ready] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    read: int = 0
    """Rows seen, the unreadable ones among them."""
    unreadable: int = 0
    ignored: list[str] = field(default_factory=list)
    """Columns that are no fields and were not named before."""
    done: int = 0
    """Bytes of the file that were read for it and those before."""

    def add(self, later: "Batch") -> None:
        """Take in the batch that follows this one."""
        self.ready += later.ready
        self.rejected += later.rejected
        self.ignored += later.ignored
        self.read += later.read
        self.unreadable += later.unreadable
        self.done = later.done


def batches(reading: Reading, shape: Shape, doors: Callable[[], Doors]) -> Iterator[Batch]:
    """Yield the rows of a file, ready to be stored.

    The doors are asked for when a first row can be used, so that a file without one leaves nothing behind.

    Raises:
        InvalidError: the first row lacks a column that the mapping names.
    """
    maker, batch, size, named = _Maker(shape, doors), Batch(), 0, 0
    for row in reading.rows:
        batch.read += 1
        if isinstance(row, BadRow):
            size += len(row.raw)
            batch.unreadable += 1
            batch.rejected.append(Rejected(row.number, row.reason, orjson.dumps(row.raw)))
        else:
            size += row.size if row.raw is None else len(row.raw)
            made = maker.make(row)
            if isinstance(made, Ready):
                batch.ready.append(made)
            else:
                batch.rejected.append(made)
        if batch.read == ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            batch.ignored, named = list(shape.ignored)[named:], len(shape.ignored)
            batch.done = reading.done
            yield batch
            batch, size = Batch(), 0
    batch.ignored, batch.done = list(shape.ignored)[named:], reading.done
    if batch.read:
        yield batch


class _Maker:
    """Makes rows ready, one after the other."""

    def __init__(self, shape: Shape, doors: Callable[[], Doors]) -> None:
        self.shape, self.doors, self.names = shape, doors, Names()
        self.open: Doors | None = None
        self.checked = False

    def make(self, row: Row) -> Ready | Rejected:
        """Return a row ready to be stored, or set aside with the reason.

        Raises:
            InvalidError: the first row lacks a column that the mapping names, or there is no way into the workflow.
        """
        if not self.checked:
            self.shape.fields.check(row.values)
            self.checked = True
        try:
            given, past = self._checked(row)
        except InvalidError as error:
            return Rejected(row.number, str(error), as_line(row.raw or row.values))
        except UNUSABLE as error:
            return _unusable(row, error)
        if self.open is None:
            self.open = self.doors()
        try:
            door = self.open.held if past is None else self.open.past
            return Ready(row.number, row.raw or row.values, prepare(door, given, name_of=self.names), past)
        except InvalidError as error:
            return Rejected(row.number, str(error), as_line(row.raw or row.values))
        except UNUSABLE as error:
            return _unusable(row, error)

    def _checked(self, row: Row) -> tuple[Submission, PastReview | None]:
        given, past = self.shape.build(row.values)
        if past is not None:
            check(past, given.output)
        if self.open is None:  # a row that only `prepare` refuses must not open the doors
            prepare(NOWHERE, given)
        return given, past


def _unusable(row: Row, error: Exception) -> Rejected:
    said = str(error).removesuffix(".") or type(error).__name__
    return Rejected(row.number, f"The row cannot be used: {said}.", as_line(row.raw or row.values))


def as_line(row: bytes | dict[str, Any]) -> bytes:
    """Return a row as JSON in one line."""
    if isinstance(row, bytes):
        return row.strip()
    try:
        return orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(ascii(row))
