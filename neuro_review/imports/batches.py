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
from neuro_review.intake import Door, Prepared, prepare

ROWS_AT_ONCE = 256


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


def batches(reading: Reading, shape: Shape, doors: Callable[[], Doors]) -> Iterator[Batch]:
    """Yield the rows of a file, ready to be stored.

    The doors are asked for when a first row can be read, so that a file without one leaves nothing behind.

    Raises:
        InvalidError: the first row lacks a column that the mapping names.
    """
    names, batch, open_doors = Names(), Batch(), None
    named = 0
    for row in reading.rows:
        batch.read += 1
        if isinstance(row, BadRow):
            batch.unreadable += 1
            batch.rejected.append(Rejected(row.number, row.reason, orjson.dumps(row.raw)))
        else:
            if open_doors is None:
                shape.fields.check(row.values)
                open_doors = doors()
            try:
                batch.ready.append(_ready(row, shape, open_doors, names))
            except InvalidError as error:
                batch.rejected.append(Rejected(row.number, str(error), as_line(row.raw or row.values)))
        if batch.read == ROWS_AT_ONCE:
            batch.ignored, named = list(shape.ignored)[named:], len(shape.ignored)
            batch.done = reading.done
            yield batch
            batch = Batch()
    batch.ignored, batch.done = list(shape.ignored)[named:], reading.done
    if batch.read:
        yield batch


def _ready(row: Row, shape: Shape, doors: Doors, names: Names) -> Ready:
    given, past = shape.build(row.values)
    if past is not None:
        check(past, given.output)
    prepared = prepare(doors.held if past is None else doors.past, given, name_of=names)
    return Ready(row.number, row.raw or row.values, prepared, past)


def as_line(row: bytes | dict[str, Any]) -> bytes:
    """Return a row as JSON in one line."""
    if isinstance(row, bytes):
        return row.strip()
    try:
        return orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(repr(row))
