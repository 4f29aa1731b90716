"""Each export read by the tool it is for: the tool itself where it runs here, else the request types it publishes."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from db.engine import Database
from db.tables import Verdict
from neuro_review.exports.formats import Format
from tests import apart
from tests.conftest import Team
from tests.exports.labels import HOSTILE, exported, hold_out, labels

# What is written does not depend on the engine; test_lines looks at both.
pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
OTHERS = tuple(form for form in Format if not form.is_table)


@pytest.fixture
def found(db: Database, team: Team, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    labels(db, team)
    return lambda form, **more: exported(db, tmp_path, form, **more)[1]


# inspect_ai counts the mock's tokens with a table that tiktoken would fetch from the internet; LiteLLM brings it along.
INSPECT = """
import importlib.util, os, sys
os.environ["TIKTOKEN_CACHE_DIR"] = importlib.util.find_spec("litellm").submodule_search_locations[0] + sys.argv[2]
from inspect_ai import Task, eval
from inspect_ai.dataset import json_dataset
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import includes

dataset = json_dataset(sys.argv[1])
says = lambda messages, *_: ModelOutput.from_content("mock", f"You said: {messages[-1].text} It is Paris.")
model = get_model("mockllm/model", custom_outputs=says)
(log,) = eval(Task(dataset=dataset, scorer=includes()), model=model, log_dir="logs", display="plain")
assert log.status == "success", log.error
one = next(sample for sample in dataset if sample.metadata["external_id"] == "hostile")
right = [sample.metadata["external_id"] for sample in log.samples if sample.scores["includes"].value == "C"]
print(len(log.samples), right, [message.role for message in dataset[1].input])
print(ascii(one.target), one.id in {sample.id for sample in log.samples})
"""
TABLES_OF_TOKENS = "/litellm_core_utils/tokenizers"


def test_an_inspect_run_on_an_exported_set_completes(
    found: Callable[..., list[dict[str, Any]]], db: Database, tmp_path: Path
) -> None:
    lines = found(Format.INSPECT)
    said = apart.run(INSPECT, tmp_path / "inspect.jsonl", TABLES_OF_TOKENS, at=tmp_path).splitlines()[-2:]

    assert said == ["7 ['capital'] ['system', 'user']", f"{HOSTILE!a} True"]
    ref = hold_out(db, "exam", held_out=False, verdicts=(Verdict.APPROVE, Verdict.CORRECT))
    assert [one.keys() for one in found(Format.INSPECT, eval_set=ref)] == [lines[0].keys()] * 7


OF_PLATFORMS = """
import json, sys
import braintrust
from braintrust.logger import Dataset, ObjectMetadata, ProjectDatasetMetadata, _internal_with_memory_background_logger
from braintrust.util import LazyValue
from langsmith.schemas import ExampleCreate

def lines(name):
    return [json.loads(line) for line in open(f"{name}.jsonl", encoding="utf-8")]

examples = [ExampleCreate(**one) for one in lines("langsmith")]
sent = [json.loads(one.model_dump_json(by_alias=True, exclude_none=True)) for one in examples]
braintrust.logger._state.login = lambda *_, **__: None
with _internal_with_memory_background_logger() as memory:
    where = ProjectDatasetMetadata(
        project=ObjectMetadata(id="p", name="p", full_info={}), dataset=ObjectMetadata(id="d", name="d", full_info={})
    )
    dataset = Dataset(LazyValue(lambda: where, use_mutex=False))
    ids = [dataset.insert(**one) for one in lines("braintrust")]
    rows = memory.pop()
print(json.dumps({"langsmith": sent, "braintrust": rows, "ids": ids}))
"""


def test_langsmith_and_braintrust_take_every_line(found: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    wanted = {form: found(form) for form in (Format.LANGSMITH, Format.BRAINTRUST)}
    said = orjson.loads(apart.run(OF_PLATFORMS, at=tmp_path))

    for line, sent in zip(wanted[Format.LANGSMITH], said["langsmith"], strict=True):
        assert {name: sent.get(name) for name in line} == line
    assert said["ids"] == [line["id"] for line in wanted[Format.BRAINTRUST]]
    rows = {row["id"]: row for row in said["braintrust"]}
    for line in wanted[Format.BRAINTRUST]:
        assert {name: rows[line["id"]].get(name) for name in line} == line


def test_langfuse_takes_every_line(found: Callable[..., list[dict[str, Any]]]) -> None:
    from langfuse.api import CreateDatasetItemRequest
    from langfuse.api.core.pydantic_utilities import parse_obj_as

    for line in found(Format.LANGFUSE):
        request = parse_obj_as(CreateDatasetItemRequest, line)
        assert request.model_extra == {}
        assert orjson.loads(request.json()) == line


def test_openai_takes_every_line(found: Callable[..., list[dict[str, Any]]]) -> None:
    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.evals.create_eval_jsonl_run_data_source_param import SourceFileContentContent
    from pydantic import ConfigDict, TypeAdapter, with_config

    messages = TypeAdapter(list[ChatCompletionMessageParam])
    item = TypeAdapter(with_config(ConfigDict(extra="forbid"))(SourceFileContentContent))
    for line in found(Format.SFT):
        assert messages.validate_python(line["messages"])[-1]["role"] == "assistant"
        assert line.keys() == {"messages"}
    for line in found(Format.DPO):
        assert line.keys() == {"input", "preferred_output", "non_preferred_output"}
        assert messages.validate_python(line["input"]["messages"])[-1]["role"] != "assistant"
        for name in ("preferred_output", "non_preferred_output"):
            (answer,) = messages.validate_python(line[name])
            assert (answer["role"], bool(answer["content"])) == ("assistant", True)
    for line in found(Format.OPENAI_EVALS_API):
        item.validate_python(line)
    for line in found(Format.OPENAI_EVALS):
        messages.validate_python(line["input"])
        assert all(isinstance(one, str) for one in line["ideal"])


def test_datasets_reads_every_file_with_one_schema(
    found: Callable[..., list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    for form in OTHERS:
        lines = found(form)
        cache = str(tmp_path / "cache" / form)
        read = datasets.load_dataset("json", data_files=str(tmp_path / f"{form}.jsonl"), split="train", cache_dir=cache)
        assert read.num_rows == len(lines)
        for name in {"messages", "prompt", "chosen", "rejected", "completion", "label"} & lines[0].keys():
            assert read[name][:] == [line[name] for line in lines]


TRAINING = """
import sys
from datasets import load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

words = Tokenizer(models.WordLevel({"<unk>": 0, "<pad>": 1, "<eos>": 2, "Paris": 3}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")
tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <eos> {% endfor %}"
def model():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
    ))
for name, trainer, config in (
    ("sft", SFTTrainer, SFTConfig), ("dpo", DPOTrainer, DPOConfig), ("kto", KTOTrainer, KTOConfig)
):
    args = config(output_dir=name, max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True)
    more = {} if name == "sft" else {"ref_model": model()}
    data = load_dataset("json", data_files=f"trl-{name}.jsonl", split="train")
    trained = trainer(model=model(), args=args, train_dataset=data, processing_class=tokenizer, **more).train()
    print("trained", name, trained.global_step)
"""


def test_trl_trains_a_step_on_each_export(
    request: pytest.FixtureRequest, found: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("a TRL training step takes torch: --long, with trl and torch installed")
    pytest.importorskip("trl", reason="pip install trl (it takes torch)")
    for form in (Format.TRL_SFT, Format.TRL_DPO, Format.TRL_KTO):
        found(form)
    import subprocess

    ran = subprocess.run(
        [sys.executable, "-c", TRAINING], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        env={"PATH": "", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    trained = [line for line in ran.stdout.splitlines() if line.startswith("trained ")]
    assert trained == ["trained sft 1", "trained dpo 1", "trained kto 1"], ran.stderr[-3_000:]


PROMPTFOO = """
prompts: ["{{prompt}}"]
providers: [{id: echo}]
tests: %s
"""


@pytest.mark.parametrize("ending", ["jsonl", "yaml"])
def test_promptfoo_runs_every_test(
    request: pytest.FixtureRequest, db: Database, team: Team, tmp_path: Path, ending: str
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("promptfoo is a program of Node's, 2 GB large: --long, with promptfoo installed")
    if shutil.which("promptfoo") is None:
        pytest.skip("promptfoo is not here: npm install -g promptfoo")
    import subprocess

    from neuro_review.exports.run import write
    from tests.conftest import OPERATOR

    labels(db, team)
    done = write(db, OPERATOR, "support", Format.PROMPTFOO, tmp_path / f"tests.{ending}")
    (tmp_path / "promptfooconfig.yaml").write_text(PROMPTFOO % f"file://tests.{ending}")
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "PROMPTFOO_CONFIG_DIR": str(tmp_path)}
    import os

    subprocess.run(
        ["promptfoo", "eval", "-j", "1", "--no-cache", "-o", "out.json"], cwd=tmp_path, env=os.environ | quiet,
        capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    results = orjson.loads((tmp_path / "out.json").read_bytes())["results"]["results"]
    assert len(results) == done.rows
    broken = 2  # as promptfoo counts: 1 is an assertion that did not hold, which is what an echo deserves
    assert [one for one in results if one["failureReason"] == broken] == []
