"""LiteLLM's completion with the model that is in use in a workflow: a swap is followed within 5 seconds.

    from neuro_review.integrations.litellm import completion

    answer = completion(workflow="support", messages=[{"role": "user", "content": "May I return it?"}])

What the caller says wins. What says where a call goes, or carries a key, is the application's alone: whoever may change
a workflow's model must not be able to send its prompts and its keys elsewhere.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import litellm

from neuro_review.client import GateError, InUse
from neuro_review.integrations.litellm.in_use import following
from neuro_review.integrations.litellm.where import address

LOG = logging.getLogger("neuro_review.integrations")
TAKEN = frozenset({
    "temperature", "top_p", "top_k", "min_p", "top_a", "seed", "stop", "max_tokens", "max_completion_tokens",
    "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs",
    "response_format", "reasoning_effort", "thinking", "verbosity", "tools", "tool_choice", "parallel_tool_calls",
    "functions", "function_call", "service_tier", "prediction", "modalities", "num_ctx", "timeout", "drop_params",
    "allowed_openai_params",
})  # fmt: skip
"""The parameters of the model in use that are taken over; and `system`, a system message instead of the caller's."""
NONE_NAMED = (
    "No model is in use in the workflow “{}” yet. Let an owner name one, or pass `default_model=` to call until then."
)
_passed_over: set[str] = set()


def completion(
    *, workflow: str, messages: Sequence[Mapping[str, Any]], default_model: str | None = None, url: str | None = None,
    key: str | None = None, **more: Any,
) -> Any:  # fmt: skip
    """Return what LiteLLM's `completion` does, of the model in use.

    Args:
        workflow: whose model is called.
        messages: as LiteLLM takes them.
        default_model: what is called where the gate never answered, or no model was named.
        url: the gate's address; else NEURO_REVIEW_URL.
        key: the key of this application; else NEURO_REVIEW_KEY.
        more: as LiteLLM takes it; it wins over the parameters in use, and `model` over the model.

    Raises:
        GateError: which model is in use cannot be known, and there is no default; or address or key are missing.
    """
    look = following(*address(url, key), workflow).look
    return litellm.completion(**_call(look, workflow, messages, default_model, more))


async def acompletion(
    *, workflow: str, messages: Sequence[Mapping[str, Any]], default_model: str | None = None, url: str | None = None,
    key: str | None = None, **more: Any,
) -> Any:  # fmt: skip
    """Return what LiteLLM's `acompletion` does, of the model in use: as `completion` here, awaited."""
    known = following(*address(url, key), workflow)
    if known.must_ask:
        call = await asyncio.to_thread(_call, known.look, workflow, messages, default_model, more)
    else:
        call = _call(known.look, workflow, messages, default_model, more)
    return await litellm.acompletion(**call)


def _call(
    look: Callable[[], InUse], workflow: str, messages: Sequence[Mapping[str, Any]], default_model: str | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Return what LiteLLM is called with.

    Raises:
        GateError: which model is in use cannot be known, and there is no default.
    """
    if more.get("model") is not None:
        return {"messages": list(messages), **more}
    try:
        model, parameters = _chosen(look())
    except GateError:
        if default_model is None:
            raise
        model, parameters = None, {}
    model = model or default_model
    if model is None:
        raise GateError(NONE_NAMED.format(workflow))
    asked = list(messages)
    if "system" in parameters:  # as it was tried in an eval run
        rest = [one for one in asked if one.get("role") != "system"]
        asked = [{"role": "system", "content": parameters["system"]}, *rest]
    return {"model": model, "messages": asked, **_taken(parameters), **more}


def _chosen(use: InUse) -> tuple[str | None, Mapping[str, Any]]:
    """Return the model in use, or by its share of chance the candidate beside it."""
    canary = use.canary
    if canary is not None and random.random() < canary.share:
        return canary.model, canary.parameters
    return use.model, use.parameters


def _taken(parameters: Mapping[str, Any]) -> dict[str, Any]:
    for name in parameters.keys() - TAKEN - {"system"} - _passed_over:
        _passed_over.add(name)
        LOG.warning(
            "The parameter %s of the model in use is the application's own; what the gate says is ignored.", name
        )
    return {name: value for name, value in parameters.items() if name in TAKEN}
