"""Labels to make eval sets of: questions with plain answers, judged in the past."""

from collections.abc import Callable
from typing import Any

import pytest

from db.engine import Database
from db.tables import Origin
from neuro_review import history, intake, workflows
from neuro_review.eval_sets import making
from neuro_review.eval_sets.choosing import Wanted
from neuro_review.eval_sets.rows import Version
from tests.conftest import OPERATOR, Team

WORDS = [
    "amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch", "moss",
    "nettle", "oak", "pine", "reed", "sage",
]  # fmt: skip


def question(n: int) -> str:
    """Return a question that is near no other."""
    return " ".join(WORDS[n // 18**k % 18] for k in range(3)) + "?"


def label(n: int, verdict: str = "approve", **more: Any) -> dict[str, Any]:
    """Return a row of the past: approve is the answer itself, correct another one, reject a refusal."""
    row: dict[str, Any] = {"external_id": f"q{n}", "model": "old", "prompt": question(n), "output": f"answer {n}"}
    row |= {"verdict": verdict, "reviewer": "ann", "decided_at": "2026-01-02T00:00:00Z"}
    if verdict == "correct":
        row |= {"output": f"wrong {n}", "correction": f"answer {n}"}
    if verdict == "reject":
        row |= {"output": f"rude {n} rude {n}", "reasons": ["Tone"]}
    return row | more


@pytest.fixture
def record(db: Database, team: Team) -> Callable[[list[dict[str, Any]]], None]:
    """Put labels of the past in place."""

    def put(rows: list[dict[str, Any]]) -> None:
        with db.writing() as session:
            door = intake.Door(team.support, workflows.source_id(session, "import"), "operator:tests", Origin.HISTORY)
            batch = []
            for row in rows:
                review = {name: row[name] for name in history.PastReview.model_fields if name in row}
                item = {name: value for name, value in row.items() if name not in review}
                batch.append((intake.prepare(door, intake.Submission(**item)), history.PastReview(**review)))
            assert {outcome for outcome, _ in history.store(session, door, batch)} == {intake.Outcome.STORED}

    return put


@pytest.fixture
def make(db: Database, team: Team) -> Callable[..., Version]:
    """Make a version of an eval set, frozen unless told otherwise."""

    def call(name: str = "first", **more: Any) -> Version:
        options = {key: more.pop(key) for key in ("held_out", "freeze_it", "by") if key in more}
        by = options.pop("by", OPERATOR)
        return making.make(db, by, name, team.support.name, Wanted(**more), **options)

    return call
