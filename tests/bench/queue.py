"""Claim, verdict, undo and release while few or many items are held: each size in turn, so that load hits all alike."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from db.clock import now
from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, decisions, intake, queue, releases, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.intake import Door, Submission, prepare
from tests.bench.databases import settle
from tests.bench.figures import Table, load, percentile, version
from tests.bench.work import OPERATOR

KINDS = ("claim 10", "claim 1", "decide", "undo", "release")
AT_ONCE = 1_000
GRACE = 2_000  # milliseconds: long enough to undo, short enough to wait for
WARM = 20
TARGET = 1.5
OPINIONS = (
    Opinion(Verdict.APPROVE),
    Opinion(Verdict.CORRECT, "A better answer."),
    Opinion(Verdict.REJECT, reasons=["Tone"]),
)


@dataclass
class Hall:
    """One database with many held items, one reviewer, and what each step took there, in milliseconds."""

    size: int
    database: Database
    reviewer: Actor
    flow: workflows.Workflow
    took: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    pending: list[int] = field(default_factory=list)
    """When the grace of what was decided ends, in order."""
    turns: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        before = time.perf_counter()
        yield
        self.took[kind].append((time.perf_counter() - before) * 1000)

    def turn(self) -> None:
        """Go once through what a reviewer does; each step is a transaction of its own, timed with its commit."""
        database, by = self.database, self.reviewer
        with self.timed("claim 10"), database.writing() as session:
            window = queue.claim(session, by, [self.flow.id], most=10)
        with database.writing() as session:
            queue.give_back(session, by, [(one.item_id, one.lease_n) for one in window])
        with self.timed("claim 1"), database.writing() as session:
            (lease,) = queue.claim(session, by, [self.flow.id], most=1)
        opinion = OPINIONS[next(self.turns) % len(OPINIONS)]
        with self.timed("decide"), database.writing() as session:
            decisions.decide(session, lease.item_id, by, lease.lease_n, opinion)
        with self.timed("undo"), database.writing() as session:
            again = decisions.undo(session, lease.item_id, by)
        with database.writing() as session:
            decided = decisions.decide(session, lease.item_id, by, again, opinion)
        self.pending.append(decided.undo_until)
        if self.pending[0] <= now():
            self.release()

    def release(self) -> None:
        until = self.pending.pop(0)
        time.sleep(max(0, (until - now()) / 1e6 + 0.001))
        with self.timed("release"), self.database.writing() as session:
            assert releases.release_due(session, most=1) == 1


def furnish(url: str, size: int) -> Hall:
    """Fill a database with held items of small texts."""
    database = Database(url)
    with database.writing() as session:
        flow = workflows.add(session, OPERATOR, "bench")
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = :grace"), {"grace": GRACE})
        source = workflows.source_id(session, "bench")
        person = access.add_person(session, OPERATOR, "Bo", "bo@example.com", Role.REVIEWER, password_hash=None)
        reviewer, flow = access.actor(session, person), workflows.by_id(session, flow.id)
    door = Door(flow, source, f"source:{source}")
    for start in range(0, size, AT_ONCE):
        numbers = range(start, min(size, start + AT_ONCE))
        batch = [prepare(door, Submission(model=f"m{n % 4}", output=f"Answer {n}.", prompt="Why?")) for n in numbers]
        with database.writing() as session:
            intake.store(session, door, batch)
    settle(database)
    return Hall(size, database, reviewer, flow)


def reviewing(fresh: Callable[[], str], sizes: list[int], times: int) -> Table:
    """Measure each step on each size, the sizes in turn."""
    halls = []
    for size in sizes:
        before = time.monotonic()
        halls.append(furnish(fresh(), size))
        print(f"{size:,} held after {time.monotonic() - before:.0f} s", flush=True)
    began = load()
    for turn in range(WARM + times):
        if turn == WARM:
            for hall in halls:
                hall.took = {kind: [] for kind in KINDS}
        for hall in halls[turn % len(halls) :] + halls[: turn % len(halls)]:
            hall.turn()
    for hall in halls:
        while hall.pending:
            hall.release()
    table = Table(
        f"Queue, {version(halls[0].database)}: milliseconds with the commit; load {began} before, {load()} after",
        ("step", *(f"{hall.size:,} held: {what}" for hall in halls for what in ("p50", "p95")), "p50 ratio",
         "p95 ratio", f"target ≤ {TARGET}", "n each"),
    )  # fmt: skip
    for kind in KINDS:
        _add(table, kind, [hall.took[kind] for hall in halls])
    for hall in halls:
        hall.database.dispose()
    return table


def _add(table: Table, kind: str, columns: list[list[float]]) -> None:
    figures = [percentile(took, share) for took in columns for share in (0.5, 0.95)]
    middle, late = figures[-2] / figures[0], figures[-1] / figures[1]
    reached = "reached" if middle <= TARGET else "MISSED"
    table.add(kind, *figures, middle, late, reached, min(map(len, columns)))
