"""A process of our own code beside this one, so that two cores work at what one interpreter would do in turns."""

import functools
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

PATIENCE = 5
CODE = Path(__file__).resolve().parent.parent


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours, whatever lies in the current folder (-P)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def surroundings(**more: str) -> dict[str, str]:
    """Return the environment for a `command`: ours, what is added, and where our code lies.

    The current folder stays what it is, for what the environment names from there.
    """
    path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **more, "PYTHONPATH": path}


class Beside:
    """A running process, and the line to it; its module's `main` is handed the number of the other end.

    It ends when this end of the line is closed, also by the death of this process.
    """

    def __init__(self, module: str, **environment: str) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            # In a group of its own: Ctrl+C reaches this process alone, which ends the other; in the same session,
            # because Linux shares the processors by sessions.
            self.process = subprocess.Popen(
                command(module, str(theirs.fileno())),
                pass_fds=[theirs.fileno()], process_group=0, env=surroundings(**environment),
            )  # fmt: skip

    @functools.cached_property
    def line(self) -> Connection:
        """The line as one that carries objects."""
        return Connection(self.socket.detach())

    def end(self) -> None:
        """Close the line and wait until the process is gone; it keeps nothing that would have to be put in order."""
        self.line.close()
        self.stop()

    def stop(self) -> None:
        """Wait until the process is gone; the line is the caller's to close, who made something else of its socket."""
        self.process.kill()  # one that is stopped would not hear of less
        with suppress(subprocess.TimeoutExpired):  # one that waits for a hung disk goes when that answers
            self.process.wait(PATIENCE)

    def leave(self) -> None:
        """Have the process gone, and wait for nothing."""
        self.process.kill()
        threading.Thread(target=self.process.wait, name="left", daemon=True).start()
