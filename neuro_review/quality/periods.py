"""Days in UTC and ISO weeks, as numbers since 1970."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

EPOCH = date(1970, 1, 1)
MOST_DAYS = 4_000_000


class Per(StrEnum):
    """Into what a window is cut."""

    ALL = "all"
    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True)
class Window:
    """The days (since 1970, UTC) in which outputs came in; without an end it is open there."""

    first: int = 0
    last: int = MOST_DAYS

    @classmethod
    def of(cls, first: date | None = None, last: date | None = None) -> "Window":
        """Return the window between two dates, both in it."""
        return cls(
            0 if first is None else (first - EPOCH).days, MOST_DAYS if last is None else (last - EPOCH).days
        )  # fmt: skip


ALL_TIME = Window()


def as_date(day: int) -> date:
    """Return the date of a day."""
    return EPOCH + timedelta(days=day)


def first_day(per: Per, number: int) -> date:
    """Return the first day of a period: the day itself, or the Monday of a week."""
    return as_date(number * 7 - 3) if per is Per.WEEK else as_date(number)


def name(per: Per, first: date) -> str:
    """Return a period as it is written: `2026-11-25`, or `2026-W48`."""
    if per is not Per.WEEK:
        return first.isoformat()
    year, week, _ = first.isocalendar()
    return f"{year}-W{week:02}"
