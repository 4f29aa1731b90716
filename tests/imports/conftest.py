"""Files to import, and the import as a function and as a command."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from db.engine import Database
from neuro_review.__main__ import main
from neuro_review.access import Actor
from neuro_review.imports.batches import ROWS_AT_ONCE
from neuro_review.imports.fields import mapping
from neuro_review.imports.run import Tally, import_file
from neuro_review.imports.storing import JOINED

BY = Actor("tests", "operator:tests")
Take = Callable[..., Tally]
Command = Callable[..., Result]


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write JSON lines; bytes and texts go in as they are."""
    with path.open("wb") as file:
        for row in rows:
            raw = row if isinstance(row, bytes) else row if isinstance(row, str) else json.dumps(row)
            file.write((raw.encode() if isinstance(raw, str) else raw) + b"\n")
    return path


def rejected(path: Path) -> list[dict[str, Any]]:
    """Return what was set aside of a file."""
    aside = Path(f"{path}.rejected.jsonl")
    return [json.loads(line) for line in aside.read_bytes().splitlines()] if aside.exists() else []


def query(db: Database, sql: str, **bound: Any) -> list[tuple[Any, ...]]:
    with db.reading() as session:
        return [tuple(row) for row in session.connection().execute(sa.text(sql), bound)]


def one_store(db: Database) -> int:
    """Return how many short rows are stored in one transaction."""
    return ROWS_AT_ONCE * (1 if db.is_sqlite else JOINED)


@pytest.fixture
def take(db: Database) -> Take:
    """Import a file into `support`, for the model `m` unless told otherwise."""

    def run(path: Path, *fields: str, model: str | None = "m", **more: Any) -> Tally:
        return import_file(db, path, "support", BY, fields=mapping(fields), model=model, **more)

    return run


@pytest.fixture
def command(url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `python -m neuro_review import …` in this process."""
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def run(*arguments: Any, **more: Any) -> Result:
        result = CliRunner().invoke(main, ["import", *map(str, arguments)], prog_name="neuro_review", **more)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
