"""What a job keeps on this machine: the file that was uploaded, or the one that was made, for a day.

A file is never called what somebody else called it: its folder is the job's id, and its name is ours.
"""

import contextlib
import errno
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.tables import Id
from neuro_review.errors import NotFoundError, UnavailableError
from neuro_review.settings import settings

LASTS = DAY
ID = re.compile(r"[0-9a-f]{32}")
UPLOAD = "upload"
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""What a file may be called to be read as that; by any other name its first bytes decide."""
REJECTED = "rejected.jsonl"
LONGEST_NAME = 100
KNOWN = sa.text("SELECT id, finished_at FROM job WHERE id IN :ids").bindparams(
    sa.bindparam("ids", expanding=True, type_=Id())
)


def every() -> Path:
    """Return the folder that holds the folders of all jobs."""
    return settings().folder / "files"


def folder(job_id: str) -> Path:
    """Return the folder of a job, which need not exist.

    Raises:
        NotFoundError: that is no id of a job.
    """
    if not ID.fullmatch(job_id):
        raise NotFoundError("There is no such job.")
    return every() / job_id


def made(job_id: str) -> Path:
    """Return the folder of a job, making it where there is none; only this user may look into it.

    Raises:
        UnavailableError: it cannot be made.
    """
    place = folder(job_id)
    with _told(place):
        every().mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
    return place


def keep(job_id: str, name: str, data: bytes | memoryview) -> Path:
    """Keep an uploaded file until its import, and return where it lies.

    Raises:
        UnavailableError: the disk is full, or the folder cannot be written.
    """
    path = made(job_id) / f"{UPLOAD}{suffix(name)}"
    with _told(path), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # the job that is asked for next must find it, also after power loss
    return path


def upload(job_id: str) -> Path:
    """Return where the uploaded file of a job lies.

    Raises:
        NotFoundError: it is not on this machine, or not any more.
    """
    found = next(iter(sorted(folder(job_id).glob(f"{UPLOAD}*"))), None)
    if found is None:
        raise NotFoundError(
            "The uploaded file is not here any more. Upload it again. (Several machines must share one"
            " NEURO_REVIEW_FOLDER.)"
        )
    return found


def suffix(name: str) -> str:
    """Return the ending by which a file of this name is read, or nothing."""
    ending = os.path.splitext(shown_name(name))[1].lower()
    return ending if ending in SUFFIXES else ""


def shown_name(name: str) -> str:
    """Return the name of somebody's file so that it can be shown and kept: its last part, without what is invisible."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C").strip()
    if len(seen) > LONGEST_NAME:
        stem, ending = os.path.splitext(seen)
        seen = stem[: LONGEST_NAME - len(ending[:20])] + ending[:20]
    return seen if seen.strip(".") else "file"


def remove_upload(job_id: str) -> None:
    """Take the uploaded file away; what was made of it stays."""
    for path in folder(job_id).glob(f"{UPLOAD}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def remove_unfinished(job_id: str) -> None:
    """Take away what an attempt that was broken off has left behind, all but the upload."""
    with contextlib.suppress(OSError):
        for path in folder(job_id).iterdir():
            if not path.name.startswith(UPLOAD):
                path.unlink()


def remove(job_id: str) -> None:
    """Take away all that a job keeps here."""
    shutil.rmtree(folder(job_id), ignore_errors=True)


def sweep(session: Session) -> int:
    """Take away what has been here for a day: of jobs that are done, and uploads that nobody imported.

    Returns how many jobs it was. What an unfinished job needs stays. The upload of a job that has ended goes at once:
    its process takes it away itself, unless it was stopped between the two.
    """
    here = {path.name: path for path in _folders()}
    if not here:
        return 0
    finished: dict[str, int | None] = {}
    for start in range(0, len(here), 500):
        ids = sorted(here)[start : start + 500]
        finished |= {str(row.id): row.finished_at for row in session.connection().execute(KNOWN, {"ids": ids})}
    for name in (one for one, at in finished.items() if at is not None):
        remove_upload(name)
    old = [name for name, path in here.items() if _is_old(finished.get(name, _since(path)))]
    for name in old:
        remove(name)
    return len(old)


def _folders() -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in every().iterdir() if ID.fullmatch(path.name) and path.is_dir())


def _since(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns // 1000
    return now()


def _is_old(since: int | None) -> bool:
    return since is not None and since + LASTS <= now()


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError("The disk of the server is full. Nothing was kept; tell whoever runs it.") from error
        raise UnavailableError(
            f"The folder of the server cannot be written ({os.strerror(error.errno or 0)}). Nothing was kept; tell"
            " whoever runs it."
        ) from error
