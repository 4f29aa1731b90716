"""The formats: a page in, bytes out, in JSONL, CSV or Parquet.

Encoding a page is a plain function, so that another process can do it; the writer joins what was encoded to a file.
"""

from enum import StrEnum
from itertools import repeat
from typing import Any, Protocol

import orjson

from neuro_review.exports.columns import COLUMNS, NAMES, Kind
from neuro_review.exports.rows import Page
from neuro_review.exports.times import time_texts


class Format(StrEnum):
    """How a file is written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> int:
        """Write all of it and return its length."""


class Writer(Protocol):
    """What joins encoded pages to a file."""

    def add(self, encoded: bytes) -> None:
        """Write a page, or keep it until there is more."""

    def close(self) -> None:
        """Write what is left."""

    def abandon(self) -> None:
        """Write nothing more, not even when it is collected: the file is given up."""


def encode(form: Format, page: Page) -> bytes:
    """Return a page as the writer of this format takes it."""
    if form is Format.JSONL:
        return _jsonl(page)
    from neuro_review.exports import tables  # noqa: PLC0415  (a third of a second, for two formats of three)

    return tables.csv_lines(page) if form is Format.CSV else tables.record_batch(page)


def writer(form: Format, out: Sink) -> Writer:
    """Return what writes a file in this format."""
    if form is Format.PARQUET:
        from neuro_review.exports.tables import Parquet  # noqa: PLC0415  (as above)

        return Parquet(out)
    return Lines(out, (",".join(NAMES) + "\r\n").encode() if form is Format.CSV else b"")


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


def _jsonl(page: Page) -> bytes:
    """Lists and objects are what they are, times are ISO 8601 in UTC, every name is there on every line."""
    cells = [JSON_CELLS.get(column.kind, _same)(page.columns[column.name]) for column in COLUMNS]
    where = NAMES.index("prompt")
    asked = zip(cells[where], page.columns["prompt_is_chat"], strict=True)
    cells[where] = [_stored_json(prompt) if is_chat else prompt for prompt, is_chat in asked]
    rows = map(dict, map(zip, repeat(NAMES), zip(*cells, strict=True)))
    return b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows])


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
