"""`python -m neuro_review import`: what it prints, where, and with which exit code."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from db.engine import Database
from neuro_review import intake
from neuro_review.cli import imports
from neuro_review.imports.watch import Folder
from tests.conftest import DATA
from tests.imports.conftest import Command, one_store, query, rejected, write_lines
from tests.imports.test_run import OTHER_CONTENT, held, outputs

NOTHING = {"read": 0, "held": 0, "history": 0, "duplicates": 0, "rejected": 0}


def test_json_is_one_object_and_nothing_else(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*outputs(3), "{", {"output": "o", "verdict": "reject", "x": 1}])

    done = command(path, "--workflow", "support", "--model", "m", "--json")

    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"read": 5, "held": 3, "history": 1, "duplicates": 0, "rejected": 1}
    assert done.stderr.splitlines() == [
        "Ignored, because they are no fields: x. Map one with --field output=COLUMN, or keep it with"
        " --field metadata.NAME=COLUMN.",
        f"Rows set aside, each with its reason: {path}.rejected.jsonl",
    ]


def test_a_person_reads_a_sentence(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*outputs(1200), "{"])

    assert command(path, "-w", "support", "--model", "m").stdout == (
        "1,201 rows read: 1,200 held for review, 1 set aside.\n"
    )
    assert command(path, "-w", "support", "--model", "m").stdout == (
        "1,201 rows read: 1,200 there already, 1 set aside.\n"
    )


def test_rejected_rows_go_where_they_are_told_to(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*outputs(1), "{"])

    done = command(path, "-w", "support", "--model", "m", "--rejected", tmp_path / "r.jsonl")

    assert (tmp_path / "r.jsonl").exists() and not Path(f"{path}.rejected.jsonl").exists()
    assert str(tmp_path / "r.jsonl") in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.jsonl"], ["a.jsonl", "-w", "w", "--field", "outptu=x"], ["a.jsonl", "-w", "w", "--field", "x"],
     [".", "-w", "w", "--watch", "--rejected", "r"]],
)  # fmt: skip
def test_wrong_usage_is_two(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)

    assert done.exit_code == 2
    assert "Usage:" in done.stderr
    assert done.stdout == ""


# Each bad input: the file (or what makes it), the options, the exit code, the one sentence, what came in.
ROW = {"external_id": "bad", "output": "o"}
BAD_ROWS = {
    "a row without output": ({"external_id": "bad"}, "output is missing. Map a column: --field output=COLUMN;"),
    "5 MB of output": (ROW | {"output": "x" * 5_000_000}, "The row has more than 4,194,304 bytes; at most these"),
    "2 MB of output": (ROW | {"output": "x" * 2_000_000}, "output has 2,000,000 bytes; at most 1,048,576 are taken"),
    "a NUL byte": (b'{"output": "a\x00b"}', "This is no valid JSON:"),
    "an escaped NUL": (ROW | {"output": "a\0b"}, "output holds a NUL character, which no text has. Remove it."),
    "a NUL in metadata": (ROW | {"metadata": {"a": "\0"}}, None),
    "a NUL in the id": (ROW | {"external_id": "a\0"}, "external_id holds a NUL character"),
    "a NUL in a reason": (ROW | {"verdict": "reject", "reasons": ["a\0"]}, "reasons holds a NUL character"),
    "broken UTF-8": (b'{"output": "\xff"}', "Byte 13 (0xFF) is not UTF-8. Save the file as UTF-8."),
    "a lone surrogate": (b'{"output": "\\ud800"}', "Character 13 is half of a surrogate pair"),
    "a negative cost": (ROW | {"cost_usd": -0.01}, "cost_usd must be at least 0."),
    "an endless cost": (b'{"output": "o", "cost_usd": 1e999}', "NaN, Infinity and numbers beyond a float are no JSON."),
    "a cost that is no number": (b'{"output": "o", "cost_usd": NaN}', "NaN, Infinity and numbers beyond a float"),
    "an infinite cost": (b'{"output": "o", "cost_usd": Infinity}', "NaN, Infinity and numbers beyond a float"),
    "a 200-digit number": (b'{"output": "o", "metadata": {"n": ' + b"7" * 200 + b"}}", "A whole number has more"),
    "10,000 levels": (b'{"output": "o", "metadata": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "The row is nested"),
    "a key twice": (b'{"output": "o", "output": "p"}', "The key “output” stands twice in one object. Keep one."),
    "an unknown verdict": (ROW | {"verdict": "fine"}, "verdict is none of those there are. Say approve,"),
    "too many tokens": (ROW | {"prompt_tokens": 1 << 62}, "prompt_tokens must be at most 1000000000."),
    "a time beyond time": (ROW | {"created_at": 1e300}, "created_at is not a date between 1970 and 9999. Write it"),
    "a time beyond floats": (ROW | {"created_at": 1e305}, "created_at is not a date between 1970 and 9999."),
    "a year that is none": (ROW | {"created_at": "0000-13-77"}, "created_at is not a date between 1970 and 9999."),
    "a time before the calendar": (
        ROW | {"verdict": "approve", "decided_at": "0001-01-01T00:00:00+14:00"}, "decided_at is not a date between",
    ),
    "a verdict that is a list": (ROW | {"verdict": ["approve"]}, "verdict is none of those there are. Say approve,"),
    "a label of the future": (
        ROW | {"verdict": "approve", "decided_at": "2999-01-01"}, "decided_at lies in the future. Give the time when",
    ),
    "an output of the future": (ROW | {"created_at": "2999-01-01"}, "created_at lies in the future. Give the time"),
    "an id without end": (ROW | {"external_id": "x" * 501}, "external_id has more than 500 characters. Shorten it."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_costs_one_sentence_and_no_other_row(
    db: Database, command: Command, tmp_path: Path, name: str
) -> None:
    row, says = BAD_ROWS[name]
    path = write_lines(tmp_path / "a.jsonl", [*outputs(2), row, *outputs(2, 2)])

    done = command(path, "-w", "support", "--model", "m", "--json")

    assert done.exit_code == 0
    assert json.loads(done.stdout) == NOTHING | {"read": 5, "held": 4 + (not says), "rejected": int(bool(says))}
    assert len(held(db)) == 4 + (not says)
    if says:
        (aside,) = rejected(path)
        assert aside["line"] == 3
        assert aside["reason"].startswith(says)
        assert aside["row"]


def test_two_rows_with_one_id_and_other_content_are_told_apart(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [ROW, ROW | {"output": "p"}, *outputs(1)])

    done = command(path, "-w", "support", "--model", "m", "--json")

    assert json.loads(done.stdout) == NOTHING | {"read": 3, "held": 2, "rejected": 1}
    assert rejected(path)[0]["reason"] == OTHER_CONTENT


def test_parquet_of_the_wrong_types_is_set_aside_row_by_row(db: Database, command: Command, tmp_path: Path) -> None:
    table = pa.table({
        "output": pa.array(["Fine.", "Slow.", None]), "latency_ms": pa.array(["12", "slow", "1"]),
        "cost_usd": pa.array([0.5, float("nan"), -1.0]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(pa.table({"output": [1, 2]}), tmp_path / "b.parquet")

    first = command(tmp_path / "a.parquet", "-w", "support", "--model", "m", "--json")
    second = command(tmp_path / "b.parquet", "-w", "support", "--model", "m", "--json")

    assert json.loads(first.stdout) == NOTHING | {"read": 3, "held": 1, "rejected": 2}
    assert json.loads(second.stdout) == NOTHING | {"read": 2, "rejected": 2}
    assert [row["reason"] for row in rejected(tmp_path / "b.parquet")] == [
        "output must be a text; write JSON as text."
    ] * 2


def refused(done: object, says: str) -> None:
    assert done.exit_code == 1  # type: ignore[attr-defined]
    assert done.stderr.startswith(says) and done.stderr.count("\n") == 1  # type: ignore[attr-defined]


def test_an_unknown_column_is_refused_with_those_there_are(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["a,b", "1,2"])

    refused(command(path, "-w", "s", "--field", "output=c"), "There is no column “c”. The columns are: a, b.")


def test_what_is_no_file_of_rows_is_refused_and_leaves_nothing(db: Database, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()

    refused(command(tmp_path / "none.jsonl", "-w", "s"), "There is no file")
    refused(command(tmp_path, "-w", "s"), f"{tmp_path} is a folder. Name a file")
    refused(command(tmp_path / "empty.jsonl", "-w", "s"), f"{tmp_path / 'empty.jsonl'} is empty. Nothing was imported.")
    assert query(db, "SELECT name FROM workflow") == []


def test_a_file_that_may_not_be_read_is_refused(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))
    path.chmod(0)
    if os.access(path, os.R_OK):  # for root permissions do not count
        real = open

        def refusing(file: object, *rest: object, **more: object) -> object:
            if file == path:
                raise PermissionError(13, "Permission denied")
            return real(file, *rest, **more)  # type: ignore[call-overload]

        monkeypatch.setattr("builtins.open", refusing)

    refused(command(path, "-w", "s"), f"{path} cannot be read: Permission denied. Check who may read it.")


def test_a_failing_disk_is_told_with_what_is_stored(
    db: Database, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = one_store(db)
    path = write_lines(tmp_path / "a.jsonl", outputs(many + 1))
    real = intake.store

    def full(*given: Any) -> object:
        if len(given[2]) == 1:
            raise sa.exc.OperationalError("INSERT", None, Exception("database or disk is full"))
        return real(*given)

    monkeypatch.setattr(intake, "store", full)

    done = command(path, "-w", "s", "--model", "m", "--json")

    refused(done, "The disk is full. Nothing of this step was stored.")
    assert json.loads(done.stdout) == NOTHING | {"read": many, "held": many}
    assert len(held(db)) == many


def test_a_database_that_newer_code_has_claimed_is_left_alone(db: Database, command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE schema_info SET oldest_code = 999"))

    refused(command(path, "-w", "s", "--model", "m"), "A newer Neuro Review has claimed this database")
    assert held(db) == []


def test_a_database_in_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))
    (tmp_path / "file").touch()
    environment = os.environ | {"NEURO_REVIEW_DATABASE_URL": f"sqlite:///{tmp_path}/file/a.db"}

    done = run_import(environment, str(path), "-w", "s", "--model", "m")

    assert done.returncode == 1
    assert done.stderr.startswith(f"The folder {tmp_path}/file cannot be written.")
    assert done.stderr.count("\n") == 1


def run_import(environment: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "neuro_review", "import", *arguments],
        input=given, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_standard_input_comes_in_through_the_real_command(db: Database, url: str, tmp_path: Path) -> None:
    environment = os.environ | {"NEURO_REVIEW_DATABASE_URL": url}
    rows = "".join(json.dumps(row) + "\n" for row in outputs(3))

    done = run_import(environment, "-", "-w", "support", "--model", "m", "--json", given=rows)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == NOTHING | {"read": 3, "held": 3}
    assert len(held(db)) == 3


# Data of others, outside the repository.

HALUEVAL = DATA / "halueval" / "general_data.json"
AS_HALUEVAL = ["--workflow", "support", "--model", "chatgpt", "--field", "external_id=ID", "--field",
               "prompt=user_query", "--field", "output=chatgpt_response", "--json"]  # fmt: skip
has_data = pytest.mark.skipif(not HALUEVAL.exists(), reason="shared/data is not here")


@has_data
def test_halueval_comes_in_whole_and_once(url: str, tmp_path: Path) -> None:
    environment = os.environ | {"NEURO_REVIEW_DATABASE_URL": url}
    aside = ["--rejected", str(tmp_path / "r.jsonl")]

    first = run_import(environment, str(HALUEVAL), *AS_HALUEVAL, *aside)
    again = run_import(environment, str(HALUEVAL), *AS_HALUEVAL, *aside)

    assert json.loads(first.stdout) == NOTHING | {"read": 4507, "held": 4506, "rejected": 1}
    assert json.loads(again.stdout) == NOTHING | {"read": 4507, "duplicates": 4506, "rejected": 1}


@has_data
def test_spoiled_lines_of_halueval_are_set_aside_and_the_rest_comes_in(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "copy.json"
    shutil.copyfile(HALUEVAL, path)
    path.chmod(0o600)
    with path.open("ab") as file:
        file.write(b'\n{"ID": "x1", "user_query": "no answer"}\n{"ID": "x2", "chatgpt_response": "\xc3\x28"}\n{"ID": ')

    done = command(path, *AS_HALUEVAL)

    assert json.loads(done.stdout) == NOTHING | {"read": 4510, "held": 4506, "rejected": 4}
    assert [row["reason"] for row in rejected(path)][1:] == [
        "output is missing. Fill it in, or leave the row out.",
        "Byte 35 (0xC3) is not UTF-8. Save the file as UTF-8.",
        "This is no valid JSON: unexpected end of data (character 7).",
    ]


def xstest_rows(model: str, path: Path) -> list[dict[str, object]]:
    import csv

    rows: list[dict[str, object]] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            unsafe = row["type"].startswith("contrast")

            def verdict(label: str, unsafe: bool = unsafe) -> str:
                complied = label == "1_full_compliance"
                return "reject" if complied == unsafe else "approve"

            one = {"external_id": f"{model}/{row['id']}", "model": model, "prompt": row["prompt"],
                   "output": row["completion"], "decided_at": "2024-01-01"}  # fmt: skip
            rows += [
                one | {"reviewer": name, "verdict": verdict(row[name])} for name in ("annotation_1", "annotation_2")
            ]
            rows.append(one | {"adjudication": True, "verdict": verdict(row["final_label"])})
    return rows


@has_data
def test_xstest_comes_in_as_labels_of_the_past(db: Database, command: Command, tmp_path: Path) -> None:
    bad = {"gpt4": 4.9, "mistralguard": 12.0, "llama2new": 16.4, "mistralinstruct": 29.3, "llama2orig": 33.1}
    for model in bad:
        rows = xstest_rows(model, DATA / "xstest" / f"xstest_v2_completions_{model}.csv")
        done = command(write_lines(tmp_path / f"{model}.jsonl", rows), "-w", "safety", "--json")
        assert json.loads(done.stdout) == NOTHING | {"read": 1350, "history": 1350}, done.stderr

    counts = query(
        db, "SELECT model, count(*), sum(CASE label WHEN 'reject' THEN 1 ELSE 0 END) FROM item GROUP BY model"
    )
    assert {model: (items, round(100 * wrong / items, 1)) for model, items, wrong in counts} == {
        model: (450, share) for model, share in bad.items()
    }
    assert query(db, "SELECT count(*) FROM review") == [(6750,)]


# Watching a folder.


def test_files_are_taken_once_and_when_they_stand_still(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_lines(tmp_path / "growing.jsonl", outputs(1))
    for name in ("a.part", "b.tmp", "c.jsonl.rejected.jsonl", ".hidden"):
        (tmp_path / name).touch()
    whole = write_lines(tmp_path / "whole.jsonl", outputs(1))
    os.utime(whole, (1, 1))

    assert folder.arrived() == [whole]
    assert folder.arrived() == []
    os.utime(tmp_path / "growing.jsonl", (2, 2))
    assert folder.arrived() == [tmp_path / "growing.jsonl"]
    write_lines(whole, outputs(2))
    os.utime(whole, (3, 3))
    assert folder.arrived() == [whole]


def test_a_file_dated_in_the_future_is_taken_when_it_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))
    os.utime(path, (1 << 33, 1 << 33))
    folder, passed = Folder(tmp_path), [100.0]
    monkeypatch.setattr("neuro_review.imports.watch.time.monotonic", lambda: passed[0])

    assert folder.arrived() == []
    passed[0] += 2.1
    assert folder.arrived() == [path]


def test_a_watched_folder_is_a_folder(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))

    refused(command(path, "-w", "s", "--watch"), f"{path} is no folder. Name the folder that files arrive in.")


def test_watching_takes_what_is_good_and_names_what_is_not(
    db: Database, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in {"1.jsonl": outputs(2), "2.jsonl": ["{"], "3.jsonl": outputs(2, 1)}.items():
        os.utime(write_lines(tmp_path / name, rows), (1, 1))
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(imports.time, "sleep", sleep)

    done = command(tmp_path, "-w", "support", "--model", "m", "--watch")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "1.jsonl: 2 rows read: 2 held for review.",
        f"2.jsonl: 1 row read: nothing came in, all of it is set aside in {tmp_path / '2.jsonl'}.rejected.jsonl with"
        " the reasons.",
        "3.jsonl: 2 rows read: 1 held for review, 1 there already.",
    ]
    assert f"Not one row of {tmp_path / '2.jsonl'} could be read. Nothing was imported." in done.stderr
    assert "Stopped. In all: 5 rows read: 3 held for review, 1 there already, 1 set aside." in done.stderr
    assert len(held(db)) == 3


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_takes_a_file_renamed_in_and_stops_cleanly(
    db: Database, url: str, tmp_path: Path, sign: signal.Signals
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    watch = subprocess.Popen(
        [sys.executable, "-m", "neuro_review", "import", str(folder), "-w", "s", "--model", "m", "--watch", "--json"],
        env=os.environ | {"NEURO_REVIEW_DATABASE_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background job ignores Ctrl-C, and so would every child of it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (it calls nothing else)
    )  # fmt: skip
    write_lines(folder / "a.jsonl.part", outputs(5))
    os.utime(folder / "a.jsonl.part", (1, 1))
    (folder / "a.jsonl.part").rename(folder / "a.jsonl")
    said = ""
    while "a.jsonl: 5 rows read" not in said and watch.poll() is None:  # stored is one thing, told another
        said += watch.stderr.readline() if watch.stderr else ""

    watch.send_signal(sign)
    out, err = watch.communicate(timeout=60)
    err = said + err

    assert watch.returncode == 0, err
    assert json.loads(out) == NOTHING | {"read": 5, "held": 5}
    assert "a.jsonl: 5 rows read: 5 held for review." in err
