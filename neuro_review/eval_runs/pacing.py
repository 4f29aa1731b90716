"""How many calls a provider gets at a time: half as many when it is too much for it, slowly more again."""

import asyncio
import random
import time

LONGEST_WAIT = 60.0  # seconds, where the provider does not say
MOST_TRIES = 6


class Pace:
    """The calls to one provider, whoever makes them."""

    def __init__(self, at_once: int) -> None:
        self.cap = at_once
        self.window = float(at_once)
        self.under_way = 0
        self.not_before = 0.0
        self.changed = asyncio.Condition()
        self.halved_at = 0.0

    async def __aenter__(self) -> "Pace":
        while True:
            wait = self.not_before - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            async with self.changed:
                if self.under_way < max(1, int(self.window)):
                    self.under_way += 1
                    return self
                await self.changed.wait()

    async def __aexit__(self, *_: object) -> None:
        async with self.changed:
            self.under_way -= 1
            self.changed.notify(2)  # the window may have grown

    def went_well(self) -> None:
        """Let one more call through after a whole window of good ones."""
        self.window = min(float(self.cap), self.window + 1 / self.window)

    def too_much(self, after: float | None, tried: int) -> float:
        """Halve the window, once for all calls that were under way together, and return how long this one waits."""
        at = time.monotonic()
        if at >= self.halved_at:
            self.window, self.halved_at = max(1.0, self.window / 2), at + 1.0
        if after is not None:
            self.not_before = max(self.not_before, at + after)
            return after
        return min(LONGEST_WAIT, 0.5 * 2.0**tried) * random.uniform(0.5, 1)
