"""What a job has made, for the one who asked for it, as long as they may have it."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlmodel import Session

from db.tables import JobKind, JobState
from neuro_review.access import Actor
from neuro_review.errors import NotFoundError
from neuro_review.jobs import files, rows
from neuro_review.jobs.rows import NEEDS, Job
from neuro_review.jobs.work import for_screen

MANIFEST = ".manifest.json"
MEDIA = {".jsonl": "application/x-ndjson", ".csv": "text/csv", ".json": "application/json"}
MOST_READ = 1 << 20
GONE = "The file is not here any more: files are kept for 24 hours. Make it again."


class Part(StrEnum):
    """What a job can give out."""

    DATA = "data"
    MANIFEST = "manifest"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Download:
    """A file to be given out, under a name of plain letters."""

    path: Path
    name: str
    media_type: str


@dataclass(frozen=True)
class Aside:
    """A row that was set aside, and why."""

    line: int
    reason: str


def download(session: Session, job_id: str, by: Actor, *, part: str) -> Download:
    """Return a file that this person asked for.

    Raises:
        NotFoundError: it is somebody else's, not made, or gone.
        NotAllowedError: this person may not have it any more.
    """
    job = rows.one(session, job_id, by)
    by.require(NEEDS[job.kind], job.workflow_id)
    path = _path(job, part)
    if job.is_expired or path is None or not path.is_file():
        raise NotFoundError(GONE)
    name = f"rejected-{job.id[:8]}.jsonl" if part == Part.REJECTED else path.name
    return Download(path, name, MEDIA.get(path.suffix, "application/octet-stream"))


def manifest(job: Job) -> dict[str, Any] | None:
    """Return the manifest of an export that is done, or None where it is gone."""
    path = _path(job, Part.MANIFEST)
    if job.is_expired or path is None:
        return None
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return found


def asides(job: Job, most: int = 5) -> list[Aside]:
    """Return the first rows that an import has set aside, and why; none where the file is gone."""
    path = _path(job, Part.REJECTED)
    if job.is_expired or path is None:
        return []
    try:
        with path.open("rb") as file:
            lines = [line for line in islice(iter(lambda: file.readline(MOST_READ), b""), most) if line]
        found = [orjson.loads(line) for line in lines if line.endswith(b"\n")]
    except (OSError, orjson.JSONDecodeError):
        return []
    return [Aside(one["line"], for_screen(one["reason"])) for one in found]


def _path(job: Job, part: str) -> Path | None:
    place = files.folder(job.id)
    if job.kind is JobKind.IMPORT:
        return place / files.REJECTED if part == Part.REJECTED else None
    name = str(job.result.get("file", ""))
    if job.state != JobState.DONE or not name:
        return None
    return {Part.DATA: place / name, Part.MANIFEST: place / f"{name}{MANIFEST}"}.get(part)  # type: ignore[call-overload,no-any-return]
