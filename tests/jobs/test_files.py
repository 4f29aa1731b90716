"""What a job keeps: under names of ours, for a day, and given out to nobody else."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.clock import DAY, HOUR, new_id
from db.engine import Database
from db.tables import JobState
from neuro_review.access import Actor
from neuro_review.errors import NotAllowedError, NotFoundError
from neuro_review.exports.formats import Format
from neuro_review.jobs import downloads, files
from neuro_review.jobs.downloads import Part
from neuro_review.jobs.rows import Job
from neuro_review.settings import settings
from tests.conftest import Clock, Team
from tests.exports.stock import past
from tests.jobs.conftest import csv_of, find

Ask = Callable[..., str]
Do = Callable[[str], Job]
HOSTILE = {
    "../../x.csv": "x.csv",
    "..\\..\\boot.csv": "boot.csv",
    "/etc/passwd": "passwd",
    "..": "file",
    "": "file",
    "a\0b\n.csv": "ab.csv",
    "\u202egnp.csv": "gnp.csv",
    "\udcff.csv": ".csv",
    f"{'long' * 100}.csv": f"{('long' * 100)[:96]}.csv",
    f"x.{'y' * 300}": "x." + "y" * 19,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_is_kept_in_its_own_folder_whatever_it_is_called(name: str) -> None:
    job_id = new_id()

    path = files.keep(job_id, name, b"data")

    assert files.shown_name(name) == HOSTILE[name]
    assert path.parent == settings().folder / "files" / job_id
    assert path.name in {"upload", "upload.csv"}
    assert path.read_bytes() == b"data"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(settings().folder.rglob("*")) == [path.parent.parent, path.parent, path]


@pytest.mark.parametrize("job_id", ["..", "../x", "", "A" * 32, "0" * 31, "0" * 33, f"{'0' * 31}/"])
def test_what_is_no_id_of_a_job_names_no_folder(job_id: str, db: Database, team: Team) -> None:
    with pytest.raises(NotFoundError):
        files.folder(job_id)
    with db.reading() as session, pytest.raises(NotFoundError):
        downloads.download(session, job_id, team.ada, part=Part.DATA)


def test_what_is_a_day_old_goes_and_what_is_needed_stays(
    db: Database, ask_import: Ask, do: Do, moved_clock: Clock
) -> None:
    done = ask_import(csv_of(2) + b"broken\n")
    assert do(done).result["rejected"] == 1
    waiting, abandoned = ask_import(csv_of(1)), new_id()
    files.keep(abandoned, "a.csv", b"x")
    moved_clock.forward(DAY - HOUR)
    with db.reading() as session:
        assert files.sweep(session) == 0
    assert files.upload(abandoned).exists()

    moved_clock.forward(HOUR)
    with db.reading() as session:
        assert files.sweep(session) == 2

    assert sorted(path.name for path in files.every().iterdir()) == [waiting]
    job = find(db, done)
    assert (job.state, job.is_expired, job.result["held"]) == (JobState.DONE, True, 2)
    assert downloads.asides(job) == []


def test_the_upload_of_a_job_whose_process_was_stopped_before_it_tidied_up_does_not_stay(
    db: Database, ask_import: Ask, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, waiting = ask_import(csv_of(2) + b"broken\n"), ask_import(csv_of(1))
    with monkeypatch.context() as stopped:
        stopped.setattr(files, "remove_upload", lambda _: None)
        do(done)
    assert files.upload(done).exists()

    with db.reading() as session:
        assert files.sweep(session) == 0

    assert [path.name for path in files.folder(done).iterdir()] == [files.REJECTED]
    assert files.upload(waiting).exists()


def test_a_stranger_in_the_folder_is_left_alone(db: Database, moved_clock: Clock) -> None:
    stranger = files.made(new_id()).parent / "note.txt"
    stranger.write_text("keep me")
    os.utime(stranger, (time.time() - 1e6,) * 2)
    moved_clock.forward(2 * DAY)

    with db.reading() as session:
        assert files.sweep(session) == 1

    assert stranger.exists()


@pytest.fixture
def made(db: Database, team: Team, ask_export: Ask, do: Do) -> str:
    past(db, team.support, [{"verdict": "approve"}])
    job_id = ask_export(team.olu, Format.CSV)
    assert do(job_id).result["rows"] == 1
    return job_id


def given(db: Database, job_id: str, by: Actor, part: str = Part.DATA) -> Path:
    with db.reading() as session:
        return downloads.download(session, job_id, by, part=part).path


def test_who_asked_gets_the_file_and_its_manifest_and_nobody_else(db: Database, team: Team, made: str) -> None:
    assert given(db, made, team.olu).read_bytes().startswith(b"review_id,")
    manifest = downloads.manifest(find(db, made))
    assert manifest is not None
    assert (manifest["rows"], manifest["sha256"]) == (1, find(db, made).result["sha256"])
    assert given(db, made, team.olu, Part.MANIFEST).name.endswith(".csv.manifest.json")

    for stranger in (team.ada, team.bo, team.eve):
        with pytest.raises(NotFoundError):
            given(db, made, stranger)
    for part in (Part.REJECTED, "x", "..", "upload"):
        with pytest.raises(NotFoundError):
            given(db, made, team.olu, part)


def test_who_lost_the_role_gets_nothing_any_more(db: Database, team: Team, made: str) -> None:
    with db.writing() as session:
        session.connection().execute(
            sa.text("DELETE FROM role_grant WHERE person_id = :id"), {"id": team.olu.person_id}
        )
    poorer = Actor(team.olu.name, team.olu.email, team.olu.person_id)

    with pytest.raises(NotAllowedError):
        given(db, made, poorer)


def test_after_a_day_a_file_is_not_given_out_even_while_it_still_lies_there(
    db: Database, team: Team, made: str, moved_clock: Clock
) -> None:
    path = given(db, made, team.olu)
    moved_clock.forward(DAY)

    with pytest.raises(NotFoundError, match="24 hours"):
        given(db, made, team.olu)
    assert path.exists()
    assert downloads.manifest(find(db, made)) is None
