"""The README's example with the real LangGraph, run as it stands there: it rests while its answer is held."""

import os
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.tables import Verdict
from tests import apart
from tests.client.conftest import Served, later, until
from tests.client.test_readme import SECONDS, example, run
from tests.engines import Postgres

# What a service sees with the feed: a thread that ended rests nowhere and goes on no more; another rests at its item.
SERVICE = """
event = next(gate.follow())
ended = {"configurable": {"thread_id": event.item.external_id}}
print(event.type, graph.get_state(ended).interrupts)
print(graph.invoke(Command(resume=event.item.id), ended)["answer"])
other = {"configurable": {"thread_id": "ticket-4712"}}
graph.invoke({"ticket": "ticket-4712", "question": "And when?"}, other)
graph.invoke(Command(resume=graph.get_state(other).interrupts[0].value), other)  # too early: it rests on
(rest,) = graph.get_state(other).interrupts
print(rest.value == event.item.id, gate.get(rest.value).external_id)
"""
# What starts a thread and ends; a second time it is the thread whose process died after its submit.
START = """
from langgraph.checkpoint.postgres import PostgresSaver

with PostgresSaver.from_conn_string(os.environ["GRAPH_DATABASE_URL"]) as lasting:
    lasting.setup()
    graph = StateGraph(State).add_sequence([draft, review]).set_entry_point("draft").compile(checkpointer=lasting)
    end = graph.invoke({"ticket": "ticket-4713", "question": "And then?"}, {"configurable": {"thread_id": THREAD}})
    print([gate.get(rest.value).status for rest in end.get("__interrupt__", [])], end.get("answer"))
"""


def test_the_example_has_at_most_twenty_seven_lines() -> None:
    assert len(example("From LangGraph").splitlines()) <= 27


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
    # Each thread handed its draft in twice, because its node began again; it was held once.
    assert served.requests.count("POST /api/v1/items") == 4
    assert served.count() == 2


def test_a_thread_that_began_in_one_process_goes_on_in_another_with_what_the_reviewer_wrote(
    served: Served, installed: Path, tmp_path: Path, postgres: Postgres
) -> None:
    kept = postgres.create_empty()
    where = {"NEURO_REVIEW_URL": served.url, "NEURO_REVIEW_KEY": served.key, "GRAPH_DATABASE_URL": postgres.url(kept)}
    where["PYTHONPATH"] = os.pathsep.join(map(str, (installed, apart.folder(apart.CONSUMERS))))
    nodes = example("From LangGraph").split("\ngraph = ")[0] + "\n"

    def start(thread: str) -> str:
        program = run(f"THREAD = {thread!r}\n{nodes}{START}", installed, tmp_path, **where)
        said, errors = program.communicate(timeout=SECONDS)
        assert errors == ""
        return said

    assert start("ticket-4713") == "['held'] None\n"
    served.decide(Verdict.CORRECT, "Then we call you.")
    service = run(nodes + example("From LangGraph", number=1), installed, tmp_path, **where, PYTHONUNBUFFERED="1")
    assert service.stdout is not None
    too_long = threading.Timer(SECONDS, service.kill)
    too_long.start()
    said = service.stdout.readline()
    too_long.cancel()
    service.terminate()
    _, errors = service.communicate(timeout=SECONDS)

    assert (said, errors) == ("ticket-4713 corrected Then we call you.\n", "")
    # Its process had died between its submit and its rest, and nobody would wake it: begun again, it goes on at once.
    assert start("ticket-4713 again") == "[] Then we call you.\n"
    assert served.count() == 1
    postgres.drop(kept)
