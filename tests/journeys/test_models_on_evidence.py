"""From labels of the past to the gate: XSTest as history, a frozen set, two candidates through LiteLLM, compared.

A third run is killed in the middle, more than once with `--long`: it ends complete, with one answer a case, and repeats
at most the calls that were under way.
"""

import csv
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.clock import new_id
from db.engine import Database
from db.tables import JobState, Role
from neuro_review import access
from neuro_review.__main__ import main
from neuro_review.eval_runs import asking as eval_asking
from neuro_review.eval_runs.asking import Asked
from neuro_review.jobs import asking, keeper
from tests.conftest import DATA, OPERATOR
from tests.jobs import conftest as jobs_conftest
from tests.jobs.conftest import find, until, value
from tests.jobs.test_run import kept
from tests.journeys.test_labels_of_the_past import MODELS, rows
from tests.llm_server import LanguageModel, language_model

pytestmark = pytest.mark.skipif(not (DATA / "xstest").is_dir(), reason="the shared data is not here")
AT_ONCE = 4


def said_by(model: str) -> dict[str, str]:
    path = DATA / "xstest" / f"xstest_v2_completions_{model}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["prompt"]: row["completion"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def served() -> Iterator[LanguageModel]:
    """Serve two of the models again: each says what it said then."""
    known = {name: said_by(name) for name in ("gpt4", "llama2orig")}

    def answer(asked: dict[str, Any]) -> str:
        return known.get(asked["model"], known["gpt4"])[asked["messages"][-1]["content"]]

    with language_model(answer) as model:
        yield model


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def call(*words: str, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == exit_code, result.output
        return orjson.loads(result.stdout) if "--json" in words else result.stdout

    return call


@pytest.fixture
def history(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "xstest.jsonl"
    settled = (row for model in MODELS for row in rows(model) if row.get("adjudication"))
    file.write_bytes(b"\n".join(map(orjson.dumps, settled)))
    assert run("import", str(file), "--workflow", "safety", "--json")["history"] == 2250


@pytest.mark.usefixtures("history")
def test_labels_become_a_set_two_models_are_tried_on_it_and_the_gate_decides(
    run: Callable[..., Any], served: LanguageModel, tmp_path: Path
) -> None:
    made = run("evalset", "create", "safe", "--workflow", "safety", "--json")
    assert made["frozen"]
    assert 400 <= made["cases"] <= 450
    assert sum(made["left_out"].values()) + made["cases"] == 2250
    assert run("evalset", "list", "--json") == [made]

    reach = ("--api-base", served.url, "--at-once", "32", "--json")
    done = run("eval", "run", "safe@1", "--model", "openai/gpt4", "--model", "openai/llama2orig", *reach)
    assert (done["cases"], done["ok"], done["errors"]) == (made["cases"], 2 * made["cases"], 0)

    found = run("eval", "compare", "openai/gpt4", "openai/llama2orig", "--on", "safe@1", "--json")
    assert found["cases"] == made["cases"] == found["wins"] + found["losses"] + found["ties"]
    assert found["difference"] == pytest.approx((found["losses"] - found["wins"]) / found["cases"])
    junit = tmp_path / "gate.xml"
    words = (
        "eval",
        "gate",
        "safe",
        "--baseline",
        "openai/gpt4",
        "--candidate",
        "openai/llama2orig",
        "--junit",
        str(junit),
    )
    wide = run(*words, "--margin", "0.9", "--json")
    assert wide["outcome"] == "pass"
    assert (wide["difference"], wide["cases"]) == (found["difference"], made["cases"])
    narrow = {"pass": 0, "block": 1, "inconclusive": 3}
    strict = run(*words, "--margin", "0.001", "--json", exit_code=narrow[_expected(found)])
    assert strict["outcome"] == _expected(found)
    assert junit.read_bytes().count(b"<testcase") == 1
    assert run("verify-audit", "--json")["ok"] is True


def _expected(found: dict[str, Any]) -> str:
    """Return what a margin of a thousandth must give, from the comparison's own counts."""
    from neuro_review.stats.paired import tango

    interval = tango(found["losses"], found["wins"], found["cases"], 0.9)
    return "pass" if interval.high < 0.001 else "block" if interval.low > 0 else "inconclusive"


@pytest.mark.usefixtures("history")
def test_a_run_that_is_killed_ends_complete_and_repeats_at_most_what_was_under_way(
    run: Callable[..., Any], db: Database, served: LanguageModel, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = run("evalset", "create", "safe", "--workflow", "safety", "--json")
    children: list[subprocess.Popen[bytes]] = []
    start = keeper.start
    monkeypatch.setattr(keeper, "start", lambda *given: children.append(start(*given)) or children[-1])
    monkeypatch.setattr(keeper, "AFTER_A_FAILURE", 0.01)
    monkeypatch.setattr(jobs_conftest, "PATIENCE", 400)  # each process imports LiteLLM
    with db.writing() as session:
        flow = session.connection().execute(sa.text("SELECT id FROM workflow WHERE name = 'safety'")).scalar_one()
        owner = access.add_person(session, OPERATOR, "Olu", "olu@example.com", Role.OWNER, password_hash=None,
                                  workflow_id=flow)  # fmt: skip
        run_id, olu = new_id(), access.actor(session, owner)
        asked = Asked((eval_asking.way("openai/gpt4", api_base=served.url),), at_once=AT_ONCE)
        asking.ask_eval(session, run_id, olu, version="safe@1", asked=asked)
    served.requests.clear()
    served.latency = 0.03
    kills = 2 if request.config.getoption("--long") else 1

    def stored() -> int:
        return int(value(db, "SELECT count(*) FROM eval_result"))

    with kept(db):
        for kill in range(kills):
            until(lambda least=(kill + 1) * made["cases"] // 4: stored() >= least)
            os.kill(children[-1].pid, signal.SIGKILL)
            until(lambda before=kill + 1: len(children) > before or find(db, run_id).finished_at)
        until(lambda: find(db, run_id).finished_at)

    job = find(db, run_id)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert len(children) == kills + 1
    assert {one.returncode for one in children[:kills]} == {-signal.SIGKILL}
    assert (job.result["ok"], job.result["errors"], job.result["outcome"]) == (made["cases"], 0, "done")
    assert stored() == value(db, "SELECT count(DISTINCT case_id) FROM eval_result") == made["cases"]
    asked_of = Counter(one["messages"][-1]["content"] for one in served.requests)
    assert len(asked_of) == made["cases"]
    assert len(served.requests) - made["cases"] <= kills * AT_ONCE
