"""Imports that meet something rough: a row nobody foresaw, long rows, a planted link, another import, a bad name."""

import json
import os
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from db.clock import DAY, SECOND, iso, now
from db.engine import Database
from neuro_review import intake, workflows
from neuro_review.errors import InvalidError, UnavailableError
from neuro_review.imports import batches, beside
from neuro_review.imports.json_rows import Row
from neuro_review.imports.readers import reading
from neuro_review.imports.rejects import Rejects
from neuro_review.imports.rows import Shape
from neuro_review.imports.run import Tally, import_file
from neuro_review.imports.watch import Folder
from tests.imports.conftest import BY, Command, Take, query, rejected, write_lines
from tests.imports.test_run import held, outputs, refusal


def test_what_nobody_foresaw_costs_the_row_and_not_the_file(
    db: Database, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, errors = (
        Shape.build,
        {"e-000001": TypeError("odd"), "e-000002": OverflowError(), "e-000003": ValueError("x.")},
    )

    def build(self: Shape, values: dict[str, Any]) -> Any:
        if error := errors.get(values["external_id"]):
            raise error
        return real(self, values)

    monkeypatch.setattr(Shape, "build", build)

    tally = take(write_lines(tmp_path / "a.jsonl", outputs(5)))

    assert (tally.held, tally.rejected) == (2, 3)
    assert [row["reason"] for row in rejected(tmp_path / "a.jsonl")] == [
        "The row cannot be used: odd.", "The row cannot be used: OverflowError.", "The row cannot be used: x.",
    ]  # fmt: skip


def test_long_rows_make_small_batches(
    db: Database, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [row | {"prompt": "p" * 600_000} for row in outputs(9)]
    sizes: list[int] = []
    real = intake.store
    monkeypatch.setattr(intake, "store", lambda s, d, batch: sizes.append(len(batch)) or real(s, d, batch))

    take(write_lines(tmp_path / "a.jsonl", [*long, *outputs(300, 9)]))
    (tmp_path / "b.csv").write_text("output,prompt\n" + "".join(f"{i},{'p' * 600_000}\n" for i in range(4)))
    take(tmp_path / "b.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "WORTH_IT", 0)
        take(write_lines(tmp_path / "c.jsonl", [{"output": "o", "context": "c" * 600_000}] * 4))

    on_sqlite, on_postgres = [2, 2, 2, 2, 256, 45, 2, 2, 2, 2], [8, 301, 4, 4]
    assert sizes == (on_sqlite if db.is_sqlite else on_postgres)
    assert len(held(db)) == 309 + 4 + 4


def test_a_value_that_fills_a_parquet_file_many_times_stays_small_in_memory(tmp_path: Path) -> None:
    value = "x" * 2_000_000
    table = pa.table({"output": [value] * 256, "prompt": [[{"role": "user", "content": value}]] * 256})
    pq.write_table(table, tmp_path / "a.parquet")
    before = pa.total_allocated_bytes()

    tracemalloc.start()
    with reading(tmp_path / "a.parquet") as opened:
        found = arrow = 0
        for row in opened.rows:
            found += isinstance(row, Row) and row.values["prompt"][0]["content"] == value
            arrow = max(arrow, pa.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found == 256
    assert peak < 200 << 20  # reading one row of 4 MB as JSON takes thirty times its size; all of them are 1 GB
    assert arrow < 200 << 20  # the texts inside the chats of 32 rows, and what Arrow reads ahead


def test_a_parquet_table_of_every_kind_comes_back_as_it_was(tmp_path: Path) -> None:
    rows = [
        {"a": None if i % 3 == 0 else f"text {i % 7}" * (i % 50), "b": [f"l{i}", None], "c": {"d": "e" * i, "f": i},
         "g": b"raw", "h": [{"role": "user", "content": f"c{i}"}], "k": i}
        for i in range(700)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows).append_column(
        "q", pa.array([f"q{i % 3}" for i in range(700)]).dictionary_encode()
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)

    with reading(tmp_path / "a.parquet") as opened:
        found = list(opened.rows)

    assert [row.number for row in found] == list(range(1, 701))
    assert [row.values for row in found if isinstance(row, Row)] == [
        row | {"g": "raw", "q": f"q{i % 3}"} for i, row in enumerate(rows)
    ]


def test_a_name_with_spaces_too_many_is_the_same_workflow_every_time(db: Database, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(2))

    first = import_file(db, path, "  my   flow ", BY, model="m")
    again = import_file(db, path, "my \t flow", BY, model="m")

    assert (first.held, again.duplicates) == (2, 2)
    assert query(db, "SELECT name FROM workflow") == [("my flow",)]


@pytest.mark.parametrize("name", ["a\udcffb", "a\0b", " ", "x" * 101])
def test_a_name_that_no_workflow_can_have_is_told(command: Command, db: Database, tmp_path: Path, name: str) -> None:
    done = command(write_lines(tmp_path / "a.jsonl", outputs(1)), "-w", name, "--model", "m")

    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "half of a surrogate pair" in done.stderr or "NUL" in done.stderr or "1 to 100 characters" in done.stderr
    assert query(db, "SELECT name FROM workflow") == []


def test_when_no_row_can_be_used_the_first_reason_is_told_and_no_workflow_is_made(
    db: Database, command: Command, tmp_path: Path
) -> None:
    rows = [{"id": 1, "question": "?", "answer": "!", "engine": "x"}, "{", {"output": "a\0", "model": "m"}]
    path = write_lines(tmp_path / "a.jsonl", rows)

    done = command(path, "-w", "support")

    assert done.exit_code == 0
    assert done.stdout == (
        f"3 rows read: nothing came in, all of it is set aside in {path}.rejected.jsonl with the reasons.\n"
    )
    assert (
        "Not one of 3 rows could be used; first: line 1: output and model are missing. Map columns:"
        " --field output=COLUMN; there are: id, question, answer, engine. One model for all rows is given with --model."
    ) in done.stderr.splitlines()
    assert query(db, "SELECT name FROM workflow") == []


def test_a_row_says_whether_it_meets_other_content_or_a_label(take: Take, tmp_path: Path) -> None:
    take(write_lines(tmp_path / "a.jsonl", [
        {"external_id": "h", "output": "o"}, {"external_id": "p", "output": "o", "verdict": "approve"},
    ]))  # fmt: skip
    path = write_lines(tmp_path / "b.jsonl", [
        {"external_id": "h", "output": "x"}, {"external_id": "p", "output": "o"},
        {"external_id": "h", "output": "o", "verdict": "reject"},
        {"external_id": "p", "output": "x", "verdict": "reject"},
    ])  # fmt: skip

    take(path)

    assert [row["reason"] for row in rejected(path)] == [
        intake.OTHER_CONTENT, intake.A_LABEL, intake.NO_LABEL, intake.OTHER_CONTENT,
    ]  # fmt: skip


def test_a_wrong_clock_does_not_send_an_item_to_the_end_of_the_queue(db: Database, take: Take, tmp_path: Path) -> None:
    soon = iso(now() + DAY - 60 * SECOND)
    take(write_lines(tmp_path / "a.jsonl", [{"output": "o", "created_at": soon}]))

    ((created_at, queue_at, routed_at),) = query(db, "SELECT created_at, queue_at, routed_at FROM item")

    assert created_at > routed_at
    assert queue_at == workflow_queue_at(routed_at)


def workflow_queue_at(at: int) -> int:
    from neuro_review.queue import queue_at

    return queue_at(at, 5)


# The file of rejected rows.


def test_a_planted_link_is_not_followed(take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{", *outputs(1)])
    precious = tmp_path / "precious"
    precious.write_text("kept")
    link = tmp_path / "a.jsonl.rejected.jsonl"
    link.symlink_to(precious)

    for options in ({}, {"rejected": link}, {"rejected": tmp_path}):
        with pytest.raises(InvalidError, match="is no plain file and is not replaced"):
            take(path, **options)

    assert precious.read_text() == "kept"


def test_two_imports_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    rows = [batches.Rejected(1, "why", b"{}"), batches.Rejected(2, "why", b"{}")]

    with Rejects(source) as one, Rejects(source) as other:
        one.write(rows[:1])
        other.write(rows)
        one.write(rows[1:])

    assert [row["line"] for row in rejected(source)] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl.rejected.jsonl"]


def test_what_was_set_aside_is_there_after_an_interruption(take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{", *outputs(600)])
    tally = Tally()

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(path, tally=tally, progress=stop)

    assert len(rejected(path)) == 1
    assert tally.rejected_path == Path(f"{path}.rejected.jsonl")


# Two imports of the same rows.


class Victim(Exception):
    sqlstate = "40P01"


def test_a_deadlock_is_tried_again(db: Database, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = intake.store, [Victim(), Victim()]

    def store(*given: Any) -> Any:
        done = real(*given)
        if failures:
            raise sa.exc.OperationalError("COPY", None, failures.pop())
        return done

    monkeypatch.setattr(intake, "store", store)

    assert take(write_lines(tmp_path / "a.jsonl", outputs(3))).held == 3


def test_rows_in_opposite_order_from_two_sides_all_come_in(db: Database, take: Take, tmp_path: Path) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    take(write_lines(tmp_path / "first.jsonl", outputs(1)))
    with db.reading() as session:
        flow = workflows.by_name(session, "support")
        door = intake.Door(flow, workflows.source_id(session, "import"), "operator:tests")
    one, two = (
        intake.prepare(door, intake.Submission(model="m", output=row["output"], external_id=row["external_id"]))
        for row in outputs(2, 1)
    )
    path = write_lines(tmp_path / "a.jsonl", reversed(outputs(2, 1)))
    done: list[Tally] = []

    with db.writing() as session:
        intake.store(session, door, [one])
        importer = threading.Thread(target=lambda: done.append(take(path)))
        importer.start()  # has row two, and waits for row one
        time.sleep(0.5)
        intake.store(session, door, [two])  # waits for row two: PostgreSQL ends the one that waits the longest
    importer.join(30)

    assert done[0].duplicates == 2
    assert query(db, "SELECT count(*) FROM item") == [(3,)]


# Watching.


def test_only_files_of_rows_are_taken_and_others_named_once(tmp_path: Path) -> None:
    for name in ("a.JSONL", "b.ndjson", "c.json", "d.Csv", "e.parquet", "note.txt", "data.tsv", "f.jsonl.part"):
        os.utime(write_lines(tmp_path / name, outputs(1)), (1, 1))
    folder = Folder(tmp_path)

    assert [path.name for path in folder.arrived()] == ["a.JSONL", "b.ndjson", "c.json", "d.Csv", "e.parquet"]
    assert [path.name for path in folder.strangers()] == ["data.tsv", "note.txt"]
    assert (folder.arrived(), folder.strangers()) == ([], [])


def test_a_file_that_fails_for_a_while_is_tried_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))
    os.utime(path, (1, 1))
    folder, passed = Folder(tmp_path), [100.0]
    monkeypatch.setattr("neuro_review.imports.watch.time.monotonic", lambda: passed[0])

    assert folder.arrived() == [path]
    assert [folder.again(path), folder.again(path)] == [5.0, 10.0]
    assert folder.arrived() == []
    passed[0] += 10.1
    assert folder.arrived() == [path]
    folder.done(path)
    assert folder.again(path) == 5.0


def test_a_watch_gets_over_a_failure_and_says_one_thing_of_an_empty_file(
    db: Database, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuro_review.cli import imports

    for name, raw in {"a.jsonl": json.dumps(outputs(1)[0]), "b.json": "[ ]", "note.txt": "a,b\n1,2\n"}.items():
        os.utime(write_lines(tmp_path / name, [raw]), (1, 1))
    real, failures, looks, clock = imports.import_file, [UnavailableError("The disk failed.")], [], [100.0]

    def flaky(database: Database, file: Path, *rest: Any, **more: Any) -> Any:
        if file.name == "a.jsonl" and failures:
            raise failures.pop()
        return real(database, file, *rest, **more)

    def sleep(seconds: float) -> None:
        clock[0] += 6
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(imports, "import_file", flaky)
    monkeypatch.setattr(imports.time, "sleep", sleep)
    monkeypatch.setattr("neuro_review.imports.watch.time.monotonic", lambda: clock[0])

    done = command(tmp_path, "-w", "support", "--model", "m", "--watch")

    assert done.stdout.splitlines() == ["a.jsonl: 1 row read: 1 held for review."]
    said = done.stderr.splitlines()
    assert "The disk failed. It is tried again in 5 seconds." in said
    assert f"Not one row of {tmp_path / 'b.json'} could be read. Nothing was imported." in said
    assert "note.txt is ignored: it is called none of .jsonl .ndjson .json .csv .parquet." in said
    assert "0 rows read" not in done.stdout + done.stderr.split("Stopped.")[0]


def test_the_help_says_where_rejected_rows_go_and_how_a_verdict_is_written(command: Command) -> None:
    said = " ".join(command("--help").stdout.split())

    assert "for - stdin.rejected.jsonl in the current folder" in said
    assert "approved, corrected and rejected are read as the same" in said


def test_a_refusal_at_both_tries_goes_row_by_row(take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = intake.store

    def store(session: Any, door: Any, batch: Any) -> Any:
        done = real(session, door, batch)
        if len(batch) > 1:
            raise refusal()
        return done

    monkeypatch.setattr(intake, "store", store)

    assert take(write_lines(tmp_path / "a.jsonl", outputs(4))).held == 4
