"""An answer taken apart and put together again: what was reviewed, as it was decided, and nothing beside it."""

from typing import Any

import pytest

from neuro_review.client import Item
from tests.integrations.test_callback import MODE
from tests.integrations.test_sending import ITEM

APPROVED = {"status": "approved", "final": True, "released": True, "verdict": "approve"}
LOGPROBS = {"tokens": ["Raw."], "text_offset": [0], "token_logprobs": [0.0], "top_logprobs": []}
REFUSED = {"status": "rejected", "final": True, "verdict": "reject"}


@pytest.fixture(autouse=True)
def quiet_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM asks no network and reads no `.env` when it is imported."""
    for name, value in MODE.items():
        monkeypatch.setenv(name, value)


def item(**changed: Any) -> Item:
    return Item.read(ITEM | {"external_id": "e"} | changed)


def answered(response: Any, **decided: Item) -> Any:
    from neuro_review.integrations.litellm import answers

    found = {int(index[1:]): one for index, one in decided.items()}
    return answers.replaced(response, found, answers.parts(response), pending="wait {id}", withheld="withheld")


def chat(*contents: str | None, reason: str = "stop") -> Any:
    from litellm.types.utils import ModelResponse

    choices = [
        {"index": n, "finish_reason": reason, "logprobs": {"content": []},
         "message": {"role": "assistant", "content": text, "reasoning_content": "MARKER"}}
        for n, text in enumerate(contents)
    ]  # fmt: skip
    return ModelResponse(model="m", choices=choices)


def test_what_was_approved_goes_out_with_the_models_own_reason_to_stop() -> None:
    made = answered(chat("Yes, but", reason="length"), n0=item(output="Yes, but", **APPROVED))

    assert (made.choices[0].message.content, made.choices[0].finish_reason) == ("Yes, but", "length")
    assert "MARKER" not in made.model_dump_json() and getattr(made.choices[0], "logprobs", None) is None


def test_what_a_server_adds_to_an_answer_does_not_leave_with_it() -> None:
    response = chat("Yes.")
    response.citations, response.note = ["MARKER"], "MARKER"

    made = answered(response, n0=item(output="Yes.", **APPROVED))

    assert made.choices[0].message.content == "Yes."
    assert "MARKER" not in made.model_dump_json() and "MARKER" not in repr(made)


def test_each_choice_goes_its_own_way() -> None:
    corrected = APPROVED | {"status": "corrected", "verdict": "correct"}
    made = answered(
        chat("A", "B", "C", "D", None), n0=item(), n1=item(output="Better", **corrected), n2=item(**REFUSED),
        n3=item(fallback="We call.", **REFUSED),
    )  # fmt: skip

    assert [(one.message.content, one.finish_reason) for one in made.choices] == [
        ("wait i", "content_filter"), ("Better", "stop"), ("withheld", "content_filter"),
        ("We call.", "content_filter"), ("", "stop"),
    ]  # fmt: skip


def test_a_text_completion_is_held_too() -> None:
    from litellm.types.utils import TextCompletionResponse

    choice = {"index": 0, "text": "Raw.", "finish_reason": "stop", "logprobs": LOGPROBS}
    made = answered(TextCompletionResponse(model="m", choices=[choice]), n0=item())

    assert (made.choices[0].text, made.choices[0].logprobs) == ("wait i", None)


def test_sound_and_what_is_no_completion_are_refused() -> None:
    from neuro_review.integrations.litellm.answers import CannotBeHeldError, parts

    spoken = chat("A")
    spoken.choices[0].message.audio = {"data": "…"}
    for response in (spoken, {"content": [{"type": "text", "text": "A"}]}, "A", None):
        with pytest.raises(CannotBeHeldError):
            parts(response)


def test_a_call_that_cannot_be_read_is_counted_as_lost_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    from neuro_review.integrations.litellm import Capture

    capture = Capture("http://127.0.0.1:9", "nr_k", exit_seconds=0)
    capture.log_success_event({"messages": "MARKER"}, None, None, None)
    capture.log_success_event({"standard_logging_object": {"response": {"choices": "MARKER"}}}, None, None, None)

    assert capture.counts.lost == 1
    assert "a completion could not be read" in caplog.text and "MARKER" not in caplog.text
