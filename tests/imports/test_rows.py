"""Fields and rows: which column is which, and what a row hands in."""

from typing import Any

import pytest

from neuro_review.errors import InvalidError
from neuro_review.history import PastReview
from neuro_review.imports.fields import Fields, mapping
from neuro_review.imports.rows import MOST_NAMED, Shape
from neuro_review.intake import Message, Submission


def built(
    values: dict[str, Any], *fields: str, model: str | None = "m", cells: bool = False
) -> tuple[Submission, PastReview | None]:
    return Shape(mapping(fields), model, cells).build(values)


def test_a_column_takes_the_name_of_its_field() -> None:
    given, _ = built({"answer": "Hi.", "q": "Hello?"}, "output=answer", "prompt=q")

    assert (given.output, given.prompt) == ("Hi.", "Hello?")


def test_a_column_inside_nested_json_is_found() -> None:
    row = {"request": {"text": "Hello?"}, "choices": [{"message": {"content": "Hi."}}], "a.b": 7, "a": {"b": 8}}

    given, _ = built(
        row, "output=choices.0.message.content", "prompt=request.text", "priority=a.b", "metadata.inner=a.b"
    )

    assert (given.output, given.prompt, given.priority, given.metadata) == ("Hi.", "Hello?", 7, {"inner": 7})


def test_a_column_can_be_kept_as_metadata_beside_what_the_row_has() -> None:
    given, _ = built(
        {"output": "o", "metadata": {"a": 1, "b": 1}, "team": "x"}, "metadata.team=team", "metadata.b=team"
    )

    assert given.metadata == {"a": 1, "b": "x", "team": "x"}


def test_a_mapped_column_is_not_also_the_field_of_its_own_name() -> None:
    given, _ = built({"prompt": "Context.", "output": "o"}, "context=prompt")

    assert (given.context, given.prompt) == ("Context.", None)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("outptu=answer", "There is no field “outptu”. The fields are: adjudication, completion_tokens, context,"),
        ("metadata.=answer", "There is no field “metadata.”."),
        ("output", "“output” is no mapping. Write --field TARGET=COLUMN."),
        ("=answer", "“=answer” is no mapping."),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(option: str, says: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        mapping([option])

    assert says in str(refusal.value)


def test_a_field_is_mapped_once() -> None:
    with pytest.raises(InvalidError, match="The field “output” is given twice"):
        mapping(["output=a", "output=b"])


def test_a_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidError) as refusal:
        mapping(["output=anwser"]).check({"answer": 1, "q": 2})

    assert str(refusal.value) == "There is no column “anwser”. The columns are: answer, q."


def test_the_model_of_the_row_wins_over_the_one_given() -> None:
    assert built({"output": "o", "model": "own"})[0].model == "own"
    assert built({"output": "o"})[0].model == "m"
    with pytest.raises(InvalidError, match=r"^model is missing. One model for all rows is given with --model.$"):
        built({"output": "o", "model": None}, model=None)


def test_columns_that_are_no_fields_are_remembered_up_to_a_bound() -> None:
    shape = Shape(Fields(), "m")
    shape.build({"output": "o", "z": 1, "a": 2})
    assert list(shape.ignored) == ["a", "z"]

    shape.build({"output": "o"} | {f"column {i}": i for i in range(1000)})
    assert len(shape.ignored) == MOST_NAMED


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "output is missing."),
        ({"output": ""}, "output is empty."),
        ({"output": "o", "cost_usd": -1}, "cost_usd must be at least 0."),
        ({"output": "o", "prompt": 7}, "prompt must be a text, or a list of chat messages that each have a role."),
        ({"output": "o", "priority": 10}, "priority must be at most 9."),
        (
            {"output": "o", "created_at": "soon"},
            "created_at is not a date between 1970 and 9999. Write it like 2026-03-31T12:00:00Z.",
        ),
        (
            {"output": "o", "verdict": "meh"},
            "verdict is none of those there are. Say approve, correct or reject.",
        ),
        ({"output": "o", "reviewer": "Bo"}, "reviewer is given without a verdict. Give the verdict, or leave it out."),
        ({"output": "o", "verdict": "reject", "reasons": "[broken"}, "reasons must be a list of texts"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        built(row)

    assert str(refusal.value).startswith(says)


def test_what_is_null_or_empty_is_not_there() -> None:
    given, past = built({"output": "o", "external_id": "", "priority": None, "verdict": None, "adjudication": False})

    assert (given.external_id, given.priority, past) == (None, 5, None)


def test_cells_are_read_as_what_they_mean() -> None:
    given, past = built(
        {
            "output": "o", "external_id": "0012", "cost_usd": "1e-3", "latency_ms": "12.6", "prompt_tokens": "12.0",
            "priority": "9", "metadata": '{"a": [1]}', "context": '["x"]', "parameters": '{"t": 0}',
            "prompt": '[{"role": "user", "content": "Hi"}]', "verdict": "Rejected", "reasons": "Tone; Wrong fact",
            "adjudication": "true", "decided_at": "2024-01-02T03:04:05Z",
        },
        cells=True,
    )  # fmt: skip

    assert given.external_id == "0012"
    assert (given.cost_usd, given.latency_ms, given.prompt_tokens, given.priority) == (0.001, 13, 12, 9)
    assert (given.metadata, given.context, given.parameters) == ({"a": [1]}, ["x"], {"t": 0})
    assert given.prompt == [Message(role="user", content="Hi")]
    assert past is not None and (past.verdict, past.adjudication, past.reasons) == (
        "reject", True, ["Tone", "Wrong fact"],
    )  # fmt: skip


@pytest.mark.parametrize("prompt", ["[1, 2]", "{not json", '{"a": 1}', "[]", '["role"]', "12"])
def test_a_prompt_that_only_looks_like_a_chat_stays_a_text(prompt: str) -> None:
    assert built({"output": "o", "prompt": prompt}, cells=True)[0].prompt == prompt


@pytest.mark.parametrize("cell", ["nan", "inf", "1e999", "x", "9" * 200, "0x10", "-1"])
def test_a_cell_that_is_no_number_is_refused(cell: str) -> None:
    with pytest.raises(InvalidError, match=r"^cost_usd must be"):
        built({"output": "o", "cost_usd": cell}, cells=True)


def test_the_time_of_a_label_stands_in_for_the_time_of_the_output() -> None:
    row = {"output": "o", "verdict": "approve", "decided_at": 1_700_000_000}

    assert built(row)[0].created_at == 1_700_000_000_000_000
    assert built(row | {"created_at": 1_600_000_000})[0].created_at == 1_600_000_000_000_000
