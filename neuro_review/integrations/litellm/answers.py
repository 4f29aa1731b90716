"""An answer of a model, taken apart to be reviewed, and put together again from what may be sent and nothing else."""

import json
from dataclasses import dataclass
from typing import Any

from litellm.types.utils import (
    Choices,
    Delta,
    EmbeddingResponse,
    ImageResponse,
    Message,
    ModelResponse,
    ModelResponseStream,
    StreamingChoices,
    TextChoices,
    TextCompletionResponse,
)

from neuro_review.client import Item

ANSWERS = (ModelResponse, TextCompletionResponse)
NO_ANSWERS = (EmbeddingResponse, ImageResponse)
"""What holds no text that a model wrote, and passes."""
KEPT = frozenset({"id", "created", "model", "object", "choices", "usage", "system_fingerprint", "service_tier"})
"""What of an answer goes on beside its choices."""
PENDING = "This answer is waiting for human review. [{id}]"
WITHHELD = "This answer was withheld after human review."


class CannotBeHeldError(Exception):
    """The answer has a form that cannot be reviewed; it does not leave."""


@dataclass(frozen=True)
class Part:
    """One choice of an answer, as a reviewer reads it."""

    index: int
    text: str
    content: str | None
    reason: str | None
    """Why the model stopped."""
    calls: Any = None
    """The tools that the model wants called; they are reviewed with the text, as JSON."""


def parts(response: Any) -> list[Part]:
    """Return the choices of an answer.

    Raises:
        CannotBeHeldError: it is no chat or text completion, or holds sound.
    """
    if not isinstance(response, ANSWERS):
        kind = type(response).__name__
        raise CannotBeHeldError(f"An answer of this kind ({kind}) cannot be held for review. Use /chat/completions.")
    return [_part(n, choice) for n, choice in enumerate(response.choices)]


def _part(index: int, choice: Any) -> Part:
    message = getattr(choice, "message", None)
    if message is None:
        text = getattr(choice, "text", None) or ""
        return Part(index, text, text, choice.finish_reason)
    if getattr(message, "audio", None):
        raise CannotBeHeldError("An answer with sound cannot be held for review. Ask for text.")
    content = message.content if isinstance(message.content, str) else None
    calls = [call.model_dump(exclude_none=True) for call in message.tool_calls or []]
    if getattr(message, "function_call", None):
        calls.append({"type": "function", "function": message.function_call.model_dump(exclude_none=True)})
    shown = json.dumps({"tool_calls": calls}, ensure_ascii=False, indent=2) if calls else ""
    return Part(index, "\n\n".join(filter(None, (content, shown))), content, choice.finish_reason, message.tool_calls)


def replaced(response: Any, decided: dict[int, Item], taken_apart: list[Part], *, pending: str, withheld: str) -> Any:
    """Put into an answer what may be sent: what was reviewed, as it was decided, and nothing beside it."""
    made = [_choice(response, part, decided.get(part.index), pending, withheld) for part in taken_apart]
    response.choices = made
    for name in (response.model_extra or {}).keys() - KEPT:  # sources, search results, whatever a server adds
        delattr(response, name)
    return response


def _choice(response: Any, part: Part, item: Item | None, pending: str, withheld: str) -> Any:
    text, reason, calls = _sayable(part, item, pending, withheld)
    if isinstance(response, TextCompletionResponse):
        return TextChoices(index=part.index, text=text, finish_reason=reason, logprobs=None)
    message = Message(role="assistant", content=text, tool_calls=calls)
    return Choices(index=part.index, message=message, finish_reason=reason)


def _sayable(part: Part, item: Item | None, pending: str, withheld: str) -> tuple[str | None, str | None, Any]:
    if item is None:  # there was nothing to review
        return "", part.reason, None
    if item.released and item.output == part.text:
        return part.content, part.reason, part.calls
    if item.released:
        return item.output, "stop", None
    if item.final:
        return item.fallback or withheld, "content_filter", None
    return pending.replace("{id}", item.id), "content_filter", None


def streamed(response: ModelResponse) -> list[ModelResponseStream]:
    """Return an answer as the chunks of a stream."""
    chunks = []
    for choice in response.choices:
        message = choice.message
        calls = [call.model_dump() | {"index": n} for n, call in enumerate(message.tool_calls or [])]
        delta = Delta(role="assistant", content=message.content, tool_calls=calls or None)
        chunks.append(_chunk(response, StreamingChoices(index=choice.index, delta=delta, finish_reason=None)))
        end = StreamingChoices(index=choice.index, delta=Delta(), finish_reason=choice.finish_reason)
        chunks.append(_chunk(response, end))
    return chunks


def _chunk(response: ModelResponse, choice: StreamingChoices) -> ModelResponseStream:
    return ModelResponseStream(id=response.id, created=response.created, model=response.model, choices=[choice])
