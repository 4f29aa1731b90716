"""A span of OpenTelemetry as rows: GenAI's semantic conventions, old and new, OpenLLMetry's and OpenInference's names.

Text is opt-in in all of them, and stands in many places: in attributes as JSON, flattened one by one, or in events.
"""

import re
from collections.abc import Mapping
from typing import Any

from neuro_review.imports.traces.chats import chat, message, opened, outputs

OPERATIONS = {"chat", "text_completion", "generate_content", "completion"}
REQUEST = "gen_ai.request."
NO_PARAMETERS = {"model", "type", "choice.count"}
# Each fact, and the names that it goes by, the newest first.
FACTS: dict[str, tuple[str, ...]] = {
    "model": ("gen_ai.request.model", "llm.model_name", "gen_ai.response.model", "llm.request.model"),
    "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
                      "llm.usage.prompt_tokens"),
    "completion_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
                          "llm.usage.completion_tokens"),
    "cost_usd": ("llm.cost.total", "gen_ai.usage.cost", "gen_ai.usage.total_cost"),
    "end_user": ("user.id", "enduser.id"),
}  # fmt: skip
ABOUT: dict[str, tuple[str, ...]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "conversation": ("gen_ai.conversation.id", "session.id"),
}
INPUT = ("gen_ai.input.messages", "gen_ai.prompt", "llm.input_messages", "input.value")
OUTPUT = ("gen_ai.output.messages", "gen_ai.completion", "llm.output_messages", "output.value")
FLAT = re.compile(
    r"(?:gen_ai\.(?P<kind>prompt|completion)|llm\.(?P<side>input|output)_messages)\.(?P<n>\d{1,6})\.(?:message\.)?(?P<name>.+)"
)
PART = re.compile(r"contents\.\d+\.message_content\.text")
EVENT_TEXT = {"gen_ai.content.prompt": "gen_ai.prompt", "gen_ai.content.completion": "gen_ai.completion"}
EVENT_ROLE = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant",
              "gen_ai.tool.message": "tool"}  # fmt: skip


def name_of(span: Mapping[str, Any]) -> str:
    """Return what a span is called."""
    return str(span.get("name") or "span")


def is_call(span: Mapping[str, Any]) -> bool:
    """Tell whether a span is the call of a model that writes."""
    said = attributes(span.get("attributes"))
    kind = said.get("openinference.span.kind")
    if kind is not None:
        return bool(kind == "LLM")
    operation = said.get("gen_ai.operation.name") or said.get("llm.request.type")
    if operation is not None:
        return operation in OPERATIONS
    return any(name in said for name in FACTS["model"])


def rows(span: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each text that a call wrote; none where the span holds no text."""
    said = attributes(span.get("attributes"))
    said |= _of_events(span.get("events"))
    _unflatten(said)
    given, written = _first(said, INPUT), _first(said, OUTPUT)
    prompt = chat(given)
    system = opened(said.get("gen_ai.system_instructions"))
    if system and isinstance(prompt, list):
        prompt = [{"role": "system", "content": "\n".join(outputs(system))}, *prompt]
    known = {name: _first(said, names) for name, names in FACTS.items()}
    known |= {"prompt": prompt, "parameters": _parameters(said) or None, **_times(span)}
    trace, own = span.get("traceId"), span.get("spanId")
    about = {name: _first(said, names) for name, names in ABOUT.items()} | {"trace_id": trace, "span_id": own}
    known["metadata"] = {name: value for name, value in about.items() if value is not None}
    for tokens in ("prompt_tokens", "completion_tokens"):
        known[tokens] = _whole(known[tokens])
    known["cost_usd"] = _number(known["cost_usd"])
    known = {name: value for name, value in known.items() if value is not None}
    name = {"external_id": f"{trace}-{own}"} if trace and own else {}
    return [
        known | {"output": text} | (name if n == 0 or not name else {"external_id": f"{trace}-{own}:{n}"})
        for n, text in enumerate(outputs(written))
    ]


def attributes(listed: Any) -> dict[str, Any]:
    """Return a list of typed keys and values as a dict."""
    if not isinstance(listed, list):
        return {}
    pairs = [one for one in listed if isinstance(one, Mapping) and isinstance(one.get("key"), str)]
    return {one["key"]: _value(one.get("value")) for one in pairs}


def _value(typed: Any) -> Any:
    if not isinstance(typed, Mapping) or not typed:
        return None
    kind, value = next(iter(typed.items()))
    if kind == "arrayValue":
        return [_value(one) for one in (value or {}).get("values", [])]
    if kind == "kvlistValue":
        return attributes((value or {}).get("values"))
    return _whole(value) if kind == "intValue" else value


def _of_events(events: Any) -> dict[str, Any]:
    """Return what events tell of a call's texts, under the names of attributes."""
    found: dict[str, Any] = {}
    given, written = [], []
    for event in events if isinstance(events, list) else []:
        name, said = event.get("name"), attributes(event.get("attributes"))
        if name in EVENT_TEXT:
            found[EVENT_TEXT[name]] = said.get(EVENT_TEXT[name])
        elif name in EVENT_ROLE and said.get("content") is not None:
            given.append({"role": said.get("role") or EVENT_ROLE[name], "content": said["content"]})
        elif name == "gen_ai.choice":
            one = opened(said.get("message"))
            content = one.get("content") if isinstance(one, Mapping) else one or said.get("content")
            written.append({"role": "assistant", "content": content})
        else:
            found |= {key: value for key, value in said.items() if key in (*INPUT, *OUTPUT)}
    return found | ({INPUT[0]: given} if given else {}) | ({OUTPUT[0]: written} if written else {})


def _unflatten(said: dict[str, Any]) -> None:
    """Put messages together that are written one attribute for each of their fields."""
    messages: dict[str, dict[int, dict[str, Any]]] = {}
    for key in list(said):
        if found := FLAT.fullmatch(key):
            side = INPUT[0] if "prompt" in (found["kind"] or "") or found["side"] == "input" else OUTPUT[0]
            messages.setdefault(side, {}).setdefault(int(found["n"]), {})[found["name"]] = said[key]
    for side, numbered in messages.items():
        listed = [_whole_message(fields) for _, fields in sorted(numbered.items())]
        said.setdefault(side, [one for one in listed if one])


def _whole_message(fields: dict[str, Any]) -> dict[str, Any] | None:
    plain = {name: value for name, value in fields.items() if "." not in name}
    parts = [
        value for name, value in sorted(fields.items()) if re.fullmatch(r"contents\.\d+\.message_content\.text", name)
    ]
    plain.setdefault("role", "assistant")
    plain.setdefault("content", "".join(map(str, parts)))
    return message(plain)


def _first(said: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((said[name] for name in names if said.get(name) not in (None, "", [])), None)


def _parameters(said: Mapping[str, Any]) -> dict[str, Any]:
    given = opened(said.get("llm.invocation_parameters"))
    named = {key[len(REQUEST) :]: value for key, value in said.items() if key.startswith(REQUEST)}
    named = {name: value for name, value in named.items() if name not in NO_PARAMETERS}
    return (given if isinstance(given, dict) else {}) | named


def _times(span: Mapping[str, Any]) -> dict[str, Any]:
    begun, ended = _whole(span.get("startTimeUnixNano")), _whole(span.get("endTimeUnixNano"))
    if not ended:
        return {}
    latency = round((ended - begun) / 1e6) if begun and begun <= ended else None
    return {"created_at": ended / 1e9, "latency_ms": latency}


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
