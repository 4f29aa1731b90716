"""The one clock: the time, and ids that sort by it.

Every stored instant is a whole number of microseconds since 1970 in UTC: exact on both engines, compared without
parsing, and never in a time zone.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import uuid_utils

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EVER = 2**63 - 1  # later than any instant

# Tests stop or move this one; `now` itself stays, because other modules hold a reference to it.
_tick: Callable[[], int] = time.time_ns


def now() -> int:
    """Return the present in microseconds since 1970, UTC."""
    return _tick() // 1000


def new_id() -> str:
    """Return a new id: a UUIDv7 as 32 hexadecimal digits, so that ids sort roughly by birth."""
    return uuid_utils.uuid7().hex


def is_id(text: str) -> bool:
    """Tell whether a text could be an id; PostgreSQL would stop at what is none."""
    return len(text) == 32 and not text.strip("0123456789abcdef")


def iso(at: int) -> str:
    """Return an instant (microseconds, UTC) in ISO 8601 with a `Z`, as files and the API show it."""
    return (_BEGINNING + timedelta(microseconds=at)).isoformat(timespec="microseconds")[:-6] + "Z"


def parse_iso(text: str) -> int:
    """Return the instant that an ISO 8601 text names, in microseconds, UTC; without an offset it is UTC.

    Raises:
        ValueError: the text is not a date and time, or its offset leads out of the years 1 to 9999.
    """
    at = datetime.fromisoformat(text)
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("The offset leads out of the calendar.") from error
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // _RESOLUTION


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_RESOLUTION = datetime.resolution
