"""Numbers as people read them: money, times and amounts, each with its unit."""

import math

from db.clock import DAY, HOUR, MINUTE, SECOND, now

UNKNOWN = "unknown"
STEPS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


def money(micro: int | None) -> str:
    """Return a sum (millionths of a dollar) with as many digits as it needs."""
    if micro is None:
        return UNKNOWN
    digits = 2 if micro >= 1_000_000 else 4 if micro >= 100 else 6
    return f"${micro / 1e6:,.{digits}f}"


def milliseconds(value: int | None) -> str:
    """Return a duration in milliseconds as seconds where it is long."""
    if value is None:
        return UNKNOWN
    return f"{value} ms" if value < 1000 else f"{value / 1000:.1f} s"


def span(micros: int) -> str:
    """Return a duration in its largest whole unit."""
    for size, unit in STEPS:
        if micros >= size:
            return f"{micros // size} {unit}"
    return "0 s"


def ago(at: int) -> str:
    """Return how long ago an instant is."""
    return span(max(0, now() - at))


def left(at: int) -> str:
    """Return how long it is until an instant, or how long it is over."""
    return f"in {span(at - now())}" if at > now() else f"{span(now() - at)} overdue"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


THIN = "\u202f"  # a narrow space that does not break, before a unit


def percent(share: float) -> str:
    """Return a share as per cent."""
    return f"{share * 100:.1f}{THIN}%"


def between(low: float, high: float) -> str:
    """Return the bounds of a share as per cent."""
    return f"{low * 100:.1f}–{high * 100:.1f}{THIN}%"


def points(difference: float) -> str:
    """Return a difference of two shares, in percentage points."""
    sign = "±" if abs(difference) < 0.0005 else "+" if difference > 0 else "−"
    return f"{sign}{abs(difference) * 100:.1f} points"


def are(number: int) -> str:
    """Return the verb that goes with a number of things."""
    return "is" if number == 1 else "are"


def were(number: int) -> str:
    """Return the same of what has been."""
    return "was" if number == 1 else "were"


def points_between(low: float, high: float) -> str:
    """Return the bounds of a difference of two shares, in percentage points."""
    return f"{points(low).removesuffix(' points')} to {points(high)}"


def lasting(ms: float | None) -> str:
    """Return a duration in milliseconds in the unit in which it reads best."""
    if ms is None:
        return UNKNOWN
    for size, unit in ((172_800_000, "days"), (5_400_000, "h"), (90_000, "min"), (1_000, "s")):
        if ms >= size:
            whole = {"days": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000}[unit]
            amount = ms / whole
            return f"{amount:.0f} {unit}" if amount >= 10 else f"{amount:.1f} {unit}"
    return f"{ms:.0f} ms"


def dollars(micro: float | None) -> str:
    """Return what one thing costs (millionths of a dollar) with three figures that count."""
    if micro is None:
        return UNKNOWN
    value = micro / 1e6
    if value >= 100 or value == 0:
        return f"${value:,.2f}"
    return f"${value:,.{max(2, 2 - math.floor(math.log10(value)))}f}"
