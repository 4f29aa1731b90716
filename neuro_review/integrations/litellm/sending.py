"""What an application's calls leave for the gate, sent beside it: never in its way, and not lost when it ends.

Rows wait in memory, bounded, and are sent by one thread, as many at once as wait. While the gate is away they are kept
and tried again. When the program ends, what is left is sent for a stated time; what could not be sent is counted and
logged, without its text. A program that is killed loses what waits: that is the price of not being in its way.
"""

import atexit
import json
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuro_review.client import GateError, RefusedError, ReviewGate
from neuro_review.client.talks import written

LOG = logging.getLogger("neuro_review.integrations")
MOST_ROWS, MOST_BYTES = 10_000, 64 << 20
ROWS_AT_ONCE = 200
EXIT_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds


@dataclass
class Counts:
    """What became of the rows."""

    sent: int = 0
    refused: int = 0
    """The gate said no: sending them again would change nothing."""
    lost: int = 0
    """There was no room to keep them, or no time at the end."""


class Sender:
    """Sends rows beside the program that makes them."""

    def __init__(
        self, url: str, key: str, *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES,
        exit_seconds: float = EXIT_SECONDS,
    ) -> None:  # fmt: skip
        self._url, self._key = url, key
        self._open(0).close()  # so that an address or a key that cannot be one is told at once
        self.most_rows, self.most_bytes, self.exit_seconds = most_rows, most_bytes, exit_seconds
        self.counts = Counts()
        self._ended = False
        self._late: ReviewGate | None = None
        self._start_anew()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_anew)

    def _open(self, patience: float) -> ReviewGate:
        return ReviewGate(self._url, self._key, patience=patience)

    def _start_anew(self) -> None:
        """Begin with nothing; a forked child has no thread, and what waited is its parent's to send."""
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._thread: threading.Thread | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Let a row be sent; never waits for the gate, but at the end of the program."""
        try:
            body = written({"external_id": uuid.uuid4().hex, **row})
        except GateError as error:
            self._refused(str(error), row.get("external_id"))
            return
        if self._ended:  # LiteLLM calls back for the last async calls after everybody has said goodbye
            self._send_late(body)
            return
        with self._changed:
            if len(self._waiting) >= self.most_rows or self._bytes + len(body) > self.most_bytes:
                self.lost(1, f"{len(self._waiting):,} wait already")
                return
            self._waiting.append(body)
            self._bytes += len(body)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="neuro-review", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> int:
        """Wait until everything is sent, or the time is over; returns how many still wait."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._waiting and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return len(self._waiting)

    def close(self) -> None:
        """Send what waits, for `exit_seconds` at the most; it is called by itself when the program ends."""
        if self._ended:
            return
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        left = self.flush(self.exit_seconds)
        with self._changed:
            self._waiting.clear()
        if left:
            self.lost(left, f"the program ended and the gate did not take them within {self.exit_seconds:g} seconds")
        atexit.unregister(self.close)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        with self._open(0) as gate:
            while batch := self._next():
                if self._send(gate, batch):
                    pause = FIRST_PAUSE
                    continue
                with self._changed:
                    self._changed.wait_for(lambda: self._ended, pause)
                if self._ended:
                    time.sleep(FIRST_PAUSE)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _next(self) -> list[bytes]:
        """Return the rows to be sent next, once there are some; none when the program has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return [self._waiting[place] for place in range(min(ROWS_AT_ONCE, len(self._waiting)))]

    def _send(self, gate: ReviewGate, batch: Sequence[bytes]) -> bool:
        """Send rows and tell whether the gate took its decision on them; else they go on to wait."""
        try:
            outcomes = gate.submit_many([json.loads(body) for body in batch])
        except GateError as error:
            LOG.warning("Outputs wait to be handed in (%s): %s", f"{len(self._waiting):,}", error)
            return False
        except Exception as error:  # whatever it is: a thread that has ended would hand nothing in any more
            LOG.error("Outputs wait to be handed in (%s): %s", f"{len(self._waiting):,}", type(error).__name__)
            return False
        for body, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, RefusedError):
                self._refused(str(outcome), json.loads(body).get("external_id"))
            else:
                self.counts.sent += 1
        with self._changed:
            for body in batch[: len(self._waiting)]:
                self._waiting.popleft()
                self._bytes -= len(body)
            self._changed.notify_all()
        return True

    def _send_late(self, body: bytes) -> None:
        try:
            self._late = self._late or self._open(1.0)
            self._late.submit(**json.loads(body))
            self.counts.sent += 1
        except RefusedError as error:
            self._refused(str(error), json.loads(body).get("external_id"))
        except GateError as error:
            self.lost(1, f"the program ended: {error}")

    def _refused(self, why: str, external_id: Any) -> None:
        self.counts.refused += 1
        LOG.error("The gate refuses an output (external_id %s): %s", external_id, why)

    def lost(self, number: int, why: str) -> None:
        """Count outputs that are not handed in, and say so."""
        self.counts.lost += number
        LOG.error("%s outputs are not handed in and are lost to review: %s. In all: %s.", number, why, self.counts.lost)
