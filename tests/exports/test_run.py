"""A file is there whole or not at all, says what it holds, and is logged."""

import errno
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.engine import Database
from db.tables import Role, Verdict
from neuro_review.cli.exports import export_command
from neuro_review.errors import InvalidError, NotAllowedError, NotFoundError, UnavailableError
from neuro_review.exports import helper, parts, run
from neuro_review.exports.columns import NAMES
from neuro_review.exports.formats import TABLES, Format
from neuro_review.exports.rows import Filter
from neuro_review.exports.run import stream, write
from tests.conftest import OPERATOR, Team
from tests.exports.stock import decide, held, past, rows, written


def events(db: Database) -> list[dict[str, Any]]:
    with db.reading() as session:
        found = session.connection().execute(
            sa.text("SELECT stream, actor, body FROM audit WHERE action = 'export.written' ORDER BY stream, seq")
        )
        return [{"stream": row.stream, "actor": row.actor, **orjson.loads(row.body)} for row in found]


def test_the_manifest_says_what_the_file_holds(db: Database, team: Team, tmp_path: Path) -> None:
    for model, verdict in (("m1", "approve"), ("m1", "reject"), ("m2", "reject"), ("m3", "approve")):
        past(db, team.support, [{"verdict": verdict}], model=model)

    done = written(db, tmp_path, Format.CSV, choice=Filter(until=1 << 52))

    assert done.file is not None and done.manifest == tmp_path / "out.csv.manifest.json"
    says = orjson.loads(done.manifest.read_bytes())
    assert says["sha256"] == hashlib.sha256(done.file.read_bytes()).hexdigest()
    assert (says["rows"], says["bytes"], says["file"]) == (4, done.file.stat().st_size, "out.csv")
    assert says["rows_by_verdict"] == {"approve": 2, "reject": 2}
    assert says["rows_by_model"] == {"m1": 2, "m2": 1, "m3": 1}
    assert says["filter"]["until"].endswith("Z")
    assert [column["name"] for column in says["columns"]] == list(NAMES)
    assert all(column["means"].endswith(".") for column in says["columns"])
    assert "apostrophe" in says["csv"] and "one review" in says["row"]
    assert (says["created_by"], says["workflow"], says["format"]) == (OPERATOR.email, "support", "csv")


def test_an_export_is_logged_with_its_count_its_filter_and_the_hash_of_the_file(
    db: Database, team: Team, tmp_path: Path
) -> None:
    past(db, team.support, [{"verdict": "approve"}], output="never in the log")

    done = written(db, tmp_path, by=team.olu, choice=Filter(model="m"))

    (event,) = events(db)
    assert event == {
        "stream": f"workflow/{team.support.id}", "actor": team.olu.audit_name, "rows": 1, "filter": {"model": "m"},
        "sha256": done.sha256, "format": "jsonl", "to": "file", "complete": True,
    }  # fmt: skip


@pytest.mark.parametrize("form", TABLES)
def test_nothing_to_export_is_an_empty_valid_file(db: Database, team: Team, tmp_path: Path, form: Format) -> None:
    done = written(db, tmp_path, form)

    assert (done.rows, rows(done), len(events(db))) == (0, [], 1)
    if form is Format.PARQUET:
        assert pq.read_schema(done.file).names == list(NAMES)


def test_a_reviewer_may_not_export_and_who_has_the_role_may(
    db: Database, team: Team, tmp_path: Path, add_person: Any
) -> None:
    dan = add_person("Dan", Role.EXPORT, team.support.id)
    stranger = add_person("Sue", Role.EXPORT, team.other.id)

    for refused in (team.bo, stranger):
        with pytest.raises(NotAllowedError, match="role export"):
            written(db, tmp_path, by=refused)
    assert list(tmp_path.glob("out*")) == []
    assert events(db) == []
    for allowed in (dan, team.olu, team.ada, OPERATOR):
        written(db, tmp_path, by=allowed)


def test_places_that_cannot_be_written_are_refused_with_a_sentence(db: Database, team: Team, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is a folder"):
        write(db, OPERATOR, "support", Format.CSV, tmp_path)
    with pytest.raises(InvalidError, match="There is no folder"):
        write(db, OPERATOR, "support", Format.CSV, tmp_path / "no" / "out.csv")
    with pytest.raises(InvalidError, match="not a plain file"):
        write(db, OPERATOR, "support", Format.CSV, Path("/dev/null"))
    with pytest.raises(NotFoundError, match="no workflow"):
        write(db, OPERATOR, "nowhere", Format.CSV, tmp_path / "out.csv")


def test_a_folder_without_the_right_to_write_is_named(
    db: Database, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(InvalidError, match=r"The folder .* cannot be written"):
        written(db, tmp_path)


@pytest.mark.parametrize("form", TABLES)
def test_a_full_disk_leaves_the_old_file_and_no_half_of_a_new_one(
    db: Database, team: Team, tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    before = written(db, tmp_path, form).sha256

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = run.Unfinished.__init__

    def full(self: run.Unfinished, path: Path) -> None:
        real(self, path)
        self.file.close()
        self.file = Full()

    monkeypatch.setattr(run.Unfinished, "__init__", full)
    with pytest.raises(UnavailableError, match="The disk is full"):
        written(db, tmp_path, form)

    assert sorted(path.name for path in tmp_path.glob("out*")) == [f"out.{form}", f"out.{form}.manifest.json"]
    assert hashlib.sha256((tmp_path / f"out.{form}").read_bytes()).hexdigest() == before
    assert len(events(db)) == 1


def test_an_export_that_is_interrupted_leaves_nothing(db: Database, team: Team, tmp_path: Path) -> None:
    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    past(db, team.support, [{"verdict": "approve"}])
    with pytest.raises(KeyboardInterrupt):
        written(db, tmp_path, progress=interrupt)

    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("forks", [True, False])
def test_a_helper_that_dies_ends_the_export_with_a_sentence(
    db: Database, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: bool
) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    monkeypatch.setattr("neuro_review.exports.run.helpers_for", lambda _: 2)
    monkeypatch.setattr(parts, "_may_fork", lambda database: forks and not database.is_sqlite)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(helper, "serve", lambda *_: os._exit(1))

    with pytest.raises(UnavailableError, match="helper"):
        written(db, tmp_path)
    assert list(tmp_path.glob("out*")) == []


def test_a_stream_that_breaks_off_is_logged_as_not_whole(db: Database, team: Team) -> None:
    class Closed(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    past(db, team.support, [{"verdict": "approve"}])
    with pytest.raises(UnavailableError, match="stopped before its end"):
        stream(db, OPERATOR, "support", Format.JSONL, Closed())

    assert [(event["to"], event["complete"]) for event in events(db)] == [("stream", False)]


@pytest.fixture
def cli(url: str, team: Team, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    return lambda *words: CliRunner().invoke(export_command, list(words))


def test_the_command_writes_a_file_and_says_so(cli: Any, db: Database, team: Team, tmp_path: Path) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    out = tmp_path / "out.jsonl"

    said = cli("--workflow", "support", "--format", "jsonl", "--out", str(out))
    as_json = cli("--workflow", "support", "--format", "jsonl", "--out", str(out), "--json")

    assert (said.exit_code, said.stdout[:14]) == (0, "Wrote 1 review")
    assert orjson.loads(as_json.stdout) == {
        "rows": 1, "file": str(out), "manifest": f"{out}.manifest.json", "format": "jsonl",
    }  # fmt: skip


def test_the_command_writes_rows_alone_to_the_standard_output(cli: Any, db: Database, team: Team) -> None:
    past(db, team.support, [{"verdict": "approve"}], external_id="x")

    said = cli("--workflow", "support", "--format", "jsonl", "--out", "-")

    assert (said.exit_code, orjson.loads(said.stdout)["external_id"]) == (0, "x")
    assert "Wrote 1 review" in said.stderr


def test_the_command_says_when_there_is_nothing(cli: Any, tmp_path: Path) -> None:
    said = cli("--workflow", "support", "--format", "csv", "--out", str(tmp_path / "o.csv"))

    assert (said.exit_code, said.stdout[:40]) == (0, "Nothing to export: there is no review yet."[:40])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "zzz"], "no review matches --model zzz."),
        (["--since", "2999-01-01"], "no review matches --since 2999-01-01T00:00:00.000000Z."),
        (["--model", "m", "--verdict", "reject"], "no review matches --verdict reject."),
        (["--model", "n", "--verdict", "approve"], "no review matches --model n --verdict approve together."),
        (["--reviewer", "bo@x.example"], "no review matches --reviewer bo@x.example."),
    ],
)  # fmt: skip
def test_the_command_says_which_filter_matched_nothing(
    cli: Any, db: Database, team: Team, tmp_path: Path, words: list[str], says: str
) -> None:
    past(db, team.support, [{"verdict": "approve"}], model="m")
    past(db, team.support, [{"verdict": "correct", "correction": "c"}], model="n")

    said = cli("--workflow", " support ", "--format", "csv", "--out", str(tmp_path / "o.csv"), *words)

    assert (said.exit_code, said.stdout.startswith(f"Nothing to export: {says} Wrote no row")) == (0, True), said.output


def test_the_command_says_that_all_wait_for_their_grace(cli: Any, db: Database, team: Team, tmp_path: Path) -> None:
    held(db, team.support)
    decide(db, team.support, team.bo, Verdict.APPROVE)

    said = cli("--workflow", "support", "--format", "csv", "--out", str(tmp_path / "o.csv"))

    assert said.stdout.startswith("Nothing to export: no review has left its grace yet.")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--workflow", "nowhere", "--format", "csv", "--out", "o.csv"], 1, "There is no workflow “nowhere”"),
        (["--workflow", "support", "--format", "csv", "--out", "/"], 1, "is a folder"),
        (["--workflow", "support", "--format", "docx", "--out", "o"], 2, "'docx' is not one of"),
        (["--workflow", "support", "--format", "csv"], 2, "Missing option '--out'"),
        (["--workflow", "support", "--format", "parquet", "--out", "-"], 2, "Name a file"),
        (["--workflow", "support", "--format", "csv", "--out", "-", "--json"], 2, "not both"),
        (["--workflow", "support", "--format", "csv", "--out", "o", "--since", "soon"], 2, "“soon” is not a date"),
        (
            ["--workflow", "support", "--format", "csv", "--out", "o", "--since", "0001-01-01T00:00:00+14:00"],
            2,
            "is not a date",
        ),
        (["--workflow", "a\udcff", "--format", "csv", "--out", "o"], 1, "half of a surrogate pair"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_one_sentence(cli: Any, words: list[str], code: int, says: str) -> None:
    said = cli(*words)

    assert (said.exit_code, says in said.stderr) == (code, True)
    assert "Traceback" not in said.stderr


def test_a_reader_that_stops_gets_no_traceback(url: str, db: Database, team: Team) -> None:
    for n in range(300):
        past(db, team.support, [{"verdict": "approve"}], external_id=str(n), output="x" * 2_000)
    env = {**os.environ, "NEURO_REVIEW_DATABASE_URL": url}
    words = [sys.executable, "-m", "neuro_review", "export", "--workflow", "support", "--format", "jsonl", "--out", "-"]

    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read().decode()

    assert (process.returncode, said.strip()) == (
        1,
        "Who read the output stopped before its end. The export is not whole.",
    )
