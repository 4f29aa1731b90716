"""What is measured in a process of its own, so that its memory and its processor time are its own.

It says how far it is at a quarter, at half and at the end, one JSON line each.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from db.engine import Database
from neuro_review.access import Actor

OPERATOR = Actor("bench", "operator:bench")
MARKS = (0.25, 0.5)  # and the end


def marks() -> Callable[[float], None]:
    """Return what is told how far the work is, as a share, and says so when it passes a mark."""
    waiting = list(MARKS)

    def told(share: float) -> None:
        while waiting and share >= waiting[0]:
            _say(mark=waiting.pop(0))

    return told


def main(what: str, url: str, path: str, workflow: str, form: str = "") -> None:
    work = {"import": _importing, "evals": _asking}.get(what, _exporting)
    database = Database(url)
    with database.reading() as session:
        session.connection()  # open, as a server is
    run = work(database, Path(path), workflow, form)
    before = _cpu()
    _say(mark=0)
    rows = run(marks())
    _say(mark=1.0)
    _say(rows=rows, cpu=_cpu() - before)
    database.dispose()


def _importing(database: Database, path: Path, workflow: str, form: str) -> Callable[[Callable[[float], None]], int]:
    from neuro_review.imports.run import Progress, import_file

    def run(told: Callable[[float], None]) -> int:
        def show(progress: Progress) -> None:
            told(progress.done / (progress.total or 1))

        tally = import_file(database, path, workflow, OPERATOR, progress=show)
        return tally.held + tally.history

    return run


def _exporting(database: Database, path: Path, workflow: str, form: str) -> Callable[[Callable[[float], None]], int]:
    from neuro_review.exports.formats import Format
    from neuro_review.exports.run import write

    def run(told: Callable[[float], None]) -> int:
        def show(looked_at: int, total: int) -> None:
            told(looked_at / (total or 1))

        return write(database, OPERATOR, workflow, Format(form), path, progress=show).rows

    return run


def _asking(database: Database, path: Path, run_id: str, form: str) -> Callable[[Callable[[float], None]], int]:
    from neuro_review import llm
    from neuro_review.eval_runs.run import work_on

    llm.prices()  # LiteLLM is loaded once, whatever the run

    def run(told: Callable[[float], None]) -> int:
        return int(work_on(database, run_id, told=lambda done, total, _: told(done / (total or 1)))["total"])

    return run


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _say(**facts: float) -> None:
    print(json.dumps({"at": time.monotonic(), **facts}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
