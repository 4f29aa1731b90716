"""The formats: a page in, bytes out, as JSONL, CSV or Parquet; what other tools read is made in `selecting`.

Encoding a page is a plain function, so that another process can do it; the writer joins what was encoded to a file.
"""

import re
from enum import StrEnum
from itertools import repeat
from typing import Any, Protocol

import orjson

from neuro_review.exports.columns import COLUMNS, NAMES, Kind
from neuro_review.exports.rows import Page
from neuro_review.exports.times import time_texts

UNPRINTABLE = re.compile("[\x7f-\x9f\ufeff\ufffe\uffff]")


class Format(StrEnum):
    """How a file is written, or whose it is."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    SFT = "sft"
    DPO = "dpo"
    TRL_SFT = "trl-sft"
    TRL_DPO = "trl-dpo"
    TRL_KTO = "trl-kto"
    INSPECT = "inspect"
    PROMPTFOO = "promptfoo"
    OPENAI_EVALS = "openai-evals"
    OPENAI_EVALS_API = "openai-evals-api"
    LANGFUSE = "langfuse"
    LANGSMITH = "langsmith"
    BRAINTRUST = "braintrust"

    @property
    def is_table(self) -> bool:
        """Tell whether it holds every review, with all columns; the others hold labels, as another tool reads them."""
        return self in (Format.JSONL, Format.CSV, Format.PARQUET)

    @property
    def trains(self) -> bool:
        """Tell whether models learn from it: nothing that is held out may be in it."""
        return self in (Format.SFT, Format.DPO, Format.TRL_SFT, Format.TRL_DPO, Format.TRL_KTO)

    @property
    def suffix(self) -> str:
        """Return the ending of its files."""
        return str(self) if self.is_table else str(Format.JSONL)


TABLES = tuple(form for form in Format if form.is_table)


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


def writer(form: Format, out: Sink, name: str = "") -> Writer:
    """Return what writes a file in this format; promptfoo reads a list in YAML where the file is called so."""
    if form is Format.PROMPTFOO and name.endswith((".yaml", ".yml")):
        return YamlLines(out)
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


class YamlLines(Lines):
    """Joins encoded pages of JSON lines to a list in YAML, of which JSON is a part."""

    def add(self, encoded: bytes) -> None:
        """Write a page; what JSON may hold as it is and YAML may not is written as its number."""
        text = UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", encoded.decode())
        self.out.write(("- " + text[:-1].replace("\n", "\n- ") + "\n").encode())


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
