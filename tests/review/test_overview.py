"""Home's numbers, against data made by hand; and each alert, with what mends it."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import DAY, HOUR, MINUTE, new_id, now
from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, audit, decisions, overview, people, queue, releases, samples, teams, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import NotAllowedError
from neuro_review.overview import Mine, Mix, Owned, alerts
from neuro_review.queue import Waiting
from tests.conftest import OPERATOR, Clock, Team
from tests.helpers import make_item

APPROVE = Opinion(Verdict.APPROVE)
CORRECT = Opinion(Verdict.CORRECT, "A better output.")
REJECT = Opinion(Verdict.REJECT, reasons=["Tone"])


def put(db: Database, workflow: workflows.Workflow, number: int = 1, **facts: Any) -> list[str]:
    with db.writing() as session:
        return [make_item(session, workflow.id, **facts) for _ in range(number)]


def decide(db: Database, actor: Actor, workflow: workflows.Workflow, *opinions: Opinion) -> list[str]:
    """Let a person decide outputs of their own, one by one."""
    items = put(db, workflow, len(opinions))
    for item_id, opinion in zip(items, opinions, strict=True):
        with db.writing() as session:
            (lease,) = queue.claim_these(session, actor, [item_id])
            decisions.decide(session, item_id, actor, lease.lease_n, opinion)
    return items


def rows_of(db: Database, actor: Actor) -> list[overview.Row]:
    with db.reading() as session:
        return overview.workflows_of(session, actor)


def mine_of(db: Database, actor: Actor) -> Mine:
    with db.reading() as session:
        return overview.mine(session, actor, overview.workflows_of(session, actor))


def owned_of(db: Database, actor: Actor) -> dict[int, Owned]:
    with db.reading() as session:
        return overview.owned(session, overview.workflows_of(session, actor))


def said_to(db: Database, actor: Actor) -> list[str]:
    with db.reading() as session:
        rows = overview.workflows_of(session, actor)
        return [one.sentence for one in alerts.alerts(session, actor, rows, overview.owned(session, rows))]


# --- what waits -------------------------------------------------------------------------------------------------------


def test_each_sees_the_workflows_they_review_and_what_waits_there(db: Database, team: Team) -> None:
    at = now()
    put(db, team.support, 2, created_at=at - HOUR)
    put(db, team.support, 1, due_at=at - MINUTE)
    put(db, team.support, 1, due_at=at + MINUTE)
    put(db, team.support, 1, due_at=at + DAY)
    (escalated,) = put(db, team.support)
    put(db, team.support, 1, origin="history")
    put(db, team.other, 1)
    with db.writing() as session:
        queue.escalate(session, escalated, team.bo)

    (bos,) = rows_of(db, team.bo)
    (olus,) = rows_of(db, team.olu)

    assert (bos.name, bos.waiting, bos.overdue) == ("support", Waiting(6, 2, 1, at - HOUR), 1)
    assert (bos.owned, olus.owned) == (False, True)
    assert [(row.name, row.waiting.held) for row in rows_of(db, team.ada)] == [("other", 1), ("support", 6)]
    assert [row.name for row in rows_of(db, team.eve)] == ["other"]


def test_what_is_assigned_to_me_or_my_groups_is_counted_once(db: Database, team: Team) -> None:
    items = put(db, team.support, 6)
    with db.writing() as session:
        night = teams.add(session, team.olu, "night")
        teams.set_members(session, night, team.olu, [team.bo.person_id or 0, team.cy.person_id or 0])
        for item_id, whom in zip(
            items,
            (
                {"person_id": team.bo.person_id}, {"team_id": night}, {"team_id": night},
                {"person_id": team.bo.person_id, "team_id": night}, {"person_id": team.cy.person_id}, {},
            ),
            strict=True,
        ):  # fmt: skip
            queue.assign(session, item_id, team.olu, **whom)
        (lease,) = queue.claim_these(session, team.bo, items[:1])
        decisions.decide(session, items[0], team.bo, lease.lease_n, APPROVE)

    assert mine_of(db, team.bo).assigned == 3
    assert mine_of(db, team.cy).assigned == 3
    assert mine_of(db, team.olu).assigned == 0


def test_what_was_escalated_is_counted_for_owners(db: Database, team: Team) -> None:
    items = put(db, team.support, 2)
    with db.writing() as session:
        queue.escalate(session, items[0], team.bo)

    assert (mine_of(db, team.olu).escalated, mine_of(db, team.bo).escalated) == (1, 0)
    assert (mine_of(db, team.olu).held, mine_of(db, team.bo).held) == (2, 2)


def test_my_verdicts_are_those_since_midnight_and_since_monday_without_what_i_undid(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    moved_clock.forward((DAY * 4 - now()) % (7 * DAY) + DAY // 2)  # noon of a Monday: 1970 began on a Thursday
    decide(db, team.bo, team.support, APPROVE)
    moved_clock.forward(2 * DAY)
    decide(db, team.bo, team.support, APPROVE, REJECT)
    decide(db, team.cy, team.support, APPROVE)
    (undone,) = decide(db, team.bo, team.support, CORRECT)
    with db.writing() as session:
        decisions.undo(session, undone, team.bo)

    found = mine_of(db, team.bo)
    moved_clock.forward(5 * DAY - DAY // 4)

    assert (found.today, found.week) == (2, 3)
    later = mine_of(db, team.bo)
    assert (later.today, later.week) == (0, 0), "it is Monday again"


# --- what an owner looks after ----------------------------------------------------------------------------------------


def test_who_works_is_who_holds_items_now(db: Database, team: Team, moved_clock: Clock) -> None:
    put(db, team.support, 5)
    decide(db, team.bo, team.support, APPROVE)
    decided_at = now()
    with db.writing() as session:
        queue.claim(session, team.cy, [team.support.id], most=1)
    moved_clock.forward(queue.LEASE_LASTS + MINUTE)
    with db.writing() as session:
        queue.claim(session, team.bo, [team.support.id], most=3)

    (working,) = owned_of(db, team.olu)[team.support.id].working

    assert (working.name, working.items) == ("Bo", 3)
    assert working.verdict_at is not None
    assert abs(working.verdict_at - decided_at) < MINUTE


def test_the_mix_is_of_the_last_seven_days_and_the_seven_before(db: Database, team: Team, moved_clock: Clock) -> None:
    decide(db, team.bo, team.support, REJECT)
    moved_clock.forward(6 * DAY)
    decide(db, team.bo, team.support, CORRECT, REJECT, REJECT)
    moved_clock.forward(7 * DAY + HOUR)
    decide(db, team.bo, team.support, APPROVE, APPROVE, CORRECT)
    decide(db, team.eve, team.other, REJECT)
    (undone,) = decide(db, team.cy, team.support, APPROVE)
    with db.writing() as session:
        decisions.undo(session, undone, team.cy)
    add_history(db, team, 5)

    found = owned_of(db, team.olu)

    assert list(found) == [team.support.id]
    assert found[team.support.id].this_week == Mix(2, 1, 0)
    assert found[team.support.id].week_before == Mix(0, 1, 3)
    assert found[team.support.id].week_before.all == 4
    assert owned_of(db, team.bo) == {}


def add_history(db: Database, team: Team, number: int) -> None:
    """Put labels of the past in place, which nobody here gave."""
    for item_id in put(db, team.support, number, origin="history"):
        with db.writing() as session:
            columns = "id workflow_id item_id reviewer purpose verdict text_hash reasons rubric_version reviewed_at"
            insert_rows(
                session, "review", f"{columns} created_at",
                [(new_id(), team.support.id, item_id, "past", "history", "reject", "", "[]", 0, now(), now())],
            )  # fmt: skip


def test_the_list_of_what_was_escalated_says_since_when_by_whom_and_why(db: Database, team: Team) -> None:
    items = put(db, team.support, 3, model="larch")
    with db.writing() as session:
        queue.escalate(session, items[1], team.cy, "could do harm")
        queue.escalate(session, items[0], team.bo)

    with db.reading() as session:
        found = overview.escalated(session, team.olu, team.support.id)
        first = overview.escalated(session, team.olu, team.support.id, most=1)

    assert [(one.item_id, one.model, one.why, one.by) for one in found] == [
        (items[1], "larch", "could do harm", "Cy"),
        (items[0], "larch", "asked for", "Bo"),
    ]
    assert first == found[:1]
    with db.reading() as session, pytest.raises(NotAllowedError):
        overview.escalated(session, team.bo, team.support.id)


# --- alerts -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def settled(db: Database, team: Team) -> Team:
    """The team with everything in order: each workflow has an owner and a rubric, and the log is sealed."""
    with db.writing() as session:
        for flow in (team.support, team.other):
            workflows.write_rubric(session, OPERATOR, flow.id, "Be right.")
        access.grant(session, "operator:tests", team.olu.person_id or 0, Role.OWNER, team.other.id)
    seal(db)
    return team


def seal(db: Database) -> None:
    with db.writing() as session:
        audit.seal(session)


def test_with_everything_in_order_nothing_is_said(db: Database, settled: Team) -> None:
    put(db, settled.support, 3, due_at=now() + MINUTE)

    assert said_to(db, settled.ada) == said_to(db, settled.olu) == []


def test_outputs_past_their_deadline_are_an_alert(db: Database, settled: Team) -> None:
    put(db, settled.support, 1, due_at=now() - 2 * HOUR - MINUTE)
    put(db, settled.support, 1, due_at=now() - MINUTE)

    assert said_to(db, settled.olu) == [
        "2 outputs of “support” are past the deadline, the first by 2 h. Review now: what is overdue comes first."
    ]
    assert said_to(db, settled.bo) == []


def test_a_day_without_a_verdict_while_outputs_wait_is_an_alert(
    db: Database, settled: Team, moved_clock: Clock
) -> None:
    put(db, settled.support)
    moved_clock.forward(23 * HOUR)
    assert said_to(db, settled.olu) == []

    moved_clock.forward(2 * HOUR)
    assert said_to(db, settled.olu) == [
        "Nothing of “support” was reviewed in the last 24 h, and 1 output waits."
        " Review some, or find somebody who does."
    ]

    decide(db, settled.bo, settled.support, APPROVE)
    assert said_to(db, settled.olu) == []


def test_a_file_of_old_outputs_in_a_new_workflow_is_no_alert(db: Database, settled: Team) -> None:
    put(db, settled.support, created_at=now() - 100 * DAY)

    assert said_to(db, settled.olu) == []


def test_a_workflow_without_owner_reviewer_or_rubric_is_an_alert(db: Database, settled: Team) -> None:
    with db.writing() as session:
        lonely = workflows.add(session, OPERATOR, "lonely")
        make_item(session, lonely.id)
    seal(db)

    assert said_to(db, settled.ada) == [
        "“lonely” has no owner: nobody answers for it, and no application can submit to it. Name one.",
        "Only admins may review “lonely”. Give somebody the role of a reviewer.",
        "“lonely” has no rubric: each reviewer goes by their own measure. Write down what counts as good.",
    ]
    assert said_to(db, settled.olu) == []


def test_the_sample_queue_needs_no_owner(db: Database, settled: Team) -> None:
    with db.writing() as session:
        samples.load(session, settled.ada)
        assert samples.loaded(session)
    seal(db)

    assert said_to(db, settled.ada) == []


def strand_person(session: Session, team: Team, items: list[str]) -> None:
    queue.assign(session, items[0], team.olu, person_id=team.cy.person_id)
    people.disable(session, team.ada, team.cy.person_id or 0)


def strand_role(session: Session, team: Team, items: list[str]) -> None:
    queue.assign(session, items[0], team.olu, person_id=team.cy.person_id)
    session.connection().execute(sa.text("DELETE FROM role_grant WHERE person_id = :id"), {"id": team.cy.person_id})


def strand_group(session: Session, team: Team, items: list[str]) -> None:
    night = teams.add(session, team.olu, "night")
    teams.set_members(session, night, team.olu, [team.cy.person_id or 0])
    queue.assign(session, items[0], team.olu, team_id=night)
    people.disable(session, team.ada, team.cy.person_id or 0)


@pytest.mark.parametrize("strand", [strand_person, strand_role, strand_group])
def test_outputs_that_nobody_can_be_offered_are_an_alert(db: Database, settled: Team, strand: Any) -> None:
    items = put(db, settled.support, 2)
    with db.writing() as session:
        strand(session, settled, items)

    assert said_to(db, settled.olu) == [
        "1 output of “support” is assigned to somebody who may not review it any more, so nobody is offered them."
        " Assign them to somebody else."
    ]


def test_background_work_that_does_not_run_is_an_alert_for_an_admin(
    db: Database, settled: Team, moved_clock: Clock
) -> None:
    decide(db, settled.bo, settled.support, APPROVE)
    seal(db)
    moved_clock.forward(4 * MINUTE)
    assert said_to(db, settled.ada) == []
    moved_clock.forward(2 * MINUTE)

    (leaving,) = said_to(db, settled.ada)
    with db.writing() as session:
        releases.release_due(session)
    assert said_to(db, settled.ada) == []
    moved_clock.forward(6 * MINUTE)
    (unsealed,) = said_to(db, settled.ada)
    seal(db)

    assert leaving.startswith("The background work has not run for 5 min: verdicts do not leave. Start")
    assert unsealed.startswith("The background work has not run for 6 min: the audit log is not sealed. Start")
    assert said_to(db, settled.ada) == said_to(db, settled.olu) == []


# --- how it is found --------------------------------------------------------------------------------------------------

ME = {"me": 1, "today": 0, "since": 0, "week": 0, "now": 1, "workflow": 1, "most": 5}


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        (overview.OVERDUE, {"ix_item_due"}),
        (overview.ASSIGNED, {"ix_item_assigned", "ix_item_team"}),
        (overview.VERDICTS, {"ix_review_person"}),
        (overview.WORKING, {"ix_item_leased", "ix_review_person"}),
        (overview.MIX, {"ix_review_person"}),
        (overview.ESCALATED, {"ix_item_escalated"}),
        (alerts.STRANDED, {"ix_item_assigned", "ix_item_team"}),
        (alerts.LEAVES, {"ix_item_leaves"}),
    ],
    ids=lambda one: None if isinstance(one, set) else "",
)
def test_home_asks_only_what_an_index_answers(db: Database, team: Team, query: Any, indexes: set[str]) -> None:
    with db.engine.connect() as connection:
        bound = {name: value for name, value in ME.items() if f":{name}" in query.text}
        if db.is_sqlite:
            plan = [row.detail for row in connection.execute(sa.text("EXPLAIN QUERY PLAN " + query.text), bound)]
            scans = [line for line in plan if line.startswith(("SCAN i", "SCAN item", "SCAN v", "SCAN review"))]
            assert [line for line in scans if "USING" not in line] == []
        else:
            # A plan for a table that is empty reads it whole; asked not to, the planner shows what could be used.
            connection.exec_driver_sql("SET enable_seqscan = off")
            plan = [str(row[0]) for row in connection.execute(sa.text("EXPLAIN " + query.text), bound)]

    assert [index for index in indexes if not any(index in line for line in plan)] == []
