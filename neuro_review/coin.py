"""The coin of the audit panel: chance that can be checked, and that nobody can choose."""

import functools
import hashlib
from typing import Any

from neuro_review.settings import settings


def panel_coin(item_id: str) -> float:
    """Return the item's coin in [0, 1): HMAC of its id, so that it can be checked and not be gamed."""
    inner, outer = (half.copy() for half in _keyed(settings().secret_bytes()))
    inner.update(item_id.encode())
    outer.update(inner.digest())
    return (int.from_bytes(outer.digest()[:8], "big") >> 11) / (1 << 53)


@functools.cache
def _keyed(secret: bytes) -> tuple[Any, Any]:
    """Return the two halves of HMAC-SHA-256, begun: `hmac.digest` spends two thirds of its time on beginning them."""
    key = secret if len(secret) <= 64 else hashlib.sha256(secret).digest()
    inner, outer = (bytes(byte ^ pad for byte in key.ljust(64, b"\0")) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)
