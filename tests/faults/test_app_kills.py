"""The whole app killed while verdicts come in: its worker ends with it, and after a restart all goes on.

`streamlit run app.py` with its worker is killed by the signal that nobody can catch; the verdicts come from a writer on
the same SQLite file, and only the app's worker lets anything leave. The short form kills twice, `--long` 20 times.
"""

import os
import random
import secrets
import shutil
import signal
import time
from pathlib import Path

import httpx
import pytest

from db.engine import Database
from tests.faults.checks import check, leaving
from tests.faults.load import furnish, load
from tests.web.server import Server

KILLS = (2, 20)
PATIENCE = 90  # seconds
OUTLIVES = 40  # seconds at most; a worker that is still starting looks for its parent only afterwards


def started(folder: Path) -> Server:
    """Start the app with its worker on the database of the folder, and wait until it answers."""
    server = Server(folder, NEURO_REVIEW_WORKER="true", NEURO_REVIEW_SECRET=os.environ["NEURO_REVIEW_SECRET"])
    deadline = time.monotonic() + PATIENCE
    while True:
        assert server.process.poll() is None, server.output
        assert time.monotonic() < deadline, server.output
        try:
            if httpx.get(f"{server.url}/healthz", timeout=5).status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.05)


def worker_of(server: Server) -> int:
    """Return the process id of the worker that the app started."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
                command = folder.joinpath("cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == server.process.pid and b"worker" in command:
                return int(folder.name)
        time.sleep(0.05)
    raise AssertionError("The app has no worker.")


def lives(pid: int) -> bool:
    """Tell whether a process still runs; one that ended and that nobody buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def crash(server: Server) -> float:
    """Kill the app, and return how long its worker outlived it, in seconds."""
    worker = worker_of(server)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    ended = time.monotonic()
    while lives(worker):
        assert time.monotonic() - ended < OUTLIVES, "The worker outlives the app."
        time.sleep(0.01)
    return time.monotonic() - ended


def test_the_app_killed_loses_no_verdict_and_its_worker_ends_with_it(
    sqlite_template: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "nr.db")
    database = Database(f"sqlite:///{tmp_path / 'nr.db'}")
    furnish(database)
    database.dispose()
    seed = secrets.randbits(32)
    chance, outlived = random.Random(seed), []
    kills = KILLS[request.config.getoption("--long")]

    with load(str(database.url), chance, "--no-releases") as running:
        running.start_all()
        for _ in range(kills):
            server = started(tmp_path)
            running.wait_for("decided", more=5)
            time.sleep(chance.uniform(0, 2))
            outlived.append(crash(server))
            if chance.random() < 0.5:
                running.kill_all()  # now nobody has the database open
                running.start_all()
        running.wait_for("decided", "undone")
        running.kill_all()
        running.catch_up()

    waiting = leaving(database)
    server = started(tmp_path)
    deadline = time.monotonic() + PATIENCE
    while leaving(database):
        assert time.monotonic() < deadline, "The worker of the restarted app releases nothing."
        time.sleep(0.1)
    server.stop()
    print("seed", seed, "kills", kills, "worker outlived", outlived, "left after restart", waiting, len(running.lines))
    check(database, running.lines)
    database.dispose()
