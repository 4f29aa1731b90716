"""Submit, claim, decide, undo, release, recall, lapse, withdraw, escalate, skip in any order: the promises hold.

The short form runs some lives on each engine, always the same; `--long` runs many others.
"""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from starlette.testclient import TestClient

from db import clock
from db.clock import DAY, SECOND
from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import verify
from neuro_review.access import Actor
from neuro_review.settings import settings as house_settings
from tests.api.lives import House, Lives

LIVES = {"sqlite": (15, 1_000), "postgresql": (6, 200)}  # in the short form and at length
WALKS = {"sqlite": (8, 300), "postgresql": (4, 60)}
STEPS, LONG_STEPS = 50, 150
# A run must have done each of these, and have been refused it.
DONE = {"decide", "undo", "release_one", "lapse", "recall", "escalate", "put_back", "let_go_or_keep"}


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


def step(lives: Lives, chance: random.Random) -> None:
    """Do one thing by plain chance."""
    whole = chance.randrange
    life, who, aim = chance.choice(list(lives.lives.values())), whole(3), whole(4)
    any_verdict = list(Verdict)
    chance.choice((
        lambda: lives.submit(1 + whole(2), chance.choice((0, 5, 9))),
        lambda: lives.submit_again(life, chance.random() < 0.5),
        lambda: lives.claim(who, 1 + whole(3)),
        lambda: lives.claim(who, 1 + whole(3)),
        lambda: lives.decide(life, who, chance.choice(any_verdict), whole(7), chance.random() < 0.2, aim),
        lambda: lives.decide(life, who, chance.choice(any_verdict), whole(7), chance.random() < 0.2, aim),
        lambda: lives.all_the_way(life, who, chance.choice(any_verdict[:2])),
        lambda: lives.undo(life, who, whole(4), aim),
        lambda: lives.undo(life, who, whole(4), aim),
        lambda: lives.let_leave(chance.choice((1, 64))),
        lambda: lives.release_one(life, aim),
        lambda: lives.lapse(lives.aimed(life, whole(3), lambda one: one.status == "held")) if aim == 0 else None,
        lambda: lives.withdraw(life, aim) if who == 0 else None,
        lambda: lives.recall(life, who, aim),
        lambda: lives.escalate(life, who) if aim == 0 else None,
        lambda: lives.put_back(life, aim),
        lambda: lives.let_go_or_keep(life, who, chance.choice(("skip", "give back", "renew")), aim),
        lambda: lives.wait(chance.choice((1, 1, 4, 5, 60, 121, DAY // SECOND, 25 * 3_600))),
        lambda: lives.read_on(1 + whole(3)),
    ))()  # fmt: skip


def walk(house: House, chance: random.Random, steps: int) -> None:
    """Do one thing after the other: Hypothesis shrinks what fails, but goes deep only seldom."""
    lives = Lives(house)
    lives.open(chance.choice((0, 5 * SECOND, 5 * SECOND)))
    lives.submit(3, 5)
    for _ in range(steps):
        step(lives, chance)
        lives.nothing_is_there_that_must_not_be()
        lives.the_tables_say_what_the_model_says()
        lives.the_application_sees_its_text_exactly_while_it_may_be_sent()
        lives.the_feed_misses_nothing_and_says_nothing_twice()
    lives.teardown()


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


def test_the_promises_hold_through_long_lives(house: House, request: pytest.FixtureRequest) -> None:
    long = bool(request.config.getoption("--long"))
    for seed in range(WALKS["sqlite" if house.db.is_sqlite else "postgresql"][long]):
        print("seed", seed)
        walk(house, random.Random(seed), LONG_STEPS)

    print(dict(house.tried))
    assert {name for name, done in house.tried if done} >= DONE
    assert {name for name, done in house.tried if not done} >= DONE - {"let_go_or_keep"}
    assert verify.verify(house.db).first is None
