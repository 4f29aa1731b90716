"""LiteLLM's real proxy with the README's guardrail, asked by the real `openai` client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from db.tables import Verdict
from neuro_review.client import ReviewGate
from tests.client.test_readme import SECONDS, example, run
from tests.integrations.proxy import ASK, RAW, SECRET, Proxy, gate_of_its_own, proxy_before
from tests.llm_server import language_model

AT_ONCE = {"metadata": {"nr_wait_s": 0, "ticket": "4711", "nr_prompt_version": "v3"}}
CALL = {"id": "call-1", "type": "function", "function": {"name": "refund", "arguments": '{"euro": 5}'}}


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, installed: Path) -> Iterator[Proxy]:
    """One proxy for all tests: it takes half a minute to start."""
    folder = tmp_path_factory.mktemp("proxy")
    with (
        language_model(RAW) as llm,
        gate_of_its_own(folder, sqlite_template) as served,
        proxy_before(llm, served, folder, installed) as proxy,
    ):
        yield proxy


@pytest.fixture
def proxy(running: Proxy) -> Proxy:
    running.llm.answer = RAW
    return running


def text(answer: Any) -> str | None:
    return answer.parse().choices[0].message.content


def test_an_answer_that_nobody_has_decided_is_said_to_be_pending(proxy: Proxy) -> None:
    answer = proxy.ask(extra_body=AT_ONCE, temperature=0.5, user="u-1")
    item = proxy.item(answer.headers["x-review-id"])

    assert text(answer) == f"This answer is waiting for human review. [{item['id']}]"
    assert answer.parse().choices[0].finish_reason == "content_filter"
    assert (answer.headers["x-review-status"], RAW in answer.text) == ("held", False)
    assert (item["output"], item["model"], item["status"], item["prompt_version"]) == (RAW, "support-bot", "held", "v3")
    assert (item["cost_micro"], item["prompt_tokens"], item["completion_tokens"]) == (50, 4, 4)
    assert item["latency_ms"] > 0 and item["end_user"] == "u-1"
    assert json.loads(item["prompt"]) == ASK
    assert json.loads(item["parameters"]) == {"temperature": 0.5}
    assert json.loads(item["metadata"])["ticket"] == "4711" and "nr_wait_s" not in item["metadata"]
    with ReviewGate(proxy.served.url, proxy.served.key) as gate:
        proxy.served.decide(Verdict.CORRECT, "Yes, if they are unused.")
        assert gate.wait(item["id"], 60).to_send == "Yes, if they are unused."


@pytest.mark.parametrize(
    ("verdict", "written", "leaves", "reason", "status"),
    [
        (Verdict.APPROVE, None, RAW, "stop", "approved"),
        (Verdict.CORRECT, "Yes, if they are unused.", "Yes, if they are unused.", "stop", "corrected"),
        (Verdict.REJECT, None, "We will call you.", "content_filter", "rejected"),
    ],
)
def test_an_answer_that_waits_leaves_as_it_was_decided(
    proxy: Proxy, verdict: Verdict, written: str | None, leaves: str, reason: str, status: str
) -> None:
    proxy.decide_when_asked_for(verdict, written)
    answer = proxy.ask()

    assert (text(answer), answer.parse().choices[0].finish_reason) == (leaves, reason)
    assert answer.headers["x-review-status"] == status
    assert answer.parse().usage.total_tokens == 8


def test_a_stream_is_held_as_a_whole(proxy: Proxy) -> None:
    def streamed(**more: Any) -> list[Any]:
        with proxy.client() as client:
            return list(client.chat.completions.create(model="support-bot", messages=ASK, stream=True, **more))

    pending = streamed(extra_body=AT_ONCE)
    (item,) = [proxy.served.decide(Verdict.REJECT)]
    proxy.decide_when_asked_for(Verdict.CORRECT, "Yes, if they are unused.")
    decided = streamed()

    def said(chunks: list[Any]) -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert said(pending) == f"This answer is waiting for human review. [{item}]"
    assert proxy.item(item)["output"] == RAW
    assert said(decided) == "Yes, if they are unused."
    assert [chunk.choices[0].finish_reason for chunk in decided if chunk.choices][-1] == "stop"


def test_tool_calls_are_reviewed_and_leave_when_they_are_approved(proxy: Proxy) -> None:
    proxy.llm.answer = lambda _asked: {"content": None, "tool_calls": [CALL]}
    pending = proxy.ask(extra_body=AT_ONCE)
    item = proxy.item(pending.headers["x-review-id"])
    proxy.served.decide(Verdict.REJECT)
    proxy.decide_when_asked_for(Verdict.APPROVE)
    approved = proxy.ask().parse().choices[0]

    assert json.loads(item["output"])["tool_calls"][0]["function"] == CALL["function"]
    assert pending.parse().choices[0].message.tool_calls is None
    assert approved.message.tool_calls[0].function.arguments == '{"euro": 5}'
    assert (approved.finish_reason, approved.message.content) == ("tool_calls", None)


def test_nothing_leaves_beside_what_was_reviewed(proxy: Proxy) -> None:
    proxy.llm.answer = lambda _asked: {"content": RAW, "reasoning_content": "MARKER"}
    proxy.decide_when_asked_for(Verdict.APPROVE)
    answer = proxy.ask(logprobs=True)

    assert text(answer) == RAW
    assert "MARKER" not in answer.text and "MARKER" not in str(answer.headers)


def test_a_client_cannot_ask_to_be_let_past_the_gate(proxy: Proxy) -> None:
    for way_out in ({"nr_capture": False}, {"guardrails": []}, {"disable_global_guardrails": True}):
        answer = proxy.ask(extra_body={"metadata": {**way_out, "nr_wait_s": 0}, **way_out})
        proxy.served.decide(Verdict.REJECT)

        assert RAW not in answer.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ["responses", "messages"])
def test_what_cannot_be_held_does_not_leave(proxy: Proxy, route: str, stream: bool) -> None:
    asked = len(proxy.llm.requests)
    body: dict[str, Any] = {"model": "bridged", "stream": stream}  # whose routes all end at /chat/completions
    body |= {"input": "May I?"} if route == "responses" else {"messages": ASK, "max_tokens": 50}
    answer = httpx.post(
        f"{proxy.url}/v1/{route}", json=body, headers={"Authorization": f"Bearer {SECRET}"}, timeout=120
    )

    assert RAW not in answer.text and "within" not in answer.text
    assert "error" in answer.text and "cannot be held for review" in answer.text
    assert len(proxy.llm.requests) == asked + 1


@pytest.mark.parametrize("stream", [False, True])
def test_while_the_gate_is_away_the_client_gets_an_error_and_no_text(proxy: Proxy, stream: bool) -> None:
    proxy.served.stop()
    try:
        with pytest.raises(openai.APIError) as error, proxy.client() as client:
            said = client.chat.completions.create(model="support-bot", messages=ASK, stream=stream)
            list(said) if stream else None
    finally:
        proxy.served.start()

    assert "could not be held for review" in str(error.value) and RAW not in str(error.value)


def test_the_examples_client_gets_what_the_reviewer_wrote(proxy: Proxy, installed: Path, tmp_path: Path) -> None:
    code = example("From LiteLLM's proxy")
    where = {"NEURO_REVIEW_URL": proxy.served.url, "NEURO_REVIEW_KEY": proxy.served.key}
    program = run(code, installed, tmp_path, **where, PROXY_URL=proxy.url, PROXY_KEY=SECRET)
    proxy.decide_when_asked_for(Verdict.CORRECT, "Yes, if they are unused.")
    said, errors = program.communicate(timeout=SECONDS)

    assert (said, errors) == ("Yes, if they are unused.\n", "")
    assert len(code.splitlines()) <= 15


def test_no_text_reaches_the_proxys_log(proxy: Proxy) -> None:
    written = proxy.log.read_text()

    assert "POST /chat/completions" in written  # this is the right file
    assert RAW not in written and "if they are unused" not in written
