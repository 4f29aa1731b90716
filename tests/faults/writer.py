"""A bare writer: a process that submits, or that claims and decides, until it is killed.

    python -m tests.faults.writer URL --role reviewer --email bo@example.com

After each commit, and never before, it writes one line to the pipe: what it now knows to be stored. So whoever reads
the pipe knows exactly what was acknowledged when the process died.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from db import engine
from db.clock import SECOND, now
from db.engine import Database
from db.tables import Verdict
from neuro_review import access, audit, decisions, intake, queue, releases, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Decided, Opinion
from neuro_review.errors import ConflictError, LeaseLostError
from neuro_review.imports.run import import_file
from neuro_review.intake import Door, Outcome, Submission, prepare
from neuro_review.workflows import Workflow
from tests.faults.doors import DOORS

# So short that leases run out under the load: late verdicts are refused, and what a dead writer held comes back.
SHORT_LEASE = SECOND // 2
ENOUGH_WAITING = 400
FILE_ROWS = 300  # more than one batch, so that a kill can fall between two
VERDICTS = (Verdict.APPROVE, Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT)


@dataclass
class Tell:
    """The pipe; a line is shorter than what a pipe takes in one piece, so a kill cannot cut it."""

    pipe: int
    name: str

    def __call__(self, did: str, **facts: Any) -> None:
        os.write(self.pipe, orjson.dumps({"did": did, "by": self.name, **facts}) + b"\n")


@dataclass
class Reviewer:
    """Claims and decides at random, undoes some of it, and lets leave what is due."""

    database: Database
    actor: Actor
    flows: list[Workflow]
    tell: Tell
    chance: random.Random
    releases: bool = True
    pending: list[tuple[str, int]] = field(default_factory=list)
    """What this one decided and may let leave: item, and when its grace ends."""

    def step(self) -> None:
        if self.releases and self.chance.random() < 0.25:
            self.let_leave()
            return
        flow = self.chance.choice(self.flows)
        with self.database.writing() as session:
            leases = queue.claim(session, self.actor, [flow.id], most=self.chance.choice((1, 3)))
        if not leases:
            time.sleep(0.005)
        for lease in leases:
            self.tell("claimed", item=lease.item_id, lease=lease.lease_n)
        if self.chance.random() < 0.02:
            time.sleep(SHORT_LEASE / SECOND + 0.1)
        for lease in leases:
            self.judge(flow, lease.item_id, lease.lease_n)

    def judge(self, flow: Workflow, item_id: str, lease_n: int) -> None:
        while True:
            decided = self.decide(flow, item_id, lease_n)
            if decided is None:
                return
            if flow.grace_ms == 0 or self.chance.random() < 0.7:
                self.pending += [(item_id, decided.undo_until)] * bool(flow.grace_ms)
                return
            undone = self.undo(item_id, decided.decision_id)
            if undone is None:
                return
            lease_n = undone

    def decide(self, flow: Workflow, item_id: str, lease_n: int) -> Decided | None:
        verdict = self.chance.choice(VERDICTS)
        text = f"Corrected by {self.actor.name}, {self.chance.random()}." if verdict is Verdict.CORRECT else None
        opinion = Opinion(verdict, text, ["Tone"] if verdict is Verdict.REJECT else [], shown_at=now() - SECOND)
        try:
            with self.database.writing() as session:
                decided = decisions.decide(session, item_id, self.actor, lease_n, opinion)
                stored = session.connection().execute(
                    sa.text("SELECT text_hash FROM decision WHERE id = :id"), {"id": decided.decision_id}
                ).scalar_one()  # fmt: skip
        except (LeaseLostError, ConflictError):
            self.tell("refused", item=item_id)
            return None
        self.tell(
            "decided", item=item_id, decision=decided.decision_id, verdict=decided.verdict, text=stored,
            left=flow.grace_ms == 0,
        )  # fmt: skip
        return decided

    def undo(self, item_id: str, decision_id: str) -> int | None:
        self.tell("undoing", item=item_id, decision=decision_id)
        try:
            with self.database.writing() as session:
                lease_n = decisions.undo(session, item_id, self.actor)
        except ConflictError:
            return None
        self.tell("undone", item=item_id, decision=decision_id)
        return lease_n

    def let_leave(self) -> None:
        if self.chance.random() < 0.05:
            with self.database.writing() as session:
                audit.seal(session, most=5_000)
        due = [one for one in self.pending if one[1] <= now()]
        if due:
            self.pending.remove(due[0])
            item_id, _ = due[0]
            try:
                with self.database.writing() as session:
                    release_id = releases.release(session, item_id)
            except ConflictError:  # another let it leave
                return
            self.tell("left", item=item_id, release=release_id)
        elif self.chance.random() < 0.3:
            with self.database.writing() as session:
                releases.release_due(session, most=16)


@dataclass
class Submitter:
    """Hands in new outputs, one by one as an application does and a file at a time, while few are waiting."""

    database: Database
    actor: Actor
    flows: list[Workflow]
    tell: Tell
    chance: random.Random
    next: int
    """The number of the first output that was not acknowledged yet: it may be stored already."""

    def step(self) -> None:
        flow = self.flows[self.next % len(self.flows)]
        with self.database.reading() as session:
            if queue.waiting(session, flow.id).held > ENOUGH_WAITING:
                time.sleep(0.01)
                return
        if self.next % (FILE_ROWS + 50) < 50:
            self.submit(flow)
        else:
            self.load(flow)

    def submit(self, flow: Workflow) -> None:
        given = Submission(**_output(self.next))
        with self.database.writing() as session:
            door = Door(flow, workflows.source_id(session, "shop"), "source:shop")
            (stored,) = intake.store(session, door, [prepare(door, given)])
        assert stored.outcome is not Outcome.CONFLICT
        self.tell("submitted", item=stored.item_id, first=self.next, rows=1, again=stored.outcome)
        self.next += 1

    def load(self, flow: Workflow) -> None:
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            file.writelines(orjson.dumps(_output(n)) + b"\n" for n in range(self.next, self.next + FILE_ROWS))
            file.flush()
            tally = import_file(self.database, Path(file.name), flow.name, self.actor)
        assert tally.held + tally.duplicates == FILE_ROWS, tally
        self.tell("imported", first=self.next, rows=FILE_ROWS, again=tally.duplicates)
        self.next += FILE_ROWS


def name_of(number: int) -> str:
    """Return the external id of an output."""
    return f"n-{number:08}"


def _output(number: int) -> dict[str, Any]:
    """Return what is submitted under a number: always the same."""
    return {"external_id": name_of(number), "model": f"model-{number % 3}", "prompt": f"Question {number}?",
            "output": f"The answer to question {number}. " + "It is a long one. " * (number % 40)}  # fmt: skip


def run(arguments: list[str]) -> None:
    """Work until killed, or for a number of steps."""
    queue.LEASE_LASTS = SHORT_LEASE
    options = _options(arguments)
    if options.synchronous:
        engine.PRAGMAS += (f"synchronous={options.synchronous}",)  # type: ignore[assignment]
    tell = Tell(options.pipe, options.email)
    try:
        if options.role in DOORS:
            DOORS[options.role](options)
        for _ in _steps(options, tell):
            pass
    except BrokenPipeError:
        return  # whoever started this is gone
    except BaseException:
        tell("failed", why=traceback.format_exc()[-3_000:])
        raise


def _steps(options: argparse.Namespace, tell: Tell) -> Iterator[None]:
    database = Database(options.url)
    with database.reading() as session:
        actor = access.actor(session, access.person_by_email(session, options.email))
        flows = workflows.every(session)
    chance = random.Random(options.seed)
    worker: Reviewer | Submitter = (
        Reviewer(database, actor, flows, tell, chance, releases=options.releases)
        if options.role == "reviewer"
        else Submitter(database, actor, flows, tell, chance, options.next)
    )
    tell("started", pid=os.getpid())
    steps = 0
    while options.steps is None or steps < options.steps:
        worker.step()
        steps += 1
        yield
    database.dispose()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--role", choices=("reviewer", "submitter", *DOORS), default="reviewer")
    parser.add_argument("--email", required=True)
    parser.add_argument("--pipe", type=int, default=1)
    parser.add_argument("--port", type=int, help="where the API answers")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--next", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--synchronous", help="weaken the database, to see that the tests notice")
    parser.add_argument("--no-releases", dest="releases", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run(sys.argv[1:])
