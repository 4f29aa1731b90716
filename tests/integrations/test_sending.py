"""Rows that are sent beside a program: kept while the gate is away, bounded, and not lost when the program ends."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neuro_review.client import GateError
from neuro_review.integrations.litellm import sending
from neuro_review.integrations.litellm.sending import Sender
from tests.serving import serving

ROOT = Path(__file__).resolve().parent.parent.parent
ITEM = {
    "id": "i", "workflow": "support", "model": "m", "status": "held", "final": False, "verdict": None,
    "released": False, "output": None, "fallback": None, "reasons": [], "release": None, "recalled": False,
    "created_at": "2026-01-01T00:00:00Z", "due_at": None, "decided_at": None, "released_at": None,
}  # fmt: skip
NOBODY = "http://127.0.0.1:9"


class Gate:
    """A gate that takes rows, or is away."""

    def __init__(self) -> None:
        self.url, self.away, self.says_nonsense = "", False, False
        self.taken: dict[str, dict[str, Any]] = {}
        self.requests = 0

    async def key(self, _request: Request) -> Response:
        return JSONResponse({"source": "s", "workflow": "support", "can_submit": True, "can_read": True})

    async def take(self, request: Request) -> Response:
        self.requests += 1
        if self.away:
            return JSONResponse({"error": {"code": "unavailable", "message": "Away."}}, 503)
        rows = await request.json()
        if any(row["output"] == "unreadable" for row in rows):
            return JSONResponse({"error": {"code": "invalid", "message": "No JSON.", "field": None}}, 422)
        if self.says_nonsense:
            self.says_nonsense = False
            return JSONResponse([])
        return JSONResponse([self._row(row) for row in rows])

    async def take_one(self, request: Request) -> Response:
        return JSONResponse(self._row(await request.json())["item"], 201)

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["output"] == "refuse":
            return {"status": 422, "error": {"code": "invalid", "message": "No.", "field": "output"}}
        self.taken[row["external_id"]] = row
        return {"status": 201, "item": ITEM | {"external_id": row["external_id"]}}


@pytest.fixture(scope="module")
def running() -> Iterator[Gate]:
    gate = Gate()
    routes = [
        Route("/api/v1/key", gate.key),
        Route("/api/v1/items", gate.take_one, methods=["POST"]),
        Route("/api/v1/items/batch", gate.take, methods=["POST"]),
    ]
    with serving(Starlette(routes=routes)) as gate.url:
        yield gate


@pytest.fixture
def gate(running: Gate) -> Gate:
    running.away, running.says_nonsense, running.requests, running.taken = False, False, 0, {}
    return running


@pytest.fixture
def send(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sender]]:
    monkeypatch.setattr(sending, "FIRST_PAUSE", 0.05)
    made: list[Sender] = []

    def make(url: str | None = None, **options: Any) -> Sender:
        made.append(Sender(url or gate.url, "nr_k", **options))
        return made[-1]

    yield make
    for sender in made:
        sender.exit_seconds = 0
        sender.close()


def row(n: int, output: str = "Yes.") -> dict[str, Any]:
    return {"model": "m", "output": output, "external_id": str(n)}


def test_what_waits_while_a_request_is_under_way_goes_with_the_next(gate: Gate, send: Callable[..., Sender]) -> None:
    sender = send()
    for n in range(1000):
        sender.add(row(n))

    assert sender.flush(30) == 0
    assert [len(gate.taken), sender.counts.sent] == [1000, 1000]
    assert gate.requests < 100


def test_nothing_is_lost_while_the_gate_is_away(gate: Gate, send: Callable[..., Sender]) -> None:
    gate.away = True
    sender = send()
    sender.add(row(1))
    assert sender.flush(0.3) == 1
    gate.away = False

    assert sender.flush(30) == 0
    assert (list(gate.taken), gate.requests > 1) == (["1"], True)


def test_what_the_gate_refuses_is_counted_and_holds_nothing_up(
    gate: Gate, send: Callable[..., Sender], caplog: pytest.LogCaptureFixture
) -> None:
    sender = send()
    sender.add(row(1, "refuse"))
    sender.add(row(2) | {"metadata": {"MARKER": "\ud800"}})
    sender.add(row(3))

    assert sender.flush(30) == 0
    assert (sender.counts.sent, sender.counts.refused, list(gate.taken)) == (1, 2, ["3"])
    assert "external_id 1): No. (invalid, field output)" in caplog.text
    assert "MARKER" not in caplog.text


def test_a_row_that_spoils_its_batch_is_refused_alone_and_an_answer_that_fits_nothing_ends_no_thread(
    gate: Gate, send: Callable[..., Sender]
) -> None:
    gate.says_nonsense = True
    sender = send()
    for n in range(9):
        sender.add(row(n, "unreadable" if n == 4 else "Yes."))

    assert sender.flush(30) == 0
    assert (sender.counts.sent, sender.counts.refused, len(gate.taken)) == (8, 1, 8)


def test_what_there_is_no_room_for_is_counted_and_logged_without_its_text(
    send: Callable[..., Sender], caplog: pytest.LogCaptureFixture
) -> None:
    few, small = send(NOBODY, most_rows=2), send(NOBODY, most_bytes=500)
    for n in range(3):
        few.add(row(n, "MARKER"))
    small.add(row(0, "MARKER" * 100))

    assert (few.counts.lost, small.counts.lost) == (1, 1)
    assert "lost to review: 2 wait already" in caplog.text
    assert "MARKER" not in caplog.text


def test_a_program_that_ends_hands_in_what_waits(gate: Gate, tmp_path: Path) -> None:
    done = program(gate.url, "for n in range(300): sender.add({'model': 'm', 'output': 'Yes.', 'external_id': str(n)})")

    assert (done.returncode, done.stderr, len(gate.taken)) == (0, "", 300)


def test_a_program_does_not_wait_for_a_dead_gate_for_ever_and_says_how_much_is_lost(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = program(NOBODY, "for n in range(3): sender.add({'model': 'm', 'output': 'MARKER'})", exit_seconds=1)

    assert done.returncode == 0
    assert "3 outputs are not handed in and are lost to review: the program ended" in done.stderr
    assert "within 1 seconds" in done.stderr and "MARKER" not in done.stderr
    assert time.monotonic() - begun < 60


def test_an_output_that_comes_after_the_end_has_begun_is_handed_in_too(gate: Gate) -> None:
    done = program(gate.url, "sender.close(); sender.add({'model': 'm', 'output': 'Yes.', 'external_id': 'late'})")

    assert (done.returncode, done.stderr, list(gate.taken)) == (0, "", ["late"])


def test_a_forked_child_sends_its_own_and_not_its_parents(gate: Gate) -> None:
    code = (
        "import os\nsender.add({'model': 'm', 'output': 'Yes.', 'external_id': 'parent'})\nsender.flush(30)\n"
        "if not (child := os.fork()):\n"
        "    sender.add({'model': 'm', 'output': 'Yes.', 'external_id': 'child'})\n"
        "    os._exit(sender.flush(30))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )

    assert program(gate.url, code).stdout == "0\n"
    assert gate.taken.keys() == {"parent", "child"}


def test_an_address_that_is_none_is_refused_when_it_is_made() -> None:
    with pytest.raises(GateError):
        Sender("gate", "nr_k")


def program(url: str, code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that makes a sender and ends by itself."""
    begin = (
        f"from neuro_review.integrations.litellm.sending import Sender\nsender = Sender({url!r}, 'nr_k', **{options})"
    )
    return subprocess.run(
        [sys.executable, "-c", f"{begin}\n{code}"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
