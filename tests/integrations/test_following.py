"""An application that follows the model in use: swaps, the way back, a canary, and the gate's absence."""

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuro_review import models
from neuro_review.client import GateError, ReviewGate
from neuro_review.integrations.litellm import acompletion, completion, following, in_use
from tests.client.conftest import Served
from tests.client.test_readme import SECONDS, example, run
from tests.integrations.test_callback import MODE, environment
from tests.llm_server import LanguageModel

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "May I return it?"}]
Call = Callable[..., str]


class Time:
    """Passes when a test says so."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Time:
    for name, value in MODE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(in_use.FOLDER, str(tmp_path / "cache"))
    clock = Time()
    monkeypatch.setattr(in_use, "time", clock)
    in_use.following.cache_clear()
    following._passed_over.clear()
    return clock


@pytest.fixture
def call(served: Served, llm: LanguageModel, time: Time) -> Call:
    """Ask as the application does, and return the model that was called."""

    def ask(**more: Any) -> str:
        completion(
            workflow="support", messages=ASK, url=served.url, key=served.key,
            **{"api_base": llm.url, "api_key": "k"} | more,
        )  # fmt: skip
        return str(llm.requests[-1]["model"])

    return ask


def put_in_use(served: Served, model: str, **parameters: Any) -> None:
    with served.db.writing() as session:
        models.promote(
            session, served.team.support.id, served.team.olu, model=model, parameters=parameters, reason="why"
        )


def asked_for(served: Served) -> int:
    return served.requests.count("GET /api/v1/workflows/support")


def test_a_swap_and_the_way_back_are_followed_within_five_seconds(served: Served, time: Time, call: Call) -> None:
    put_in_use(served, "openai/a")
    assert [call() for _ in range(5)] == ["a"] * 5
    assert asked_for(served) == 1

    put_in_use(served, "openai/b")
    time.now += in_use.FRESH_FOR
    assert call() == "b"

    with served.db.writing() as session:
        models.roll_back(session, served.team.support.id, served.team.olu)
    time.now += in_use.FRESH_FOR
    assert call() == "a"
    assert max(in_use.FRESH_FOR, in_use.AGAIN_AFTER) + in_use.ANSWER_WITHIN < 5


def test_the_parameters_in_use_are_taken_and_the_callers_own_win(
    served: Served, llm: LanguageModel, call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "check_parameters", lambda parameters: None)  # a gate that would tell anything
    put_in_use(
        served, "openai/a", temperature=0.1, max_tokens=7, system="Be kind.", api_base="http://127.0.0.1:9", api_key="x"
    )

    assert call(max_tokens=9) == "a"
    sent = llm.requests[-1]
    assert (sent["temperature"], sent["max_tokens"], llm.keys[-1]) == (0.1, 9, "k")
    assert sent["messages"] == [{"role": "system", "content": "Be kind."}, ASK[1]]
    assert "api_base" in caplog.text and "127.0.0.1:9" not in caplog.text
    before = asked_for(served)
    assert call(model="openai/own") == "own"
    assert ("temperature" in llm.requests[-1], asked_for(served)) == (False, before)


def test_a_candidate_gets_its_share_with_its_own_parameters(
    served: Served, llm: LanguageModel, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_use(served, "openai/a", temperature=0.1)
    with served.db.writing() as session:
        models.try_on_traffic(
            session, served.team.support.id, served.team.olu, model="openai/b", share=0.25, parameters={"seed": 3}
        )
    drawn = iter([0.0, 0.2499, 0.25, 0.99])
    monkeypatch.setattr(following.random, "random", lambda: next(drawn))

    assert [call() for _ in range(4)] == ["b", "b", "a", "a"]
    assert [(one.get("seed"), one.get("temperature")) for one in llm.requests] == [(3, None)] * 2 + [(None, 0.1)] * 2


def test_the_last_answer_holds_while_the_gate_is_away_and_after_a_restart(
    served: Served, time: Time, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    put_in_use(served, "openai/a")
    call()
    served.stop()
    time.now += 60
    with caplog.at_level(logging.WARNING, "neuro_review.integrations"):
        assert (call(), call()) == ("a", "a")
        in_use.following.cache_clear()  # as a new process begins
        time.now += 60
        assert (call(), call()) == ("a", "a")
    assert len([one for one in caplog.records if "the last one it named is called" in one.message]) == 2

    served.start()
    put_in_use(served, "openai/b")
    assert call() == "a"
    time.now += in_use.AGAIN_AFTER
    assert call() == "b"


def test_before_the_gate_was_ever_reached_the_default_is_called_or_the_error_says_why(
    served: Served, time: Time, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(GateError, match=r"No model is in use in the workflow “support” yet.*default_model"):
        call()
    assert call(default_model="openai/d") == "d"

    served.stop()
    in_use.following.cache_clear()
    for kept in Path(os.environ[in_use.FOLDER]).glob("*/*.json"):
        kept.unlink()
    for _ in range(2):
        with pytest.raises(GateError, match="The gate does not answer"):
            call()
    assert call(default_model="openai/d") == "d"
    assert "it never named one, so that the default of the call is used" in caplog.text


def test_a_key_of_another_workflow_is_refused_with_a_sentence(served: Served, llm: LanguageModel, time: Time) -> None:
    with pytest.raises(GateError, match="no such workflow of this key"):
        completion(workflow="other", messages=ASK, url=served.url, key=served.key)
    assert llm.requests == []


def test_awaited_calls_follow_as_well(served: Served, llm: LanguageModel, time: Time, call: Call) -> None:
    put_in_use(served, "openai/a")

    async def several(many: int) -> None:
        more = {"url": served.url, "key": served.key, "api_base": llm.url, "api_key": "k"}
        await asyncio.gather(*(acompletion(workflow="support", messages=ASK, **more) for _ in range(many)))

    asyncio.run(several(20))
    put_in_use(served, "openai/b")
    time.now += in_use.FRESH_FOR
    asyncio.run(several(1))
    asyncio.run(several(20))

    assert [one["model"] for one in llm.requests] == ["a"] * 20 + ["b"] * 21
    assert asked_for(served) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="a user's folder is the user's on Windows")
def test_a_file_that_others_could_have_written_is_not_believed(served: Served, time: Time, call: Call) -> None:
    put_in_use(served, "openai/a")
    call()
    served.stop()
    (file,) = Path(os.environ[in_use.FOLDER]).glob("*/*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert served.key not in file.read_text() + file.name

    for spoilt in (lambda: file.chmod(0o622), lambda: file.write_text("{"), lambda: file.write_text('{"model": "x"}')):
        spoilt()
        in_use.following.cache_clear()
        assert call(default_model="openai/d") == "d"
        file.chmod(0o600)


def test_without_a_place_to_keep_it_the_model_is_followed_all_the_same(
    served: Served, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_in_use(served, "openai/a")
    (tmp_path / "file").write_text("")
    for folder in ("", str(tmp_path / "file")):
        monkeypatch.setenv(in_use.FOLDER, folder)
        in_use.following.cache_clear()
        assert call() == "a"


def test_the_client_says_what_is_in_use(served: Served, gate: ReviewGate) -> None:
    assert gate.model_in_use("support").model is None
    put_in_use(served, "openai/a", seed=1)
    said = gate.model_in_use("support")

    assert (said.workflow, said.version, said.model, said.parameters, said.canary) == (
        "support", 1, "openai/a", {"seed": 1}, None,
    )  # fmt: skip


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_example_calls_what_is_in_use(served: Served, llm: LanguageModel, installed: Path, tmp_path: Path) -> None:
    put_in_use(served, "openai/a")
    program = run(example("Follow the model in use"), installed, tmp_path, **environment(served, llm))
    said, errors = program.communicate(timeout=SECONDS)

    assert said == "a Yes, within 30 days.\n", errors
