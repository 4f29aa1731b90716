"""A row as a submission, and where it carries a verdict, as a review of the past."""

import re
from typing import Any

import orjson
from pydantic import ValidationError

from neuro_review.errors import InvalidError
from neuro_review.history import PastReview
from neuro_review.imports.fields import REVIEWED, SUBMITTED, TARGETS, Fields
from neuro_review.intake import Submission, explain

MOST_NAMED = 50
"""So many ignored columns are remembered by name: a file of nested logs may have a new one in every row."""
MOST_OF_A_NAME = 60
NUMBERS = ("cost_usd", "latency_ms", "prompt_tokens", "completion_tokens", "priority")
JSON_CELLS = ("metadata", "context", "parameters")
NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")


class Shape:
    """How the rows of one import become submissions."""

    def __init__(self, fields: Fields, model: str | None = None, cells: bool = False) -> None:
        self.fields, self.model, self.cells = fields, model, cells
        self.ignored: dict[str, None] = {}
        """Columns that are no fields, in the order they were met."""

    def build(self, values: dict[str, Any]) -> tuple[Submission, PastReview | None]:
        """Return what a row hands in, and what was said of it.

        Raises:
            InvalidError: it cannot be used; the text names the field.
        """
        row, values = values, self.fields.apply(values)
        given = self._submitted(values)
        if self.cells:
            _uncell(given)
        if given.get("model") is None and self.model is not None:
            given["model"] = self.model
        if "output" not in given or "model" not in given:
            raise self._missing(given, row)
        try:
            past = None if REVIEWED.isdisjoint(values) else _reviewed(values)
            submission = Submission.model_validate(given)
        except ValidationError as error:
            raise explain(error) from error
        if past is not None and submission.created_at is None:
            submission.created_at = past.decided_at
        return submission, past

    def _missing(self, given: dict[str, Any], row: dict[str, Any]) -> InvalidError:
        """Return which fields are missing, all of them, and how they can be had from the columns there are."""
        missing = [name for name in ("output", "model") if name not in given]
        named = {target for target, _ in self.fields.pairs} | row.keys()
        says = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        if unmapped := [name for name in missing if name not in named]:
            how = f"Map {'a column' if len(unmapped) == 1 else 'columns'}: --field {unmapped[0]}=COLUMN"
            there = ", ".join(name[:MOST_OF_A_NAME] for name in list(row)[:MOST_NAMED]) or "none"
            says += f" {how}; there are: {there}."
        elif missing == ["output"]:
            says += " Fill it in, or leave the row out."
        if "model" in missing:
            says += " One model for all rows is given with --model."
        return InvalidError(says, missing[0])

    def _submitted(self, values: dict[str, Any]) -> dict[str, Any]:
        if not values.keys() <= TARGETS:
            for name in sorted(values.keys() - TARGETS):
                if len(self.ignored) < MOST_NAMED:
                    self.ignored[name] = None
        given = {name: value for name, value in values.items() if name in SUBMITTED and value is not None}
        if given.get("external_id") == "":
            del given["external_id"]  # no name is no reason to lose the row
        return given


def _reviewed(values: dict[str, Any]) -> PastReview | None:
    past = {name: value for name in REVIEWED if (value := values.get(name)) is not None and value != ""}
    if past.get("verdict") is None:
        said = sorted(name for name, value in past.items() if value not in ([], False, "false"))
        if said:
            raise InvalidError(f"{said[0]} is given without a verdict. Give the verdict, or leave it out.", said[0])
        return None
    return PastReview.model_validate(past)


def _uncell(given: dict[str, Any]) -> None:
    """Read what a cell holds as text: numbers, JSON, chats."""
    for name in NUMBERS:
        if name in given:
            given[name] = _number(given[name])
    for name in JSON_CELLS:
        if name in given:
            given[name] = _json(given[name])
    chat = _json(given.get("prompt"))
    if isinstance(chat, list) and chat and all(isinstance(one, dict) and "role" in one for one in chat):
        given["prompt"] = chat


def _number(cell: Any) -> Any:
    if isinstance(cell, str) and len(cell) < 40 and NUMBER.fullmatch(cell):
        cell = float(cell) if any(sign in cell for sign in ".eE") else int(cell)
    # Where some cells are empty, other programs write all whole numbers as 12.0.
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _json(cell: Any) -> Any:
    if not isinstance(cell, str) or cell.lstrip()[:1] not in ("[", "{"):
        return cell
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
