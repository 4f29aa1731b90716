"""The API and the background worker as processes that a test kills, forked like the writers."""

import argparse
import logging
import threading

import uvicorn

from db.clock import SECOND
from db.engine import Database
from neuro_review import worker
from neuro_review.api import committer
from neuro_review.deliveries import claims
from neuro_review.web import alone
from neuro_review.web.door import Door

# What a dead worker had claimed is sent again after this long, instead of when a slow receiver would have answered.
CLAIM_LASTS = SECOND
# A kill counts as a failed try, and hundreds of them would let the pauses grow for hours.
LONGEST_PAUSE = SECOND
STARTS_AGAIN_AFTER = 0.1
MOST_TRIES = 10_000  # for the same reason: twelve tries are meant to take days, and here would take seconds


def api(options: argparse.Namespace) -> None:
    """Serve the API until killed, with the process beside it that stores, which is killed too."""
    database = Database(options.url)
    committer.AGAIN_AFTER = STARTS_AGAIN_AFTER
    door = Door(lambda: database)
    door.gate.committer.beside = True
    logging.disable(logging.CRITICAL)
    uvicorn.run(
        alone.app(door), port=options.port, lifespan="off", loop="uvloop", http="httptools", log_level="critical"
    )  # fmt: skip


def background(options: argparse.Namespace) -> None:
    """Let leave what is due and tell applications of it, until killed."""
    logging.disable(logging.CRITICAL)
    claims.CLAIM_LASTS, claims.LONGEST_PAUSE, claims.MOST_TRIES = CLAIM_LASTS, LONGEST_PAUSE, MOST_TRIES
    worker.run(Database(options.url), threading.Event())


DOORS = {"api": api, "worker": background}
