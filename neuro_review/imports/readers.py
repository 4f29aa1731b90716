"""A file, row by row: in constant memory, and past every row that is broken.

The format is what the first bytes say, then what the name says: datasets are often JSON lines in a file called .json.
"""

import contextlib
import io
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from neuro_review.errors import InvalidError, NotFoundError, UnavailableError
from neuro_review.imports.arrays import elements
from neuro_review.imports.json_rows import BOM, BadRow, Row, parse, shown, too_large
from neuro_review.imports.tables import csv_rows, parquet_rows
from neuro_review.settings import settings

STDIN = "-"
BUFFER = 1 << 20
AFTER = "After the end of the array there is more. Check how the file was written."
UTF16 = (b"\xff\xfe", b"\xfe\xff")
NOT_DATA = {
    b"\x1f\x8b": "is compressed. Unpack it first.",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet. Unpack it, or save it as CSV.",
    b"\x28\xb5\x2f\xfd": "is compressed. Unpack it first.",
    b"SQLite format 3": "is a SQLite database. Export the rows you want as JSON lines or CSV.",
}


class Format(StrEnum):
    """The formats that can be read."""

    LINES = "JSON lines"
    ARRAY = "a JSON array"
    CSV = "CSV"
    PARQUET = "Parquet"


@dataclass
class Reading:
    """A file that is being read: its rows, and how far it is."""

    name: str
    format: Format
    rows: Iterator[Row | BadRow]
    file: IO[bytes]
    total: int | None
    """Bytes in all; None where nobody knows."""

    @property
    def done(self) -> int:
        """Return how many bytes have been read."""
        with contextlib.suppress(OSError, ValueError):
            return self.file.tell()
        return 0

    @property
    def cells(self) -> bool:
        """Tell whether a value is what a cell can hold: a text, a number."""
        return self.format in (Format.CSV, Format.PARQUET)


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[Reading]:
    """Open a file, or standard input for `-`, and give its rows.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it is nothing that can be read as rows; the text says what to do.
        UnavailableError: it cannot be opened, or reading fails half-way.
    """
    name = "standard input" if str(path) == STDIN else str(path)
    with _opened(path, name) as opened:
        with _read_on(name):
            head = opened.peek(1 << 16)
            form = _format(name, head)
            # The index of a Parquet file stands at its end.
            file = _spooled(opened) if form is Format.PARQUET and not opened.seekable() else opened
            if head.startswith(BOM):
                file.read(len(BOM))
        yield Reading(name, form, _rows(form, file, name), file, _size(file))


@contextlib.contextmanager
def _read_on(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"{name} cannot be read any further: {error.strerror}. What was stored stays; run the command again."
        ) from error


@contextlib.contextmanager
def _opened(path: str | Path, name: str) -> Iterator[io.BufferedReader]:
    if str(path) == STDIN:
        yield io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), BUFFER)
        return
    if Path(path).is_dir():
        raise InvalidError(f"{name} is a folder. Name a file, or import what arrives in a folder with --watch.")
    try:
        file = open(path, "rb", buffering=BUFFER)  # noqa: SIM115  (closed below)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {name}. Check the path.") from error
    except OSError as error:
        raise UnavailableError(f"{name} cannot be read: {error.strerror}. Check who may read it.") from error
    with file:
        yield file  # type: ignore[misc]  # open() says BinaryIO here, and makes a BufferedReader


def _size(file: IO[bytes]) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        if file.seekable():
            return os.fstat(file.fileno()).st_size
    return None


def _spooled(file: IO[bytes]) -> io.BufferedReader:
    spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (gone when nobody holds it)
    shutil.copyfileobj(file, spool)
    spool.seek(0)
    return io.BufferedReader(spool)


def _format(name: str, head: bytes) -> Format:
    """Return the format that a file's first bytes and name give away."""
    if not head.strip(BOM + b" \t\r\n"):
        raise InvalidError(f"{name} is empty. Nothing was imported.")
    for magic, says in NOT_DATA.items():
        if head.startswith(magic):
            raise InvalidError(f"{name} {says}")
    if head.startswith(UTF16) or (b"\0" in head[:4] and not head.startswith(b"PAR1")):
        raise InvalidError(f"{name} is UTF-16. Save it as UTF-8 and import it again.")
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    suffix = Path(name).suffix.lower()
    if suffix == ".parquet":
        raise InvalidError(f"{name} is called Parquet but is none. Check how it was written.")
    text = head.removeprefix(BOM).lstrip()
    if suffix not in (".csv", ".tsv"):
        if text[:1] == b"[" and text[1:].lstrip()[:1] in (b"{", b"]", b""):
            return Format.ARRAY
        if text[:1] in b"{[" or suffix in (".json", ".jsonl", ".ndjson"):
            return Format.LINES
    return Format.CSV


def _rows(form: Format, file: io.BufferedReader, name: str) -> Iterator[Row | BadRow]:
    limit = settings().max_body_bytes
    with _read_on(name):
        if form is Format.PARQUET:
            yield from parquet_rows(file, limit, name)
        elif form is Format.ARRAY:
            yield from _array_rows(file, limit)
        elif form is Format.LINES:
            yield from _json_lines(file, limit)
        else:
            yield from csv_rows(lines(file, limit), limit, name)


def lines(file: IO[bytes], limit: int) -> Iterator[tuple[int, bytes] | BadRow]:
    """Yield each line and its number; one over the limit is passed by and never held in memory."""
    for number in itertools.count(1):
        line = file.readline(limit + 1)
        if not line:
            return
        if len(line) <= limit or line.endswith(b"\n"):
            yield number, line
            continue
        while (more := file.readline(BUFFER)) and not more.endswith(b"\n"):
            pass
        yield BadRow(number, shown(line), too_large(limit))


def _json_lines(file: IO[bytes], limit: int) -> Iterator[Row | BadRow]:
    for line in lines(file, limit):
        if isinstance(line, BadRow):
            yield line
        elif not line[1].isspace():
            yield parse(*line)


def _array_rows(file: IO[bytes], limit: int) -> Iterator[Row | BadRow]:
    for number, (raw, over, after) in enumerate(elements(file, limit), 1):
        if over or after:
            yield BadRow(number, shown(raw), AFTER if after else too_large(limit))
            continue
        row = parse(number, raw)
        # Written over several lines it cannot stand in a line of the file of rejected rows.
        yield row._replace(raw=None, size=len(raw)) if isinstance(row, Row) and b"\n" in raw else row
