"""Eval runs: calls a second and memory of 5,000 cases times 4 candidates, and the Review screen meanwhile.

LiteLLM is the real one; the provider is a process of its own that takes 50 ms for each call.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from db.clock import new_id
from db.engine import Database
from db.tables import Origin, Role
from neuro_review import access, history, intake, workflows
from neuro_review.eval_runs import asking
from neuro_review.eval_runs.asking import Asked
from neuro_review.eval_sets import making
from neuro_review.eval_sets.choosing import Wanted
from neuro_review.jobs import asking as jobs
from neuro_review.llm import Way
from tests.bench import review
from tests.bench.busy import busy
from tests.bench.figures import Table, load, percentile, version
from tests.bench.provider import provider
from tests.bench.told import UNCHANGED_MS, UNCHANGED_SHARE
from tests.bench.watch import measure
from tests.bench.work import OPERATOR
from tests.browser.house import App
from tests.evals.conftest import label

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MILLISECONDS, CANDIDATES, TARGET = 50, 4, 150.0
GROWTH = 1.10
LABELS_AT_ONCE = 200
PATIENCE = 120.0  # seconds
ROUNDS, KEYS = 3, 100
OUTLASTING = 500
"""Cases that take longer than the keys, also in the short form."""
SHARES = (0.8, 0.25)
"""Of a processor: what a run and its provider take on a machine with two."""


def candidates(database: Database, cases: int, url: str, name: str = "evals") -> tuple[str, tuple[Way, ...]]:
    """Freeze labels of the past into a set, and return how it is named and whom to ask."""
    with database.writing() as session:
        flow = workflows.add(session, OPERATOR, name)
        door = intake.Door(flow, workflows.source_id(session, "import"), "operator:bench", Origin.HISTORY)
    for start in range(0, cases, LABELS_AT_ONCE):
        with database.writing() as session:
            history.store(session, door, [_past(door, n) for n in range(start, min(cases, start + LABELS_AT_ONCE))])
    made = making.make(database, OPERATOR, name, name, Wanted())
    assert made.cases == cases, made.left_out
    return made.ref, tuple(asking.way(f"openai/m{n}", api_base=url, price=(1.0, 2.0)) for n in range(CANDIDATES))


def _past(door: intake.Door, number: int) -> tuple[intake.Prepared, history.PastReview]:
    row = label(number, ("approve", "correct", "reject")[number % 3])
    review = {name: row.pop(name) for name in list(history.PastReview.model_fields) if name in row}
    return intake.prepare(door, intake.Submission(**row)), history.PastReview(**review)


def calls(engine: str, url: str, cases: int) -> Table:
    """Measure a whole run in a process of its own, LiteLLM loaded."""
    database = Database(url)
    with provider(MILLISECONDS) as there:
        ref, ways = candidates(database, cases, there)
        with database.writing() as session:
            run_id = asking.ask(session, OPERATOR, ref, Asked(ways))
        took = measure("evals", url, "-", run_id)
    with database.reading() as session:
        found = session.connection().execute(
            sa.text("SELECT count(*) AS answers, count(error) AS errors FROM eval_result WHERE run_id = :id"),
            {"id": run_id},
        ).one()  # fmt: skip
    assert (found.answers, found.errors) == (cases * CANDIDATES, 0)
    growth = took.peaks[2] / took.peaks[0]
    table = Table(
        f"{engine}, {version(database)}: {cases:,} cases, {CANDIDATES} candidates, a provider that takes"
        f" {MILLISECONDS} ms (target ≥ {TARGET:.0f}/s, memory grows ≤ 10 % from a quarter to the end)",
        ("calls", "seconds", "per second", "CPU ms a call", "MiB ¼", "MiB ½", "MiB end", "grows", "load", "target"),
    )
    reached = took.speed >= TARGET and growth <= GROWTH
    table.add(
        took.rows, took.seconds, took.speed, took.cpu * 1000 / took.rows, *took.peaks, f"{growth - 1:+.1%}", load(),
        "reached" if reached else "MISSED",
    )  # fmt: skip
    table.notes.append("Each answer scored and stored once, none failed; the time does not hold LiteLLM's import.")
    database.dispose()
    return table


@contextlib.contextmanager
def running(app: App, cases: int, answers: list[int]) -> Iterator[None]:
    """Let the app's own worker be at a run for the time of the block."""
    with provider(MILLISECONDS) as there:
        ref, ways = candidates(app.database, cases, there)
        run_id = new_id()
        with app.database.writing() as session:
            person = access.add_person(session, OPERATOR, "Olu", "olu@example.com", Role.ADMIN, password_hash=None)
            jobs.ask_eval(session, run_id, access.actor(session, person), version=ref, asked=Asked(ways))
        _until(lambda: _answers(app, run_id) > 0, "The run never began.")
        before, began = _answers(app, run_id), time.monotonic()
        yield
        answers += [_answers(app, run_id) - before, round(time.monotonic() - began)]
        with app.database.writing() as session:
            assert asking.cancel(session, run_id, OPERATOR), "The run ended before the keys did: take more cases."
        _until(lambda: bool(app.row(ENDED, id=run_id).ended_at), "The run never ended.")


ENDED = "SELECT ended_at FROM eval_run WHERE id = :id"


def _until(fact: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


def _answers(app: App, run_id: str) -> int:
    return int(app.row("SELECT count(*) AS n FROM eval_result WHERE run_id = :id", id=run_id).n)


def screen(
    engine: str, browser: "Browser", fresh: Callable[[], str], folder: Path, rows: int, keys: int, cases: int
) -> list[Table]:
    """Measure the Review screen alone, while an eval run goes on, and beside what only keeps processors as busy."""
    answers: list[int] = []
    ways: dict[str, review.Beside | None] = {
        "alone": None,
        "a run beside": partial(running, cases=cases, answers=answers),
        "as busy, no run": lambda _app: busy(*SHARES),
    }
    sittings: dict[str, list[review.Sat]] = {name: [] for name in ways}
    for turn in range(1, (1 if keys < KEYS else ROUNDS) + 1):
        for name, beside in ways.items():
            room = folder / f"{name} {turn}"
            room.mkdir(parents=True)
            called = f"{engine}, {name}, {turn}"
            sittings[name].append(review.sit(called, browser, fresh(), room, rows, keys, beside=beside))
    last = max(1, keys // 2)
    every = [one for turn in zip(*sittings.values(), strict=True) for one in turn]
    table = review.painted(last, every)
    before, under, control = (
        percentile([took for one in some for took in one.presses.last(last).took], 0.95) for some in sittings.values()
    )
    unchanged = under <= max(before * UNCHANGED_SHARE, before + UNCHANGED_MS)
    stored, seconds = sum(answers[::2]), sum(answers[1::2])
    table.notes.append(
        f"{stored:,} answers stored meanwhile, {stored / max(1, seconds):.0f}/s; p95 of"
        f" all rounds {before:.1f} -> {under:.1f} ms: {'unchanged' if unchanged else 'CHANGED'} (within 20 % or 5 ms);"
        f" beside processes as busy that do nothing of ours {control:.1f} ms"
    )
    return [table, review.worked(last, every)]
