"""The README's example with the real LangGraph, run as it stands there: it rests while its answer is held."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.tables import Verdict
from tests import apart
from tests.client.conftest import Served, later, until
from tests.client.test_readme import SECONDS, example, run

# What a service sees with the feed: a thread that ended rests nowhere and goes on no more; another rests at its item.
SERVICE = """
event = next(gate.follow())
ended = {"configurable": {"thread_id": event.item.external_id}}
print(event.type, graph.get_state(ended).interrupts)
print(graph.invoke(Command(resume={"status": "resumed", "answer": "twice"}), ended)["answer"])
other = {"configurable": {"thread_id": "ticket-4712"}}
graph.invoke({"ticket": "ticket-4712", "question": "And when?"}, other)
(rest,) = graph.get_state(other).interrupts
print(rest.value == event.item.id, gate.get(rest.value).external_id)
"""


def test_the_example_has_at_most_twenty_five_lines() -> None:
    assert len(example("From LangGraph").splitlines()) <= 25


@pytest.mark.parametrize(
    ("verdict", "text", "status", "event"),
    [
        (Verdict.CORRECT, "Yes, if they are unused.", "corrected", "released"),
        (Verdict.REJECT, None, "rejected", "rejected"),
    ],
)
def test_a_graph_goes_on_with_what_the_reviewer_decided_and_only_once(
    served: Served, installed: Path, tmp_path: Path, verdict: Verdict, text: str | None, status: str, event: str
) -> None:
    with served.db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET fallback = NULL"))
    where = {"NEURO_REVIEW_URL": served.url, "NEURO_REVIEW_KEY": served.key}
    packages = os.pathsep.join(map(str, (installed, apart.folder(apart.CONSUMERS))))
    program = run(example("From LangGraph") + SERVICE, installed, tmp_path, **where, PYTHONPATH=packages)
    later(lambda: until(served.somebody_waits) and served.decide(verdict, text))
    said, errors = program.communicate(timeout=SECONDS)

    assert (said, errors) == (f"{status} {text}\n{event} ()\n{text}\nFalse ticket-4712\n", "")
    # The first thread handed its draft in twice, because its node began again; it was held once.
    assert served.requests.count("POST /api/v1/items") == 3
    assert served.count() == 2
