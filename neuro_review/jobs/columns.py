"""An uploaded file before its import: its columns, what they seem to be, and what would come in.

What is tried out here goes through the very code of the import, so that a preview promises nothing the import breaks.
"""

import io
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from db.tables import Origin
from neuro_review import phrases
from neuro_review.errors import InvalidError
from neuro_review.history import SPELLINGS
from neuro_review.imports.batches import NOWHERE, Doors, Ready, batches
from neuro_review.imports.fields import METADATA, MISSING, Fields, look_up
from neuro_review.imports.json_rows import BadRow, Row
from neuro_review.imports.readers import Format, Reading, reading
from neuro_review.imports.rows import Shape
from neuro_review.intake import CONTENT_COLUMNS, ITEM_COLUMNS
from neuro_review.jobs.work import for_screen

ROWS_LOOKED_AT = 200
BYTES_LOOKED_AT = 4 << 20
ROWS_SHOWN = 5
MOST_COLUMNS = 150
DEEPEST = 6
MOST_LETTERS = 300
PATIENCE = 0.5
"""Seconds in which rows are counted one by one; a longer file is judged by what was counted."""

ANY_MODEL = "?"

# What other tools call it, the likeliest first.
CALLED = {
    "output": (
        "output", "response", "completion", "answer", "chatgpt_response", "model_output", "model_response",
        "llm_output", "generated_text", "generation", "generated", "reply", "assistant", "prediction",
        "response_choices_0_message_content", "choices_0_message_content", "output_text", "text",
    ),
    "model": ("model", "model_name", "model_id", "llm", "engine", "deployment", "response_model"),
    "prompt": (
        "prompt", "user_query", "question", "query", "instruction", "messages", "input", "request_messages",
        "user_input", "user_message", "request", "user",
    ),
    "external_id": ("external_id", "id", "uuid", "request_id", "response_id", "row_id", "item_id"),
    "context": ("context", "contexts", "documents", "retrieved", "knowledge", "source_text", "reference"),
    "cost_usd": ("cost_usd", "cost", "price_usd", "total_cost"),
    "latency_ms": ("latency_ms", "latency", "duration_ms", "response_ms"),
    "prompt_tokens": ("prompt_tokens", "input_tokens", "usage_prompt_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens", "usage_completion_tokens"),
    "created_at": ("created_at", "timestamp", "created", "time", "date"),
    "end_user": ("end_user", "user_id", "customer_id"),
    "prompt_version": ("prompt_version", "template_version"),
    "trace_url": ("trace_url", "trace_link"),
    "priority": ("priority",),
    "metadata": ("metadata",),
    "parameters": ("parameters", "model_parameters"),
    "verdict": ("verdict", "decision", "label", "status"),
    "correction": ("correction", "corrected_output", "corrected_text"),
    "reasons": ("reasons", "reason"),
    "reviewer": ("reviewer", "reviewed_by", "annotator"),
    "decided_at": ("decided_at", "reviewed_at"),
    "adjudication": ("adjudication",),
}  # fmt: skip
ENDINGS = {"output": ("_response", "_output", "_completion", "_answer"), "prompt": ("_prompt", "_query", "_question")}
OF_A_VERDICT = ("correction", "reasons", "reviewer", "decided_at", "adjudication")
VERDICTS = frozenset(SPELLINGS) | frozenset(SPELLINGS.values())


@dataclass(frozen=True)
class Sample:
    """The first rows of a file, and what they have in common."""

    format: Format
    rows: list[Row | BadRow]
    columns: list[str]
    count: int
    """How many rows the file has."""
    is_exact: bool
    """Whether they were counted; else it is judged by the first ones."""

    def table(self) -> dict[str, list[str]]:
        """Return the first rows as texts, column by column, as the file holds them."""
        good = [row.values for row in self.rows if isinstance(row, Row)][:ROWS_SHOWN]
        names = [name for name in self.columns if any(name in values for values in good)]
        return {name: [shown(values.get(name)) for values in good] for name in names}


@dataclass(frozen=True)
class Problem:
    """Why some of the rows would be set aside."""

    reason: str
    rows: int
    line: int
    """The first of them."""


@dataclass(frozen=True)
class Trial:
    """What the first rows would become."""

    looked_at: int
    items: dict[str, list[str]]
    """The first items, field by field, as texts."""
    problems: list[Problem]
    """The most frequent first."""

    @property
    def bad(self) -> int:
        """Return how many rows would be set aside."""
        return sum(problem.rows for problem in self.problems)


def look(path: Path, name: str) -> Sample:
    """Read the first rows of an uploaded file and count the others.

    Raises:
        InvalidError: it is nothing that can be read as rows; the text names the file as its owner does.
    """
    try:
        with reading(path) as opened:
            form, rows = opened.format, list(_first(opened))
        if not any(isinstance(row, Row) for row in rows):
            raise InvalidError(f"Not one of the first rows of {name} could be read: {_why(rows)}")
        count, is_exact = _counted(path)
    except InvalidError as error:
        raise InvalidError(for_screen(str(error).replace(str(path), name))) from error
    nested = form in (Format.LINES, Format.ARRAY)
    return Sample(form, rows, _columns(rows, DEEPEST if nested else 0), count, is_exact)


def _first(opened: Reading) -> Iterator[Row | BadRow]:
    for row in itertools.islice(opened.rows, ROWS_LOOKED_AT):
        yield row
        if opened.format is not Format.PARQUET and opened.done > BYTES_LOOKED_AT:
            return


def _why(rows: list[Row | BadRow]) -> str:
    return next((row.reason for row in rows if isinstance(row, BadRow)), "It has none.")


def _counted(path: Path) -> tuple[int, bool]:
    """Return how many rows a file has, and whether that is exact."""
    until, number = time.monotonic() + PATIENCE, 0
    with reading(path) as opened:
        if opened.format is Format.PARQUET:
            import pyarrow.parquet as pq  # noqa: PLC0415  (a quarter of a second, for one format of four)

            return int(pq.ParquetFile(path).metadata.num_rows), True
        for number, _ in enumerate(opened.rows, 1):
            if number % 256 == 0 and time.monotonic() > until and opened.done:
                return round(number * (opened.total or 0) / opened.done), False
    return number, True


def _columns(rows: list[Row | BadRow], depth: int) -> list[str]:
    names: dict[str, None] = {}
    for row in rows:
        if isinstance(row, Row):
            names.update(dict.fromkeys(_named(row.values, depth)))
        if len(names) > MOST_COLUMNS:
            break
    return list(names)[:MOST_COLUMNS]


def _named(values: dict[str, Any], depth: int, before: str = "") -> Iterator[str]:
    """Yield the columns of a row; of nested JSON also what lies inside, by its path."""
    for name, value in values.items():
        yield f"{before}{name}"
        if depth and isinstance(value, dict):
            yield from _named(value, depth - 1, f"{before}{name}.")
        elif depth and isinstance(value, list) and value and isinstance(value[0], dict):
            yield from _named(value[0], depth - 1, f"{before}{name}.0.")


def guessed(sample: Sample) -> dict[str, str]:
    """Return which column each field seems to be, by its name; a column serves once."""
    plain = {column: re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_") for column in sample.columns}
    found: dict[str, str] = {}
    for target, names in CALLED.items():
        free = [column for column in sample.columns if column not in found.values()]
        exact = [column for name in names for column in free if plain[column] == name]
        alike = [column for ending in ENDINGS.get(target, ()) for column in free if plain[column].endswith(ending)]
        for column in exact + alike:
            if _fits(sample, target, column):
                found[target] = column
                break
    if "verdict" not in found:
        found = {target: column for target, column in found.items() if target not in OF_A_VERDICT}
    return found


def _fits(sample: Sample, target: str, column: str) -> bool:
    """Tell whether the values of a column can be what its name says."""
    rows = [row.values for row in sample.rows if isinstance(row, Row)]
    values = [value for row in rows if (value := look_up(row, column)) is not MISSING and value not in (None, "")]
    if target == "verdict":
        return bool(values) and all(isinstance(one, str) and one.strip().lower() in VERDICTS for one in values)
    if target in ("output", "model"):
        return any(isinstance(one, str) for one in values)
    return bool(values)


def mapped(chosen: dict[str, str | None], kept: list[str]) -> Fields:
    """Return the mapping that was chosen: a column for each field, and those kept as metadata."""
    pairs = [(target, column) for target, column in chosen.items() if column]
    return Fields(pairs + [(f"{METADATA}{column}", column) for column in kept], only=True)


def missing(fields: Fields, model: str | None) -> list[str]:
    """Return what must still be chosen, as sentences."""
    targets = {target for target, _ in fields.pairs}
    said = [] if "output" in targets else ["Choose the column that holds the output."]
    if "model" not in targets and not model:
        said.append("Which model wrote them? Choose its column, or name one model for all rows.")
    return said


def unused(sample: Sample, fields: Fields) -> list[str]:
    """Return the columns that the mapping leaves out, without what lies inside others."""
    inside = {column.split(".")[0] for _, column in fields.pairs} | {column for _, column in fields.pairs}
    tops = {name for row in sample.rows if isinstance(row, Row) for name in row.values}
    return [column for column in sample.columns if column in tops and column not in inside]


def tried(sample: Sample, fields: Fields, model: str | None) -> Trial:
    """Return what the first rows would become with a mapping; what is still `missing` is no fault of theirs."""
    targets = {target.split(".")[0] for target, _ in fields.pairs} | {"output"} | ({"model"} if model else set())
    if "output" not in {target for target, _ in fields.pairs}:
        return Trial(len(sample.rows), {}, [])
    model = model if "model" in targets else ANY_MODEL
    rows = Reading("", sample.format, iter(sample.rows), io.BytesIO(), None)
    doors = Doors(NOWHERE, replace(NOWHERE, origin=Origin.HISTORY))
    ready: list[Ready] = []
    reasons: Counter[str] = Counter()
    lines: dict[str, int] = {}
    for batch in batches(rows, Shape(fields, model, rows.cells), lambda: doors):
        ready += batch.ready
        for aside in batch.rejected:
            reason = for_screen(aside.reason)
            reasons[reason] += 1
            lines.setdefault(reason, aside.number)
    problems = [Problem(reason, rows, lines[reason]) for reason, rows in reasons.most_common()]
    return Trial(len(sample.rows), _items(ready[:ROWS_SHOWN], targets), problems)


def _items(ready: list[Ready], targets: set[str]) -> dict[str, list[str]]:
    found = [_facts(one) for one in ready]
    return {
        name: [shown(facts.get(name)) for facts in found]
        for name in CALLED
        if name in targets and any(facts.get(name) is not None for facts in found)
    }


def _facts(one: Ready) -> dict[str, Any]:
    """Return what an item would hold, under the names of the fields."""
    prepared, past = one.prepared, one.past
    facts = dict(zip(ITEM_COLUMNS.split(), prepared.item, strict=False))
    facts |= dict(zip(CONTENT_COLUMNS.split(), prepared.content, strict=True))
    facts["cost_usd"] = None if facts["cost_micro"] is None else phrases.money(facts["cost_micro"])
    facts["latency_ms"] = None if facts["latency_ms"] is None else phrases.milliseconds(facts["latency_ms"])
    if past is not None:
        facts |= {"verdict": str(past.verdict), "correction": past.correction, "reviewer": past.name}
        facts |= {"reasons": "; ".join(past.reasons) or None}
    return facts


def shown(value: Any) -> str:
    """Return a value as a text that can be looked at: long ones cut off, JSON as JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"
