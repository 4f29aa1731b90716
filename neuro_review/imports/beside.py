"""A large file read by a process of its own: one core checks, salts and hashes while the other stores.

Reading a row costs about 30 µs of a core, storing it about 40; side by side only the longer one counts. Sending it
over costs 8 µs, so where no second core is free this loses a quarter. A thread gains nothing: both halves are Python.

The two talk over a socket pair. What arrives is taken in at once, a few batches ahead, so that neither side waits for
a hiccup of the other; and never more, so that memory stays flat.
"""

import contextlib
import gc
import marshal
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from db.tables import Verdict
from neuro_review.beside import Beside
from neuro_review.errors import UnavailableError
from neuro_review.history import PastReview
from neuro_review.imports.batches import Batch, Doors, Ready, Rejected, as_line, batches
from neuro_review.imports.fields import Fields
from neuro_review.imports.readers import reading
from neuro_review.imports.rows import Shape
from neuro_review.intake import Prepared

WORTH_IT = 16 << 20
"""Files of so many bytes are read beside; for smaller ones a process takes longer to start than it saves."""
BATCHES_AHEAD = 8
DOORS_PLEASE, THE_END, A_BATCH = "doors", "end", "batch"


def pays(file: Path) -> bool:
    """Tell whether a process of its own pays for this file."""
    with contextlib.suppress(OSError):
        return os.name == "posix" and file.is_file() and file.stat().st_size >= WORTH_IT
    return False


def batches_beside(
    file: Path, fields: Fields, model: str | None, doors: Callable[[], Doors]
) -> Generator[Batch, None, None]:
    """Yield the rows of a file, ready to be stored, as `batches` does.

    Raises:
        NeuroReviewError: what reading in this process would raise.
        UnavailableError: the reading process ended before the file did.
    """
    reader = Beside("neuro_review.imports.beside")
    try:
        line = reader.line
        line.send((file, fields, model))
        ahead = _Ahead(line)
        try:
            for said in ahead:
                if isinstance(said, Exception):
                    raise said
                if said == DOORS_PLEASE:
                    line.send(doors())
                else:
                    yield unpacked(said)
        finally:
            ahead.leave()
    except (EOFError, OSError) as error:
        raise UnavailableError(
            f"The process that reads {file} ended before the file did. What was stored stays; run the command again."
        ) from error
    finally:
        reader.end()


class _Ahead:
    """Takes in what the reader says, in a thread, a few batches ahead of who asks for it."""

    def __init__(self, line: Connection) -> None:
        self.line = line
        self.waiting: queue.Queue[Any] = queue.Queue(BATCHES_AHEAD)
        self.left = False
        self.thread = threading.Thread(target=self._listen, daemon=True, name="import reader")
        self.thread.start()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.waiting.get, THE_END)

    def leave(self) -> None:
        """Let go of what was not asked for, so that the thread can end."""
        self.left = True
        with contextlib.suppress(queue.Empty):
            while True:
                self.waiting.get_nowait()

    def _listen(self) -> None:
        said: Any = None
        while not self.left and said != THE_END and not isinstance(said, Exception):
            try:
                said = self.line.recv()
                self.waiting.put(self.line.recv_bytes() if said == A_BATCH else said)
            except Exception as error:
                self.waiting.put(said := error)


def packed(batch: Batch) -> bytes:
    """Return a batch as bytes for the other process: plain tuples, which cost a third of pickled objects."""
    ready = [
        (row.number, as_line(row.row), tuple(row.prepared), None if row.past is None else _plain(row.past))
        for row in batch.ready
    ]
    rejected = [tuple(row) for row in batch.rejected]
    return marshal.dumps((ready, rejected, batch.read, batch.unreadable, batch.ignored, batch.done))


def unpacked(data: bytes) -> Batch:
    """Return the batch that was `packed`."""
    ready, rejected, *counts = marshal.loads(data)
    return Batch(
        [
            Ready(number, row, tuple.__new__(Prepared, prepared), None if past is None else _review(past))
            for number, row, prepared, past in ready
        ],
        [Rejected(*row) for row in rejected],
        *counts,
    )


def _plain(past: PastReview) -> tuple[Any, ...]:
    return (str(past.verdict), past.correction, past.reasons, past.reviewer, past.decided_at, past.adjudication)


def _review(said: tuple[Any, ...]) -> PastReview:
    verdict, correction, reasons, reviewer, decided_at, adjudication = said
    return PastReview.model_construct(  # checked on the other side
        verdict=Verdict(verdict), correction=correction, reasons=reasons, reviewer=reviewer, decided_at=decided_at,
        adjudication=adjudication,
    )  # fmt: skip


def main(handle: int) -> None:
    """Read for the process that started this one, until the file ends or nobody listens."""
    gc.set_threshold(100_000)  # rows make no cycles; looking for them so often costs a tenth of this process
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service tells all; the one that stores decides when
    with Connection(handle) as line, contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        file, fields, model = line.recv()

        def doors() -> Any:
            line.send(DOORS_PLEASE)
            return line.recv()

        try:
            with reading(file) as opened:
                for batch in batches(opened, Shape(fields, model, opened.cells), doors):
                    line.send(A_BATCH)
                    line.send_bytes(packed(batch))
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise
        except Exception as error:
            line.send(error)
        else:
            line.send(THE_END)


if __name__ == "__main__":
    main(int(sys.argv[1]))
