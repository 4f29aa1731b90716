"""A large file read by a process of its own: one core checks, salts and hashes while the other stores.

Reading a row costs about 30 µs of a core, storing it about 40; side by side only the longer one counts. Sending it
over costs 8 µs, so where no second core is free this loses a quarter. A thread gains nothing: both halves are Python.

The two talk over a socket pair. It holds about one batch, so the reader can never run ahead of the store.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from neuro_review.errors import UnavailableError
from neuro_review.imports.batches import Batch, Doors, batches
from neuro_review.imports.fields import Fields
from neuro_review.imports.readers import reading
from neuro_review.imports.rows import Shape

WORTH_IT = 16 << 20
"""Files of so many bytes are read beside; for smaller ones a process takes longer to start than it saves."""
PATIENCE = 5
CODE = Path(__file__).resolve().parent.parent.parent
DOORS_PLEASE, THE_END = "doors", "end"


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
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "neuro_review.imports.beside", str(theirs.fileno())]
    path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH"))))
    with theirs:
        reader = subprocess.Popen(command, pass_fds=[theirs.fileno()], env={**os.environ, "PYTHONPATH": path})
    try:
        with Connection(ours.detach()) as line:
            line.send((file, fields, model))
            while (said := line.recv()) != THE_END:
                if isinstance(said, Exception):
                    raise said
                if said == DOORS_PLEASE:
                    line.send(doors())
                else:
                    yield said
    except (EOFError, OSError) as error:
        raise UnavailableError(
            f"The process that reads {file} ended before the file did. What was stored stays; run the command again."
        ) from error
    finally:
        reader.terminate()
        reader.wait(PATIENCE)


def main(handle: int) -> None:
    """Read for the process that started this one, until the file ends or nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches both; the one that stores decides when to stop
    with Connection(handle) as line, contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        file, fields, model = line.recv()

        def doors() -> Any:
            line.send(DOORS_PLEASE)
            return line.recv()

        try:
            with reading(file) as opened:
                for batch in batches(opened, Shape(fields, model, opened.cells), doors):
                    line.send(batch)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise
        except Exception as error:
            line.send(error)
        else:
            line.send(THE_END)


if __name__ == "__main__":
    main(int(sys.argv[1]))
