"""Import and export of many rows, through the same functions that the command line calls."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from db.engine import Database
from tests.bench import rows
from tests.bench.databases import settle
from tests.bench.figures import Table, load, version
from tests.bench.watch import Measured, measure

COLUMNS = ("rows", "n", "rows/s", "target", "seconds", "CPU µs/row", "MiB ¼", "MiB ½", "MiB end", "end/¼", "load")
IMPORT_TARGET, EXPORT_TARGET = 15_000, 50_000
MAKERS: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "held, ascending ids": rows.submissions,
    "held, scattered ids": functools.partial(rows.submissions, scattered=True),
    "labels of the past": rows.labels,
}
FORMATS = ("jsonl", "csv", "parquet")


def imports_and_exports(fresh: Callable[[], str], many: int, folder: Path) -> list[Table]:
    """Import each kind of rows into a database of its own; export the labels in each format.

    Args:
        fresh: makes a migrated database and returns its address.
        many: how many rows.
        folder: where files may lie.
    """
    urls = {}
    for name, make in MAKERS.items():
        urls[name] = url = fresh()
        path = rows.write(make(many), folder / "rows.jsonl")
        if name == "held, ascending ids":
            database = Database(url)
            engine, size = version(database), path.stat().st_size / many
            database.dispose()
            imported = Table(
                f"Import, {engine}: {many:,} rows of {size:.0f} bytes (target {IMPORT_TARGET:,}, aim 30,000)", COLUMNS
            )
            exported = Table(
                f"Export, {engine}, vacuumed: {many:,} reviews (target {EXPORT_TARGET:,}, aim 100,000)", COLUMNS
            )
        _add(imported, name, IMPORT_TARGET, measure("import", url, str(path), "bench"))
        path.unlink()
        print(imported.rows[-1], flush=True)
    database = Database(urls["labels of the past"])
    settle(database)
    database.dispose()
    for form in FORMATS:
        path = folder / f"labels.{form}"
        _add(exported, form, EXPORT_TARGET, measure("export", urls["labels of the past"], str(path), "bench", form))
        print(exported.rows[-1], path.stat().st_size, flush=True)
        path.unlink()
    return [imported, exported]


def _add(table: Table, name: str, target: int, found: Measured) -> None:
    quarter, half, end = found.peaks
    reached = "reached" if found.speed >= target else "MISSED"
    micros = found.cpu / found.rows * 1e6
    table.add(
        name, found.rows, found.speed, reached, found.seconds, micros, quarter, half, end, end / quarter, load()
    )  # fmt: skip
