"""What a workflow agrees: its terms, reasons and rubric, by its owner alone, each change on record without its text."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, decisions, intake, lifecycle, people, queue, sessions, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.workflows import agreed
from neuro_review.workflows.agreed import Terms
from tests.conftest import OPERATOR, Clock, Team
from tests.helpers import claim_one, make_item

Audited = Callable[[str], list[dict[str, Any]]]
HOUR_MS = 3_600_000


def flow(db: Database, team: Team) -> workflows.Workflow:
    with db.reading() as session:
        return workflows.by_id(session, team.support.id)


def reasons(db: Database, team: Team) -> list[str]:
    with db.reading() as session:
        return workflows.reasons(session, team.support.id)


CHANGES = {
    "change": lambda s, t, by: agreed.change(s, by, t.support.id, Terms("support", 7)),
    "reasons": lambda s, t, by: agreed.set_reasons(s, by, t.support.id, ["One"]),
    "rubric": lambda s, t, by: workflows.write_rubric(s, by, t.support.id, "Be kind."),
    "rubrics": lambda s, t, by: workflows.rubrics(s, by, t.support.id),
    "archive": lambda s, t, by: workflows.archive(s, by, t.support.id),
    "bring back": lambda s, t, by: workflows.bring_back(s, by, t.support.id),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_its_owner_or_an_admin_changes_a_workflow(
    db: Database, team: Team, add_person: Callable[..., Actor], change: str
) -> None:
    another = add_person("Pam", Role.OWNER, team.other.id)
    for by in (team.bo, team.eve, another):
        with pytest.raises(NotAllowedError), db.writing() as session:
            CHANGES[change](session, team, by)

    for by in (team.olu, team.ada):
        with db.writing() as session:
            CHANGES[change](session, team, by)


def test_only_an_admin_adds_a_workflow(db: Database, team: Team) -> None:
    for by in (team.olu, team.bo):
        with pytest.raises(NotAllowedError), db.writing() as session:
            agreed.create(session, by, Terms("new"), owner_id=team.olu.person_id or 0, reasons=["One"])
        with pytest.raises(NotAllowedError), db.writing() as session:
            workflows.open_for(session, by, "new")


def test_nothing_is_brought_into_a_workflow_by_who_does_not_own_it(db: Database, team: Team) -> None:
    for by in (team.bo, team.eve):
        with pytest.raises(NotAllowedError), db.writing() as session:
            workflows.open_for(session, by, "support")
    with db.writing() as session:
        assert workflows.open_for(session, team.olu, "support") == team.support


def test_a_workflow_is_made_with_all_that_was_agreed(db: Database, team: Team) -> None:
    with db.writing() as session:
        before = sessions.session_id(sessions.sign_in(session, sessions.look_up(session, team.bo.email)))
        made = agreed.create(
            session, team.ada, Terms(" Chat  in\tFrench ", 0, 90, "minutes", " We will call you. "),
            owner_id=team.bo.person_id or 0, reasons=["Tone", "", " Wrong   fact "], rubric="Be kind.",
        )  # fmt: skip

    assert (made.name, made.grace_ms, made.sla_ms, made.fallback) == (
        "Chat in French", 0, 90 * 60_000, "We will call you.",
    )  # fmt: skip
    assert agreed.terms(made) == Terms("Chat in French", 0, 90, "minutes", "We will call you.")
    with db.reading() as session:
        assert workflows.reasons(session, made.id) == ["Tone", "Wrong fact"]
        assert workflows.rubric(session, made.id) == "Be kind."
        assert [owner.name for owner in people.owners(session)[made.id]] == ["Bo"]
        assert sessions.person_of(session, before) is None  # a new role needs a new sign-in


def test_an_owner_who_cannot_sign_in_is_refused_and_nothing_is_made(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.disable(session, team.ada, team.bo.person_id or 0)

    for person_id, error in ((team.bo.person_id or 0, NotAllowedError), (999, NotFoundError)):
        with pytest.raises(error), db.writing() as session:
            agreed.create(session, team.ada, Terms("new"), owner_id=person_id, reasons=["One"])
    with db.reading() as session:
        assert workflows.find(session, "new") is None


@pytest.mark.parametrize(
    ("sla_ms", "deadline", "unit", "words"),
    [
        (None, None, "hours", "no deadline"),
        (60_000, 1, "minutes", "due in 1 minute"),
        (90 * 60_000, 90, "minutes", "due in 90 minutes"),
        (HOUR_MS, 1, "hours", "due in 1 hour"),
        (48 * HOUR_MS, 2, "days", "due in 2 days"),
        (61_000, 2, "minutes", "due in 2 minutes"),
    ],
)
def test_a_deadline_is_said_in_the_unit_that_fits(
    sla_ms: int | None, deadline: int | None, unit: str, words: str
) -> None:
    said = agreed.terms(workflows.Workflow(1, "w", 5000, sla_ms, 0.1, 0, 0))

    assert (said.deadline, said.unit, said.deadline_words) == (deadline, unit, words)


@pytest.mark.parametrize(
    ("terms", "error", "says"),
    [
        (Terms("support", -1), InvalidError, "0 to 86,400 seconds"),
        (Terms("support", 86_401), InvalidError, "0 to 86,400 seconds"),
        (Terms("support", 5, 0), InvalidError, "A deadline is"),
        (Terms("support", 5, 367, "days"), InvalidError, "A deadline is"),
        (Terms("support", 5, 1, "weeks"), InvalidError, "A deadline is"),
        (Terms(" ", 5), InvalidError, "1 to 100 characters"),
        (Terms("a\0b", 5), InvalidError, "NUL"),
        (Terms("other", 5), ConflictError, "already"),
        (Terms("support", 5, fallback="x" * 10_001), InvalidError, "at most 10,000"),
        (Terms("support", 5, fallback="\ud800"), InvalidError, "surrogate"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    db: Database, team: Team, terms: Terms, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says), db.writing() as session:
        agreed.change(session, team.olu, team.support.id, terms)

    assert flow(db, team) == team.support


def test_the_longest_and_the_shortest_grace_are_taken(db: Database, team: Team) -> None:
    for seconds in (86_400, 0):
        with db.writing() as session:
            agreed.change(session, team.olu, team.support.id, Terms("support", seconds))
        assert flow(db, team).grace_ms == seconds * 1000


def test_a_change_is_on_record_with_numbers_and_hashes_and_without_its_text(
    db: Database, team: Team, audited: Audited
) -> None:
    with db.writing() as session:
        agreed.change(session, team.olu, team.support.id, Terms("secret name", 9, 4, "hours", "secret fallback"))
        agreed.change(session, team.olu, team.support.id, Terms("secret name", 9, 4, "hours", "secret fallback"))
        agreed.set_reasons(session, team.olu, team.support.id, ["secret reason"])
        workflows.write_rubric(session, team.olu, team.support.id, "secret rubric")

    facts = audited(f"workflow/{team.support.id}")[1:]
    assert len(facts) == 3
    assert (facts[0]["grace_ms"], facts[0]["sla_ms"], len(facts[0]["fallback"])) == (9_000, 4 * HOUR_MS, 64)
    assert [set(one) for one in facts[1:]] == [{"reasons"}, {"rubric"}]
    assert "secret" not in str(facts)


def test_a_deadline_holds_for_what_comes_in_later(db: Database, team: Team) -> None:
    def submit(text: str) -> str:
        with db.writing() as session:
            there = workflows.by_id(session, team.support.id)
            door = intake.Door(there, workflows.source_id(session, "tests"), OPERATOR.audit_name)
            (stored,) = intake.store(session, door, [intake.prepare(door, intake.Submission(model="m", output=text))])
            return stored.item_id

    before = submit("Before.")
    with db.writing() as session:
        agreed.change(session, team.olu, team.support.id, Terms("support", 5, 2, "hours"))
    after = submit("After.")

    with db.reading() as session:
        query = sa.text("SELECT id, due_at, created_at FROM item")
        due = {row.id: row.due_at and row.due_at - row.created_at for row in session.connection().execute(query)}
    assert due == {before: None, after: 2 * HOUR_MS * 1000}


def test_reasons_keep_their_order_and_one_that_is_left_out_stays_in_past_verdicts(db: Database, team: Team) -> None:
    with db.writing() as session:
        agreed.set_reasons(session, team.olu, team.support.id, ["Tone", "Leaks data"])
        item_id = make_item(session, team.support.id)
        lease = claim_one(session, team.bo, team.support)
        decisions.decide(session, item_id, team.bo, lease.lease_n, Opinion(Verdict.REJECT, reasons=["Tone"]))

    with db.writing() as session:
        agreed.set_reasons(session, team.olu, team.support.id, ["Off topic", "Leaks data"])
        make_item(session, team.support.id)
        lease = claim_one(session, team.bo, team.support)

    assert reasons(db, team) == ["Off topic", "Leaks data"]
    with db.reading() as session:
        assert session.connection().execute(sa.text("SELECT reasons FROM review")).scalar() == '["Tone"]'
    with pytest.raises(InvalidError, match="not a reason"), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, Opinion(Verdict.REJECT, reasons=["Tone"]))


def test_a_retired_reason_can_come_back(db: Database, team: Team) -> None:
    for wanted in (["Tone"], ["Other"], ["Other", "Tone"]):
        with db.writing() as session:
            agreed.set_reasons(session, team.olu, team.support.id, wanted)

    assert reasons(db, team) == ["Other", "Tone"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([], "1 to 50"),
        (["", "  "], "1 to 50"),
        ([f"r{n}" for n in range(51)], "1 to 50"),
        (["Tone", "tone"], "twice"),
        (["x" * 101], "at most 100"),
        (["a\0b"], "NUL"),
    ],
)
def test_a_list_of_reasons_that_cannot_be_is_refused(db: Database, team: Team, wanted: list[str], says: str) -> None:
    with pytest.raises(InvalidError, match=says), db.writing() as session:
        agreed.set_reasons(session, team.olu, team.support.id, wanted)

    assert reasons(db, team) == list(workflows.FIRST_REASONS)


def test_each_version_of_the_rubric_is_kept_with_who_wrote_it(db: Database, team: Team) -> None:
    with db.writing() as session:
        assert workflows.write_rubric(session, team.olu, team.support.id, "One.") == 1
        assert workflows.write_rubric(session, OPERATOR, team.support.id, "Two.", after=1) == 2
        assert workflows.write_rubric(session, team.olu, team.support.id, "Two.\n", after=2) == 2

    with db.reading() as session:
        kept = workflows.rubrics(session, team.olu, team.support.id)
    assert [(one.version, one.text, one.written_by) for one in kept] == [
        (2, "Two.", "operator:tests"),
        (1, "One.", "Olu"),
    ]


def test_a_rubric_written_over_one_that_was_not_read_is_refused(db: Database, team: Team) -> None:
    with db.writing() as session:
        workflows.write_rubric(session, team.olu, team.support.id, "One.", after=0)

    with pytest.raises(ConflictError, match="version 1 meanwhile"), db.writing() as session:
        workflows.write_rubric(session, team.ada, team.support.id, "Mine.", after=0)


def test_two_owners_who_write_the_rubric_at_once_do_not_write_over_each_other(
    db: Database, team: Team, at_once: Callable[[Any, Any], str]
) -> None:
    said = at_once(
        lambda session: workflows.write_rubric(session, team.olu, team.support.id, "Olu's.", after=0),
        lambda session: workflows.write_rubric(session, team.ada, team.support.id, "Ada's.", after=0),
    )

    assert "version 1 meanwhile" in said


def test_a_workflow_is_put_away_only_when_nothing_waits_in_it(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        queue.escalate(session, item_id, team.bo)

    with pytest.raises(ConflictError, match="still held"), db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)


def test_a_verdict_that_can_still_be_undone_keeps_its_workflow(db: Database, team: Team, moved_clock: Clock) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        lease = claim_one(session, team.bo, team.support)
        decisions.decide(session, item_id, team.bo, lease.lease_n, Opinion(Verdict.APPROVE))
    with pytest.raises(ConflictError, match="can still be undone"), db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)

    moved_clock.forward(6_000_000)
    with db.writing() as session:
        lifecycle.leave(session, lifecycle.lock(session, item_id), at=moved_now())
        workflows.archive(session, team.olu, team.support.id)


def moved_now() -> int:
    from db.clock import now

    return now()


def test_what_is_put_away_is_offered_nowhere_takes_nothing_and_comes_back(db: Database, team: Team) -> None:
    with db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)

    with db.writing() as session:
        assert [one.name for one in workflows.every(session)] == ["other"]
        assert [one.name for one in workflows.owned(session, team.ada)] == ["other", "support"]
        with pytest.raises(ConflictError, match="put away"):
            workflows.open_for(session, team.ada, "support")
        with pytest.raises(ConflictError, match="put away"):
            workflows.add(session, team.ada, "support")
        workflows.bring_back(session, team.olu, team.support.id)
        assert [one.name for one in workflows.every(session)] == ["other", "support"]


def test_what_comes_in_while_a_workflow_is_put_away_keeps_it(
    db: Database, team: Team, at_once: Callable[[Any, Any], str]
) -> None:
    said = at_once(
        lambda session: make_item(session, team.support.id),
        lambda session: workflows.archive(session, team.olu, team.support.id),
    )

    assert "still held" in said


def test_an_owner_sees_their_own_workflows(db: Database, team: Team) -> None:
    with db.reading() as session:
        assert [one.name for one in workflows.owned(session, team.olu)] == ["support"]
        with pytest.raises(NotAllowedError):
            workflows.owned(session, team.bo)


def test_who_owns_a_workflow_is_asked_of_the_database_each_time(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.give_role(session, team.ada, team.bo.person_id or 0, Role.OWNER, team.support.id)
        (owner, _) = people.owners(session)[team.support.id]
        bo = access.actor(session, owner.person_id)
        people.take_role(session, team.ada, owner.grant_id)
        after = access.actor(session, owner.person_id)

    assert (bo.may(Role.OWNER, team.support.id), after.may(Role.OWNER, team.support.id)) == (True, False)
