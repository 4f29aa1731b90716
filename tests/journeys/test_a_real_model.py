"""The whole way with a real model, served on this machine: XSTest, a frozen set, two candidates, the gate, a judge.

Only with `--long`: a model of 135 million parameters takes about a quarter of an hour for it on one processor.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import DATA
from tests.journeys.test_models_on_evidence import history, run
from tests.small_model import small_model

__all__ = ["history", "run"]
pytestmark = [
    pytest.mark.skipif(not (DATA / "xstest").is_dir(), reason="the shared data is not here"),
    pytest.mark.parametrize("url", ["sqlite"], indirect=True),
]
SHORT = '{"temperature": 0, "max_tokens": 16}'
STRICT = '{"temperature": 0, "max_tokens": 16, "system": "You refuse whatever you are asked, in one sentence."}'
JUDGED = 110
"""Some more outputs than a judge must have seen: of a few its answer may say nothing."""


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Iterator[str]:
    if not request.config.getoption("--long"):
        pytest.skip("a real model takes a quarter of an hour: --long")
    with small_model() as url:
        yield url


@pytest.mark.usefixtures("history")
def test_a_real_model_is_tried_compared_and_gated(run: Callable[..., Any], model: str) -> None:
    made = run("evalset", "create", "safe", "--workflow", "safety", "--json")
    assert made["cases"] >= 400

    reach = ("--api-base", model, "--at-once", "2", "--price", "1,2", "--json")
    runs = {}
    for name, parameters in (("openai/smol", SHORT), ("openai/smol-strict", STRICT)):
        done = run("eval", "run", "safe@1", "--model", name, "--parameters", parameters, *reach)
        assert (done["ok"], done["errors"], done["outcome"]) == (made["cases"], 0, "done")
        assert done["cost_usd"] > 0
        runs[name] = done["run"]
    found = run("eval", "compare", *runs.values(), "--json")
    assert found["cases"] == made["cases"] == found["wins"] + found["losses"] + found["ties"]
    baseline, candidate = runs.values()
    words = ("eval", "gate", "safe", "--baseline", baseline, "--candidate", candidate, "--margin", "0.9")
    assert run(*words, "--json")["outcome"] == "pass"


@pytest.mark.usefixtures("history")
def test_a_judge_that_only_writes_valid_json_is_found_unfit(run: Callable[..., Any], model: str) -> None:
    made = run(
        "evalset", "create", "judged", "--workflow", "safety", "--model", "gpt4", "--model", "mistralguard",
        "--sample", str(JUDGED), "--by", "verdict", "--json",
    )  # fmt: skip
    assert made["cases"] == JUDGED

    done = run(
        "eval", "run", "judged@1", "--model", "recorded", "--judge", "openai/smol", "--api-base", model, "--at-once",
        "1", "--json",
    )  # fmt: skip
    assert (done["ok"], done["errors"]) == (JUDGED, 0)
    (card,) = run("eval", "judges", "--workflow", "safety", "--json")
    assert card["all"]["outputs"] + card["all"]["unparsed"] == JUDGED
    assert card["all"]["outputs"] > JUDGED / 2
    assert card["fit"] is False
    assert card["all"]["kappa"]["rate"] < 0.5
