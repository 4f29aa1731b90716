"""What an item says: checked, salted and hashed, and never changed.

Hashes are salted per item and the salt goes with the content, so that a text that was erased cannot be guessed from
the hash that stays.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

import orjson

from neuro_review.errors import InvalidError, TooLargeError

MOST_TOKENS = 1_000_000_000
"""No call takes more; and a day's sum stays a number of either database, else one could stop all submits or a run."""


def check_text(text: str, field: str, limit: int | None = None) -> bytes:
    """Return the UTF-8 of a text that either database can store as it is.

    Raises:
        InvalidError: it holds a NUL character or half of a surrogate pair.
        TooLargeError: it is longer than `limit` bytes.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidError(
            f"{field} holds half of a surrogate pair, which is no character. Send valid Unicode.", field
        ) from error
    if b"\0" in raw:
        raise InvalidError(f"{field} holds a NUL character, which no text has. Remove it.", field)
    if limit is not None and len(raw) > limit:
        raise TooLargeError(
            f"{field} has {len(raw):,} bytes; at most {limit:,} are taken (NEURO_REVIEW_MAX_OUTPUT_BYTES).", field
        )
    return raw


UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def mended(text: str) -> str:
    """Return a text that cannot be sent back as either database can store it: U+FFFD for what is no character."""
    return UNSTORABLE.sub("\ufffd", text)


def new_salt() -> str:
    """Return a fresh salt: 128 random bits in hexadecimal."""
    return os.urandom(16).hex()


def text_hash(salt: str, text: str | bytes) -> str:
    """Return the salted SHA-256 of a text, in hexadecimal."""
    raw = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(salt.encode() + raw).hexdigest()


def parts_hash(salt: str, parts: Sequence[Any]) -> str:
    """Return the salted SHA-256 of several texts or numbers together; no two different lists share one text."""
    return hashlib.sha256(salt.encode() + orjson.dumps(parts)).hexdigest()


def prompt_hash(prompt: str | None) -> str | None:
    """Return the plain SHA-256 of a prompt, so that equal prompts are found; None without one."""
    return hashlib.sha256(prompt.encode()).hexdigest() if prompt is not None else None


def as_json(value: Any) -> str:
    """Return a value as compact JSON with sorted keys: equal values give equal texts.

    Raises:
        InvalidError: it cannot be written as JSON.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError as error:
        raise InvalidError(f"A value cannot be stored as JSON: {error}. Send plain JSON.") from error
