"""How long the server takes for the Quality page, over as many labels as there may be.

The page reads counts and never items, so that counts are what is made here: as an installation would have them after a
year of so many labels, in six workflows with eight models, written with the statement that writes them in earnest.
"""

import gc
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.clock import DAY, now
from db.engine import Database
from db.tables import Role
from neuro_review import access, rollups, sessions, ui, workflows
from neuro_review.access import Actor
from neuro_review.rollups import counting
from neuro_review.rollups.counting import Facts, Said, bucket, count, empty
from neuro_review.stats import beta, proportions
from neuro_review.workflows import measured
from tests.bench import painted
from tests.bench.databases import settle
from tests.bench.figures import Table, load, percentile

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLOWS, MODELS, DAYS, REVIEWERS = 6, 8, 365, 40
REASONS = ("Tone", "Invented policy", "Unsafe promise", "Leaks data", "Needless refusal", "Wrong fact or number")
COLD, WARM = 600, 200  # milliseconds
EACH_WEEK = 50_000
"""With so many labels each model has some in every week."""
APP = Path(__file__).resolve().parent.parent.parent / "app.py"
OPERATOR = Actor("bench", "operator:bench")


def pages(fresh: Callable[[], str], sizes: list[int], times: int, browser: "Browser", folder: Path) -> Table:
    """Return how long the server takes for the page at each size, cold and again, and how long until it is painted."""
    columns = (
        "labels", "count rows", "filled s", "cold ms", "target", "recount p50 ms", "recount p95 ms", "warm p50 ms",
        "warm p95 ms", "target", "Models ms", "load",
    )  # fmt: skip
    found = Table(
        f"Quality page, the server's part: a year by week, {MODELS} models of one of {FLOWS} workflows", columns
    )
    for size in sizes:
        url = fresh()
        began = time.perf_counter()
        rows = _fill(url, size)
        filled = time.perf_counter() - began
        seen = _shown(url, times)
        slow = percentile(seen.warm, 0.95)
        found.add(
            f"{size:,}", rows, filled, seen.cold, _said(seen.cold, COLD), percentile(seen.recount, 0.5),
            percentile(seen.recount, 0.95), percentile(seen.warm, 0.5), slow, _said(slow, WARM), seen.models, load(),
        )  # fmt: skip
        print(found.rows[-1], flush=True)
        if size >= EACH_WEEK:
            found.notes.append(f"{size:,} labels, {painted.painted(browser, url, folder / f'painted-{size}', times)}")
    found.notes += [
        "All are the whole script of the page as Streamlit runs it, its charts made. The counts are made, in place of"
        " the items they would be sums of.",
        "cold: nothing is kept and no connection open, in a process that has imported the code; the file may be in the"
        " system's memory. recount: something came in meanwhile. warm: within the 15 seconds that figures are kept for,"
        " or later with nothing new. Models: that page, cold.",
    ]
    return found


def _said(found: float, target: int) -> str:
    return f"{target}: {'reached' if found <= target else 'MISSED'}"


def _fill(url: str, size: int) -> int:
    """Write the counts of so many labels; returns how many rows they are."""
    database, chance = Database(url), random.Random(size)
    with database.writing() as session:
        flows = [workflows.add(session, OPERATOR, f"flow {n}").id for n in range(FLOWS)]
        measured.set_quality_target(session, OPERATOR, flows[0], 0.05)
    today, rows = now() // DAY, 0
    share = size / (FLOWS * MODELS * DAYS)
    for flow in flows:
        for first in range(0, DAYS, 30):
            tally = empty()
            for day in range(today - DAYS + first, today - DAYS + min(first + 30, DAYS)):
                for model in range(MODELS):
                    _day(tally, chance, flow, f"model-{model}", day, share)
            rows += sum(len(one) for one in tally.values())
            with database.writing() as session:
                rollups.write(session, tally)
    settle(database)
    database.dispose()
    return rows


def _day(tally: counting.Tally, chance: random.Random, flow: int, model: str, day: int, share: float) -> None:
    """Add a day of a model: each kind of output once, as often as there are such."""
    many = int(share) + (chance.random() < share % 1)
    kinds = [(label, reasons) for label in ("correct", "reject") for reasons in _given(chance)] + [("approve", "[]")]
    weights = [0.2 / (len(kinds) - 1)] * (len(kinds) - 1) + [0.8]
    for panel in (True, False):
        here = round(many * (0.1 if panel else 0.9)) or (chance.random() < many / 2)
        for (label, reasons), weight in zip(kinds, weights, strict=True):
            n = int(here * weight) + (chance.random() < here * weight % 1)
            if n:
                said = Said("", f"r{chance.randrange(REVIEWERS)}@example.com", "gate", label, reasons, 30_000, None, 0)
                facts = Facts(
                    flow, "gate", model, day * DAY, "all", 1.0, panel, "approved", 2_000, None, 300, 200, 1, None,
                    None, label, None, None, [said],
                )  # fmt: skip
                one = empty()
                count(one, facts)
                for name, rows in one.items():
                    if name not in ("rollup_source", "rollup_user"):
                        for key, amounts in rows.items():
                            there = tally[name].setdefault(key, [0] * len(amounts))
                            tally[name][key] = [a + b * n for a, b in zip(there, amounts, strict=True)]
    series = (flow, "gate", model)
    for kind, middle in ((counting.LATENCY, 900), (counting.RELEASE, 400_000)):
        for _ in range(min(many, 40)):
            key = (series, day, kind, bucket(int(chance.lognormvariate(0, 0.6) * middle)))
            tally["rollup_time"].setdefault(key, [0])[0] += max(1, many // 40)


def _given(chance: random.Random) -> list[str]:
    return [f'["{one}"]' for one in REASONS] + [f'["{one}","{chance.choice(REASONS)}"]' for one in REASONS[:2]]


@dataclass(frozen=True)
class _Shown:
    """How long the script of a page ran, in milliseconds."""

    cold: float
    recount: list[float]
    warm: list[float]
    models: float


def _shown(url: str, times: int) -> _Shown:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURO_REVIEW_DATABASE_URL", url)
        database = Database(url)
        with database.writing() as session:
            access.add_person(session, OPERATOR, "Ada", "ada@example.com", Role.ADMIN, password_hash=None)
            signed = sessions.sign_in(session, sessions.look_up(session, "ada@example.com"))
        database.dispose()
        app = AppTest.from_file(str(APP), default_timeout=60)
        app.user = {"session": sessions.session_id(signed)}
        for page in ("models", "quality"):  # imported
            app.run().switch_page(f"pages/{page}.py").run()
        app.session_state["quality_span"] = app.session_state["models_span"] = "12 months"

        def run(*, kept: bool = False) -> float:
            if not kept:
                st.cache_data.clear()
            began = time.perf_counter()
            app.run()
            taken = (time.perf_counter() - began) * 1000
            assert not app.exception and app.main.get("vega_lite_chart")
            return taken

        gc.collect()
        gc.freeze()  # as the server does when it has started
        beta.quantile.cache_clear()
        proportions._values.cache_clear()
        ui.database().engine.dispose()
        cold = run()
        recount = [run() for _ in range(times)]
        warm = [run(kept=True) for _ in range(times)]
        app.switch_page("pages/models.py")
        return _Shown(cold, recount, warm, run())
