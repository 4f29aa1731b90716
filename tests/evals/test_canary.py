"""A candidate on trial: all that it writes is reviewed, whatever certificate there is, by whatever name it is known."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from db.bulk import insert_rows
from db.clock import DAY, SECOND, new_id, now
from db.engine import Database
from db.tables import DecidedBy, Status
from neuro_review import lifecycle, models
from neuro_review.lifecycle import Grounds
from tests.conftest import Clock, Team
from tests.helpers import make_item

CERTIFICATE = (
    "id workflow_id model risk_version policy_version threshold tolerance confidence labels bad evidence issued_at"
    " expires_at"
)
Submit = Callable[..., str]
LetGo = Callable[[str], str]


@pytest.fixture
def submit(db: Database, team: Team) -> Submit:
    """Hand in an output that a certificate of its model covers, and return the item."""

    def call(model: str) -> str:
        with db.writing() as session:
            routed = {"risk": 0.1, "risk_version": "r1", "policy_version": 1}
            return make_item(session, team.support.id, model=model, **routed)

    return call


@pytest.fixture
def let_go(db: Database, team: Team) -> LetGo:
    """Decide an item as a policy does that lets it out unseen, under a certificate issued for it in this moment."""

    def call(item_id: str) -> str:
        with db.writing() as session:
            item, at, certificate = lifecycle.lock(session, item_id), now(), new_id()
            row = (certificate, team.support.id, item.model, "r1", 1, 0.2, 0.01, 0.95, 300, 0, "{}", at, at + DAY)
            insert_rows(session, "certificate", CERTIFICATE, [row])
            grounds = Grounds(
                DecidedBy.POLICY, Status.APPROVED, "policy", certificate_id=certificate, text_hash=item.output_hash
            )
            return lifecycle.decide(session, item, grounds, at=at, final_at=at)

    return call


def refused(let_go: LetGo, item_id: str) -> bool:
    try:
        let_go(item_id)
    except sa.exc.IntegrityError as error:
        return "All that a candidate on trial writes is reviewed" in str(error)
    return False


def on_trial(db: Database, team: Team, model: str = "openai/b") -> None:
    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/a", reason="the first")
        models.try_on_traffic(session, team.support.id, team.olu, model=model, share=0.1)


def test_nothing_of_a_candidate_on_trial_is_let_go_unseen(
    db: Database, team: Team, submit: Submit, let_go: LetGo
) -> None:
    early = submit("openai/b")
    assert let_go(submit("openai/b"))  # with nobody on trial a certificate is enough
    on_trial(db, team)

    assert [refused(let_go, submit(name)) for name in ("openai/b", "b", "proxy/openai/b")] == [True] * 3
    assert refused(let_go, early)
    for other in ("openai/a", "a", "proxy/openai/a", "OpenAI/A"):
        assert let_go(submit(other))


@pytest.mark.parametrize(
    "alias",
    ["support-bot", "OpenAI/B", "B", "azure/b", "b-2026-11-20", "openai/b@20261120", "b:1", "openai/bb", "/", "%"],
)
def test_a_name_that_may_be_an_alias_of_a_candidate_is_reviewed_as_long_as_there_is_a_trial(
    db: Database, team: Team, moved_clock: Clock, submit: Submit, let_go: LetGo, alias: str
) -> None:
    before = submit(alias)
    on_trial(db, team)
    during = submit(alias)
    with db.writing() as session:
        models.end_canary(session, team.support.id, team.olu)
    moved_clock.forward(DAY - 60 * SECOND)
    late = submit(alias)
    moved_clock.forward(60 * SECOND)
    after = submit(alias)

    assert refused(let_go, during)
    assert refused(let_go, late)  # an application that could not reach us follows what it knew
    spelled = alias in ("OpenAI/B", "B", "azure/b", "b-2026-11-20", "openai/b@20261120", "b:1")
    assert [refused(let_go, item) for item in (before, after)] == [spelled] * 2


def test_the_model_in_use_is_let_go_though_the_candidate_is_the_same_of_another_provider(
    db: Database, team: Team, submit: Submit, let_go: LetGo
) -> None:
    on_trial(db, team, "azure/a")

    assert let_go(submit("openai/a"))
    assert refused(let_go, submit("a"))  # which of the two it is, nobody can tell
    assert refused(let_go, submit("vertex/a"))
    assert refused(let_go, submit("openai/a-2026-11-20"))


def test_names_are_free_again_a_day_after_a_candidate_was_put_in_use(
    db: Database, team: Team, moved_clock: Clock, submit: Submit, let_go: LetGo
) -> None:
    on_trial(db, team)
    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/b", reason="it did well")

    assert let_go(submit("openai/b"))
    assert let_go(submit("openai/a"))
    assert refused(let_go, submit("support-bot"))
    moved_clock.forward(DAY)
    assert let_go(submit("support-bot"))
    assert let_go(submit("b-2026-11-20"))


def test_what_comes_late_is_reviewed_too_until_the_candidate_is_put_in_use(
    db: Database, team: Team, submit: Submit, let_go: LetGo
) -> None:
    on_trial(db, team)
    written_on_trial = submit("openai/b")
    with db.writing() as session:
        models.end_canary(session, team.support.id, team.olu)
    late = submit("openai/b")
    assert refused(let_go, written_on_trial)
    assert refused(let_go, late)

    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/b", reason="it did well")

    assert refused(let_go, written_on_trial)
    assert refused(let_go, late)
    assert let_go(submit("openai/b"))


def test_a_trial_in_one_workflow_holds_nothing_of_another(
    db: Database, team: Team, submit: Submit, let_go: LetGo
) -> None:
    with db.writing() as session:
        models.promote(session, team.other.id, team.ada, model="openai/a", reason="the first")
        models.try_on_traffic(session, team.other.id, team.ada, model="openai/b", share=0.1)

    assert let_go(submit("openai/b"))


def test_another_model_or_other_parameters_end_every_certificate_and_a_trial_ends_none(
    db: Database, team: Team, submit: Submit, let_go: LetGo
) -> None:
    def in_force() -> int:
        with db.reading() as session:
            count = sa.text("SELECT count(*) FROM certificate WHERE voided_at IS NULL")
            return int(session.connection().execute(count).scalar_one())

    let_go(submit("openai/a"))
    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/a", reason="the first")
    assert in_force() == 0

    let_go(submit("openai/a"))
    with db.writing() as session:
        models.try_on_traffic(session, team.support.id, team.olu, model="openai/b", share=0.1)
        models.end_canary(session, team.support.id, team.olu)
    assert in_force() == 1
    with db.writing() as session:
        models.promote(session, team.support.id, team.olu, model="openai/a", parameters={"seed": 1}, reason="fixed")
    assert in_force() == 0
