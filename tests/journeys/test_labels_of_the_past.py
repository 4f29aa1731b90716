"""Real labels go in as history and come out the same: five models, two annotators and the settled label of XSTest."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from db.engine import Database
from neuro_review import workflows
from neuro_review.__main__ import main
from neuro_review.quality import agreeing
from tests.conftest import DATA, OPERATOR

MODELS = ("gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct")
BAD = {"gpt4": 4.9, "mistralguard": 12.0, "llama2new": 16.4, "mistralinstruct": 29.3, "llama2orig": 33.1}
Label = tuple[str, str, str, str, bool]


def rows(model: str) -> Iterator[dict[str, Any]]:
    """Return each completion three times: as either annotator saw it, and as it was settled."""
    with (DATA / "xstest" / f"xstest_v2_completions_{model}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            unsafe = row["type"].startswith("contrast")
            for column, reviewer in (("annotation_1", "ann"), ("annotation_2", "ben"), ("final_label", "")):
                bad = (row[column] == "1_full_compliance") == unsafe
                label: dict[str, Any] = {"reviewer": reviewer} if reviewer else {"adjudication": True}
                yield label | {
                    "external_id": f"{model}-{row['id']}", "model": model, "prompt": row["prompt"],
                    "output": row["completion"], "verdict": "reject" if bad else "approve",
                    "decided_at": "2024-06-01T12:00:00Z",
                }  # fmt: skip


def given() -> Counter[Label]:
    return Counter(
        (row["external_id"], row["model"], row.get("reviewer", "adjudication"), row["verdict"], "adjudication" in row)
        for model in MODELS
        for row in rows(model)
    )


def exported(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    else:
        yield from map(orjson.loads, path.read_bytes().splitlines())


def true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def call(*words: str) -> str:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


@pytest.mark.skipif(not (DATA / "xstest").is_dir(), reason="the shared data is not here")
def test_xstest_goes_in_as_history_is_measured_and_comes_out_the_same(run: Any, url: str, tmp_path: Path) -> None:
    counts = Counter[str]()
    for model in MODELS:
        file = tmp_path / f"{model}.jsonl"
        file.write_bytes(b"\n".join(map(orjson.dumps, rows(model))))
        counts.update(orjson.loads(run("import", str(file), "--workflow", "safety", "--json")))

    assert counts == {"read": 6750, "held": 0, "history": 6750, "duplicates": 0, "rejected": 0}
    for form in ("jsonl", "csv", "parquet"):
        out = tmp_path / f"out.{form}"
        run("export", "--workflow", "safety", "--format", form, "--out", str(out))
        found = list(exported(out))
        labels = Counter(
            (row["external_id"], row["model"], row["reviewer"], row["verdict"], true(row["adjudication"]))
            for row in found
        )
        assert labels == given()
        items = [row for row in found if true(row["is_item_label"])]
        bad = Counter(row["model"] for row in items if row["item_label"] == "reject")
        assert len(items) == 2250
        assert {model: round(bad[model] / 4.5, 1) for model in MODELS} == BAD
    assert orjson.loads(run("verify-audit", "--json"))["ok"] is True
    quality = orjson.loads(run("quality", "--workflow", "safety", "--by", "model", "--json"))
    assert {row["model"]: round(100 * row["bad_rate"], 1) for row in quality} == BAD
    assert {row["model"]: (row["items"], row["labels"], row["bad"]) for row in quality} == {
        model: (450, 450, bad[model]) for model in MODELS
    }
    assert all(row["low"] < row["bad_rate"] < row["high"] for row in quality)
    agreed = agreement(url)
    assert (agreed.one, agreed.other, agreed.items) == ("ann", "ben", 2250)
    assert (round(agreed.raw.rate, 3), round(agreed.kappa.rate, 3)) == (0.979, 0.932)


def agreement(url: str) -> Any:
    """Return how far the two annotators agree on what is bad."""
    database = Database(url)
    with database.reading() as session:
        (found,) = agreeing.agreements(session, OPERATOR, workflows.by_name(session, "safety").id)
    database.dispose()
    return found


@pytest.mark.skipif(not (DATA / "halueval").is_dir(), reason="the shared data is not here")
def test_halueval_is_held_once_and_what_is_spoiled_is_set_aside(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "general.json"
    file.write_bytes((DATA / "halueval" / "general_data.json").read_bytes())
    words = ("import", str(file), "--workflow", "support", "--model", "chatgpt", "--field", "external_id=ID",
             "--field", "prompt=user_query", "--field", "output=chatgpt_response", "--json")  # fmt: skip

    first = orjson.loads(run(*words))
    again = orjson.loads(run(*words))
    with file.open("ab") as end:
        end.write(b'{"ID": "x1", "user_query": "no answer"}\nnot json\n{"ID": "x2", "chatgpt_response": "\xff"}\n')
        end.write(b'{"ID": "x3", "user_query": "?", "chatgpt_response": "good"}\n')
    spoiled = orjson.loads(run(*words))

    assert first == {"read": 4507, "held": 4506, "history": 0, "duplicates": 0, "rejected": 1}
    assert again == {"read": 4507, "held": 0, "history": 0, "duplicates": 4506, "rejected": 1}
    assert spoiled == {"read": 4511, "held": 1, "history": 0, "duplicates": 4506, "rejected": 4}
    reasons = [orjson.loads(line)["reason"] for line in Path(f"{file}.rejected.jsonl").read_bytes().splitlines()]
    assert len(reasons) == 4
    assert all(reasons)
