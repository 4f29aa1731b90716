"""The gate inside LiteLLM: in an application's SDK, and in the proxy.

* Capture        a callback that hands every completion in
* capture        the same, made out of NEURO_REVIEW_URL and NEURO_REVIEW_KEY, for a proxy's `callbacks`
* completion     as LiteLLM's own, with the model that is in use in a workflow; `acompletion` is the same, awaited
* HoldForReview  a guardrail of the proxy: an answer leaves when a reviewer has decided, and not before
"""

import functools
from typing import Any

__all__ = ["Capture", "HoldForReview", "acompletion", "capture", "completion"]


@functools.cache
def __getattr__(name: str) -> Any:
    """Return what is asked for; each is loaded by itself, so that an application loads nothing of the proxy."""
    if name in ("Capture", "capture"):
        from neuro_review.integrations.litellm.callback import Capture  # noqa: PLC0415

        return Capture if name == "Capture" else Capture()
    if name == "HoldForReview":
        from neuro_review.integrations.litellm.guardrail import HoldForReview  # noqa: PLC0415

        return HoldForReview
    if name in ("completion", "acompletion"):
        from neuro_review.integrations.litellm import following  # noqa: PLC0415

        return getattr(following, name)
    raise AttributeError(name)
