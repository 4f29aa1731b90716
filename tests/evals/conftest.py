"""Labels to make eval sets of, questions with plain answers judged in the past, and models that are tried on them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from db.engine import Database
from db.tables import Origin
from neuro_review import history, intake, scorers, workflows
from neuro_review.eval_runs import asking, run
from neuro_review.eval_runs.asking import RECORDED, Asked
from neuro_review.eval_sets import making
from neuro_review.eval_sets.choosing import Wanted
from neuro_review.eval_sets.rows import Version
from neuro_review.llm import Way
from tests.conftest import OPERATOR, Team
from tests.llm_server import LanguageModel, language_model

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


NUMBERS = {question(n): n for n in range(600)}


def answers(asked: dict[str, Any]) -> str:
    """Answer as a candidate or judge: `better` is right, `worse` wrong on every fourth, `judge` sees which is which."""
    said, model = asked["messages"][-1]["content"], asked["model"]
    if model.startswith("judge"):
        answer = said.split("[BEGIN ANSWER]\n")[1].split("\n[END ANSWER]")[0]
        if model == "judge-mumbles":
            return "Well, it depends."
        good = answer.startswith("answer") if model == "judge" else True
        return f'{{"reason": "because", "verdict": "{"good" if good else "bad"}"}}'
    n = NUMBERS[said]
    return f"answer {n}" if model == "better" or n % 4 else "something else entirely"


@pytest.fixture(scope="module")
def served() -> Iterator[LanguageModel]:
    with language_model(answers) as model:
        yield model


@pytest.fixture
def tried(db: Database, served: LanguageModel) -> Callable[..., str]:
    """Try models on a version and return the run."""

    def call(version: Version, *models: str, **more: Any) -> str:
        ways = tuple(
            Way(RECORDED) if name == RECORDED else asking.way(f"openai/{name}", api_base=served.url) for name in models
        )
        if "judge" in more:
            more["judge"] = asking.way(f"openai/{more['judge']}", api_base=served.url)
            more["scorers"] = (*scorers.DEFAULT, scorers.JUDGE)
        with db.writing() as session:
            run_id = asking.ask(session, OPERATOR, version.ref, Asked(ways, **more))
        assert run.work_on(db, run_id)["errors"] == 0
        return run_id

    return call
