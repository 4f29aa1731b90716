"""The gate from an application's side: hand in what a model wrote, get back what may be sent. Needs only httpx.

    from neuro_review.client import ReviewGate

    gate = ReviewGate("http://127.0.0.1:8501", key)
    item = gate.submit(model="gpt-4o", prompt="May I return it?", output="Yes.")
    item = gate.wait(item.id, timeout=3600)
    print(item.to_send)

* gates    `ReviewGate` and `AsyncReviewGate`
* answers  what they return
* errors   what they raise
* talks    how each call is made, tried again and read, for both
"""

from neuro_review.client.answers import Canary, Event, Feed, InUse, Item, Key, Release
from neuro_review.client.errors import GateError, RefusedError, UnreachableError
from neuro_review.client.gates import AsyncReviewGate, ReviewGate

__all__ = [
    "AsyncReviewGate", "Canary", "Event", "Feed", "GateError", "InUse", "Item", "Key", "RefusedError", "Release",
    "ReviewGate", "UnreachableError",
]  # fmt: skip
