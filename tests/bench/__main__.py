"""Benches, on demand: `python -m tests.bench store`.

--rows N          how many rows are imported and exported (500,000)
--engine WHICH    sqlite, postgresql or both
--sizes A,B,C     how many items are held while a reviewer works (10000,100000,1000000)
--times N         how often each step of the reviewer is measured (1,000)
--only WHAT       files or queue
--quick           tiny numbers: does it run at all?
"""

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from db.engine import Database
from db.migrate import migrate
from tests.bench.figures import machine, pace
from tests.bench.files import imports_and_exports
from tests.bench.queue import reviewing
from tests.engines import postgres_server


@contextlib.contextmanager
def databases(engine: str, folder: Path) -> Iterator[Callable[[], str]]:
    """Give what makes a fresh database and returns its address; PostgreSQL waits for the disk as in earnest."""
    if engine == "postgresql":
        with postgres_server(durable=True) as server:
            yield lambda: server.url(server.create())
        return

    def fresh() -> str:
        url = f"sqlite:///{folder / secrets.token_hex(4)}.db"
        database = Database(url)
        migrate(database)
        database.dispose()
        return url

    yield fresh


def store(options: argparse.Namespace) -> None:
    print(machine())
    engines = ("sqlite", "postgresql") if options.engine == "both" else (options.engine,)
    for engine in engines:
        with tempfile.TemporaryDirectory(prefix="nr-bench-") as name, databases(engine, Path(name)) as fresh:
            os.environ["NEURO_REVIEW_FOLDER"] = str(Path(name) / "house")
            print(f"\n{engine}, before: {pace()}", flush=True)
            if options.only != "queue":
                for table in imports_and_exports(fresh, options.rows, Path(name)):
                    print(table, flush=True)
            if options.only != "files":
                print(reviewing(fresh, options.sizes, options.times), flush=True)
            print(f"\n{engine}, after: {pace()}", flush=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("store",))
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--times", type=int, default=1_000)
    parser.add_argument("--only", choices=("files", "queue"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows, options.sizes, options.times = 600, options.sizes or [50, 100, 200], 10
    options.sizes = options.sizes or [10_000, 100_000, 1_000_000]
    store(options)


if __name__ == "__main__":
    main(sys.argv[1:])
