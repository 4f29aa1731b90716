"""Models, parameters and grounds in words; what others wrote stays text."""

from typing import Any

import orjson

from db.tables import GateOutcome
from neuro_review import phrases
from neuro_review.models import Use
from neuro_review.models.grounds import Tested
from neuro_review.models.traffic import Traffic

LONGEST_VALUE = 160
LONGEST_REASON = 600
PLAIN = "without parameters of its own"
NOT_FOLLOWED = "Look whether the applications call the model that they are told of."


def called(parameters: dict[str, Any]) -> str:
    """Return how a model is called, in one line."""
    return " · ".join(f"{name} {_value(value)}" for name, value in sorted(parameters.items())) or PLAIN


def _value(value: Any) -> str:
    if isinstance(value, str):
        return f"“{_cut(' '.join(value.split()), LONGEST_VALUE)}”"
    return _cut(orjson.dumps(value).decode(), LONGEST_VALUE)


def is_cut(parameters: dict[str, Any]) -> bool:
    """Tell whether `called` leaves something out."""
    return any(_value(value).endswith(("…", "…”")) for value in parameters.values())


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def shortened(reason: str) -> str:
    """Return a reason as it fits on a page; the command line takes longer ones."""
    return _cut(reason, LONGEST_REASON)


def why(use: Use, gates: dict[str, Tested]) -> str:
    """Return on what grounds a model came into use."""
    gate = gates.get(use.gate_id or "")
    parts = []
    if gate is not None:
        parts.append(f"It passed the gate: {measured(gate)}.")
    if use.reason:
        parts.append(f"“{shortened(use.reason)}”")
    return " ".join(parts)


def measured(gate: Tested) -> str:
    """Return what the gate went by."""
    on = f"on {gate.version}, {phrases.count(gate.cases, 'case')}"
    if gate.difference is None or gate.low is None or gate.high is None:
        return f"{on}, too many of them without an outcome"
    than = f"bad cases than {gate.baseline}" if gate.baseline != "recorded" else "bad cases than what was reviewed"
    amount = "as many" if abs(gate.difference) < 0.0005 else f"{abs(gate.difference) * 100:.1f} points"
    if amount == "as many":
        than = than.replace(" than ", " as ")
    else:
        amount += " more" if gate.difference > 0 else " fewer"
    bounds = f"90{phrases.THIN}% interval {phrases.points_between(gate.low, gate.high)}"
    return f"{amount} {than} {on} ({bounds}, margin {gate.margin * 100:g})"


def came(share: float, found: Traffic) -> str:
    """Return what share of the traffic a candidate on trial was to get, and what it got."""
    beside = f"{phrases.count(found.other, 'output')} under other names came meanwhile" if found.other else ""
    said = f"Set: {share * 100:g}{phrases.THIN}%. Came: "
    if found.share is None:
        said += "no output of either model yet."
        return f"{said} {beside}. {NOT_FOLLOWED}" if beside else said
    said += f"{found.canary:,} of {phrases.count(found.both, 'output')} ({phrases.percent(found.share)})."
    return f"{said} {beside}, and {'counts' if found.other == 1 else 'count'} neither way." if beside else said


SHORT = {
    GateOutcome.PASS: "passed the gate",
    GateOutcome.BLOCK: "the gate blocked it",
    GateOutcome.INCONCLUSIVE: "not enough evidence",
}
