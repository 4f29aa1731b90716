"""Messages and texts in the forms that tracing tools write them in."""

from collections.abc import Mapping
from typing import Any

import orjson

LANGCHAIN = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
CALLED = ("tool_calls", "function_call")


def opened(value: Any) -> Any:
    """Return what a text holds where it is JSON; many tools write JSON as a text."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, or parts of which some are texts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or part.get("type", "text") not in ("text", "output_text", "input_text"):
        return ""
    said = part.get("content", part.get("text"))
    return said if isinstance(said, str) else ""


def message(said: Any) -> dict[str, Any] | None:
    """Return a chat message in one form: its content a text where it is nothing else; None where it is none."""
    if isinstance(said, Mapping) and isinstance(said.get("message"), Mapping) and "role" not in said:
        said = said["message"]
    role = said.get("role", LANGCHAIN.get(str(said.get("type")))) if isinstance(said, Mapping) else None
    if not isinstance(role, str):
        return None
    kept = {name: value for name, value in said.items() if name not in ("parts", "finish_reason") and value is not None}
    content = said.get("parts", said.get("content"))
    texts = [_text_of_part(part) for part in content] if isinstance(content, list) else [""]
    kept["role"] = role
    kept["content"] = text_of(content) if isinstance(content, str) or all(texts) else content
    return kept


def chat(said: Any) -> list[dict[str, Any]] | str | None:
    """Return what a model was given: chat messages, a text, or None where nothing is known of it."""
    said = opened(said)
    if isinstance(said, Mapping) and isinstance(said.get("messages"), list):
        said = said["messages"]
    if isinstance(said, Mapping) and isinstance(said.get("prompt"), str) and len(said) == 1:
        return str(said["prompt"])
    if isinstance(said, list):
        while len(said) == 1 and isinstance(said[0], list):  # LangChain: a batch of chats
            said = said[0]
        messages = [message(one) for one in said]
        if messages and all(messages):
            return [one for one in messages if one]
    if said in (None, "", [], {}):
        return None
    if isinstance(said, Mapping) and (one := message(said)):
        return [one]
    return said if isinstance(said, str) else as_text(said)


def outputs(said: Any) -> list[str]:
    """Return the texts that a model wrote; none where there is no text, as with a bare call of a tool.

    A text that is JSON of no known form is the output itself, byte for byte.
    """
    read = opened(said)
    if read in (None, "", [], {}):
        return []
    if isinstance(read, str):
        return [read]
    found = _of_object(read) if isinstance(read, Mapping) else _of_list(read)
    return [said if isinstance(said, str) else as_text(said)] if found is None else found


def _of_list(said: Any) -> list[str] | None:
    if not isinstance(said, list) or not all(isinstance(one, Mapping) for one in said):
        return None
    messages = [message(one) for one in said]
    if all(messages):
        return [text for one in messages if one and (text := text_of(one["content"]))]
    return [text] if (text := text_of(said)) else None


def _of_object(said: Mapping[str, Any]) -> list[str] | None:
    for name in ("choices", "messages", "generations"):
        if isinstance(listed := said.get(name), list):
            while len(listed) == 1 and isinstance(listed[0], list):  # LangChain: a batch of chats
                listed = listed[0]
            each = [one for one in listed if isinstance(one, Mapping)]
            found = [outputs(one.get("message") or one.get("text") or (one if "role" in one else None)) for one in each]
            return [text for texts in found for text in texts]
    if one := message(said):
        return [text] if (text := text_of(one["content"])) else []
    for name in ("completion", "content", "text", "output"):
        if len(said) <= 2 and isinstance(said.get(name), str):
            return [said[name]] if said[name] else []
    return [] if any(name in said for name in CALLED) else None


def as_text(value: Any) -> str:
    """Return a value as JSON, for what is structured and is the output itself."""
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
