"""One row of JSON: read without loss, or set aside with the reason.

orjson is fast and strict about broken text, but it keeps the last of two equal keys and turns a whole number beyond 64
bits into a float. Both would change what somebody handed in, so a row that may hold either is read a second time.
"""

import json
import re
from typing import Any, NamedTuple

import orjson

MOST_SHOWN = 1 << 16
"""Of a row that cannot be read, so many bytes are kept for the eye; the file itself has the rest."""
LONG_NUMBER = re.compile(rb"\d{19}")
NO_NUMBER = re.compile(rb"[:\[,]\s*-?(?:NaN|Infinity)\b")
BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """One row as it was read."""

    number: int
    """The line in the file; in an array or a Parquet file, the count of the row."""
    values: dict[str, Any]
    raw: bytes | None = None
    """The row as JSON in one line, where the file holds it so."""
    size: int = 0
    """How many bytes it takes in the file, where `raw` does not say it."""


class BadRow(NamedTuple):
    """A row that cannot be read as one."""

    number: int
    raw: str
    reason: str


def shown(raw: bytes) -> str:
    """Return the bytes of an unreadable row as text, long ones cut off."""
    return raw[:MOST_SHOWN].rstrip(b"\r\n").decode(errors="backslashreplace")


def too_large(limit: int) -> str:
    """Return why a row over the limit is set aside."""
    return f"The row has more than {limit:,} bytes; at most these are taken (NEURO_REVIEW_MAX_BODY_BYTES)."


def parse(number: int, raw: bytes) -> Row | BadRow:
    """Return one JSON object as a row, or why it is none."""
    try:
        values = orjson.loads(raw)
        if type(values) is not dict:
            return BadRow(number, shown(raw), "This is JSON, but not an object. Write one object a row.")
        loss = _loss(values, raw)
    except (ValueError, TypeError) as error:  # orjson's own errors are both, depending on the direction
        return BadRow(number, shown(raw), _why(raw, error))
    if loss:
        return BadRow(number, shown(raw), loss)
    return Row(number, values, raw)


def _why(raw: bytes, error: Exception) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return f"Byte {broken.start + 1} (0x{raw[broken.start]:02X}) is not UTF-8. Save the file as UTF-8."
    if raw.startswith(BOM):
        return "A byte order mark stands before the row. Remove it."
    said = getattr(error, "msg", None) or str(error)
    place = min(getattr(error, "pos", 0), len(raw.rstrip())) + 1
    if "depth" in said or "ecursion" in said:
        return "The row is nested too deeply. Flatten it."
    if "surrogate" in said:
        return f"Character {place} is half of a surrogate pair, which is no character."
    if "infinity" in said or NO_NUMBER.search(raw):
        return "NaN, Infinity and numbers beyond a float are no JSON. Leave out what is not known."
    return f"This is no valid JSON: {said} (character {place})."


class _LossError(ValueError):
    """Reading this row would change it."""


def _loss(values: dict[str, Any], raw: bytes) -> str | None:
    """Return what reading has lost of a row, or None: at first by comparing, and only in doubt by reading again."""
    again = orjson.dumps(values)
    if len(again) == len(raw.rstrip()):
        return None
    same_keys = again.count(b":") == raw.count(b":") and b"\\u003" not in raw
    if same_keys and not LONG_NUMBER.search(raw):
        return None
    try:
        json.loads(raw, object_pairs_hook=_pairs, parse_int=_whole)
    except _LossError as loss:
        return str(loss)
    except RecursionError:
        return "The row is nested too deeply. Flatten it."
    return None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _LossError(f"The key “{twice}” stands twice in one object. Keep one.")
    return made


def _whole(digits: str) -> int:
    # Python itself refuses to read thousands of digits.
    if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 64:
        raise _LossError("A whole number has more than 64 bits and cannot be kept exactly. Write it as a text.")
    return int(digits)
