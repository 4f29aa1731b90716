"""The callback in an application that really uses LiteLLM, and ends right after its last call."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.tables import Verdict
from tests.client.conftest import Served, later, until
from tests.client.test_readme import SECONDS, example, run
from tests.llm_server import LanguageModel

# Each program imports LiteLLM, which takes seconds; the client's own tests go through both engines.
pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
CALLS = """
import asyncio, os, litellm
from neuro_review.integrations.litellm import Capture

litellm.callbacks = [Capture()]
ask = [{"role": "user", "content": "May I return it?"}]
more = {"api_base": os.environ["OPENAI_BASE_URL"], "messages": ask, "temperature": 0.5, "user": "u-1"}
def call(name, **metadata):
    return more | {"metadata": {"nr_external_id": name, "team": "returns", **metadata}}

litellm.completion(model="openai/gpt-4o", **call("sync"))
usage = {"include_usage": True}
for chunk in litellm.completion(model="openai/gpt-4o", stream=True, stream_options=usage, **call("stream")):
    pass
litellm.completion(model="openai/unpriced", **call("unpriced"))
litellm.completion(model="openai/gpt-4o", **call("eval", nr_capture=False))
try:
    litellm.completion(model="openai/gpt-4o", max_retries=0, **call("failed") | {"api_base": "http://127.0.0.1:9"})
except litellm.InternalServerError:
    print("failed")

async def go():
    async for chunk in await litellm.acompletion(model="openai/gpt-4o", stream=True, **call("astream")):
        pass
    await litellm.acompletion(model="openai/gpt-4o", **call("async"))
asyncio.run(go())
"""
MODE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}


def environment(served: Served, llm: LanguageModel) -> dict[str, str]:
    return {
        "NEURO_REVIEW_URL": served.url, "NEURO_REVIEW_KEY": served.key, "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": llm.url, **MODE,
    }  # fmt: skip


def items(served: Served) -> dict[str, dict[str, Any]]:
    query = "SELECT * FROM item i JOIN item_content c ON c.item_id = i.id"
    with served.db.reading() as session:
        return {row["external_id"]: dict(row) for row in session.connection().execute(sa.text(query)).mappings()}


def test_every_completion_is_held_with_what_is_known_of_it(
    served: Served, llm: LanguageModel, installed: Path, tmp_path: Path
) -> None:
    said, errors = run(CALLS, installed, tmp_path, **environment(served, llm)).communicate(timeout=SECONDS)
    held = items(served)

    assert said.strip().endswith("failed"), errors
    assert held.keys() == {"sync", "stream", "unpriced", "astream", "async"}
    assert {one["output"] for one in held.values()} == {"Yes, within 30 days."}
    assert [held[name]["model"] for name in ("sync", "stream", "unpriced")] == [
        "openai/gpt-4o", "openai/gpt-4o", "openai/unpriced",
    ]  # fmt: skip
    assert [held[name]["cost_micro"] for name in ("sync", "stream", "async", "unpriced")] == [50, 50, 50, None]
    for name in ("sync", "stream", "async"):
        one = held[name]
        assert (one["prompt_tokens"], one["completion_tokens"], one["latency_ms"] >= 0) == (4, 4, True)
        assert (one["end_user"], json.loads(one["parameters"])["temperature"]) == ("u-1", 0.5)
        assert json.loads(one["prompt"]) == [{"role": "user", "content": "May I return it?"}]
        assert json.loads(one["metadata"])["team"] == "returns"


def test_the_example_receives_what_the_reviewer_wrote(
    served: Served, llm: LanguageModel, installed: Path, tmp_path: Path
) -> None:
    program = run(example("From LiteLLM"), installed, tmp_path, **environment(served, llm))
    later(lambda: until(served.count) and served.decide(Verdict.CORRECT, "Yes, if they are unused."))
    said, errors = program.communicate(timeout=SECONDS)

    assert said == "corrected Yes, if they are unused.\n", errors
    assert len(example("From LiteLLM").splitlines()) <= 15
