"""Long work on many rows, without looking for cycles all the time."""

import contextlib
import gc
from collections.abc import Iterator

OFTEN_ENOUGH = 100_000
"""New objects between two looks; rows make no cycles, and looking each 700 costs a tenth of the work."""


@contextlib.contextmanager
def few_looks() -> Iterator[None]:
    """Let this process look for cycles seldom while the block runs."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], OFTEN_ENOUGH))
    try:
        yield
    finally:
        gc.set_threshold(*before)
