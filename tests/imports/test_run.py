"""The import as a whole: every row is held, recorded, known, or set aside with its reason, and none is lost."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from db.engine import Database, DatabaseUnusableError
from neuro_review import intake
from neuro_review.errors import InvalidError, UnavailableError
from neuro_review.imports import batches as rows_ready
from neuro_review.imports import beside
from neuro_review.imports.names import Names
from neuro_review.imports.rejects import Rejects
from neuro_review.imports.run import Tally
from neuro_review.intake import NO_LABEL, OTHER_CONTENT
from tests.imports.conftest import Take, one_store, query, rejected, write_lines

MISSING = "output is missing. Map a column: --field output=COLUMN; there are: prompt, x."


def outputs(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"external_id": f"e-{i:06d}", "output": f"Output {i}."} for i in range(start, start + count)]


def held(db: Database) -> list[str]:
    rows = query(db, "SELECT c.output FROM item i JOIN item_content c ON c.item_id = i.id ORDER BY i.id")
    return [str(row[0]) for row in rows]


def audited(db: Database) -> int:
    return int(
        query(db, "SELECT count(*) FROM audit a JOIN item i ON a.stream = replace(CAST(i.id AS TEXT), '-', '')")[0][0]
    )


def test_every_row_is_held_and_again_adds_nothing(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(600))

    first, again = take(path), take(path)

    assert first.counts() == {"read": 600, "held": 600, "history": 0, "duplicates": 0, "rejected": 0}
    assert again.counts() == {"read": 600, "held": 0, "history": 0, "duplicates": 600, "rejected": 0}
    assert held(db) == [row["output"] for row in outputs(600)]
    assert audited(db) == 600
    assert query(db, "SELECT DISTINCT s.name, i.origin, i.status FROM item i JOIN source s ON s.id = i.source_id") == [
        ("import", "gate", "held")
    ]
    assert not Path(f"{path}.rejected.jsonl").exists()


def test_a_bad_row_is_set_aside_and_the_rest_comes_in(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*outputs(300), {"prompt": "p", "x": "é"}, "{broken", *outputs(300, 300)])

    tally = take(path)

    assert tally.counts() == {"read": 602, "held": 600, "history": 0, "duplicates": 0, "rejected": 2}
    assert tally.unreadable == 1
    assert rejected(path) == [
        {"line": 301, "reason": MISSING, "row": {"prompt": "p", "x": "é"}},
        {"line": 302, "row": "{broken", "reason": rejected(path)[1]["reason"]},
    ]
    assert tally.rejected_path == Path(f"{path}.rejected.jsonl")


def test_what_was_set_aside_can_be_mended_and_imported(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*outputs(2), {"prompt": "p"}])
    take(path)
    entry = rejected(path)[0]["row"] | {"output": "Mended."}

    write_lines(path, [*outputs(2), entry])
    tally = take(path)

    assert (tally.held, tally.duplicates, tally.rejected) == (1, 2, 0)
    assert not Path(f"{path}.rejected.jsonl").exists()


def test_one_id_with_two_contents_is_a_conflict(take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [
        {"external_id": "e", "output": "One."}, {"external_id": "e", "output": "Two."},
        {"external_id": "e", "output": "One."}, {"external_id": "e", "output": "One.", "verdict": "approve"},
    ])  # fmt: skip

    tally = take(path)

    assert tally.counts() == {"read": 4, "held": 1, "history": 0, "duplicates": 1, "rejected": 2}
    assert [(row["line"], row["reason"]) for row in rejected(path)] == [
        (2, OTHER_CONTENT),
        (4, NO_LABEL),
    ]


def test_labels_of_the_past_are_recorded_and_never_queued(db: Database, take: Take, tmp_path: Path) -> None:
    one = {"external_id": "e", "output": "One.", "decided_at": "2024-05-01T00:00:00Z"}
    path = write_lines(tmp_path / "a.jsonl", [
        one | {"verdict": "approve", "reviewer": "Bo"}, one | {"verdict": "reject", "reviewer": "Cy"},
        one | {"verdict": "reject", "adjudication": True}, {"external_id": "f", "output": "Two."},
    ])  # fmt: skip

    first, again = take(path), take(path)

    assert first.counts() == {"read": 4, "held": 1, "history": 3, "duplicates": 0, "rejected": 0}
    assert again.counts() == {"read": 4, "held": 0, "history": 0, "duplicates": 4, "rejected": 0}
    assert query(db, "SELECT external_id, status, label, created_at FROM item ORDER BY external_id")[0] == (
        "e", "recorded", "reject", 1_714_521_600_000_000,
    )  # fmt: skip


def test_equal_rows_without_a_name_are_counted_alike_in_every_run(db: Database, take: Take, tmp_path: Path) -> None:
    rows = [{"output": "Same."}, {"output": "Other."}, {"output": "Same."}] * 200
    path = write_lines(tmp_path / "a.jsonl", rows)

    assert take(path).held == 600
    assert take(path).duplicates == 600
    assert len({row[0] for row in query(db, "SELECT external_id FROM item")}) == 600


def test_names_count_equal_content_from_nought() -> None:
    names = Names()
    one, other = ["m", None, "One.", None, None, None], ["m", None, "Other.", None, None, None]

    assert [names(one), names(other), names(one)] == [
        intake.content_name(one, 0), intake.content_name(other, 0), intake.content_name(one, 1),
    ]  # fmt: skip


def test_a_mapped_column_that_is_not_there_leaves_nothing_behind(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{broken", {"answer": "Hi.", "q": "?"}])

    with pytest.raises(InvalidError, match=r"There is no column “anwser”. The columns are: answer, q."):
        take(path, "output=anwser")

    assert query(db, "SELECT name FROM workflow") == []


@pytest.mark.parametrize("raw", [b"", b"{broken\n[1]\n", b"[ ]", b"a,b\n"])
def test_a_file_without_one_row_leaves_nothing_behind(db: Database, take: Take, tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(raw)

    with pytest.raises(InvalidError, match="Nothing was imported"):
        take(path)

    assert query(db, "SELECT name FROM workflow") == []


def test_a_workflow_that_does_not_exist_is_made_without_an_owner(db: Database, take: Take, tmp_path: Path) -> None:
    take(write_lines(tmp_path / "a.jsonl", outputs(1)))
    take(write_lines(tmp_path / "b.jsonl", outputs(1, 1)))

    assert query(db, "SELECT name FROM workflow") == [("support",)]
    assert query(db, "SELECT role FROM role_grant") == []


class Trouble:
    """A store that fails, for a while or for one row."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.real, self.calls = intake.store, 0
        self.fail: Any = lambda batch: None
        monkeypatch.setattr(intake, "store", self)

    def __call__(self, session: Session, door: Any, batch: Any) -> Any:
        self.calls += 1
        done = self.real(session, door, batch)
        if error := self.fail(batch):
            raise error
        return done


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    return Trouble(monkeypatch)


def refusal() -> sa.exc.IntegrityError:
    return sa.exc.IntegrityError("INSERT", None, ValueError("A rule holds.\nDETAIL: not for you"))


def test_a_row_that_the_database_refuses_does_not_sink_the_others(
    db: Database, take: Take, tmp_path: Path, trouble: Trouble
) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(300))
    trouble.fail = lambda batch: refusal() if any(one.external_id == "e-000007" for one in batch) else None

    tally = take(path)

    assert (tally.held, tally.rejected) == (299, 1)
    assert rejected(path) == [
        {"line": 8, "reason": "The database refuses the row: A rule holds.", "row": outputs(8)[7]}
    ]


def test_a_batch_that_lost_a_race_is_stored_at_the_second_try(take: Take, tmp_path: Path, trouble: Trouble) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(100))
    trouble.fail = lambda batch: refusal() if trouble.calls == 1 else None

    assert take(path).held == 100
    assert trouble.calls == 2


def test_a_rule_of_the_database_that_is_broken_is_heard_on_either_engine(
    db: Database, tmp_path: Path, take: Take
) -> None:
    take(write_lines(tmp_path / "a.jsonl", outputs(1)))
    row = query(db, "SELECT stream, seq, at, actor, action, body, prev, hash FROM audit ORDER BY position LIMIT 1")[0]

    with pytest.raises(sa.exc.IntegrityError), db.writing() as session:
        from db.bulk import insert_rows

        insert_rows(session, "audit", "stream seq at actor action body prev hash", [row])


def test_a_full_disk_takes_back_the_batch_and_keeps_those_before(
    db: Database, take: Take, tmp_path: Path, trouble: Trouble
) -> None:
    many = one_store(db)
    path = write_lines(tmp_path / "a.jsonl", outputs(3 * many))
    full = sa.exc.OperationalError("INSERT", None, Exception("database or disk is full"))
    trouble.fail = lambda batch: full if batch[0].external_id == f"e-{many:06d}" else None
    tally = Tally()

    with pytest.raises(DatabaseUnusableError, match=r"The disk is full. Nothing of this step was stored"):
        take(path, tally=tally)

    # On PostgreSQL the batch after the one that failed was under way; it is kept and counted too.
    kept = many if db.is_sqlite else 2 * many
    assert (tally.held, len(held(db)), audited(db)) == (kept, kept, kept)
    trouble.fail = lambda batch: None
    assert take(path).counts() == {
        "read": 3 * many, "held": 3 * many - kept, "history": 0, "duplicates": kept, "rejected": 0,
    }  # fmt: skip


def test_a_database_file_that_may_not_grow_is_a_full_disk(db: Database, take: Take, tmp_path: Path) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL has no such switch")
    sa.event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count=260"))
    db.dispose()
    path = write_lines(tmp_path / "a.jsonl", [row | {"prompt": "p" * 2000} for row in outputs(2000)])
    tally = Tally()

    with pytest.raises(DatabaseUnusableError, match="The disk is full"):
        take(path, tally=tally)

    assert tally.held == len(held(db)) == audited(db) < 2000


def test_an_import_that_is_stopped_keeps_whole_batches_and_goes_on_later(
    db: Database, take: Take, tmp_path: Path, trouble: Trouble
) -> None:
    many = one_store(db)
    path = write_lines(tmp_path / "a.jsonl", outputs(2 * many + 88))
    trouble.fail = lambda batch: KeyboardInterrupt() if batch[0].external_id == f"e-{2 * many:06d}" else None
    tally = Tally()

    with pytest.raises(KeyboardInterrupt):
        take(path, tally=tally)

    assert tally.held == len(held(db)) == 2 * many
    trouble.fail = lambda batch: None
    assert take(path).held == 88


def test_of_two_rows_with_one_name_the_first_is_kept_however_far_apart(
    db: Database, take: Take, tmp_path: Path, trouble: Trouble
) -> None:
    many = one_store(db)
    later = [row | {"output": "Changed."} for row in outputs(many)]
    path = write_lines(tmp_path / "a.jsonl", [*outputs(many), *later, *outputs(many)])

    # The first store is the slowest: side by side, the second would overtake it.
    trouble.fail = lambda batch: time.sleep(0.3 if trouble.calls == 1 else 0)
    tally = take(path)

    assert (tally.held, tally.rejected, tally.duplicates) == (many, many, many)
    assert held(db) == [row["output"] for row in outputs(many)]


def test_rejected_rows_go_to_the_current_folder_where_the_files_own_cannot_be_written(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "there").mkdir()
    path = write_lines(tmp_path / "there" / "a.jsonl", ["{", *outputs(1)])
    with _read_only(tmp_path / "there"):
        tally = take(path)

    assert tally.rejected_path == Path("a.jsonl.rejected.jsonl")
    assert (tmp_path / "here" / "a.jsonl.rejected.jsonl").exists()


@contextlib.contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Make a folder refuse new files, also to root, for whom permissions do not count."""
    real = open

    def refusing(file: Any, *rest: Any, **more: Any) -> Any:
        if Path(file).parent == folder and "x" in rest[0]:
            raise PermissionError(13, "Permission denied")
        return real(file, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.open", refusing)
        yield


def test_rejected_rows_that_cannot_be_written_stop_the_import(take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{", *outputs(1)])

    with pytest.raises(UnavailableError, match=r"The rejected rows cannot be written to .*Name another file"):
        take(path, rejected=tmp_path / "nowhere" / "r.jsonl")


def test_the_file_itself_is_never_the_file_of_rejected_rows(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(1))

    with pytest.raises(InvalidError, match="is the file to be imported"):
        Rejects(path, tmp_path / "." / "a.jsonl")


def test_progress_says_how_far_the_file_is(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [row | {"x": 1} for row in outputs(2 * one_store(db) + 1)])
    seen: list[Any] = []

    take(path, progress=seen.append)

    size = path.stat().st_size
    assert [one.total for one in seen] == [size] * 3
    assert seen[-1].done == size
    assert [one.ignored for one in seen] == [["x"], [], []]


@pytest.fixture
def always_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "WORTH_IT", 0)


@pytest.mark.usefixtures("always_beside")
def test_a_file_read_beside_comes_in_like_any_other(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [
        *outputs(500), "{broken", {"output": "Same."}, {"output": "Same."}, outputs(1)[0] | {"output": "Changed."},
        {"external_id": "h", "output": "o", "verdict": "correct", "correction": "O.", "reasons": ["Tone"]}, {"x": 1},
    ])  # fmt: skip

    tally = take(path)

    assert tally.counts() == {"read": 506, "held": 502, "history": 1, "duplicates": 0, "rejected": 3}
    assert [row["line"] for row in rejected(path)] == [501, 504, 506]
    assert rejected(path)[1]["row"] == {"external_id": "e-000000", "output": "Changed."}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "WORTH_IT", 1 << 60)
        assert take(path).duplicates == 503


@pytest.mark.usefixtures("always_beside")
def test_a_refusal_beside_is_told_here(db: Database, take: Take, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"answer": "Hi."}])

    with pytest.raises(InvalidError, match="The columns are: answer"):
        take(path, "output=anwser")
    with pytest.raises(InvalidError, match="is empty"):
        take(write_lines(tmp_path / "b.jsonl", []))


@pytest.mark.usefixtures("always_beside")
def test_a_reading_process_that_dies_stops_the_import_with_a_sentence(
    db: Database, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.jsonl", outputs(5000))
    real, started = subprocess.Popen, []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(real(*a, **k)) or started[0])
    tally = Tally()

    def kill(progress: Any) -> None:
        started[0].kill()

    with pytest.raises(UnavailableError, match="ended before the file did"):
        take(path, tally=tally, progress=kill)
    assert 256 <= tally.held < 5000


def test_rows_without_a_name_stay_small_in_memory(tmp_path: Path) -> None:
    names = Names()

    for i in range(2000):
        names(["m", None, str(i % 1000), None, None, None])

    assert names(["m", None, "7", None, None, None]).endswith("-2")


def test_a_batch_is_no_more_than_a_transaction_may_hold() -> None:
    assert rows_ready.ROWS_AT_ONCE <= 256


def test_a_rejected_row_stays_one_line(take: Take, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"output": "o"}, {"x": "line\u2028one\ntwo"}], indent=2))

    take(path)

    lines = Path(f"{path}.rejected.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [{"x": "line\u2028one\ntwo"}]
    assert os.linesep.encode() not in lines[0]
