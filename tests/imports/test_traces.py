"""Traces in: exports of OpenTelemetry and Langfuse in each of their layouts, and what of them is no row."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest

from db.engine import Database
from neuro_review.imports.run import Tally, import_file
from neuro_review.imports.traces import langfuse, otel
from neuro_review.imports.traces.spans import Kind
from tests.imports.conftest import BY, Command, query, rejected, write_lines

USER = {"role": "user", "content": "May I return it?"}
SAID = {"role": "assistant", "content": "Yes."}
SYSTEM = {"role": "system", "content": "Be kind."}
TRACE = "5b8efff798038103d269b633813fc60c"
TYPES = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}


def typed(value: Any) -> dict[str, Any]:
    """Return a value as OTLP writes it; whole numbers are texts there."""
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": listed(value)}}
    return {TYPES[type(value)]: str(value) if type(value) is int else value}


def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": typed(value)} for key, value in values.items()]


def span(
    attributes: dict[str, Any], n: int = 1, *, name: str = "chat gpt-4o", events: dict[str, Any] | None = None
) -> dict[str, Any]:
    made = {
        "traceId": TRACE, "spanId": f"{n:016x}", "name": name, "kind": 3, "startTimeUnixNano": "1760000000000000000",
        "endTimeUnixNano": "1760000000812000000", "attributes": listed(attributes),
    }  # fmt: skip
    if events:
        made["events"] = [{"name": key, "attributes": listed(value)} for key, value in events.items()]
    return made


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    service = {"attributes": listed({"service.name": "shop"})}
    return {"resourceSpans": [{"resource": service, "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}]}]}


def parts(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


CHAT = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.request.temperature": 0.5, "gen_ai.conversation.id": "conv-1",
    "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind."}]),
    "gen_ai.input.messages": json.dumps([parts("user", "May I return it?")]),
    "gen_ai.output.messages": json.dumps([parts("assistant", "Yes.") | {"finish_reason": "stop"}]),
}  # fmt: skip
NO_TEXT = {key: value for key, value in CHAT.items() if not key.endswith(("messages", "instructions"))}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund"}
EMBEDDING = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"}


def test_a_span_of_todays_conventions_becomes_a_row_with_all_that_it_says() -> None:
    assert otel.rows(span(CHAT)) == [{
        "external_id": f"{TRACE}-0000000000000001", "model": "gpt-4o", "output": "Yes.", "prompt": [SYSTEM, USER],
        "prompt_tokens": 12, "completion_tokens": 5, "parameters": {"temperature": 0.5}, "latency_ms": 812,
        "created_at": 1760000000.812,
        "metadata": {
            "provider": "openai", "conversation": "conv-1", "trace_id": TRACE, "span_id": "0000000000000001",
        },
    }]  # fmt: skip


# Each way in which a text is written: attributes, events, the prompt it means, the outputs.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "structured attributes": (
        {"gen_ai.input.messages": [parts("user", "May I return it?")],
         "gen_ai.output.messages": [parts("assistant", "Yes.")]}, None,
    ),
    "old attributes": (
        {"gen_ai.system": "openai", "gen_ai.prompt": json.dumps([USER]),
         "gen_ai.completion": json.dumps([{"role": "assistant", "content": "Yes."}])}, None,
    ),
    "old events": (
        {}, {"gen_ai.content.prompt": {"gen_ai.prompt": json.dumps([USER])},
             "gen_ai.content.completion": {"gen_ai.completion": json.dumps([SAID])}},
    ),
    "an event a message": (
        {}, {"gen_ai.user.message": {"content": "May I return it?"},
             "gen_ai.choice": {"index": 0, "message": json.dumps({"role": "assistant", "content": "Yes."})}},
    ),
    "an event with all": (
        {}, {"gen_ai.client.inference.operation.details": {
            "gen_ai.input.messages": json.dumps([parts("user", "May I return it?")]),
            "gen_ai.output.messages": json.dumps([parts("assistant", "Yes.")])}},
    ),
    "OpenLLMetry": (
        {"llm.request.type": "chat", "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "May I return it?",
         "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Yes.",
         "gen_ai.completion.0.finish_reason": "stop"}, None,
    ),
    "OpenInference": (
        {"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user",
         "llm.input_messages.0.message.content": "May I return it?",
         "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "Yes."}, None,
    ),
    "OpenInference in parts": (
        {"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user",
         "llm.input_messages.0.message.contents.0.message_content.type": "text",
         "llm.input_messages.0.message.contents.0.message_content.text": "May I return it?",
         "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "Yes."}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_texts_are_found_wherever_they_are_written(way: str) -> None:
    attributes, events = WAYS[way]
    one = span({"gen_ai.request.model": "m", **attributes}, events=events)

    assert otel.is_call(one)
    assert [(row["prompt"], row["output"]) for row in otel.rows(one)] == [([USER], "Yes.")]


def test_openinference_tells_cost_tokens_and_parameters() -> None:
    facts = {
        "llm.model_name": "m", "llm.token_count.prompt": 3, "llm.token_count.completion": 1, "llm.cost.total": 0.01,
        "llm.invocation_parameters": '{"temperature": 0}', "user.id": "u-1",
    }  # fmt: skip
    (row,) = otel.rows(span({**WAYS["OpenInference"][0], **facts}))

    assert (row["model"], row["prompt_tokens"], row["completion_tokens"], row["cost_usd"]) == ("m", 3, 1, 0.01)
    assert (row["parameters"], row["end_user"]) == ({"temperature": 0}, "u-1")


def test_several_choices_are_outputs_of_their_own_and_a_bare_tool_call_is_none() -> None:
    two = CHAT | {"gen_ai.output.messages": json.dumps([parts("assistant", "A"), parts("assistant", "B")])}
    call = {"role": "assistant", "parts": [{"type": "tool_call", "name": "refund", "arguments": {}}]}
    bare = CHAT | {"gen_ai.output.messages": json.dumps([call])}

    assert [(row["output"], row["external_id"][-3:]) for row in otel.rows(span(two))] == [("A", "001"), ("B", "1:1")]
    assert otel.rows(span(bare)) == []


LAYOUTS = {
    "JSON lines": lambda requests: b"\n".join(orjson.dumps(one) for one in requests) + b"\n",
    "one line without an end": lambda requests: orjson.dumps(request(*_spans(requests))),
    "one object over many lines": lambda requests: json.dumps(request(*_spans(requests)), indent=2).encode(),
    "an array": orjson.dumps,
    "an array over many lines": lambda requests: json.dumps(requests, indent=1).encode(),
    "two objects over many lines": lambda requests: b"\n".join(json.dumps(one, indent=2).encode() for one in requests),
}


def _spans(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for each in requests for one in each["resourceSpans"][0]["scopeSpans"][0]["spans"]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_is_read_in_each_layout_and_what_is_no_row_is_counted_and_named(
    db: Database, command: Command, tmp_path: Path, layout: str
) -> None:
    requests = [request(span(CHAT, 1), span(TOOL, 2)), request(span(NO_TEXT, 3), span(CHAT, 4), span(EMBEDDING, 5))]
    path = tmp_path / "traces.json"
    path.write_bytes(LAYOUTS[layout](requests))
    first = command(path, "-w", "support", "--from", "otel", "--json")
    again = command(path, "-w", "support", "--from", "otel")

    assert json.loads(first.stdout) == {
        "read": 2, "held": 2, "history": 0, "duplicates": 0, "rejected": 0, "spans": 5, "other_spans": 2,
        "without_text": 1, "without_text_names": {"chat gpt-4o": 1},
    }  # fmt: skip
    assert again.stdout == (
        "2 rows read: 2 there already. Of 5 spans 2 are no call of a model. 1 call holds no text: chat gpt-4o (1)."
        " Texts are recorded only where the instrumentation is told to.\n"
    )
    ids = {f"{TRACE}-{n:016x}" for n in (1, 4)}
    assert {row[0] for row in query(db, "SELECT external_id FROM item")} == ids
    assert query(db, "SELECT DISTINCT latency_ms, created_at FROM item") == [(812, 1760000000812000)]


def test_what_is_broken_costs_itself_and_no_other_span(db: Database, command: Command, tmp_path: Path) -> None:
    whole = orjson.dumps(request(span(CHAT, 1)))
    lines = [whole, whole[:-40], b'{"resourceSpans": [', b"", orjson.dumps(request(span(CHAT, 2))), b'{"other": 1}']
    path = write_lines(tmp_path / "traces.jsonl", lines)
    big = write_lines(tmp_path / "big.jsonl", [request(span(CHAT | {"x": "y" * 5_000_000}, 3), span(CHAT, 4))])

    counts = json.loads(command(path, "-w", "support", "--from", "otel", "--json").stdout)
    assert (counts["held"], counts["rejected"]) == (2, 2)
    assert [one["line"] for one in rejected(path)] == [2, 3]
    counts = json.loads(command(big, "-w", "support", "--from", "otel", "--json").stdout)
    assert (counts["held"], counts["rejected"], counts["spans"]) == (1, 1, 1)
    assert "more than 4,194,304 bytes" in rejected(big)[0]["reason"]


def test_traces_without_any_text_say_so_and_import_nothing(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "traces.jsonl", [request(span(NO_TEXT, n, name=f"chat {n}")) for n in range(30)])
    done = command(path, "-w", "support", "--from", "otel", "--json")
    said = json.loads(done.stdout)

    assert (done.exit_code, said["read"], said["without_text"]) == (0, 0, 30)
    assert len(said["without_text_names"]) == 21 and said["without_text_names"]["others"] == 10
    nothing = write_lines(tmp_path / "nothing.jsonl", ["{"])
    assert command(nothing, "-w", "support", "--from", "otel").exit_code == 1


GENERATION = {
    "id": "obs-1", "traceId": "trace-1", "type": "GENERATION", "name": "answer", "model": "gpt-4o",
    "input": [USER], "output": {"role": "assistant", "content": "Yes."}, "modelParameters": {"temperature": 0.5},
    "usageDetails": {"input": 12, "output": 5, "total": 17}, "costDetails": {"input": 0.001, "total": 0.002},
    "startTime": "2026-03-31T12:00:00.000Z", "endTime": "2026-03-31T12:00:00.812Z", "latency": 0.812,
    "promptName": "support", "promptVersion": 3, "metadata": {"team": "returns"}, "environment": "production",
}  # fmt: skip


def test_a_generation_becomes_a_row_with_all_that_langfuse_knows() -> None:
    assert langfuse.rows(GENERATION) == [{
        "external_id": "obs-1", "model": "gpt-4o", "output": "Yes.", "prompt": [USER], "prompt_tokens": 12,
        "completion_tokens": 5, "cost_usd": 0.002, "latency_ms": 812, "parameters": {"temperature": 0.5},
        "prompt_version": "support@3", "created_at": "2026-03-31T12:00:00.812Z",
        "metadata": {
            "trace_id": "trace-1", "name": "answer", "environment": "production", "langfuse": {"team": "returns"},
        },
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "texts"),
    [
        ("Yes.", ["Yes."]),
        ('{"b": 1,  "a": 2}', ['{"b": 1,  "a": 2}']),  # the text itself, byte for byte
        ({"b": 1, "a": 2}, ['{"b":1,"a":2}']),
        ({"choices": [{"message": {"role": "assistant", "content": "A"}}, {"message": {"content": "B"}}]}, ["A", "B"]),
        ([{"role": "assistant", "content": "Yes."}], ["Yes."]),
        ('{"role": "assistant", "content": "Yes."}', ["Yes."]),
        ({"completion": "Yes."}, ["Yes."]),
        ({"type": "ai", "content": "Yes."}, ["Yes."]),
        ({"generations": [[{"text": "Yes."}]]}, ["Yes."]),
        ({"role": "assistant", "content": None, "tool_calls": [{}]}, []),
        ([{"type": "text", "text": "Yes"}, {"type": "text", "text": "."}], ["Yes."]),
        ([1, 2], ["[1,2]"]),
        (None, []),
        ("", []),
        ({}, []),
    ],
)
def test_an_output_of_any_form_gives_its_texts(output: Any, texts: list[str]) -> None:
    assert [row["output"] for row in langfuse.rows(GENERATION | {"output": output})] == texts


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ({"messages": [SYSTEM, USER]}, [SYSTEM, USER]),
        ([[USER]], [USER]),
        (json.dumps([USER]), [USER]),
        (USER, [USER]),
        ("May I?", "May I?"),
        ({"prompt": "May I?"}, "May I?"),
        ({"question": "May I?"}, '{"question":"May I?"}'),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}],
         [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]),
    ],
)  # fmt: skip
def test_a_prompt_of_any_form_is_kept(given: Any, prompt: Any) -> None:
    (row,) = langfuse.rows(GENERATION | {"input": given})

    assert row["prompt"] == prompt


OLD = {
    "id": "obs-2", "traceId": "trace-1", "type": "GENERATION", "model": "m", "input": "May I?", "output": "No.",
    "usage": {"input": 3, "output": 1, "unit": "TOKENS"}, "calculatedTotalCost": 0.5, "latency": 1.5,
    "startTime": "2026-03-31T12:00:00Z",
}  # fmt: skip
LANGFUSE = {
    "JSON lines": lambda all_: b"\n".join(map(orjson.dumps, all_)),
    "an array": orjson.dumps,
    "an array over many lines": lambda all_: json.dumps(all_, indent=2).encode(),
    "a page on one line": lambda all_: orjson.dumps({"data": all_, "meta": {"page": 1}}),
    "a page over many lines": lambda all_: json.dumps({"data": all_, "meta": {"page": 1}}, indent=2).encode(),
    "traces with their observations": lambda all_: orjson.dumps([{"id": "trace-1", "observations": all_}]),
}


@pytest.mark.parametrize("layout", LANGFUSE)
def test_langfuse_is_read_in_each_layout(db: Database, command: Command, tmp_path: Path, layout: str) -> None:
    spans = [GENERATION, OLD, {"id": "s", "type": "SPAN"}, GENERATION | {"id": "obs-3", "output": None}]
    path = tmp_path / "export.json"
    path.write_bytes(LANGFUSE[layout](spans))
    counts = json.loads(command(path, "-w", "support", "--from", "langfuse", "--json").stdout)
    again = json.loads(command(path, "-w", "support", "--from", "langfuse", "--json").stdout)

    assert (counts["held"], counts["spans"], counts["other_spans"]) == (2, 4, 1)
    assert counts["without_text_names"] == {"answer": 1}
    assert (again["held"], again["duplicates"]) == (0, 2)
    assert sorted(query(db, "SELECT external_id, cost_micro, latency_ms, prompt_tokens FROM item")) == [
        ("obs-1", 2000, 812, 12), ("obs-2", 500_000, 1500, 3),
    ]  # fmt: skip


def test_langfuses_csv_is_read_too(db: Database, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "id,type,name,model,input,output,totalCost,promptTokens,startTime\nobs-9,GENERATION,answer,m,"
        '"[{""role"": ""user"", ""content"": ""May I?""}]","{""role"": ""assistant"", ""content"": ""No.""}",0.25,7,'
        "2026-03-31T12:00:00Z\n"
    )

    assert json.loads(command(path, "-w", "support", "--from", "langfuse", "--json").stdout)["held"] == 1
    stored = query(
        db, "SELECT c.output, i.cost_micro, i.prompt_tokens FROM item i JOIN item_content c ON c.item_id = i.id"
    )
    assert stored == [("No.", 250_000, 7)]


def test_a_large_file_is_read_in_constant_memory(tmp_path: Path) -> None:
    from neuro_review.imports.readers import reading
    from neuro_review.imports.traces.spans import Passed, trace_rows

    def peak(count: int, layout: str) -> int:
        path = tmp_path / "traces.json"
        path.write_bytes(LAYOUTS[layout]([request(*(span(CHAT | {"more": "x" * 8000}, n) for n in range(count)))]))
        tracemalloc.start()
        with reading(path) as opened:
            assert sum(1 for _ in trace_rows(opened, Passed(Kind.OTEL))) == count
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    for layout in ("one line without an end", "one object over many lines"):
        assert peak(1200, layout) < 1.1 * peak(300, layout)


def test_traces_take_no_mapping(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [request(span(CHAT))])
    done = command(path, "-w", "support", "--from", "otel", "--field", "output=x")

    assert done.exit_code == 2
    assert "With --from the fields are known." in done.stderr


@pytest.mark.parametrize(("row", "kind"), [(request(span(CHAT)), "otel"), (GENERATION, "langfuse")])
def test_who_imports_traces_as_rows_is_told_the_option(
    command: Command, tmp_path: Path, row: dict[str, Any], kind: str
) -> None:
    path = write_lines(tmp_path / "a.jsonl", [row])

    hint = f"This looks like an export of traces. Import it with --from {kind}."
    assert hint in command(path, "-w", "support").stderr.splitlines()
    assert hint not in command(path, "-w", "support", "--from", kind).stderr


def test_two_files_are_counted_together(db: Database, tmp_path: Path) -> None:
    total = Tally()
    for n in range(2):
        path = write_lines(tmp_path / f"{n}.jsonl", [request(span(CHAT, n), span(NO_TEXT, 9), span(TOOL, 8))])
        total.add(import_file(db, path, "support", BY, traces=Kind.OTEL))

    assert (total.counts()["spans"], total.counts()["other_spans"], total.counts()["without_text"]) == (6, 2, 2)
