"""What the page itself knows of a key: when it was pressed, and when another text was first painted."""

import contextlib
import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Listens before the page does. What is painted with a frame is there when the message after that frame arrives.
WATCH = """
window.bench = {read: null, mark: null, event: null, quiet: () => true, slow: new Map()};
addEventListener("keydown", (event) => {
  const bench = window.bench;
  if (!bench.read || event.repeat || ["Control", "Shift", "Alt"].includes(event.key)) return;
  const at = event.timeStamp, before = bench.read();
  bench.mark = null;
  bench.event = at;
  const look = () => {
    if (bench.event !== at) return;
    const text = bench.read();
    if (!text || text === before) return requestAnimationFrame(look);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { bench.mark = {at, took: performance.now() - at, before, text}; };
    channel.port2.postMessage(null);
  };
  requestAnimationFrame(look);
}, {capture: true});
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (one.name === "keydown") window.bench.slow.set(one.startTime, one.duration);
}).observe({type: "event", durationThreshold: 16});
"""
# Once the text has changed, was in sight for a while and the server has heard of the key; or when patience ends.
SETTLED = """([sight, patience]) => new Promise((settle) => {
  const {bench} = window, until = performance.now() + patience;
  const settled = () => bench.mark && bench.quiet() && performance.now() > bench.mark.at + bench.mark.took + sight;
  const look = () => settled() || performance.now() > until ? settle(bench.mark) : setTimeout(look, 5);
  look();
})"""
SLOW = "() => [...window.bench.slow]"
SIGHT, PATIENCE = 225, 5_000  # milliseconds


@dataclass
class Pressed:
    """What came of one key that changed the text."""

    at: float
    took: float
    before: str
    text: str
    cpu: float = 0.0
    """Milliseconds of processor time of the server until the next key."""


@dataclass
class Presses:
    """Keys pressed one after the other on one page, in milliseconds."""

    done: list[Pressed] = field(default_factory=list)
    too_early: int = 0
    seen: dict[float, float] = field(default_factory=dict)
    """What the browser itself says of a key: how long until the frame was shown, in steps of 8 ms; below 16 nothing."""

    @property
    def took(self) -> list[float]:
        return [float(one.took) for one in self.done]

    def last(self, many: int) -> "Presses":
        return Presses(self.done[-many:], self.too_early, self.seen)

    def shown(self) -> list[float]:
        """Return the browser's own figure for each key; 16 where it was not slow enough to be told."""
        return [self.seen.get(one.at, 16.0) for one in self.done]


def press(page: "Page", keys: str, apart: float, many: int, cpu: Callable[[], float], begin: str = "") -> Presses:
    """Press keys so many times, so many milliseconds apart or more, each when the one before has been answered.

    A key that came too early for the page is pressed again, and counted.
    """
    found = Presses()
    while len(found.done) < many:
        if begin:
            page.keyboard.press(begin)
            time.sleep(apart / 1000)
        before, since = time.perf_counter(), cpu()
        page.keyboard.press(keys)
        mark: Any = page.evaluate(SETTLED, [SIGHT, PATIENCE])
        time.sleep(max(0.0, apart / 1000 - (time.perf_counter() - before)))
        if mark is None:
            found.too_early += 1
            assert found.too_early <= 3 + many // 10, "The text does not change with the key."
            continue
        found.done.append(Pressed(**mark, cpu=cpu() - since))
    found.seen = dict(page.evaluate(SLOW))
    return found


def processor(pid: int) -> Callable[[], float]:
    """Return what tells how many milliseconds of processor time a process has used, with all threads it ever had.

    The kernel counts them in nanoseconds; `/proc/<pid>/stat` would tell hundredths of a second.
    """
    clock = ctypes.c_int()
    wrong = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    assert wrong == 0, f"There is no process {pid}."
    return lambda: time.clock_gettime_ns(clock.value) / 1e6


@contextlib.contextmanager
def said() -> Iterator[None]:
    """End the program with the sentence that a test would be skipped with: something is not on this machine."""
    try:
        yield
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(str(missing))
