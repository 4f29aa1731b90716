"""An export file of traces, span by span: in constant memory, whatever its layout, and past what is broken.

A file is JSON lines, one JSON object over many lines, or an array; a span may stand deep in it. What is no call of a
model, and what holds no text, is passed by and counted.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import IO, Any

import orjson

from neuro_review.imports.arrays import Element, elements_under
from neuro_review.imports.json_rows import BadRow, Row, parse, shown, too_large
from neuro_review.imports.readers import Format, Reading
from neuro_review.imports.traces import langfuse, otel
from neuro_review.settings import settings

MOST_NAMED = 20
MOST_OF_A_NAME = 100
OTHERS = "others"
HEAD = 1 << 16


class Kind(StrEnum):
    """Whose export it is."""

    OTEL = "otel"
    LANGFUSE = "langfuse"


FORMS: dict[Kind, ModuleType] = {Kind.OTEL: otel, Kind.LANGFUSE: langfuse}
KEYS = {Kind.OTEL: (b'"spans"',), Kind.LANGFUSE: (b'"data"', b'"observations"')}


@dataclass
class Passed:
    """What a file of traces held, and what of it is no row."""

    kind: Kind
    spans: int = 0
    other: int = 0
    """Spans that are no call of a model."""
    without_text: Counter[str] = field(default_factory=Counter)
    """Calls that hold no text of the model, by the names of their spans."""

    def counts(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {
            "spans": self.spans, "other_spans": self.other, "without_text": self.without_text.total(),
            "without_text_names": dict(self.without_text),
        }  # fmt: skip

    def note_without_text(self, name: str, count: int = 1) -> None:
        """Count calls without text."""
        name = name[:MOST_OF_A_NAME]
        known = name in self.without_text or len(self.without_text) < MOST_NAMED
        self.without_text[name if known else OTHERS] += count

    def add(self, other: "Passed") -> None:
        """Count another file in."""
        self.spans += other.spans
        self.other += other.other
        for name, count in other.without_text.items():
            self.note_without_text(name, count)


def trace_rows(opened: Reading, passed: Passed) -> Iterator[Row | BadRow]:
    """Yield a row for each text that a model wrote in a file of traces, and each span that cannot be read."""
    form = FORMS[passed.kind]
    for number, span in enumerate(_spans(opened, passed.kind), 1):
        if isinstance(span, BadRow):
            yield span._replace(number=number)
            continue
        passed.spans += 1
        if not form.is_call(span.values):
            passed.other += 1
            continue
        rows = form.rows(span.values)
        if not rows:
            passed.note_without_text(form.name_of(span.values))
        for values in rows:
            yield Row(number, values, None, span.size)


def _spans(opened: Reading, kind: Kind) -> Iterator[Row | BadRow]:
    limit = settings().max_body_bytes
    one_a_line = opened.format is Format.LINES and _whole_lines(opened.file)
    if kind is Kind.LANGFUSE and (one_a_line or opened.format is not Format.LINES):
        yield from _listed(opened.rows, kind)
    elif one_a_line:
        while (line := _Line(opened.file)).begins:
            found = False
            for element in elements_under(line, limit, KEYS[kind]):
                found = True
                yield _span(element, limit)
            if not found and line.is_short and isinstance(bad := parse(0, line.head), BadRow):
                yield bad
            line.pass_by()
    else:
        for element in elements_under(opened.file, limit, KEYS[kind]):
            yield _span(element, limit)


def _span(element: Element, limit: int) -> Row | BadRow:
    if element.over:
        return BadRow(0, shown(element.raw), too_large(limit))
    row = parse(0, element.raw)
    return row._replace(raw=None, size=len(element.raw)) if isinstance(row, Row) else row


def _listed(rows: Iterator[Row | BadRow], kind: Kind) -> Iterator[Row | BadRow]:
    """Yield observations, also those that stand in a page of them or in their trace."""
    keys = [key.strip(b'"').decode() for key in KEYS[kind]]
    for row in rows:
        lists = (
            [row.values[key] for key in keys if isinstance(row.values.get(key), list)] if isinstance(row, Row) else []
        )
        if not lists:
            yield row._replace(raw=None, size=len(row.raw or b"") or row.size) if isinstance(row, Row) else row
        for one in (one for listed in lists for one in listed if isinstance(one, dict)):
            yield Row(0, one, None, len(orjson.dumps(one)))


def _whole_lines(file: IO[bytes]) -> bool:
    """Tell whether each line is a JSON text of its own; else one text goes over many lines."""
    head = file.peek(HEAD)  # type: ignore[attr-defined]  # every reader opens a buffered file
    first, newline, _ = head.lstrip().partition(b"\n")
    if not newline:
        return True
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return True


class _Line:
    """One line of a file as a file of its own: however long it is, and nothing that is broken in it leads out of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._ended = file, False
        self.head = self._rest = file.readline(HEAD)
        self._ended = self.head.endswith(b"\n")
        self.begins = bool(self.head)

    @property
    def is_short(self) -> bool:
        """Tell whether all of it is its head, and it says something."""
        return len(self.head) < HEAD and not self.head.isspace()

    def read(self, most: int) -> bytes:
        """Return some more of the line."""
        rest, self._rest = self._rest, b""
        if rest or self._ended:
            return rest
        more = self._file.readline(most)
        self._ended = not more or more.endswith(b"\n")
        return more

    def pass_by(self) -> None:
        """Go to the next line."""
        while self.read(HEAD):
            pass
