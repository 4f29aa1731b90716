"""How often a key may ask: a token bucket for each, in the memory of this process.

Behind several replicas the bounds multiply by their number, which still protects each of them.
"""

from collections import OrderedDict

from db.clock import SECOND, now

BURST = 2.0  # seconds' worth that may come at once
MOST_KEYS = 10_000


class Limits:
    """Counts requests by key."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> float:
        """Count a request and return 0, or count nothing and return the seconds to wait."""
        at = now()
        most = max(1.0, self.per_second * BURST)
        left, before = self._left.get(key, (most, at))
        # A clock that was put back takes nothing away.
        left = min(most, left + max(0, at - before) / SECOND * self.per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self.per_second
        self._left[key] = (left - 1 if not wait else left, at)
        self._left.move_to_end(key)
        if len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return wait
