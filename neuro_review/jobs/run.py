"""The process of one job: `python -m neuro_review.jobs.run JOB ATTEMPT`; it ends early when its input closes.

A process of its own, because reading rows keeps the interpreter busy: the worker must go on releasing meanwhile.
"""

import _thread
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from db.clock import now
from db.engine import Database, DatabaseUnusableError
from db.tables import JobKind
from neuro_review.errors import NeuroReviewError, NotFoundError
from neuro_review.jobs import files, leases, work
from neuro_review.jobs.leases import LEASE, Claim
from neuro_review.jobs.rows import NOT_THERE, Job, find

LOG = logging.getLogger("neuro_review.jobs")
TOLD_EVERY = 0.7  # seconds
GIVES_WAY = 10  # who waits at a screen for a processor comes first
GROUP = Path("/proc/self/autogroup")
DONE, STOPPED, BROKEN = 0, 3, 4
"""How the process ends; only after BROKEN the attempt counts."""


class Heart:
    """Says every so often how far the job is and that this process lives; stops the work where another took it on."""

    def __init__(self, database: Database, held: Claim) -> None:
        self.database, self.held = database, held
        self.far: tuple[int, int | None, dict[str, Any]] = (0, None, {})
        self.said: tuple[int, int | None, dict[str, Any]] = self.far
        self.said_at = now()
        self.lost = False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True, name="job heart")

    def told(self, done: int, total: int | None, counts: dict[str, Any]) -> None:
        """Note how far the job is."""
        self.far = (done, total, counts)

    def __enter__(self) -> "Heart":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _beat(self) -> None:
        while not self.ended.wait(TOLD_EVERY):
            if self.far == self.said and now() - self.said_at < LEASE // 4:
                continue
            far, at = self.far, now()
            with contextlib.suppress(DatabaseUnusableError):  # the work itself will meet it, and say so
                with self.database.writing() as session:
                    lives = leases.report(session, self.held, done=far[0], total=far[1], result=far[2])
                if not lives:
                    self.lost = True
                    _thread.interrupt_main()
                    return
                self.said, self.said_at = far, at


def run(database: Database, held: Claim) -> int:
    """Work on a job that was taken on, to its end, and return how the process shall end."""
    with database.reading() as session:
        job = find(session, held.job_id)
    if job is None:
        raise NotFoundError(NOT_THERE)
    heart = Heart(database, held)
    try:
        with heart:
            result, error = _done(database, job, heart)
    except KeyboardInterrupt:
        if not heart.lost:
            done, total, counts = heart.far
            with database.writing() as session:
                leases.report(session, held, done=done, total=total, result=counts)
                leases.let_go(session, held, counts=False)
        return STOPPED
    with database.writing() as session:
        ours = leases.finish(session, held, result, error=error)
    if ours and job.kind is JobKind.IMPORT:
        files.remove_upload(job.id)
    return DONE


def _done(database: Database, job: Job, heart: Heart) -> tuple[dict[str, Any], str | None]:
    try:
        return work.do(database, job, heart.told), None
    except NeuroReviewError as error:
        return heart.far[2], work.sentence(error, job)


def main(job_id: str, attempt: int) -> int:
    """Run a job in this process."""
    give_way()
    gc.freeze()
    gc.set_threshold(100_000)  # rows make no cycles; looking for them so often costs a tenth of this process
    logging.basicConfig(level=logging.INFO, format="%(asctime)s job %(message)s")
    try:
        return _run_until_told(Database.from_environment(), Claim(job_id, attempt))
    except Exception as error:
        # What an error says can hold what somebody wrote; where it happened cannot.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(last.filename)}:{last.lineno}"
        LOG.warning("%s broke off: %s in %s", job_id, type(error).__name__, place)
        return BROKEN


def _run_until_told(database: Database, held: Claim) -> int:
    """Run a job; told to stop before its work has begun, as where the worker ends at once, give it back."""
    try:
        _stop_when_told()
        return run(database, held)
    except KeyboardInterrupt:
        with database.writing() as session:
            leases.let_go(session, held, counts=False)
        return STOPPED


def give_way() -> None:
    """Let the screens and the API have the processors first."""
    if hasattr(os, "nice"):
        os.nice(GIVES_WAY)
    # Linux shares processors between sessions first; how nice a process itself is counts only within its session.
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            GROUP.write_text(str(GIVES_WAY))


def _stop_when_told() -> None:
    # Who was started in the background of a shell ignores Ctrl-C, and with it every interruption from inside.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: _thread.interrupt_main())

    def wait() -> None:
        # The bare descriptor: a thread that waits in sys.stdin would hold its lock while the interpreter ends.
        while os.read(0, 4096):
            pass
        _thread.interrupt_main()

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
