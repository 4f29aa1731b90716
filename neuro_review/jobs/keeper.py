"""Starts the process of each job that somebody asked for, and takes away what is a day old.

One at a time in each lane: an eval run waits for its providers for hours, and no import waits for it.

Several workers may do so at once: a job is taken on by compare-and-set before its process starts.
"""

import logging
import subprocess
import threading
from collections.abc import Collection

from db.clock import MINUTE, now
from db.engine import Database
from db.tables import JobKind
from neuro_review import beside
from neuro_review.jobs import files, leases
from neuro_review.jobs.leases import Claim
from neuro_review.jobs.run import DONE, STOPPED

LOG = logging.getLogger("neuro_review.jobs")
NAP = 0.5  # seconds between looks
AFTER_A_FAILURE = 2.0  # seconds
SWEPT_EVERY = 10 * MINUTE
PATIENCE = 3  # seconds in which a process that is told to stop ends its batch
LANES = (tuple(kind for kind in JobKind if kind is not JobKind.EVAL), (JobKind.EVAL,))


def run(database: Database, stop: threading.Event) -> None:
    """Do jobs until told to stop."""
    lanes = [threading.Thread(target=_lane, args=(database, stop, kinds), daemon=True) for kinds in LANES]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()


def _lane(database: Database, stop: threading.Event, kinds: Collection[JobKind]) -> None:
    """Do jobs of these kinds until told to stop; a failure is logged and tried again."""
    swept_at = 0
    while not stop.is_set():
        try:
            if now() - swept_at >= SWEPT_EVERY:
                swept_at = now()
                with database.reading() as session:
                    files.sweep(session)
            held = next_one(database, kinds)
            if held is None:
                stop.wait(NAP)
            else:
                work_on(database, held, stop)
        except Exception as error:  # whatever it is: a keeper that has ended would start nothing any more
            LOG.warning("The jobs were interrupted and go on in a moment: %s", type(error).__name__)
            stop.wait(AFTER_A_FAILURE)


def next_one(database: Database, kinds: Collection[JobKind] = tuple(JobKind)) -> Claim | None:
    """Take on the job of these kinds that has waited longest; None where none waits, or another worker was first."""
    with database.reading() as session:
        job_id = leases.due(session, kinds)
    if job_id is None:
        return None
    with database.writing() as session:
        return leases.claim(session, job_id)


def work_on(database: Database, held: Claim, stop: threading.Event) -> None:
    """Run a job in a process of its own until it ends, or stop it when told to."""
    try:
        child = start(database, held)
    except OSError:  # the machine has no room for a process now; the job has not failed
        with database.writing() as session:
            leases.let_go(session, held, counts=False)
        raise
    while child.poll() is None and not stop.wait(0.1):
        pass
    told = child.poll() is None
    end(child)
    if child.returncode not in (DONE, STOPPED):
        LOG.warning("The process of the job %s ended before the job did (exit %s).", held.job_id, child.returncode)
        with database.writing() as session:
            leases.let_go(session, held, counts=not told)  # where it did not hear of it in time, it has not failed
        stop.wait(AFTER_A_FAILURE)


def start(database: Database, held: Claim) -> subprocess.Popen[bytes]:
    """Start the process of a job; it ends when this one does, however that ends."""
    url = database.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        beside.command("neuro_review.jobs.run", held.job_id, str(held.attempt)),
        stdin=subprocess.PIPE,
        # The address may hold a password: the environment is read by its owner alone, a command line by everybody.
        env=beside.surroundings(NEURO_REVIEW_DATABASE_URL=url),
        start_new_session=True,  # a session of its own can give way as a whole
    )


def end(child: subprocess.Popen[bytes]) -> None:
    """Stop the process of a job where it still runs: closing its input asks it to give the job back."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
