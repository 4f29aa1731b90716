"""What LiteLLM says of a call, as rows for the gate. Knows LiteLLM's words, and imports none of it."""

import json
from collections.abc import Mapping
from typing import Any

REDACTED = "redacted-by-litellm"
OURS = "nr_"
"""Metadata of a call by which the application tells us something: `nr_capture=False`, `nr_prompt_version="v3"`, …"""
ASKED_FOR = ("external_id", "prompt_version", "context", "priority", "trace_url")
# What LiteLLM's router writes into the application's own metadata.
ROUTERS = frozenset({
    "model_group", "model_group_alias", "model_group_size", "original_model_group", "attempted_fallbacks",
    "attempted_retries", "max_retries", "deployment", "deployment_model_name", "api_base", "model_info",
    "caching_groups", "hidden_params", "headers", "endpoint", "global_max_parallel_requests",
    "requester_ip_address", "user_agent",
})  # fmt: skip
NO_PARAMETERS = frozenset({"user", "metadata", "extra_headers", "headers", "api_key", "stream_options"})


def captured(kwargs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each text of a completion; none where there is nothing to review, or the app asks for none."""
    said = kwargs.get("standard_logging_object") or {}
    metadata = app_metadata(kwargs)
    if metadata.get(f"{OURS}capture") is False:
        return []
    found = [text for text in texts(said.get("response")) if text and text != REDACTED]
    known = facts(said, metadata)
    name = known.pop("external_id", None) or said.get("litellm_call_id") or said.get("id")
    return [
        {"model": requested(kwargs), "output": text, "external_id": f"{name}:{n}" if n else str(name), **known}
        for n, text in enumerate(found)
    ]


def texts(response: Any) -> list[str]:
    """Return what a model wrote: of a chat, a text completion, OpenAI's Responses or Anthropic's Messages."""
    if not isinstance(response, Mapping):
        return []
    if isinstance(response.get("choices"), list):
        choices = [one for one in response["choices"] if isinstance(one, Mapping)]
        return [_text((one.get("message") or {}).get("content") or one.get("text")) for one in choices]
    if isinstance(response.get("output"), list):
        messages = [one for one in response["output"] if isinstance(one, Mapping) and one.get("type") == "message"]
        return ["".join(_text(one.get("content")) for one in messages)]
    return [_text(response["content"])] if isinstance(response.get("content"), list) else []


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def app_metadata(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that the application gave its call: to the SDK, or to the proxy in the request."""
    params = kwargs.get("litellm_params") or {}
    said = kwargs.get("standard_logging_object") or {}
    requested = (said.get("metadata") or {}).get("requester_metadata")
    given: dict[str, Any] = {}
    for one in (params.get("litellm_metadata"), params.get("metadata"), requested):
        given |= one if isinstance(one, Mapping) else {}
    return given


def requested(kwargs: Mapping[str, Any]) -> str:
    """Return the model as the application asked for it.

    The router and the proxy know it as the model group. Else LiteLLM tells it of all calls but streams; of those only
    what is left when the provider was taken off, which is put back.
    """
    said = kwargs.get("standard_logging_object") or {}
    name = said.get("model_group") or (said.get("hidden_params") or {}).get("litellm_model_name")
    if name:
        return str(name)
    model, provider = str(said.get("model") or kwargs.get("model")), said.get("custom_llm_provider")
    return model if not provider or model.startswith(f"{provider}/") else f"{provider}/{model}"


def facts(said: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a call beside model and text, in the gate's words; what is not known is left out."""
    parameters = said.get("model_parameters") or {}
    about = {name: value for name, value in metadata.items() if _is_the_apps(name, value)}
    about |= {"provider": said.get("custom_llm_provider"), "call_type": said.get("call_type")}
    if said.get("model_group") and said.get("model") != said["model_group"]:
        about["deployment"] = said.get("model")
    if said.get("request_tags"):
        about["tags"] = list(said["request_tags"])
    known = {
        "prompt": prompt(said.get("messages")),
        "cost_usd": _cost(said),
        "latency_ms": None if said.get("response_time") is None else round(said["response_time"] * 1000),
        "prompt_tokens": said.get("prompt_tokens") or None,
        "completion_tokens": said.get("completion_tokens") or None,
        "parameters": plain({key: value for key, value in parameters.items() if key not in NO_PARAMETERS}) or None,
        "end_user": str(said.get("end_user") or parameters.get("user") or "")[:500] or None,
        "metadata": plain({name: value for name, value in about.items() if value is not None}) or None,
    }
    known |= {name: plain(metadata.get(f"{OURS}{name}")) for name in ASKED_FOR}
    return {name: value for name, value in known.items() if value is not None}


def prompt(messages: Any) -> Any:
    """Return what the model was given: a text, or chat messages that each have a role."""
    messages = plain(messages)
    if isinstance(messages, list) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) for one in messages
    ):
        return messages or None
    return messages if isinstance(messages, str) or messages is None else json.dumps(messages, ensure_ascii=False)


def _cost(said: Mapping[str, Any]) -> float | None:
    """Return what a call cost; None where LiteLLM has no price for the model or was told of no tokens: not 0."""
    cost = said.get("response_cost")
    if cost:
        return float(cost)
    free = said.get("cache_hit") is True or (said.get("cost_breakdown") is not None and said.get("total_tokens"))
    return 0.0 if free and cost is not None else None


def _is_the_apps(name: Any, value: Any) -> bool:
    """Tell whether a value of the metadata is the application's: LiteLLM mixes what it needs itself into the same."""
    if not isinstance(name, str) or name in ROUTERS or name.startswith((OURS, "_", "user_api_key", "litellm_")):
        return False
    return isinstance(value, str | int | float | bool)


def plain(value: Any) -> Any:
    """Return a value as JSON has it, or None where it cannot be written so."""
    try:
        return json.loads(json.dumps(value, default=_dumped, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None


def _dumped(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else str(value)
