"""The formats: a page in, bytes out, in JSONL, CSV or Parquet.

Encoding a page is a plain function, so that another process can do it; the writer joins what was encoded to a file.
"""

import functools
import io
from collections.abc import Callable
from enum import StrEnum
from itertools import repeat
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from neuro_review.exports.cells import escaped
from neuro_review.exports.columns import COLUMNS, NAMES, Kind
from neuro_review.exports.rows import Page

ROW_GROUP_ROWS = 20_000
ROW_GROUP_BYTES = 16 << 20


class Format(StrEnum):
    """How a file is written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> int:
        """Write all of it and return its length."""


ARROW = {
    Kind.LIST: pa.list_(pa.string()),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
}
SCHEMA = pa.schema([pa.field(column.name, ARROW.get(column.kind, pa.string())) for column in COLUMNS])
TEXTS = frozenset({Kind.NAME, Kind.TEXT, Kind.PROMPT, Kind.JSON, Kind.LIST})
CSV_OPTIONS = arrow_csv.WriteOptions(include_header=False, eol="\r\n", quoting_style="needed")


def encode(form: Format, page: Page) -> bytes:
    """Return a page as the writer of this format takes it."""
    return ENCODERS[form](page)


def _jsonl(page: Page) -> bytes:
    """Lists and objects are what they are, times are ISO 8601 in UTC, every name is there on every line."""
    cells = [JSON_CELLS.get(column.kind, _same)(page.columns[column.name]) for column in COLUMNS]
    where = NAMES.index("prompt")
    asked = zip(cells[where], page.columns["prompt_is_chat"], strict=True)
    cells[where] = [_stored_json(prompt) if is_chat else prompt for prompt, is_chat in asked]
    rows = map(dict, map(zip, repeat(NAMES), zip(*cells, strict=True)))
    return b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows])


def _csv(page: Page) -> bytes:
    """Every text in quotes and safe to open in a spreadsheet; lists and objects are their JSON."""
    arrays = []
    for column in COLUMNS:
        values = page.columns[column.name]
        if column.kind is Kind.TIME:
            arrays.append(pa.array(time_texts(values), pa.string()))
        elif column.kind in TEXTS:
            arrays.append(escaped(pa.array(values, pa.string())))
        else:
            arrays.append(pa.array(values, ARROW.get(column.kind, pa.string())))
    out = io.BytesIO()
    arrow_csv.write_csv(pa.RecordBatch.from_arrays(arrays, list(NAMES)), out, CSV_OPTIONS)
    return out.getvalue()


def _arrow(page: Page) -> bytes:
    """Typed columns, as Arrow carries them from one process to another."""
    arrays = []
    for column, field in zip(COLUMNS, SCHEMA, strict=True):
        values = page.columns[column.name]
        arrays.append(pa.array(list(map(_parsed, values)) if column.kind is Kind.LIST else values, field.type))
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return bytes(batch.serialize())


ENCODERS: dict[Format, Callable[[Page], bytes]] = {
    Format.JSONL: _jsonl,
    Format.CSV: _csv,
    Format.PARQUET: _arrow,
}


class Lines:
    """Joins encoded pages of lines to a file."""

    def __init__(self, out: Sink, header: bytes = b"") -> None:
        self.out = out
        if header:
            out.write(header)

    def add(self, encoded: bytes) -> None:
        """Write a page."""
        self.out.write(encoded)

    def close(self) -> None:
        """Write nothing more."""

    def abandon(self) -> None:
        """Write nothing more."""


class Parquet:
    """Joins encoded pages to row groups, compressed with zstd: large enough to read fast, small enough for memory."""

    def __init__(self, out: Sink) -> None:
        repeated = [column.name for column in COLUMNS if column.kind in (Kind.NAME, Kind.LIST)]
        # The least and the greatest of a long text help no reader, and cost a copy of it.
        compared = [c.name for c in COLUMNS if c.kind in (Kind.NAME, Kind.INTEGER, Kind.NUMBER, Kind.FLAG, Kind.TIME)]
        self.waiting: list[pa.RecordBatch] = []
        self.writer = pq.ParquetWriter(
            out, SCHEMA, compression="zstd", use_dictionary=repeated, write_statistics=compared
        )

    def add(self, encoded: bytes) -> None:
        """Write a page, or keep it until a row group is full."""
        self.waiting.append(pa.ipc.read_record_batch(pa.py_buffer(encoded), SCHEMA))
        rows = sum(batch.num_rows for batch in self.waiting)
        if rows >= ROW_GROUP_ROWS or sum(batch.nbytes for batch in self.waiting) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self.writer.close()

    def abandon(self) -> None:
        """Write nothing more, not even when it is collected: the file is given up."""
        self.waiting, self.writer.is_open = [], False

    def _flush(self) -> None:
        if self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting, SCHEMA))
            self.waiting = []


Writer = Lines | Parquet


def writer(form: Format, out: Sink) -> Writer:
    """Return what writes a file in this format."""
    if form is Format.PARQUET:
        return Parquet(out)
    return Lines(out, (",".join(NAMES) + "\r\n").encode() if form is Format.CSV else b"")


def time_texts(values: list[int | None]) -> list[str | None]:
    """Return instants as `db.clock.iso` writes them, many at once at a tenth of its cost; None stays None."""
    if values.count(None) == len(values):
        return [None] * len(values)
    stamps = np.datetime_as_string(np.array([at or 0 for at in values], dtype="datetime64[us]")).tolist()
    return [None if at is None else f"{stamp}Z" for at, stamp in zip(values, stamps, strict=True)]


@functools.lru_cache(maxsize=4_096)
def _parsed(text: str) -> Any:
    return orjson.loads(text)


def _stored_json(text: str | None) -> Any:
    """Return stored JSON to be put into a line as it is; a line break in it would end the line."""
    if text is None:
        return None
    return orjson.Fragment(text) if "\n" not in text and "\r" not in text else orjson.loads(text)


def _same(values: list[Any]) -> list[Any]:
    return values


def _json(values: list[Any]) -> list[Any]:
    return list(map(_stored_json, values))


JSON_CELLS = {Kind.TIME: time_texts, Kind.LIST: _json, Kind.JSON: _json}
