"""What a label becomes for each tool that reads it: lines, or why there is none.

The forms are those that the tools document; tests hand every one to the tool itself or to its own request types.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from db.tables import Verdict
from neuro_review.exports.formats import Format

Line = dict[str, Any]
Message = dict[str, str]
ROLES = frozenset({"system", "developer", "user", "assistant"})
FEW_WORDS = 5
OVERLAP = 0.5
TEMPLATE_MARKS = ("{{", "{%", "{#")
REFERENCES = ("file://", "http://", "https://", "package:", "python:", "exec:")


class Left(StrEnum):
    """Why a review is not in the file."""

    OTHER_REVIEW = "other_review"
    OPEN = "open"
    DISPUTED = "disputed"
    NO_TRAFFIC = "no_traffic"
    ERASED = "erased"
    NO_PROMPT = "no_prompt"
    NOT_TEXT = "not_text"
    REJECTED = "rejected"
    NO_CORRECTION = "no_correction"
    INTERPRETED = "interpreted"
    HELD_OUT = "held_out"
    NEAR_HELD_OUT = "near_held_out"


MEANS = {
    Left.OTHER_REVIEW: "Another review gives the item its label.",
    Left.OPEN: "The item has no label yet.",
    Left.DISPUTED: "The reviewers of the item disagree, and nobody has settled it.",
    Left.NO_TRAFFIC: "The output was made to test reviewers or a candidate.",
    Left.ERASED: "The texts were erased.",
    Left.NO_PROMPT: "It is not known what the model was asked.",
    Left.NOT_TEXT: "The prompt is more than texts of system, user and assistant: images, tools, other roles.",
    Left.REJECTED: "It was rejected: there is no text to aim at.",
    Left.NO_CORRECTION: "There is no correction, so there are no two texts of which one is better.",
    Left.INTERPRETED: "promptfoo would take the text for a template, or for the name of a file or an address.",
    Left.HELD_OUT: "It is a case of an eval set that is held out.",
    Left.NEAR_HELD_OUT: "Its prompt says nearly what a case of a held-out eval set says.",
}


@dataclass(frozen=True, slots=True)
class Label:
    """What the file is made of: what was asked, what the model wrote, and what a person made of it."""

    id: str
    messages: list[Message]
    output: str
    target: str | None
    """The text to aim at; None where it was rejected."""
    verdict: str
    dataset: str
    """What it is part of: the workflow, or a version of an eval set."""
    about: dict[str, Any]
    """Where it came from."""


def messages(prompt: str | None, *, is_chat: bool) -> list[Message] | Left:
    """Return a prompt as chat messages of text, or why it is none."""
    if prompt is None or not prompt.strip():
        return Left.NO_PROMPT
    if not is_chat:
        return [{"role": "user", "content": prompt}]
    found = []
    for said in orjson.loads(prompt):
        text = _text(said.get("content"))
        if text is None or said["role"] not in ROLES or said.get("tool_calls") or said.get("function_call"):
            return Left.NOT_TEXT
        found.append({"role": said["role"], "content": text})
    return found or Left.NO_PROMPT


def _text(content: Any) -> str | None:
    """Return the text of a message, whose parts may be listed; None where something else is among them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return "".join(texts) if len(texts) == len(content) else None


def lines(form: Format, label: Label) -> list[Line] | Left:
    """Return what a label is in this format, or why it is nothing."""
    return _LINES[form](label)


def _answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _plain(said: list[Message]) -> list[Message]:
    """Return messages for tools that do not know the developer's role, which is the system's by another name."""
    return [one | {"role": "system"} if one["role"] == "developer" else one for one in said]


def _sft(label: Label) -> list[Line] | Left:
    return Left.REJECTED if label.target is None else [{"messages": [*label.messages, _answer(label.target)]}]


def _trl_sft(label: Label) -> list[Line] | Left:
    return Left.REJECTED if label.target is None else [{"messages": [*_plain(label.messages), _answer(label.target)]}]


def _dpo(label: Label) -> list[Line] | Left:
    if label.verdict != Verdict.CORRECT or label.target is None:
        return Left.NO_CORRECTION
    asked = {"messages": label.messages, "tools": [], "parallel_tool_calls": True}
    return [{
        "input": asked, "preferred_output": [_answer(label.target)], "non_preferred_output": [_answer(label.output)],
    }]  # fmt: skip


def _trl_dpo(label: Label) -> list[Line] | Left:
    if label.verdict != Verdict.CORRECT or label.target is None:
        return Left.NO_CORRECTION
    return [{
        "prompt": _plain(label.messages), "chosen": [_answer(label.target)], "rejected": [_answer(label.output)],
    }]  # fmt: skip


def _trl_kto(label: Label) -> list[Line] | Left:
    """A correction is two lines: what the model wrote is not wanted, what the reviewer wrote is."""
    asked = _plain(label.messages)
    found = [{"prompt": asked, "completion": [_answer(label.output)], "label": label.verdict == Verdict.APPROVE}]
    if label.verdict == Verdict.CORRECT and label.target is not None:
        found.append({"prompt": asked, "completion": [_answer(label.target)], "label": True})
    return found


def _inspect(label: Label) -> list[Line] | Left:
    if label.target is None:
        return Left.REJECTED
    about = label.about | {"output": label.output}
    return [{"id": label.id, "input": _plain(label.messages), "target": label.target, "metadata": about}]


def _promptfoo(label: Label) -> list[Line] | Left:
    """The prompt is a chat as JSON: `{{prompt}}` is all that a prompt file needs."""
    texts = [*(one["content"] for one in label.messages), label.output, label.target or ""]
    if any(mark in text for text in texts for mark in TEMPLATE_MARKS):
        return Left.INTERPRETED
    if any(text.lstrip().lower().startswith(REFERENCES) for text in texts[-2:]):
        return Left.INTERPRETED
    asked = orjson.dumps(label.messages).decode()
    return [{
        "description": label.about.get("external_id") or label.id, "vars": {"prompt": asked},
        "assert": [_assertion(label)], "metadata": {"id": label.id} | label.about,
    }]  # fmt: skip


def _assertion(label: Label) -> Line:
    """Return what promptfoo can check by itself: that a short answer is in it, or how far a long one overlaps."""
    if label.target is None:
        return {"type": "not-equals", "value": label.output}
    if len(label.target.split()) <= FEW_WORDS:
        return {"type": "icontains", "value": label.target}
    return {"type": "rouge-n", "value": label.target, "threshold": OVERLAP}


def _openai_evals(label: Label) -> list[Line] | Left:
    return Left.REJECTED if label.target is None else [{"input": label.messages, "ideal": [label.target]}]


def _openai_evals_api(label: Label) -> list[Line] | Left:
    if label.target is None:
        return Left.REJECTED
    return [{"item": {"id": label.id, "input": label.messages, "ideal": label.target, "metadata": label.about}}]


def _known(label: Label) -> dict[str, Any]:
    """Return where a label came from, for tools that keep items without a target as well: what must not be said."""
    return label.about | {"output" if label.target is not None else "must_not": label.output}


def _langfuse(label: Label) -> list[Line] | Left:
    return [{
        "datasetName": label.dataset, "id": label.id, "input": label.messages, "expectedOutput": label.target,
        "metadata": _known(label), "status": "ACTIVE",
    }]  # fmt: skip


def _langsmith(label: Label) -> list[Line] | Left:
    outputs = None if label.target is None else {"messages": [_answer(label.target)]}
    return [{
        "id": str(UUID(label.id)), "inputs": {"messages": label.messages}, "outputs": outputs,
        "metadata": _known(label),
    }]  # fmt: skip


def _braintrust(label: Label) -> list[Line] | Left:
    return [{
        "id": label.id, "input": label.messages, "expected": label.target, "metadata": _known(label),
        "tags": [label.verdict],
    }]  # fmt: skip


_LINES: dict[Format, Callable[[Label], list[Line] | Left]] = {
    Format.SFT: _sft, Format.DPO: _dpo, Format.TRL_SFT: _trl_sft, Format.TRL_DPO: _trl_dpo, Format.TRL_KTO: _trl_kto,
    Format.INSPECT: _inspect, Format.PROMPTFOO: _promptfoo, Format.OPENAI_EVALS: _openai_evals,
    Format.OPENAI_EVALS_API: _openai_evals_api, Format.LANGFUSE: _langfuse, Format.LANGSMITH: _langsmith,
    Format.BRAINTRUST: _braintrust,
}  # fmt: skip
A_LINE = {
    Format.SFT: "A line is what the model should have said: for OpenAI's supervised fine-tuning.",
    Format.DPO: "A line is a correction, preferred to what the model wrote: for OpenAI's preference tuning (DPO).",
    Format.TRL_SFT: "A line is what the model should have said: for TRL's SFTTrainer.",
    Format.TRL_DPO: "A line is a correction, preferred to what the model wrote: for TRL's DPOTrainer.",
    Format.TRL_KTO: "A line is an answer that is wanted or not; a correction makes one of each: for TRL's KTOTrainer.",
    Format.INSPECT: "A line is a sample of inspect_ai: read it with json_dataset.",
    Format.PROMPTFOO: (
        "A line is a test of promptfoo, the prompt a chat in JSON: use the prompt {{prompt}}. A short target must be in"
        " the answer, a long one must overlap with it (rouge-n 0.5), a rejected answer must not come again."
    ),
    Format.OPENAI_EVALS: "A line is a sample of github.com/openai/evals, as its basic evals read it.",
    Format.OPENAI_EVALS_API: "A line is an item of a file for OpenAI's Evals API.",
    Format.LANGFUSE: "A line is the body of a request to Langfuse that creates or updates an item of a dataset.",
    Format.LANGSMITH: "A line is an example of LangSmith: pass them to Client.create_examples with a dataset.",
    Format.BRAINTRUST: "A line is an event of a Braintrust dataset: insert it into one.",
}  # fmt: skip
