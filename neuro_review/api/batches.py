"""Many submits of one caller: each row is held or refused by itself, and none sinks the others."""

from typing import Any

from neuro_review.api.answers import explained
from neuro_review.api.checking import Checker
from neuro_review.api.keys import Entries
from neuro_review.api.together import Outcome, Together
from neuro_review.gate import entering
from neuro_review.gate.entering import Ready
from neuro_review.intake import Prepared


class Batches:
    """Holds batches, several at a time."""

    def __init__(self, entries: Entries, together: Together) -> None:
        self.entries, self.together, self.checker = entries, together, Checker()

    def submit(self, key: str, body: bytes) -> list[dict[str, Any]]:
        """Hold the rows of a batch and return what became of each, in order.

        It is stored in short transactions: where the connection breaks in between, what was stored stays, and sending
        the batch again stores the rest, if its rows bring an `external_id`.

        Raises:
            UnknownKeyError, NotAllowedError, ConflictError: nothing can be submitted with this key.
            InvalidError: the body is no list, or too long a one.
        """
        entry = entering.entry(self.entries.of({key}), key)
        rows = self.checker.check(entry, body)
        ready = [Ready(key, entry, row) for row in rows if isinstance(row, Prepared)]
        held = iter(self.together.hold(ready))
        return [_row(next(held) if isinstance(row, Prepared) else row) for row in rows]

    def end(self) -> None:
        """Let the process that checks go."""
        self.checker.end()


def _row(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        status, said = explained(outcome)
        return {"status": status, "error": said}
    return {"status": 201 if outcome.is_new else 200, "item": outcome.item}
