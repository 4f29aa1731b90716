"""Runs a piece of work in a process of its own and watches the memory of that process and its helpers."""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Measured:
    """What a piece of work took."""

    rows: int
    seconds: float
    cpu: float
    """Seconds of processor time, its helpers' included, a database server's not."""
    peaks: tuple[float, float, float]
    """MiB at a quarter, at half and at the end: the sum over its processes of the most each ever had."""

    @property
    def speed(self) -> float:
        return self.rows / self.seconds


def measure(*arguments: str) -> Measured:
    """Run `tests.bench.work` and return what it took; the time counts from when it has started and connected."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.work", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    most: dict[int, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(child.pid, most, stop), daemon=True)
    watcher.start()
    marks: dict[float, tuple[float, float]] = {}
    end = {}
    assert child.stdout is not None
    for line in child.stdout:
        said = json.loads(line)
        if "mark" in said:
            _look(child.pid, most)
            marks[said["mark"]] = (said["at"], sum(most.values()) / 1024)
        else:
            end = said
    stop.set()
    watcher.join()
    assert child.wait() == 0, f"The work failed: {arguments}"
    seconds = marks[1.0][0] - marks[0][0]
    return Measured(end["rows"], seconds, end["cpu"], (marks[0.25][1], marks[0.5][1], marks[1.0][1]))


def _watch(pid: int, most: dict[int, int], stop: threading.Event) -> None:
    while not stop.wait(0.1):
        _look(pid, most)


def _look(pid: int, most: dict[int, int]) -> None:
    """Note the most memory that each process of a family ever had, in KiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            most[pid] = int(line.split()[1])
    for child in children:
        _look(int(child), most)
