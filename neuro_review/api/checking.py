"""The rows of a batch, checked, salted and hashed by a process beside this one, which stores and answers meanwhile.

One interpreter runs one thread at a time: with both halves in one process a batch takes as long as both together.
Where there is no such process, or it died, the rows are checked here.
"""

import gc
import logging
import marshal
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from neuro_review.api import forms
from neuro_review.beside import Beside
from neuro_review.errors import NeuroReviewError
from neuro_review.gate import entering
from neuro_review.gate.entering import Entry
from neuro_review.intake import Prepared

LOG = logging.getLogger("neuro_review.api")
WORTH_IT = 64 << 10
"""Bodies of so many bytes are sent over; a smaller one is read here in less time than that takes."""
PATIENCE = 20.0  # seconds
NO_PROCESS = (EOFError, OSError)

Row = Prepared | NeuroReviewError


def checked(entry: Entry, body: bytes) -> list[Row]:
    """Return the rows of a batch, ready to be stored, and for each that is not, why.

    Raises:
        InvalidError: the body is no list, or too long a one.
    """
    rows: list[Row] = []
    for said in forms.batch(forms.parsed(body)):
        try:
            given = forms.handed(said)
            rows.append(entering.ready(entry, given.workflow, given))
        except NeuroReviewError as error:
            rows.append(error)
    return rows


class Checker:
    """Checks batches, large ones beside; the process is started for the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beside: Beside | None = None
        self._ended = False

    def check(self, entry: Entry, body: bytes) -> list[Row]:
        """Return what `checked` does.

        Raises:
            InvalidError: the body is no list, or too long a one.
        """
        if len(body) < WORTH_IT:
            return checked(entry, body)
        try:
            answer = self._ask(entry, body)
        except NO_PROCESS as error:
            LOG.warning("The process that checks batches is away (%s); they are checked here.", type(error).__name__)
            return checked(entry, body)
        return checked(entry, body) if answer is None else unpacked(answer)

    def end(self) -> None:
        """Let the process go."""
        with self._lock:
            self._ended = True
            self._leave()

    def _ask(self, entry: Entry, body: bytes) -> bytes | None:
        with self._lock:
            if self._ended:
                return None
            if self._beside is None:
                self._beside = Beside("neuro_review.api.checking")
            try:
                self._beside.line.send(entry)
                self._beside.line.send_bytes(body)
                if not self._beside.line.poll(PATIENCE):
                    raise TimeoutError("It does not answer.")
                return self._beside.line.recv_bytes() or None
            except BaseException:
                # Before anybody else has a turn: who asks next on this line would get the answer to this batch.
                self._leave()
                raise

    def _leave(self) -> None:
        if self._beside is not None:
            self._beside.end()
            self._beside = None


def packed(rows: Sequence[Row]) -> bytes:
    """Return checked rows as bytes for the other process: plain tuples, which cost a third of pickled objects."""
    return marshal.dumps([tuple(row) if isinstance(row, Prepared) else pickle.dumps(row) for row in rows])


def unpacked(data: bytes) -> list[Row]:
    """Return the rows that were `packed`."""
    return [
        pickle.loads(row) if isinstance(row, bytes) else tuple.__new__(Prepared, row)
        for row in marshal.loads(data)
    ]  # fmt: skip


def main(handle: int) -> None:
    """Check for the process that started this one, until it closes the line."""
    gc.set_threshold(100_000)  # rows make no cycles; looking for them so often costs a tenth of this process
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service tells all; the one that serves decides when
    with Connection(handle) as line, suppress(BrokenPipeError, ConnectionResetError, EOFError):
        while True:
            entry, body = line.recv(), line.recv_bytes()
            try:
                answer = packed(checked(entry, body))
            except Exception:
                answer = b""  # it is checked once more where it can be answered or logged
            line.send_bytes(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
