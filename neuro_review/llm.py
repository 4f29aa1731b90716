"""The one door to language models: a call through LiteLLM, made once, with what it cost; retries are the caller's.

LiteLLM is imported at the first call and never in the process of the screens: it takes seconds and 180 MB.
"""

import functools
import gc
import importlib.metadata
import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from neuro_review.content import MOST_TOKENS, mended
from neuro_review.errors import NeuroReviewError

PATIENCE = 120.0  # seconds for one answer
TRY_AGAIN = frozenset({408, 409, 429})
NO_KEY = "no key"
"""Sent where none is named: to an address of one's own a key of the environment must never go by mistake."""
PRICE_LIST = "model_prices_and_context_window_backup.json"

ANY_PRICE = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
"""Told to LiteLLM for a model without a price, or it would search its list at every call; what it makes of it is not
read: such a cost is unknown, or comes of the price that was named for the way."""


class NoAnswerError(NeuroReviewError):
    """The model gave no answer, and would give none if asked again."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"The model gave no answer: {kind}.")
        self.kind = kind


class TryAgainError(NoAnswerError):
    """The model gave no answer now; it may later."""

    def __init__(self, kind: str, after: float | None = None) -> None:
        super().__init__(kind)
        self.after = after
        """Seconds, as far as the provider says."""


@dataclass(frozen=True)
class Way:
    """A model, and how it is reached."""

    model: str
    """As LiteLLM names it, like `openai/gpt-4o`."""
    api_base: str | None = None
    key_variable: str | None = None
    """The name of the environment variable that holds the key; never the key."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """As LiteLLM takes them; `system` is the system message instead of the one in the messages."""
    price: tuple[float, float] | None = None
    """Dollars for a million tokens in and out, where the price list does not know the model."""

    @property
    def provider(self) -> str:
        """Return who is paced as one: an address, or the first part of the model's name."""
        return self.api_base or self.model.partition("/")[0]


@dataclass(frozen=True)
class Said:
    """What a model said, and what it took."""

    text: str
    finish: str | None
    model: str | None
    fingerprint: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_micro: int | None
    """Millionths of a dollar; None is unknown."""
    latency_ms: int


@functools.cache
def _litellm() -> Any:
    # Or it would fetch its price list from the internet, and read the `.env` of the current folder.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    import litellm  # noqa: PLC0415

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    for name in ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "openai", "httpx"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they say can hold a prompt
    gc.freeze()  # its hundreds of thousands of objects stay; looking through them costs a tenth of a run
    return litellm


def prices() -> str:
    """Return by which library and price list costs are computed."""
    return f"litellm {importlib.metadata.version('litellm')}, {len(_litellm().model_cost):,} prices"


@functools.cache
def _listed_prices() -> dict[str, tuple[float, float]]:
    """Return the price list that comes with LiteLLM, read from its file: importing it is too dear for a screen."""
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        return {}
    read: dict[str, dict[str, Any]] = orjson.loads((Path(found.origin).parent / PRICE_LIST).read_bytes())
    return {
        name: (float(one["input_cost_per_token"]) * 1e6, float(one["output_cost_per_token"]) * 1e6)
        for name, one in read.items()
        if "input_cost_per_token" in one and "output_cost_per_token" in one
    }


def listed_price(model: str) -> tuple[float, float] | None:
    """Return what a model costs, dollars for a million tokens in and out, without a call; None where no list says."""
    try:
        known = _listed_prices()
    except (OSError, ValueError):  # another version of LiteLLM keeps it elsewhere
        return None
    return known.get(model) or known.get(model.partition("/")[2])


def knows_price(way: Way) -> bool:
    """Tell whether the cost of a call can be known."""
    return _cost(way, 1, 1) is not None


def _cost(way: Way, prompt_tokens: int | None, completion_tokens: int | None) -> int | None:
    if prompt_tokens is None or completion_tokens is None:
        return None
    if way.price is not None:
        return int(prompt_tokens * way.price[0] + completion_tokens * way.price[1] + 0.5)
    if not _is_listed(way.model):
        return None
    paid = _litellm().cost_per_token(model=way.model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return int(sum(paid) * 1_000_000 + 0.5)


@functools.cache
def _is_listed(model: str) -> bool:
    """Tell whether LiteLLM has a price for a model; asked once, before it is told any."""
    try:
        _litellm().cost_per_token(model=model, prompt_tokens=1, completion_tokens=1)
    except Exception:  # it raises what it likes
        return False
    return True


async def complete(way: Way, messages: list[dict[str, Any]], *, response_format: dict[str, Any] | None = None) -> Said:
    """Ask a model once.

    Raises:
        TryAgainError: it may answer later: too many calls, a timeout, a broken line.
        NoAnswerError: it will not: a wrong key, a wrong name, a prompt that is too long.
    """
    litellm = _litellm()
    options: dict[str, Any] = {name: value for name, value in way.parameters.items() if name != "system"}
    if "system" in way.parameters:
        rest = [one for one in messages if one.get("role") != "system"]
        messages = [{"role": "system", "content": way.parameters["system"]}, *rest]
    if response_format is not None:
        options["response_format"] = response_format
    if way.api_base is not None:
        options["api_base"] = way.api_base
    if way.key_variable is not None or way.api_base is not None:
        options["api_key"] = os.environ.get(way.key_variable or "") or NO_KEY
    if not _is_listed(way.model):
        options |= ANY_PRICE
    began = time.perf_counter()
    try:
        answer = await litellm.acompletion(
            model=way.model, messages=messages, timeout=PATIENCE, max_retries=0, num_retries=0, caching=False, **options
        )
    except Exception as error:  # LiteLLM's errors have no common root of their own
        raise _failure(error) from error
    return _said(way, answer, round((time.perf_counter() - began) * 1000))


def _said(way: Way, answer: Any, latency_ms: int) -> Said:
    choice, usage = answer.choices[0], getattr(answer, "usage", None)
    tokens = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    # A server that tells of none: LiteLLM makes noughts of it, but the call was not free. Fewer than none is none told.
    if not any(tokens) or not all(0 <= one <= MOST_TOKENS for one in tokens if one is not None):
        tokens = [None, None]
    # What a model says is mended, not refused: an answer that cannot be stored would end the run, each time anew.
    texts = [
        getattr(choice, "finish_reason", None), getattr(answer, "model", None),
        getattr(answer, "system_fingerprint", None),
    ]  # fmt: skip
    finish, model, fingerprint = (None if text is None else mended(str(text)) for text in texts)
    return Said(
        mended(choice.message.content or ""), finish, model, fingerprint, tokens[0], tokens[1], _cost(way, *tokens),
        latency_ms,
    )  # fmt: skip


def _failure(error: Exception) -> NoAnswerError:
    """Return what went wrong, by kind alone: what a provider says can quote the prompt."""
    status = getattr(error, "status_code", None)
    kind = type(error).__name__ if status is None else f"{type(error).__name__} {status}"
    below = [f"{type(one).__module__}.{type(one).__name__}" for one in _causes(error)]
    # LiteLLM calls both of them an answer 500; but there was none.
    if "openai.APIConnectionError" in below:
        return TryAgainError("APIConnectionError", None)
    if "openai.OpenAIError" in below:  # the client's own word before any call: it was given no key
        return NoAnswerError("AuthenticationError 401")
    again = type(error).__name__ in ("APIConnectionError", "Timeout", "TimeoutError")
    if again or (isinstance(status, int) and (status in TRY_AGAIN or status >= 500)):
        return TryAgainError(kind, _after(error))
    return NoAnswerError(kind)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _after(error: Exception) -> float | None:
    headers = getattr(error, "litellm_response_headers", None) or {}
    said = headers.get("retry-after") or headers.get("Retry-After")
    try:
        return None if said is None else max(0.0, min(600.0, float(said)))
    except ValueError:
        return None
