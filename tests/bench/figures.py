"""Numbers as they are printed: tables in plain text, percentiles, and on what machine they were measured."""

import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from db.engine import Database


@dataclass
class Table:
    """A table that aligns what it is given; the first column to the left, the others to the right."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append([cell if isinstance(cell, str) else number(cell) for cell in cells])

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]
        text = ["", self.title]
        for line in lines:
            first, *rest = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            text.append("  ".join([first.strip().ljust(widths[0]), *rest]).rstrip())
        return "\n".join([*text, *self.notes])


def number(value: object) -> str:
    """Return a number as people read it."""
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1)]


def load() -> str:
    """Return the load averages of this moment."""
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def pace() -> str:
    """Return how fast the machine is at this moment, with all that others do on it."""
    before, total = time.perf_counter(), 0
    for number in range(1_000_000):
        total += number
    return f"load {load()}, a million additions take {(time.perf_counter() - before) * 1000:.0f} ms"


def machine() -> str:
    """Return on what it is measured."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return (
        f"{os.cpu_count()} cores, {models[0] if models else platform.processor()}, {int(memory) // (1 << 20)} GiB,"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()}, SQLAlchemy {sa.__version__},"
        f" SQLite {sqlite3.sqlite_version}"
    )


def version(database: Database) -> str:
    """Return the engine and its version."""
    if database.is_sqlite:
        return f"SQLite {sqlite3.sqlite_version}"
    with database.reading() as session:
        return f"PostgreSQL {session.connection().execute(sa.text('SHOW server_version')).scalar_one()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # not on Linux
        return []
