"""Numbers as people read them: money, times and amounts, each with its unit."""

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
