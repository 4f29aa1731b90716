"""How often somebody may try: failed tries of late, counted in memory.

A try is counted before it is judged, so that many at once cannot slip through; a success gives it back. The counts are
of one process: behind several replicas the bounds multiply by their number, which still is far from a search.
"""

from collections import OrderedDict, deque

from db.clock import MINUTE, SECOND, now

WINDOW = 15 * MINUTE
MOST_KEYS = 10_000


class Throttle:
    """Counts tries by key: an address, a browser's IP, or both together."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, deque[int]] = OrderedDict()

    def take(self, limits: dict[str, int]) -> int:
        """Count a try under each key and return 0, or count nothing and return the seconds to wait."""
        at = now()
        wait = max((self._wait(key, most, at) for key, most in limits.items()), default=0)
        if wait == 0:
            for key in limits:
                self._tries.setdefault(key, deque()).append(at)
                self._tries.move_to_end(key)
            while len(self._tries) > MOST_KEYS:
                self._tries.popitem(last=False)
        return wait

    def give_back(self, keys: dict[str, int]) -> None:
        """Take back the last try under each key, which did not fail."""
        for key in keys:
            tries = self._tries.get(key)
            if tries:
                tries.pop()

    def _wait(self, key: str, most: int, at: int) -> int:
        tries = self._tries.get(key)
        if tries is None:
            return 0
        while tries and tries[0] <= at - WINDOW:
            tries.popleft()
        if not tries:
            del self._tries[key]
        if len(tries) < most:
            return 0
        return -(-(tries[0] + WINDOW - at) // SECOND)
