"""A guardrail of LiteLLM's proxy: what a model wrote is held, and leaves when a reviewer has decided.

It hands the raw output in by itself, before anything is answered: LiteLLM's callbacks see what it puts in its place. If
the gate cannot take an output, the client gets an error and no text.
"""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import litellm
from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.types.guardrails import GuardrailEventHooks
from litellm.types.utils import ModelResponse, ModelResponseStream

from neuro_review.client import AsyncReviewGate, GateError, Item, RefusedError
from neuro_review.integrations.litellm import answers
from neuro_review.integrations.litellm.answers import CannotBeHeldError, Part
from neuro_review.integrations.litellm.records import app_metadata, facts
from neuro_review.integrations.litellm.where import HELD, address

LONGEST_WAIT = 30.0  # seconds; what stands in between often cuts a line that is silent for longer
PATIENCE = 10.0  # seconds
PARAMETERS = frozenset({
    "temperature", "top_p", "n", "stop", "max_tokens", "max_completion_tokens", "presence_penalty",
    "frequency_penalty", "seed", "tools", "tool_choice", "response_format", "reasoning_effort", "logit_bias", "stream",
})  # fmt: skip


class HoldForReview(CustomGuardrail):
    """Holds every answer; a line of the proxy's configuration for each setting."""

    def __init__(
        self, guardrail_name: str | None = None, event_hook: Any = None, default_on: bool = False, *,
        api_base: str | None = None, api_key: str | None = None, wait_s: float = 0,
        pending: str = answers.PENDING, withheld: str = answers.WITHHELD, **_others: Any,
    ) -> None:  # fmt: skip
        """Make the guardrail.

        Args:
            guardrail_name: what clients name where it is not on by default.
            event_hook: `post_call`, and nothing else: an answer can only be held when it is there.
            default_on: whether it holds for every client.
            api_base: the gate's address; else NEURO_REVIEW_URL.
            api_key: the key of this proxy; else NEURO_REVIEW_KEY.
            wait_s: how long an answer waits for its verdict before it is said to be pending; 30 at the most. A client
                that wants to wait less says so in the `metadata` of its request: `nr_wait_s`.
            pending: what is answered until then; `{id}` is the item's.
            withheld: what is answered where it was refused, and the workflow has no fallback.

        Raises:
            GateError: the address or the key is missing, or the wait is too long.
        """
        if not 0 <= float(wait_s) <= LONGEST_WAIT:
            raise GateError(f"`wait_s` is 0 to {LONGEST_WAIT:g} seconds. For longer waits let the client ask the gate.")
        super().__init__(
            guardrail_name=guardrail_name, event_hook=event_hook or GuardrailEventHooks.post_call,
            default_on=bool(default_on), supported_event_hooks=[GuardrailEventHooks.post_call],
        )  # fmt: skip
        self._where = address(api_base, api_key)
        self._gate: AsyncReviewGate | None = None
        self._wait, self._pending, self._withheld = float(wait_s), pending, withheld

    async def async_post_call_success_hook(self, data: Any, user_api_key_dict: Any, response: Any) -> Any:
        """Hold an answer that is there as a whole."""
        if isinstance(response, answers.NO_ANSWERS):
            return response
        return await self._reviewed(data, response)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[ModelResponseStream]:
        """Hold a stream: nothing leaves before all of it is there and handed in."""
        if request_data.get("litellm_call_id"):
            HELD.add(request_data["litellm_call_id"])
        chunks = [chunk async for chunk in response]
        if not all(isinstance(chunk, ModelResponseStream) for chunk in chunks):
            raise _error(501, "A stream of this kind cannot be held for review. Use /chat/completions.")
        whole = litellm.stream_chunk_builder(chunks, messages=request_data.get("messages")) if chunks else None
        if not isinstance(whole, ModelResponse):
            raise _error(502, "The model's stream broke off. Nothing of it was kept; ask again.")
        for chunk in answers.streamed(await self._reviewed(request_data, whole)):
            yield chunk

    async def _reviewed(self, data: Mapping[str, Any], response: Any) -> Any:
        """Hand an answer in, wait as long as is wanted, and return what may be answered.

        Raises:
            HTTPException: it cannot be handed in; nothing of it leaves.
        """
        try:
            parts = answers.parts(response)
            held = {part.index: await self._hold(data, response, part) for part in parts if part.text}
        except CannotBeHeldError as error:
            raise _error(501, str(error)) from error
        except RefusedError as error:
            raise _error(502, f"The answer could not be held for review: {error}") from error
        except GateError as error:
            raise _error(503, f"The answer could not be held for review: {error}") from error
        items = await self._waited(held, self._seconds(data))
        hidden = response._hidden_params
        hidden["additional_headers"] = (hidden.get("additional_headers") or {}) | {
            "x-review-id": ",".join(item.id for item in items.values()),
            "x-review-status": ",".join(item.status for item in items.values()),
        }
        return answers.replaced(response, items, parts, pending=self._pending, withheld=self._withheld)

    async def _hold(self, data: Mapping[str, Any], response: Any, part: Part) -> Item:
        call = str(data.get("litellm_call_id") or response.id)
        HELD.add(call)
        self._gate = self._gate or AsyncReviewGate(*self._where, patience=PATIENCE)
        said = _said(data, response)
        known = facts(said, app_metadata({"standard_logging_object": said}))
        known["external_id"] = f"hold:{call}:{part.index}"
        return await self._gate.submit(model=str(said["model_group"]), output=part.text, **known)

    def _seconds(self, data: Mapping[str, Any]) -> float:
        """Return how long this client waits."""
        wanted = app_metadata({"standard_logging_object": _said_of(data)}).get("nr_wait_s")
        return min(self._wait, max(0.0, wanted)) if isinstance(wanted, int | float) else self._wait

    async def _waited(self, held: dict[int, Item], seconds: float) -> dict[int, Item]:
        """Return the items as they are when all are decided, or the time is over."""
        until = time.monotonic() + seconds
        found = dict(held)
        if not seconds or self._gate is None:
            return found
        for index, item in held.items():
            try:
                found[index] = await self._gate.wait(item.id, max(0.0, until - time.monotonic()))
            except GateError:
                break  # it is on the gate's disk; that nobody can be asked now makes it pending
        return found


def _said_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the client said of its request, as LiteLLM's callbacks are told it."""
    metadata = data.get("metadata") or data.get("litellm_metadata") or {}
    return {"metadata": {"requester_metadata": metadata.get("requester_metadata")}}


def _said(data: Mapping[str, Any], response: Any) -> dict[str, Any]:
    """Return what is known of a call in the words of LiteLLM's callbacks, which are not called yet."""
    hidden, usage = response._hidden_params, getattr(response, "usage", None)
    metadata = data.get("metadata") or data.get("litellm_metadata") or {}
    spent = hidden.get("_response_ms")
    return {
        "model_group": metadata.get("model_group") or data.get("model"),
        "model": hidden.get("litellm_model_name"),
        "custom_llm_provider": hidden.get("custom_llm_provider"),
        "call_type": "text_completion" if "prompt" in data else "completion",
        "messages": data.get("messages") or data.get("prompt"),
        "model_parameters": {name: data[name] for name in PARAMETERS & data.keys()},
        "end_user": data.get("user"),
        "response_cost": hidden.get("response_cost"),
        "response_time": None if spent is None else spent / 1000,
        "prompt_tokens": getattr(usage, "prompt_tokens", None),
        "completion_tokens": getattr(usage, "completion_tokens", None),
        **_said_of(data),
    }


def _error(status: int, message: str) -> HTTPException:
    return HTTPException(status_code=status, detail={"error": message})
