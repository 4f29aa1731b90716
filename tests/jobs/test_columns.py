"""An uploaded file before its import: what its columns seem to be, and that the preview is what comes in."""

import io
import json
import resource
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from db.clock import new_id
from db.engine import Database
from neuro_review.errors import InvalidError
from neuro_review.imports.readers import Format
from neuro_review.jobs import columns, files, looking
from neuro_review.jobs.columns import Problem, Sample
from neuro_review.jobs.rows import Job
from tests.conftest import DATA
from tests.jobs.conftest import csv_of, value

NESTED = {
    "request": {"messages": [{"role": "user", "content": "Hi?"}]},
    "response": {"model": "larch", "choices": [{"message": {"content": "Hello."}}]},
    "usage": {"prompt_tokens": 3},
}


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def look(data: bytes, name: str = "a.jsonl") -> Sample:
    return looking.look(files.keep(new_id(), name, data), name)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


CSV = b"id,prompt,response,model\n" + b"".join(b"e%d,P%d,R%d,m\n" % (i, i, i) for i in range(7))
FLAT = [{"id": f"e{i}", "prompt": f"P{i}", "response": f"R{i}", "model": "m"} for i in range(7)]


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        ("a.jsonl", lines(*FLAT), Format.LINES),
        ("a.json", json.dumps(FLAT).encode(), Format.ARRAY),
        ("a.csv", CSV, Format.CSV),
        ("a.parquet", parquet(FLAT), Format.PARQUET),
    ],
)  # fmt: skip
def test_each_format_is_read_counted_and_its_columns_recognised(name: str, data: bytes, form: Format) -> None:
    sample = look(data, name)
    guess = columns.guessed(sample)
    trial = columns.tried(sample, columns.mapped(dict(guess), []), None)

    assert (sample.format, sample.columns, sample.count, sample.is_exact) == (
        form, ["id", "prompt", "response", "model"], 7, True
    )  # fmt: skip
    assert guess == {"output": "response", "model": "model", "prompt": "prompt", "external_id": "id"}
    assert trial.items["output"] == ["R0", "R1", "R2", "R3", "R4"]
    assert trial.items["external_id"] == ["e0", "e1", "e2", "e3", "e4"]
    assert trial.problems == []


@pytest.mark.parametrize("name", [
    "output", "Response", "completion", "answer", "chatgpt_response", "Model Output", "gpt4_response", "bot answer"
])  # fmt: skip
def test_the_output_is_found_by_what_others_call_it(name: str) -> None:
    assert columns.guessed(look(lines({"x": 1, name: "A text."})))["output"] == name


def test_what_lies_inside_nested_json_is_a_column_too() -> None:
    sample = look(lines(NESTED))
    guess = columns.guessed(sample)
    trial = columns.tried(sample, columns.mapped(dict(guess), []), None)

    assert guess["output"] == "response.choices.0.message.content"
    assert guess["prompt"] == "request.messages"
    assert (guess["model"], guess["prompt_tokens"]) == ("response.model", "usage.prompt_tokens")
    assert trial.items["output"] == ["Hello."]
    assert trial.problems == []


def test_a_column_of_verdicts_is_taken_for_one_only_where_it_holds_verdicts() -> None:
    good = [{"output": "o", "model": "m", "verdict": "approved", "reviewer": "bo"}]
    other = [{"output": "o", "model": "m", "verdict": "1_full_compliance", "reviewer": "bo"}]

    assert columns.guessed(look(lines(*good)))["verdict"] == "verdict"
    assert {"verdict", "reviewer"} & columns.guessed(look(lines(*other))).keys() == set()


def test_rows_that_would_be_set_aside_are_counted_with_their_reason_and_without_words_of_the_command_line() -> None:
    sample = look(lines({"output": "o"}, {"output": "", "model": "m"}, {"model": "m"}, {"model": "m"}, [1]))

    trial = columns.tried(sample, columns.mapped({"output": "output", "model": "model"}, []), None)

    assert (trial.looked_at, trial.bad, trial.items) == (5, 5, {})
    assert trial.problems[0] == Problem("output is missing. Fill it in, or leave the row out.", 2, 3)
    assert {problem.reason for problem in trial.problems} == {
        "output is missing. Fill it in, or leave the row out.", "model is missing.", "output is empty.",
        "This is JSON, but not an object. Write one object a row.",
    }  # fmt: skip


def test_only_what_was_chosen_comes_in_and_the_preview_says_so(
    db: Database, ask_import: Callable[..., str], do: Callable[[str], Job]
) -> None:
    data = lines(*[{"prompt": "secret", "output": "drop", "answer": f"A{i}", "team": "returns"} for i in range(3)])
    sample = look(data)
    fields = columns.mapped({"output": "answer", "prompt": None}, ["team"])
    assert columns.unused(sample, fields) == ["prompt", "output"]
    trial = columns.tried(sample, fields, "larch")

    do(ask_import(data, name="a.jsonl", fields=fields, model="larch"))

    assert trial.items == {"output": ["A0", "A1", "A2"], "model": ["larch"] * 3, "metadata": ['{"team":"returns"}'] * 3}
    stored = "SELECT min(output) || '|' || coalesce(min(prompt), '-') || '|' || min(metadata) FROM item_content"
    assert value(db, stored) == 'A0|-|{"team":"returns"}'


def test_a_column_that_the_first_row_lacks_can_be_mapped(
    db: Database, ask_import: Callable[..., str], do: Callable[[str], Job]
) -> None:
    data = lines({"output": "a", "model": "m"}, {"output": "b", "model": "m", "cost": 0.5})

    job = do(ask_import(data, name="a.jsonl"))

    assert job.result["held"] == 2
    assert value(db, "SELECT max(cost_micro) FROM item") == 500_000


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.jsonl", b"PK\x03\x04zip", "a.jsonl is a ZIP archive"),
        ("a.jsonl", b"\xff\xfe\x00x", "UTF-16"),
        ("a.parquet", b"PAR1 not really", "a.parquet is damaged"),
        ("a.jsonl", b"[1]\n{broken\n", "could be read"),
        ("../../x.csv", b"a,a\n1,2\n", "Two columns of ../../x.csv"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_without_a_path_of_the_server(name: str, data: bytes, says: str) -> None:
    with pytest.raises(InvalidError) as told:
        look(data, name)

    assert says in str(told.value)
    assert str(files.every()) not in str(told.value)


def test_a_long_file_is_counted_by_what_was_seen_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "PATIENCE", -1)

    sample = look(csv_of(5_000), "a.csv")

    assert not sample.is_exact
    assert 4_000 < sample.count < 6_000


def test_a_long_text_is_cut_for_the_eye_only() -> None:
    sample = look(lines({"output": "x" * 5_000, "model": "m"}))

    trial = columns.tried(sample, columns.mapped({"output": "output", "model": "model"}, []), None)

    assert trial.items["output"] == ["x" * columns.MOST_LETTERS + "…"]
    assert sample.table()["output"] == ["x" * columns.MOST_LETTERS + "…"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("halueval/general_data.json", {"output": "chatgpt_response", "prompt": "user_query", "external_id": "ID"}),
        ("xstest/xstest_v2_completions_gpt4.csv", {"output": "completion", "prompt": "prompt", "external_id": "id"}),
    ],
)  # fmt: skip
def test_real_files_are_recognised(file: str, expected: dict[str, str]) -> None:
    if not (DATA / file).exists():
        pytest.skip("The shared data are not here.")

    sample = columns.look(DATA / file, file)

    assert columns.guessed(sample) == expected
    assert columns.tried(sample, columns.mapped(dict(expected), []), "m").problems == []


def test_a_file_that_unfolds_into_gigabytes_is_refused_and_this_process_stays_small() -> None:
    many, long = 100_000, "x" * 100_000
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * many, pa.int32()), pa.array([long]))
    nested = pa.ListArray.from_arrays(pa.array([0, many], pa.int32()), texts)
    out = io.BytesIO()
    pq.write_table(pa.table({"output": ["An answer."], "metadata": nested}), out)
    assert len(out.getvalue()) < 10_000
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(InvalidError, match=r"^small\.parquet unfolds into more"):
        look(out.getvalue(), "small.parquet")

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 50_000  # KiB


def test_a_look_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LONGEST", 0.01)

    with pytest.raises(InvalidError, match=r"^slow\.parquet unfolds into more"):
        look(parquet(FLAT), "slow.parquet")
