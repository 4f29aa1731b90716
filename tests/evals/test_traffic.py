"""The share of the traffic that a candidate on trial really got: counted from its first moment, by any of its names."""

from collections.abc import Callable

import pytest

from db.clock import DAY
from db.engine import Database
from db.tables import Origin
from neuro_review import intake, models, workflows
from neuro_review.access import Actor
from neuro_review.errors import NotAllowedError
from neuro_review.intake import Door, Submission
from neuro_review.models import traffic
from neuro_review.models.traffic import Traffic
from tests.conftest import Clock, Team
from tests.evals.conftest import label

Come = Callable[..., None]
Record = Callable[[list[dict[str, object]]], None]


@pytest.fixture
def come(db: Database, team: Team) -> Come:
    """Let applications hand in so many outputs under each name."""

    def call(names: dict[str, int], flow: workflows.Workflow | None = None) -> None:
        with db.writing() as session:
            door = Door(flow or team.support, workflows.source_id(session, "app"), "tests", Origin.GATE)
            given = [Submission(model=name, output="Yes.") for name, many in names.items() for _ in range(many)]
            intake.store(session, door, [intake.prepare(door, one) for one in given])

    return call


def on_trial(db: Database, team: Team, candidate: str = "openai/b", share: float = 0.1) -> None:
    with db.writing() as session:
        if models.in_use(session, team.support.id) is None:
            models.promote(session, team.support.id, team.olu, model="openai/a", reason="the first")
        models.try_on_traffic(session, team.support.id, team.olu, model=candidate, share=share)


def came(db: Database, team: Team, by: Actor | None = None) -> Traffic:
    with db.reading() as session:
        use = models.in_use(session, team.support.id)
        assert use is not None
        return traffic.since(session, by or team.bo, team.support.id, use)


def test_what_came_is_counted_from_the_first_moment_of_the_trial_over_days(
    db: Database, team: Team, come: Come, record: Record, moved_clock: Clock
) -> None:
    come({"openai/a": 40, "openai/b": 5})  # before it
    on_trial(db, team)
    assert came(db, team) == Traffic(0, 0, 0)
    assert came(db, team).share is None

    come({"openai/a": 9, "openai/b": 1, "openai/c": 2})
    come({"openai/b": 30}, team.other)
    record([label(n, model="openai/b") for n in range(6)])  # labels of the past are no traffic
    assert came(db, team) == Traffic(1, 9, 2)
    for _ in range(2):
        moved_clock.forward(DAY)
        come({"openai/a": 55, "openai/b": 5, "openai/c": 1})

    assert came(db, team) == Traffic(11, 119, 4)
    assert came(db, team).share == 11 / 130
    on_trial(db, team, share=0.5)  # another share is another trial
    come({"openai/a": 1, "openai/b": 2})
    assert came(db, team, team.olu) == Traffic(2, 1, 0)


@pytest.mark.parametrize(
    ("candidate", "names", "counted"),
    [
        ("openai/b", {"b": 1, "proxy/openai/b": 2, "a": 3, "proxy/openai/a": 4}, Traffic(3, 7, 0)),
        ("openai/b", {"openai/bb": 1, "b2": 2, "azure/b": 3, "/a": 4}, Traffic(0, 0, 10)),
        ("azure/a", {"azure/a": 1, "openai/a": 2, "a": 4}, Traffic(1, 2, 4)),  # “a” may be either
        ("a", {"a": 1, "openai/a": 2, "proxy/openai/a": 4}, Traffic(1, 2, 4)),
    ],
)
def test_a_name_without_its_provider_counts_and_one_that_fits_both_does_not(
    db: Database, team: Team, come: Come, candidate: str, names: dict[str, int], counted: Traffic
) -> None:
    on_trial(db, team, candidate)
    come(names)

    assert came(db, team) == counted


def test_who_has_no_part_in_the_workflow_is_not_told(db: Database, team: Team) -> None:
    on_trial(db, team)

    with pytest.raises(NotAllowedError):
        came(db, team, team.eve)
