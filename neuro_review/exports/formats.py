"""The writers: pages in, bytes out, in JSONL, CSV or Parquet."""

import functools
from collections.abc import Callable
from enum import StrEnum
from itertools import repeat
from typing import Any, BinaryIO, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from db.clock import DAY, SECOND, iso
from neuro_review.exports.cells import quoted
from neuro_review.exports.columns import COLUMNS, NAMES, Kind
from neuro_review.exports.rows import Page

ROW_GROUP_ROWS = 20_000
ROW_GROUP_BYTES = 16 << 20


class Format(StrEnum):
    """How a file is written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Writer(Protocol):
    """What writes pages in one format."""

    def write(self, page: Page) -> None:
        """Write a page."""

    def close(self) -> None:
        """Write what belongs at the end; the file itself stays open."""


class JsonLines:
    """One JSON object a line: lists and objects are what they are, times are ISO 8601 in UTC."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out

    def write(self, page: Page) -> None:
        """Write a page."""
        columns = [JSON_CELLS.get(column.kind, list)(page.columns[column.name]) for column in COLUMNS]
        where = NAMES.index("prompt")
        asked = zip(columns[where], page.columns["prompt_is_chat"], strict=True)
        columns[where] = [_fragment(prompt) if is_chat else prompt for prompt, is_chat in asked]
        rows = map(dict, map(zip, repeat(NAMES), zip(*columns, strict=True)))
        self.out.write(b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows]))

    def close(self) -> None:
        """Write nothing more."""


class Csv:
    """A header and one record a row, safe to open in a spreadsheet."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        out.write((",".join(NAMES) + "\r\n").encode())

    def write(self, page: Page) -> None:
        """Write a page."""
        columns = [CSV_CELLS[column.kind](page.columns[column.name]) for column in COLUMNS]
        lines = map(",".join, zip(*columns, strict=True))
        self.out.write(("\r\n".join(lines) + "\r\n").encode())

    def close(self) -> None:
        """Write nothing more."""


class Parquet:
    """Typed columns, compressed with zstd, in groups of rows that bound the memory of writer and reader."""

    def __init__(self, out: BinaryIO) -> None:
        self.waiting: list[pa.RecordBatch] = []
        kinds = (Kind.NAME, Kind.LIST)
        repeated = [column.name for column in COLUMNS if column.kind in kinds]
        self.writer = pq.ParquetWriter(
            out, SCHEMA, compression="zstd", use_dictionary=repeated, write_statistics=NAMED_OR_NUMBER
        )

    def write(self, page: Page) -> None:
        """Write a page."""
        arrays = []
        for column, field in zip(COLUMNS, SCHEMA, strict=True):
            values = page.columns[column.name]
            if column.kind is Kind.LIST:
                values = list(map(_parsed, values))
            arrays.append(pa.array(values, field.type))
        self.waiting.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
        rows = sum(batch.num_rows for batch in self.waiting)
        if rows >= ROW_GROUP_ROWS or sum(batch.nbytes for batch in self.waiting) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last group of rows and the footer."""
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        if self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting, SCHEMA))
            self.waiting = []


WRITERS: dict[Format, Callable[[BinaryIO], Writer]] = {
    Format.JSONL: JsonLines,
    Format.CSV: Csv,
    Format.PARQUET: Parquet,
}


@functools.lru_cache(maxsize=4_096)
def _day(day: int) -> str:
    return iso(day * DAY)[:11]


@functools.lru_cache(maxsize=86_400)
def _clock(second: int) -> str:
    return iso(second * SECOND)[11:20]


def time_text(at: int | None) -> str | None:
    """Return an instant as `db.clock.iso` does, at a third of the cost: the days and the seconds repeat."""
    if at is None:
        return None
    day, rest = divmod(at, DAY)
    second, micros = divmod(rest, SECOND)
    return f"{_day(day)}{_clock(second)}{micros:06d}Z"


@functools.lru_cache(maxsize=4_096)
def _parsed(text: str) -> Any:
    return orjson.loads(text)


def _fragment(text: str | None) -> Any:
    """Return stored JSON to be put into a line as it is; a line break in it would end the line."""
    if text is None:
        return None
    return orjson.Fragment(text) if "\n" not in text and "\r" not in text else orjson.loads(text)


def _each(convert: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda values: list(map(convert, values))


JSON_CELLS = {Kind.TIME: _each(time_text), Kind.LIST: _each(_fragment), Kind.JSON: _each(_fragment)}

_quoted_name = functools.lru_cache(maxsize=4_096)(quoted)
_number = {None: ""}


def _plain(value: Any) -> str:
    return "" if value is None else repr(value)


CSV_CELLS = {
    Kind.ID: _each(str),
    Kind.NAME: _each(_quoted_name),
    Kind.TEXT: _each(quoted),
    Kind.PROMPT: _each(quoted),
    Kind.JSON: _each(quoted),
    Kind.LIST: _each(_quoted_name),
    Kind.INTEGER: _each(_plain),
    Kind.NUMBER: _each(_plain),
    Kind.FLAG: _each({None: "", False: "false", True: "true"}.get),
    Kind.TIME: _each(lambda at: time_text(at) or ""),
}

ARROW = {
    Kind.ID: pa.string(),
    Kind.NAME: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.PROMPT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.LIST: pa.list_(pa.string()),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
}
SCHEMA = pa.schema([pa.field(column.name, ARROW[column.kind]) for column in COLUMNS])
# The least and the greatest of a long text help no reader, and cost a copy of it.
NAMED_OR_NUMBER = [c.name for c in COLUMNS if c.kind in (Kind.NAME, Kind.INTEGER, Kind.NUMBER, Kind.TIME, Kind.FLAG)]
