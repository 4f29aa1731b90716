"""An observation of Langfuse as rows: generations, with what Langfuse knows of model, tokens, cost and prompt."""

from collections.abc import Mapping
from typing import Any

from db.clock import parse_iso
from neuro_review.imports.traces.chats import chat, opened, outputs

TEXTS = ("input", "output")


def name_of(observation: Mapping[str, Any]) -> str:
    """Return what an observation is called."""
    return str(observation.get("name") or observation.get("type") or "observation")


def is_call(observation: Mapping[str, Any]) -> bool:
    """Tell whether an observation is the call of a model."""
    kind = observation.get("type")
    return kind == "GENERATION" if kind is not None else "model" in observation and "output" in observation


def rows(observation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each text that a generation wrote; none where it holds no text."""
    told = {name: value if name in TEXTS else opened(value) for name, value in observation.items()}
    usage, costs = _object(told.get("usageDetails")), _object(told.get("costDetails"))
    old = _object(told.get("usage"))
    known = {
        "model": told.get("model") or told.get("providedModelName"),
        "prompt": chat(told.get("input")),
        "parameters": _object(told.get("modelParameters")) or None,
        "prompt_tokens": _whole(
            usage.get("input"), old.get("input"), old.get("promptTokens"), told.get("promptTokens")
        ),
        "completion_tokens": _whole(
            usage.get("output"), old.get("output"), old.get("completionTokens"), told.get("completionTokens")
        ),
        "cost_usd": _number(costs.get("total"), told.get("totalCost"), told.get("calculatedTotalCost")),
        "end_user": told.get("userId"),
        "prompt_version": _prompt_version(told),
        "metadata": _metadata(told),
        **_times(told),
    }
    known = {name: value for name, value in known.items() if value not in (None, "")}
    own = told.get("id")
    return [
        known | {"output": text} | ({"external_id": str(own) if n == 0 else f"{own}:{n}"} if own else {})
        for n, text in enumerate(outputs(told.get("output")))
    ]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _metadata(told: Mapping[str, Any]) -> dict[str, Any]:
    about = {"trace_id": told.get("traceId"), "name": told.get("name"), "environment": told.get("environment")}
    about |= {"langfuse": told.get("metadata") or None}
    return {name: value for name, value in about.items() if value is not None}


def _prompt_version(told: Mapping[str, Any]) -> str | None:
    parts = [str(told[name]) for name in ("promptName", "promptVersion") if told.get(name) not in (None, "")]
    return "@".join(parts) or None


def _times(told: Mapping[str, Any]) -> dict[str, Any]:
    begun, ended = (told.get(name) for name in ("startTime", "endTime"))
    spent = _number(told.get("latency"))
    try:
        latency = round((parse_iso(str(ended)) - parse_iso(str(begun))) / 1000) if begun and ended else None
    except ValueError:  # the time itself is looked at with the row
        latency = None
    if latency is None and spent is not None:
        latency = round(spent * 1000)
    return {"created_at": ended or begun, "latency_ms": latency if latency is not None and latency >= 0 else None}


def _whole(*values: Any) -> int | None:
    number = _number(*values)
    return None if number is None else int(number)


def _number(*values: Any) -> float | None:
    for value in values:
        try:
            if value is not None and value != "":
                return float(value)
        except (TypeError, ValueError):
            continue
    return None
