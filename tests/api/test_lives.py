"""Submit, claim, decide, undo, release, recall, lapse, withdraw, escalate, skip in any order: the promises hold.

The short form runs some lives on each engine, always the same; `--long` runs many others.
"""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from starlette.testclient import TestClient

from db import clock
from db.engine import Database
from db.tables import Role
from neuro_review import verify
from neuro_review.access import Actor
from neuro_review.settings import settings as house_settings
from tests.api.lives import House, Lives

LIVES = {"sqlite": (15, 1_000), "postgresql": (6, 200)}  # in the short form and at length
STEPS = 40


@pytest.fixture
def house(
    db: Database,
    add_person: Callable[..., Actor],
    http: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    monkeypatch.setenv("NEURO_REVIEW_API_RATE", "1000000")
    house_settings.cache_clear()
    people = [add_person("Bo", Role.REVIEWER), add_person("Cy", Role.REVIEWER), add_person("Olu", Role.OWNER)]
    yield House(db, people, http, lambda tick: monkeypatch.setattr(clock, "_tick", tick))
    monkeypatch.undo()


def test_the_promises_hold_in_every_order_of_events(house: House, request: pytest.FixtureRequest) -> None:
    long = bool(request.config.getoption("--long"))
    examples = LIVES["sqlite" if house.db.is_sqlite else "postgresql"][long]
    phases = [Phase.explicit, Phase.generate, Phase.shrink]

    run_state_machine_as_test(
        lambda: Lives(house),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not long,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )

    assert verify.verify(house.db).first is None
