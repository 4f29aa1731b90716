"""A process that keeps a processor busy for a share of the time, and gives way as a job does; it does nothing else.

What it costs a screen, any other process on so small a machine costs it too. It lives until its input ends.
"""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from neuro_review.jobs.run import give_way

ROOT = Path(__file__).resolve().parent.parent.parent
TURN = 0.004  # seconds


@contextlib.contextmanager
def busy(*shares: float) -> Iterator[None]:
    """Let processes run for the time of the block, each of which takes such a share of a processor."""
    words = [sys.executable, "-m", "tests.bench.busy"]
    with contextlib.ExitStack() as running:
        for share in shares:
            process = running.enter_context(
                subprocess.Popen([*words, str(share)], cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
            )
            assert process.stdin is not None
            running.callback(process.stdin.close)
        yield


def main(share: float) -> None:
    give_way()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        until = time.perf_counter() + TURN * share
        while time.perf_counter() < until:
            pass
        time.sleep(TURN * (1 - share))


if __name__ == "__main__":
    main(float(sys.argv[1]))
