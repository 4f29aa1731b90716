"""Rows of tables: CSV and Parquet."""

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import orjson

from neuro_review.errors import InvalidError
from neuro_review.imports.json_rows import BadRow, Row, shown, too_large

ROWS_AT_ONCE = 256
BYTES_AT_ONCE = 1 << 20
BUFFER = 1 << 20
LONG = 1 << 16
NESTED_AT_ONCE = 32
TEXT = "BYTE_ARRAY"
DELIMITERS = ",;\t"
QUOTED = re.compile(r'"[^"]*"')

Line = tuple[int, bytes]


class _Lines:
    """Lines for the csv module, which remembers those of the row at hand so that a broken one can be taken back."""

    def __init__(self, source: Iterator[Line | BadRow]) -> None:
        self.source = source
        self.again: deque[Line] = deque()
        self.taken: list[Line] = []
        self.bad: list[BadRow] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            line = self.again.popleft() if self.again else next(self.source)
            if isinstance(line, BadRow):
                self.bad.append(line)
                continue
            self.taken.append(line)
            return line[1].decode()

    def raw(self) -> str:
        """Return the row at hand as it stands in the file."""
        return shown(b"".join(line for _, line in self.taken))

    def take_back(self) -> Line:
        """Return the first line of a broken row and put the others back, to be read as rows of their own."""
        first, *others = self.taken
        self.again.extendleft(reversed(others))
        self.taken = []
        return first


def csv_rows(source: Iterator[Line | BadRow], limit: int, name: str) -> Iterator[Row | BadRow]:
    """Yield the rows of a CSV file whose first line names the columns.

    Raises:
        InvalidError: the first line cannot name columns.
    """
    lines = _Lines(source)
    header, delimiter = _header(lines, name)
    csv.field_size_limit(limit)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.taken = []
        try:
            cells = next(reader)
        except StopIteration:
            yield from lines.bad
            return
        except (csv.Error, UnicodeDecodeError) as error:
            number, raw = lines.take_back()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)  # the old one is inside a broken cell
            yield BadRow(number, shown(raw), _why(error))
            continue
        finally:
            passed, lines.bad = lines.bad, []
            yield from passed
        if not cells:
            continue
        number, size = lines.taken[0][0], sum(len(line) for _, line in lines.taken)
        if size > limit:
            yield BadRow(number, lines.raw(), too_large(limit))
        elif len(cells) != len(header):
            many = f"The row has {len(cells)} cells, the first line names {len(header)}. Check its quotes."
            yield BadRow(number, lines.raw(), many)
        else:
            yield Row(number, {column: cell or None for column, cell in zip(header, cells, strict=True)}, size=size)


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"Byte {error.start + 1} (0x{error.object[error.start]:02X}) is not UTF-8. Save the file as UTF-8."
    if "limit" in str(error) or "end of data" in str(error):
        return "A quote opens a cell here and nothing closes it. Close it, or write it twice."
    return f"This is no valid CSV: {error}. Check its quotes."


def _header(lines: _Lines, name: str) -> tuple[list[str], str]:
    try:
        first = next(lines)
        bare = QUOTED.sub("", first)
        delimiter = max(DELIMITERS, key=bare.count)
        lines.again.extend(lines.taken)
        header = next(csv.reader(lines, delimiter=delimiter, strict=True))
    except StopIteration:
        raise InvalidError(f"{name} is empty. Nothing was imported.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidError(f"The first line of {name} cannot name the columns: {_why(error)}") from error
    return unique(header, name), delimiter


def unique(columns: list[str], name: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        InvalidError: two columns have one name, so that one would be lost.
    """
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise InvalidError(f"Two columns of {name} are called “{twice}”. Rename one.")
    return columns


def parquet_rows(file: IO[bytes], limit: int, name: str) -> Iterator[Row | BadRow]:
    """Yield the rows of a Parquet file.

    Raises:
        InvalidError: it is damaged, or two columns have one name.
    """
    import pyarrow as pa  # noqa: PLC0415  (a quarter of a second, for one format of four)
    import pyarrow.parquet as pq  # noqa: PLC0415

    number = 0
    try:
        facts = pq.ParquetFile(file, pre_buffer=False)
        unique(facts.schema_arrow.names, name)
        short, rows_at_once = _columns(facts.metadata, set(facts.schema_arrow.names))
        # A value that stands once in the file stays once in memory, however many rows have it.
        options = {"pre_buffer": False, "buffer_size": BUFFER, "metadata": facts.metadata, "read_dictionary": short}
        for batch in pq.ParquetFile(file, **options).iter_batches(rows_at_once):
            for part in _small(batch):
                yield from _parquet_batch(part, number, limit)
                number += part.num_rows
    except MemoryError as error:  # Arrow's own is one too
        raise InvalidError(
            f"{name} unfolds into more memory than there is, after row {number:,}. Write it with smaller row groups."
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise InvalidError(f"{name} is damaged after row {number:,}: {error}. Write it again.") from error


def _columns(metadata: Any, names: set[str]) -> tuple[list[str], int]:
    """Return the columns of texts that are short on average, and how many rows to read at once.

    Texts inside lists and objects cannot be kept once by Arrow; where there are some, few rows are read at once.
    """
    short, rows_at_once = set(), ROWS_AT_ONCE
    for i, j in itertools.product(range(metadata.num_row_groups), range(metadata.num_columns)):
        column = metadata.row_group(i).column(j)
        if column.total_uncompressed_size >= LONG * max(1, column.num_values):
            rows_at_once = 1
        elif column.physical_type == TEXT and column.path_in_schema in names:
            short.add(column.path_in_schema)
        elif column.physical_type == TEXT:
            rows_at_once = min(rows_at_once, NESTED_AT_ONCE)
    return sorted(short) if rows_at_once == ROWS_AT_ONCE else [], rows_at_once


def _small(batch: Any) -> Iterator[Any]:
    """Cut a batch until each part, written out, is small or a single row."""
    if batch.num_rows > 1 and sum(map(_written_out, batch.columns)) > BYTES_AT_ONCE:
        half = batch.num_rows // 2
        yield from _small(batch.slice(0, half))
        yield from _small(batch.slice(half))
    else:
        yield type(batch).from_arrays([_plain_column(one) for one in batch.columns], batch.schema.names)


def _plain_column(array: Any) -> Any:
    return array.dictionary_decode() if hasattr(array, "dictionary_decode") else array


def _written_out(array: Any) -> int:
    """Return how many bytes a column has when every row holds its own value."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = array.type
    if pa.types.is_dictionary(kind) and not pa.types.is_primitive(kind.value_type):
        return pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(map(_written_out, array.flatten()))
    if pa.types.is_map(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _written_out(array.flatten())
    return int(array.nbytes)


def _parquet_batch(batch: Any, before: int, limit: int) -> Iterator[Row | BadRow]:
    try:
        listed = batch.to_pylist(maps_as_pydicts="lossy")
    except ValueError:  # one broken text; found by looking at each row
        if batch.num_rows > 1:
            for i in range(batch.num_rows):
                yield from _parquet_batch(batch.slice(i, 1), before + i, limit)
            return
        yield BadRow(before + 1, "", "A cell cannot be read as a value. Check how the file was written.")
        return
    for number, values in enumerate(listed, before + 1):
        try:
            # Through JSON: times become texts, NaN becomes missing, and what is left is what every format can hold.
            raw = orjson.dumps(values, default=_plain, option=orjson.OPT_NON_STR_KEYS)
            if len(raw) > limit:
                yield BadRow(number, shown(raw), too_large(limit))
            else:
                yield Row(number, orjson.loads(raw), raw)
        except (TypeError, ValueError) as error:
            yield BadRow(number, repr(values)[:1000], f"A cell cannot be kept as text or number: {error}.")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if type(value).__name__ == "Decimal":
        return float(value) if value % 1 else int(value)
    return str(value)
