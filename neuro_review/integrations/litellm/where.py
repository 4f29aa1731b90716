"""Where the gate is, and which calls are with it already."""

import os
from collections import OrderedDict

from neuro_review.client import GateError

NO_ADDRESS = "Set NEURO_REVIEW_URL and NEURO_REVIEW_KEY to the gate's address and the key of this application."
PREFIX = "os.environ/"


def address(url: str | None, key: str | None) -> tuple[str, str]:
    """Return the gate's address and the key, as given or out of the environment.

    Raises:
        GateError: one is missing.
    """
    found = _given(url, "NEURO_REVIEW_URL"), _given(key, "NEURO_REVIEW_KEY")
    if not all(found):
        raise GateError(NO_ADDRESS)
    return found


def _given(value: str | None, name: str) -> str:
    """Return a setting; LiteLLM's configuration writes `os.environ/NAME` for a variable."""
    if value and value.startswith(PREFIX):
        return os.environ.get(value.removeprefix(PREFIX), "")
    return value or os.environ.get(name, "")


class Calls:
    """The calls of late that the guardrail holds, by LiteLLM's id."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, call_id: str) -> None:
        """Remember one, and forget the oldest."""
        self._ids[call_id] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)

    def __contains__(self, call_id: object) -> bool:
        return call_id in self._ids


HELD = Calls()
