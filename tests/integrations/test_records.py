"""What LiteLLM says of a call as rows for the gate: every fact, nothing that is LiteLLM's own, no 0 for unknown."""

from typing import Any

import pytest

from neuro_review.client.talks import Row
from neuro_review.integrations.litellm.records import captured, texts

USER = {"role": "user", "content": "May I?"}
PAYLOAD: dict[str, Any] = {
    "litellm_call_id": "c-1", "call_type": "acompletion", "model": "gpt-4o", "custom_llm_provider": "openai",
    "model_group": "", "messages": [USER], "response_cost": 4.5e-05, "cost_breakdown": {"total_cost": 4.5e-05},
    "prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6, "response_time": 0.0746, "request_tags": ["eu"],
    "model_parameters": {"temperature": 0.2, "user": "u-1", "extra_headers": {"X-Secret": "s"}},
    "response": {"choices": [{"message": {"role": "assistant", "content": "Yes."}}]},
    "hidden_params": {"litellm_model_name": "openai/gpt-4o"},
}  # fmt: skip


def call(given: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Return what a callback is given; `given` is the application's metadata."""
    return {"standard_logging_object": PAYLOAD | changed, "litellm_params": {"metadata": given}}


def only(kwargs: dict[str, Any]) -> dict[str, Any]:
    (row,) = captured(kwargs)
    return row


def test_a_completion_becomes_a_row_with_all_that_is_known_of_it() -> None:
    row = only(call({"team": "returns", "nr_prompt_version": "v3", "nr_priority": 9}))

    assert row == {
        "model": "openai/gpt-4o", "output": "Yes.", "external_id": "c-1", "prompt": [USER], "cost_usd": 4.5e-05,
        "latency_ms": 75, "prompt_tokens": 2, "completion_tokens": 4, "parameters": {"temperature": 0.2},
        "end_user": "u-1", "prompt_version": "v3", "priority": 9,
        "metadata": {"team": "returns", "provider": "openai", "call_type": "acompletion", "tags": ["eu"]},
    }  # fmt: skip
    assert row.keys() <= Row.__annotations__.keys()


@pytest.mark.parametrize(
    ("changed", "model"),
    [
        ({}, "openai/gpt-4o"),
        ({"model_group": "mine"}, "mine"),
        ({"hidden_params": {}}, "openai/gpt-4o"),  # a stream
        ({"hidden_params": {}, "model": "openai/gpt-4o"}, "openai/gpt-4o"),
        ({"hidden_params": {}, "custom_llm_provider": None}, "gpt-4o"),
    ],
)
def test_the_model_is_the_one_that_was_asked_for(changed: dict[str, Any], model: str) -> None:
    assert only(call(**changed))["model"] == model


@pytest.mark.parametrize(
    ("changed", "cost"),
    [
        ({"response_cost": 0.0, "cost_breakdown": None}, None),  # LiteLLM has no price for it
        ({"response_cost": 0.0, "total_tokens": 0}, None),  # a stream that told of no tokens
        ({"response_cost": None}, None),
        ({"response_cost": 0.0}, 0.0),  # a price of 0
        ({"response_cost": 0.0, "cache_hit": True, "cost_breakdown": None}, 0.0),
    ],
)
def test_a_cost_that_is_not_known_is_never_0(changed: dict[str, Any], cost: float | None) -> None:
    assert only(call(**changed)).get("cost_usd") == cost


def test_tokens_that_are_not_known_are_left_out() -> None:
    assert only(call(prompt_tokens=0, completion_tokens=0)).keys().isdisjoint({"prompt_tokens", "completion_tokens"})


def test_only_what_the_application_wrote_into_its_metadata_is_kept() -> None:
    routers = {"deployment": "d", "api_base": "http://x", "user_api_key_hash": "h", "hidden_params": {}, "_x": 1}
    proxied = {"requester_metadata": {"ticket": 7, "headers": {"authorization": "Bearer s"}}}

    assert only(call({"team": "a", **routers}, metadata=proxied))["metadata"].keys() == {
        "team", "ticket", "provider", "call_type", "tags"
    }  # fmt: skip


@pytest.mark.parametrize("where", ["sdk", "proxy"])
def test_a_call_that_asks_not_to_be_captured_is_not(where: str) -> None:
    asks = {"nr_capture": False}

    assert captured(call(asks) if where == "sdk" else call(metadata={"requester_metadata": asks})) == []


@pytest.mark.parametrize("text", ["", None, "redacted-by-litellm"])
def test_without_a_text_there_is_nothing_to_review(text: str | None) -> None:
    assert captured(call(response={"choices": [{"message": {"content": text, "tool_calls": [{}]}}]})) == []
    assert captured({}) == []


def test_each_of_several_choices_is_an_output_of_its_own() -> None:
    rows = captured(call(response={"choices": [{"message": {"content": text}} for text in ("A", "B")]}))

    assert [(row["output"], row["external_id"]) for row in rows] == [("A", "c-1"), ("B", "c-1:1")]


@pytest.mark.parametrize(
    ("response", "found"),
    [
        ({"choices": [{"text": "T"}]}, ["T"]),
        (
            {"choices": [{"message": {"content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}}]},
            ["AB"],
        ),
        ({"output": [{"type": "reasoning"}, {"type": "message", "content": [{"text": "R"}]}]}, ["R"]),
        ({"content": [{"type": "thinking"}, {"type": "text", "text": "M"}]}, ["M"]),
        ({"data": [{"embedding": [1]}]}, []),
        ("text", []),
    ],
)
def test_texts_are_found_in_every_kind_of_answer(response: Any, found: list[str]) -> None:
    assert texts(response) == found


def test_messages_that_are_objects_and_prompts_of_other_forms_are_kept() -> None:
    class Said:
        def model_dump(self, **_: Any) -> dict[str, Any]:
            return {"role": "assistant", "content": "Hm."}

    assert only(call(messages=[USER, Said()]))["prompt"] == [USER, {"role": "assistant", "content": "Hm."}]
    assert only(call(messages="Say yes."))["prompt"] == "Say yes."
    assert only(call(messages=["a", 1]))["prompt"] == '["a", 1]'
    assert "prompt" not in only(call(messages=[]))
    assert "parameters" not in only(call(model_parameters={"x": float("nan")}))
