"""What the gate says, as JUnit XML for a CI server."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from db.clock import iso
from db.tables import GateOutcome
from neuro_review.eval_runs.comparing import Flip
from neuro_review.eval_runs.gates import Gate, Kept

MOST_LISTED = 200
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML may hold, however it is written; a name can."""


def junit(gate: Gate, *, suite: str) -> bytes:
    """Return a suite with one test: the gate; what passed is passed, and what cannot be told is an error."""
    found = gate.comparison
    return _suite(gate, suite, f"{found.candidate.model} in place of {found.baseline.model}", _flipped(found.flips))


def junit_of_kept(
    kept: Kept, *, suite: str, baseline: str, candidate: str, flips: Sequence[Flip] | None
) -> bytes:  # fmt: skip
    """Return the same of what the gate said once, with the cases that flipped then; None of them is not known."""
    flipped = "which cases it was worse or better on is not known any more" if flips is None else _flipped(flips)
    more = f"{flipped}\nasked: {iso(kept.at)} by {kept.by}"
    return _suite(kept, suite, f"{candidate} in place of {baseline}", more)


def _flipped(flips: Sequence[Flip]) -> str:
    worse = [str(flip.position) for flip in flips if flip.worse][:MOST_LISTED]
    better = [str(flip.position) for flip in flips if not flip.worse][:MOST_LISTED]
    return f"worse on cases: {', '.join(worse) or 'none'}\nbetter on cases: {', '.join(better) or 'none'}"


def _suite(gate: Gate | Kept, suite: str, what: str, more: str) -> bytes:
    suite = _written(suite)
    failed, open_ = gate.outcome is GateOutcome.BLOCK, gate.outcome is GateOutcome.INCONCLUSIVE
    counts = {"tests": "1", "failures": str(int(failed)), "errors": str(int(open_)), "skipped": "0"}
    root = ET.Element("testsuites", counts)
    one = ET.SubElement(root, "testsuite", {"name": suite, **counts})
    facts = ET.SubElement(one, "properties")
    for name, value in {**gate.as_dict(), "margin": gate.margin}.items():
        ET.SubElement(facts, "property", {"name": name, "value": "" if value is None else str(value)})
    test = ET.SubElement(one, "testcase", {"classname": f"eval.{suite}", "name": _written(what), "time": "0"})
    if failed:
        ET.SubElement(test, "failure", {"type": "block", "message": gate.why})
    if open_:
        ET.SubElement(test, "error", {"type": "inconclusive", "message": gate.why})
    ET.SubElement(one, "system-out").text = _written(f"{gate.why}\n{more}\n")
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _written(name: str) -> str:
    return NO_XML.sub("\ufffd", name)
