"""Which column is which field: `--field output=chatgpt_response`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from neuro_review.errors import InvalidError
from neuro_review.history import PastReview
from neuro_review.intake import Submission

SUBMITTED = frozenset(Submission.model_fields)
REVIEWED = frozenset(PastReview.model_fields)
TARGETS = SUBMITTED | REVIEWED
METADATA = "metadata."
MISSING = object()


@dataclass
class Fields:
    """The mapping of one import; a column that it does not name keeps its own name."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    """Target and column, in the order given."""
    only: bool = False
    """Whether a column that it does not name is left out; one that it names may then be missing from a row."""

    def __post_init__(self) -> None:
        self.used = {column for _, column in self.pairs} | {column.split(".")[0] for _, column in self.pairs}

    def check(self, values: dict[str, Any]) -> None:
        """Let a first row pass that has every column that is named.

        Raises:
            InvalidError: it lacks one; the text names those there are.
        """
        for _, column in self.pairs:
            if not self.only and look_up(values, column) is MISSING:
                there = ", ".join(list(values)[:50]) or "none"
                raise InvalidError(f"There is no column “{column}”. The columns are: {there}.", column)

    def apply(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a row under the names of the fields."""
        if not self.pairs and not self.only:
            return values
        named = {} if self.only else {name: value for name, value in values.items() if name not in self.used}
        for target, column in self.pairs:
            value = look_up(values, column)
            if value is MISSING or value is None:
                continue
            if target.startswith(METADATA):
                kept = named.get("metadata")
                named["metadata"] = (kept if isinstance(kept, dict) else {}) | {target[len(METADATA) :]: value}
            else:
                named[target] = value
        return named


def mapping(options: Iterable[str]) -> Fields:
    """Return what the options `target=column` say together.

    Raises:
        InvalidError: one is not of that form, or names no field; the text names the fields.
    """
    pairs: list[tuple[str, str]] = []
    for option in options:
        target, sign, column = (part.strip() for part in option.partition("="))
        if not sign or not target or not column:
            raise InvalidError(f"“{option}” is no mapping. Write --field TARGET=COLUMN.")
        if target not in TARGETS and not (target.startswith(METADATA) and target != METADATA):
            fields = ", ".join(sorted(TARGETS))
            raise InvalidError(f"There is no field “{target}”. The fields are: {fields}, metadata.NAME.")
        if target in dict(pairs):
            raise InvalidError(f"The field “{target}” is given twice. Give it once.")
        pairs.append((target, column))
    return Fields(pairs)


def look_up(values: dict[str, Any], column: str) -> Any:
    """Return the value of a column, `a.b.0` inside nested JSON too, or MISSING."""
    if column in values:
        return values[column]
    found: Any = values
    for part in column.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return MISSING
    return found
