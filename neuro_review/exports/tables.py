"""The two formats that go through Arrow: CSV and Parquet."""

import functools
import io
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from neuro_review.exports.cells import PLAIN_NUMBER, RISKY
from neuro_review.exports.columns import COLUMNS, NAMES, Kind
from neuro_review.exports.formats import Sink
from neuro_review.exports.rows import Page
from neuro_review.exports.times import time_texts

ROW_GROUP_ROWS = 20_000
ROW_GROUP_BYTES = 16 << 20

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


def csv_lines(page: Page) -> bytes:
    """Return a page as lines of CSV: texts in quotes and safe to open in a spreadsheet, lists and objects as JSON."""
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


def escaped(texts: pa.Array) -> pa.Array:
    """Return a column of texts with every cell escaped."""
    risky = pc.match_substring_regex(texts, RISKY)
    if not pc.any(risky).as_py():
        return texts
    number = pc.match_substring_regex(texts, f"^(?:{PLAIN_NUMBER.pattern})\\z")
    prefixed = pc.binary_join_element_wise("'", texts, "")
    return pc.if_else(pc.and_not(risky, number), prefixed, texts)


def record_batch(page: Page) -> bytes:
    """Return a page as typed columns, as Arrow carries them from one process to another."""
    arrays = []
    for column, field in zip(COLUMNS, SCHEMA, strict=True):
        values = page.columns[column.name]
        arrays.append(pa.array(list(map(_parsed, values)) if column.kind is Kind.LIST else values, field.type))
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return bytes(batch.serialize())


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


@functools.lru_cache(maxsize=4_096)
def _parsed(text: str) -> Any:
    return orjson.loads(text)
