"""`worker`: run the background work apart from the app."""

import logging
import signal
import threading

import click

from neuro_review import worker
from neuro_review.cli.base import open_database, told


@click.command("worker")
@click.option("--id", "worker_id", default="w0", show_default=True, help="The name of this worker in the log.")
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@told
def worker_command(worker_id: str, until_stdin_closes: bool) -> None:
    """Release what left its grace and seal the audit log, until stopped. Set NEURO_REVIEW_WORKER=false for the app."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {worker_id} %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    if until_stdin_closes:
        worker.watch_stdin(stop)
    worker.run(open_database(), stop)
