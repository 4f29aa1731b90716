"""Long work on many rows, without looking for cycles all the time."""

import contextlib
import gc
import threading
from collections.abc import Iterator

OFTEN_ENOUGH = 100_000
"""New objects between two looks; rows make no cycles, and looking each 700 costs a tenth of the work."""


_lock = threading.Lock()
_inside: list[tuple[int, int, int]] = []
"""What held before, once for each block that runs: the threads of a server may be in several at a time."""


@contextlib.contextmanager
def few_looks() -> Iterator[None]:
    """Let this process look for cycles seldom while the block runs."""
    with _lock:
        before = _inside[0] if _inside else gc.get_threshold()
        _inside.append(before)
        gc.set_threshold(max(before[0], OFTEN_ENOUGH))
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if not _inside:
                gc.set_threshold(*before)
