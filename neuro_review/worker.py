"""What must happen though nobody is looking: what left its grace is released, the audit log sealed, jobs are done.

A small loop over our own tables. Several may run at once: each step claims what it does by compare-and-set.
"""

import logging
import os
import socket
import subprocess
import threading

import sqlalchemy as sa

from db.clock import DAY, HOUR, SECOND, now
from db.engine import Database
from neuro_review import audit, beside, deadlines, releases, sessions
from neuro_review.deliveries import run as sending
from neuro_review.jobs import keeper
from neuro_review.quality import keeping

LOG = logging.getLogger("neuro_review.worker")
NAP = 0.25  # seconds between looks; a verdict leaves at most this long after its grace
SEAL_EVERY = 60 * SECOND
BEAT_EVERY = 10 * SECOND
SWEEP_EVERY = HOUR
AFTER_A_FAILURE = 2.0  # seconds
LOOKED_AFTER_EVERY = 0.5  # seconds
NEXT = sa.text("SELECT min(leaves_at) FROM item WHERE leaves_at IS NOT NULL")


def run(database: Database, stop: threading.Event) -> None:
    """Do the background work until told to stop; a failure is logged and tried again."""
    # What takes long has processes of its own, and a thread that looks after them: nothing here waits for it.
    jobs = threading.Thread(target=keeper.run, args=(database, stop), name="jobs", daemon=True)
    jobs.start()
    # So does what is told to applications: a receiver that is slow keeps no verdict from leaving.
    telling = threading.Thread(target=sending.run, args=(database, stop), name="deliveries", daemon=True)
    telling.start()
    # And so is the look after quality: a night's check reads for seconds.
    quality = threading.Thread(target=keeping.run, args=(database, stop), name="quality", daemon=True)
    quality.start()
    sealed_at = beaten_at = swept_at = 0
    broken: set[str] = set()
    while not stop.is_set():
        try:
            while release_some(database, broken) and not stop.is_set():
                pass
            while keep_deadlines(database) and not stop.is_set():
                pass
            if now() - beaten_at >= BEAT_EVERY:
                beaten_at = now()
                beat(database)
            if now() - sealed_at >= SEAL_EVERY:
                sealed_at = now()
                while seal_some(database) and not stop.is_set():
                    pass
            if now() - swept_at >= SWEEP_EVERY:
                swept_at = now()
                while sweep_some(database) and not stop.is_set():
                    pass
            stop.wait(_until_next(database))
        except Exception as error:  # whatever it is: a worker that has ended would release nothing any more
            LOG.warning("The background work was interrupted and goes on in a moment: %s", _in_short(error))
            stop.wait(AFTER_A_FAILURE)
    telling.join(sending.ENDS_WITHIN + 1)
    jobs.join(keeper.PATIENCE + 1)


def release_some(database: Database, broken: set[str] | None = None) -> int:
    """Let what is due leave, in one short transaction; returns how many left."""
    with database.reading() as session:
        waiting = session.connection().execute(NEXT).scalar()
    if waiting is None or waiting > now():
        return 0
    with database.writing() as session:
        return releases.release_due(session, broken=broken)


BEAT = sa.text(
    "INSERT INTO worker_beat (worker, seen_at) VALUES (:worker, :at)"
    " ON CONFLICT (worker) DO UPDATE SET seen_at = excluded.seen_at"
)
FORGET_BEATS = sa.text("DELETE FROM worker_beat WHERE seen_at < :since")


def beat(database: Database) -> None:
    """Say that this worker lives, and forget those that have not said so for a day."""
    with database.writing() as session:
        connection, at = session.connection(), now()
        connection.execute(BEAT, {"worker": f"{socket.gethostname()}:{os.getpid()}", "at": at})
        connection.execute(FORGET_BEATS, {"since": at - DAY})


def keep_deadlines(database: Database) -> int:
    """Do what is agreed where a deadline has passed, in one short transaction; returns how many items moved."""
    with database.reading() as session:
        if not deadlines.passed(session):
            return 0
    with database.writing() as session:
        return deadlines.keep(session)


def seal_some(database: Database) -> int:
    """Seal a page of the audit log; returns how many events were sealed."""
    with database.writing() as session:
        return audit.seal(session, most=5_000)


def sweep_some(database: Database) -> int:
    """Delete sign-ins that have long ended; returns how many."""
    with database.writing() as session:
        return sessions.purge(session)


def _until_next(database: Database) -> float:
    with database.reading() as session:
        waiting = session.connection().execute(NEXT).scalar()
    return NAP if waiting is None else min(NAP, max(0.01, (waiting - now()) / SECOND))


def _in_short(error: Exception) -> str:
    said = str(getattr(error, "orig", error)).splitlines()
    return f"{type(error).__name__}: {said[0][:200] if said else ''}"


def start_child() -> subprocess.Popen[bytes]:
    """Start the worker as a child of this process; it ends when this process does, however that ends."""
    command = beside.command("neuro_review", "worker", "--until-stdin-closes")
    # In a session of its own: Ctrl+C in the terminal reaches the app alone, and the app ends the worker.
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=beside.surroundings(), start_new_session=True)


def keep_alive(ended: threading.Event) -> None:
    """Start the worker and start it again whenever it ends, until told to end it for good."""
    while not ended.is_set():
        try:
            child = start_child()
        except OSError as error:  # whoever keeps it alive must not end with it: nothing would leave any more
            LOG.error("The background worker could not be started, and is tried again: %s", error.strerror)
            ended.wait(AFTER_A_FAILURE)
            continue
        while child.poll() is None and not ended.wait(LOOKED_AFTER_EVERY):
            pass
        if ended.is_set():
            stop(child)
        else:
            LOG.error("The background worker ended by itself (exit %s); it is started again.", child.returncode)
            ended.wait(AFTER_A_FAILURE)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End the worker: closing its input asks it to finish what it does."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()


def watch_stdin(stop_event: threading.Event) -> None:
    """Set the event when standard input closes: the parent has ended."""

    def wait() -> None:
        # The bare descriptor: a thread that waits in sys.stdin would hold its lock while the interpreter ends.
        while os.read(0, 4096):
            pass
        stop_event.set()

    threading.Thread(target=wait, daemon=True).start()
