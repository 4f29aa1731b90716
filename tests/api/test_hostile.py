"""Whatever is sent to the API is answered, never with a failure of ours, and memory stays flat.

The server is a process of its own: `python -m neuro_review api`. The short form sends 1,600 requests, `--long` 10,000.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from db.engine import Database
from tests.api.conftest import add_key
from tests.api.hostile import Request, Sender
from tests.conftest import Team
from tests.helpers import children_of
from tests.web.server import APP, PATIENCE, free_port

SEED = 41
REQUESTS = {False: 1_600, True: 10_000}
FLAT = 1.10  # the most that memory may have grown from a quarter to the end


class Alone:
    """The API without the screens, as a process."""

    def __init__(self, url: str, folder: Path) -> None:
        self.port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NEURO_")} | {
            "NEURO_REVIEW_DATABASE_URL": url, "NEURO_REVIEW_FOLDER": str(folder / "house"),
            "NEURO_REVIEW_SECRET": os.environ["NEURO_REVIEW_SECRET"], "NEURO_REVIEW_API_RATE": "1000000",
            "NEURO_REVIEW_WORKER": "false",
        }  # fmt: skip
        self.log = (folder / "api.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "neuro_review", "api", "--port", str(self.port)],
            cwd=APP.parent, env=environment, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).status_code == 200
        return False

    def said(self) -> str:
        return Path(self.log.name).read_text()

    def memory(self) -> int:
        """Return the megabytes that the server and what works beside it have taken, at the most."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in (self.process.pid, *self.beside())]
        return sum(int(status.partition("VmHWM:")[2].split()[0]) for status in statuses) // 1024

    def beside(self) -> list[int]:
        """Return the processes beside the server: one that stores, one that checks large batches."""
        return children_of(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


@pytest.fixture
def alone(db: Database, team: Team, url: str, tmp_path: Path) -> Iterator[Alone]:
    server = Alone(url, tmp_path)
    yield server
    server.stop()


class Line:
    """A connection that is kept open as long as the server lets it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def send(self, request: Request) -> int | None:
        """Send a request and return the status of the answer; None where none is waited for."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        try:
            for piece in request.pieces:
                self._socket.sendall(piece)
            if request.hangs_up:
                self.close()
                return None
            return self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close()  # it was refused before it was all sent
            return None

    def _answer(self) -> int:
        assert self._socket is not None
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._piece()
        head, _, body = got.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += self._piece()
        if fields.get(b"connection") == b"close" or b"content-length" not in fields:
            self.close()
        return int(head.split()[1])

    def _piece(self) -> bytes:
        assert self._socket is not None
        piece = self._socket.recv(1 << 16)
        if not piece:
            raise ConnectionResetError
        return piece

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def start_all(alone: Alone, key: str) -> list[int]:
    """Hand in what has both processes beside the server started, and return them: they count from the beginning."""
    row = {"workflow": "support", "model": "larch", "output": "Model text. " * 100}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{alone.port}/api/v1", headers={"Authorization": f"Bearer {key}"}
    ) as http:
        assert http.post("/items", json=row).status_code == 201
        assert http.post("/items/batch", json=[row] * 100, timeout=PATIENCE).status_code == 200
    beside = alone.beside()
    assert len(beside) == 2
    return beside


def test_nothing_that_is_sent_breaks_the_api_and_its_memory_stays_flat(
    alone: Alone, db: Database, team: Team, request: pytest.FixtureRequest
) -> None:
    many = REQUESTS[bool(request.config.getoption("--long"))]
    if not db.is_sqlite:
        many //= 4
    key = add_key(db, team, "shop")
    beside = start_all(alone, key)
    sender, line = Sender(key, SEED), Line(alone.port)
    answers: Counter[tuple[str, int | None]] = Counter()
    sizes: list[int] = []

    for number in range(many):
        one = sender.next()
        status = line.send(one)
        answers[one.kind, status] += 1
        assert status is None or status < 500, (one, status, alone.said())
        assert status is None or status >= 400 or one.stores, (one, status)
        if one.kind in ("lies", "queries"):
            line.close()  # what follows a lie about the length is read as another request
        if number % (many // 40) == 0:
            sizes.append(alone.memory())

    print(sizes, dict(sorted(answers.items(), key=str)))
    assert len({kind for kind, _ in answers}) == len(sender.kinds)
    assert sum(times for (_, status), times in answers.items() if status in (200, 201)) > many / 20
    assert "Traceback" not in alone.said(), alone.said()
    assert set(beside) <= set(alone.beside()), "A process beside died of what it was handed."
    assert sizes[-1] <= sizes[len(sizes) // 4] * FLAT, sizes
    assert httpx.get(f"http://127.0.0.1:{alone.port}/healthz").status_code == 200
