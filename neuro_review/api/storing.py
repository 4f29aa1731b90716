"""A group of single submits, read, checked and stored: one transaction, one sync to disk, an answer to each.

A door: it opens the session. It runs in a process beside the server (`main`), because one interpreter runs one thread
at a time: there, submits keep neither the screens nor the reading of the next submits waiting.
"""

import gc
import logging
import marshal
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import orjson

from db.engine import Database, DatabaseUnusableError
from neuro_review.api import forms
from neuro_review.api.answers import explained
from neuro_review.api.keys import Entries
from neuro_review.errors import NeuroReviewError, UnavailableError
from neuro_review.gate import entering
from neuro_review.gate.entering import Answer, Ready

LOG = logging.getLogger("neuro_review.api")
BROKEN = "Something went wrong here, and it is logged. Send it again; with the same external_id it is held once."
LENGTH = struct.Struct("<Q")
"""What is sent from process to process begins with how long it is; the first of all has nothing in it: it is ready."""

Asked = tuple[str, bytes]
"""The hash of the key that a submission came with, and its body."""
Answered = tuple[int, bytes]
"""The HTTP status, and what is said."""


def stored(database: Database, entries: Entries, group: Sequence[Asked]) -> list[Answered]:
    """Hold what can be held, in one transaction; returns what became of each, in order, once it is on the disk."""
    answers: dict[int, Answered] = {}
    ready: dict[int, Ready] = {}
    failure: Exception | None = None
    try:
        leads = entries.of({key for key, _ in group})
        for place, (key, body) in enumerate(group):
            try:
                given = forms.handed(forms.parsed(body))
                entry = entering.entry(leads, key)
                ready[place] = Ready(key, entry, entering.ready(entry, given.workflow, given))
            except NeuroReviewError as error:
                answers[place] = answered(error)
        if ready:
            with database.writing() as session:
                held = entering.hold(session, list(ready.values()))
            answers |= zip(ready, map(answered, held), strict=True)
    except DatabaseUnusableError as error:
        failure = error
    except Exception as error:  # whatever it is: who waits must be answered, and the next group stored
        LOG.error("A group of submits was not stored: %s", type(error).__name__)
        failure = UnavailableError(BROKEN)
    return [answers[place] if failure is None or place in answers else answered(failure) for place in range(len(group))]


def answered(outcome: Answer | Exception) -> Answered:
    """Return what is said of what became of a submission."""
    if isinstance(outcome, Answer):
        return (201 if outcome.is_new else 200), orjson.dumps(outcome.item)
    status, said = explained(outcome)
    return status, orjson.dumps({"error": said})


def packed(what: Any) -> bytes:
    """Return plain values as they go from process to process."""
    data = marshal.dumps(what)
    return LENGTH.pack(len(data)) + data


def main(handle: int) -> None:
    """Store for the process that started this one, until it closes the line."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service tells all; the one that serves decides when
    database = Database.from_environment()
    entries = Entries(lambda: database)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)  # rows make no cycles; looking for them so often costs a tenth of this process
    with (
        socket.socket(fileno=handle) as line, line.makefile("rb") as coming, suppress(BrokenPipeError, ConnectionError),
    ):  # fmt: skip
        line.sendall(LENGTH.pack(0))
        while (group := _read(coming)) is not None:
            before = database.errors
            answers = stored(database, entries, group)
            # The one that serves counts what fails, for both.
            line.sendall(packed((database.errors - before, answers)))


def _read(coming: BinaryIO) -> list[Asked] | None:
    """Return what is sent next; None once the line is closed, be it in the middle."""
    length = coming.read(LENGTH.size)
    size = LENGTH.unpack(length)[0] if len(length) == LENGTH.size else -1
    data = coming.read(max(0, size))
    return marshal.loads(data) if len(data) == size else None


if __name__ == "__main__":
    main(int(sys.argv[1]))
