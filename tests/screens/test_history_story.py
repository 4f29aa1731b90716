"""The whole story of an item, told to whom it may be told; and the way to a recall."""

import pytest
import sqlalchemy as sa

from db.clock import DAY, HOUR
from db.engine import Database
from db.tables import Role, Status, Verdict
from neuro_review import access, decisions, queue, releases
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.stories.story import tell
from tests.conftest import OPERATOR, Clock, Team
from tests.helpers import make_item, note_erasure
from tests.screens.deciding import judge, lease, without_grace

MALFORMED = ["", "x", "0" * 31, "g" * 32, "0" * 32, "' OR 1=1 --", "../home", "١" * 32, "a\0" + "b" * 30, "0" * 10_000]


@pytest.mark.parametrize("item_id", MALFORMED)
def test_what_names_no_item_is_told_of_in_one_sentence(db: Database, team: Team, item_id: str) -> None:
    with db.reading() as session, pytest.raises(NotFoundError, match="copied whole"):
        tell(session, item_id, team.ada)


def test_who_may_not_review_an_item_hears_the_same_as_of_one_that_is_not_there(db: Database, team: Team) -> None:
    exporter = access.Actor("X", "x@example.com", 99, frozenset({(str(Role.EXPORT), None)}))
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        said = set()
        for nobody, wanted in ((team.eve, item_id), (exporter, item_id), (OPERATOR, item_id), (team.bo, "0" * 32)):
            with pytest.raises(NotFoundError) as refusal:
                tell(session, wanted, nobody)
            said.add(str(refusal.value))

    assert len(said) == 1


def test_a_story_tells_all_that_was_submitted(db: Database, team: Team) -> None:
    facts = {
        "prompt_version": "p7", "end_user": "u-1", "trace_url": "https://trace.example/1", "cost_micro": 1200,
        "latency_ms": 840, "prompt_tokens": 812, "completion_tokens": 95, "parameters": '{"temperature":0}',
    }  # fmt: skip
    with db.writing() as session:
        item_id = make_item(
            session, team.support.id, model="larch", external_id="order 7", source="shop", prompt="Why?", output="So.",
            **facts,
        )  # fmt: skip
        story = tell(session, item_id, team.bo)

    assert (story.item_id, story.external_id, story.workflow, story.source) == (item_id, "order 7", "support", "shop")
    assert (story.model, story.status, story.output, story.context) == ("larch", Status.HELD, "So.", None)
    assert [turn["text"] for turn in story.turns] == ["Why?"]
    assert facts.items() <= story.facts.items()
    assert [one.what for one in story.happened] == ["Submitted by the application shop"]


def test_before_a_verdict_nothing_that_anchors_is_told(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id, panel=True, risk=0.87, risk_version="r1")
        before = tell(session, item_id, team.bo)
        judge(session, item_id, team.bo, Verdict.APPROVE)
        after = tell(session, item_id, team.bo)
        decisions.undo(session, item_id, team.bo)
        undone = tell(session, item_id, team.bo)

    assert before.routing is None
    assert "0.87" not in repr(before)
    assert "panel" not in repr(before).replace("panel=", "")
    assert after.routing is not None
    assert (after.routing.risk, after.routing.panel) == (0.87, True)
    assert undone.routing is None


@pytest.mark.parametrize("origin", ["gold", "candidate"])
def test_a_test_of_reviewers_is_told_like_any_other_item(db: Database, team: Team, origin: str) -> None:
    with db.writing() as session:
        story = tell(session, make_item(session, team.support.id, origin=origin), team.bo)
        sample = tell(session, make_item(session, team.support.id, origin="sample"), team.bo)

    assert origin not in repr(story)
    assert sample.facts["origin"] == "sample"


def test_a_verdict_its_undoing_and_the_next_one_stand_in_order(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id, output="The old text.")
        judge(session, item_id, team.bo, Verdict.REJECT, reasons=["Tone"], note="Rude.")
        decisions.undo(session, item_id, team.bo)
        judge(session, item_id, team.bo, Verdict.CORRECT, "The new text.", reasons=["Tone", "Leaks data"])
        story = tell(session, item_id, team.cy)

    first, second = story.said
    assert (first.reviewer, first.verdict, first.reasons, first.note, first.text) == (
        "Bo", Verdict.REJECT, ["Tone"], "Rude.", None,
    )  # fmt: skip
    assert first.undone_at is not None
    assert (second.verdict, second.text, second.undone_at) == (Verdict.CORRECT, "The new text.", None)
    assert [one.what for one in story.happened] == [
        "Submitted by the application tests",
        "Verdict of Bo: reject", "Rejected by Bo", "Taken back by Bo: the verdict no longer stands",
        "Verdict of Bo: correct", "Corrected by Bo",
    ]  # fmt: skip
    assert story.leaves_at is not None
    assert story.sent is None


def test_release_recall_and_what_was_sent_are_told(db: Database, team: Team) -> None:
    with db.writing() as session:
        without_grace(session, team.support.id)
        item_id = make_item(session, team.support.id, output="The old text.")
        judge(session, item_id, team.bo, Verdict.CORRECT, "The new text.")
        released = tell(session, item_id, team.bo)
        decisions.recall(
            session, item_id, team.olu, reason="It is wrong.", opinion=Opinion(Verdict.CORRECT, "The newest text.")
        )
        recalled = tell(session, item_id, team.bo)

    assert released.released_at is not None
    assert released.sent == recalled.sent == "The new text."
    assert recalled.recall_reason == "It is wrong."
    assert recalled.recalled_at is not None
    assert [(one.settles, one.text) for one in recalled.said] == [(False, "The new text."), (True, "The newest text.")]
    assert [one.what for one in recalled.happened][-3:] == [
        "Released: it may be sent",
        "Verdict of Olu: correct",
        "Recalled by Olu: the application is told not to use it",
    ]


def test_what_was_not_decided_by_a_person_is_told_too(db: Database, team: Team) -> None:
    with db.writing() as session:
        lapsed, withdrawn, passed = (make_item(session, team.support.id) for _ in range(3))
        source = session.connection().execute(
            sa.text("SELECT source_id FROM item WHERE id = :id"), {"id": withdrawn}
        ).scalar_one()  # fmt: skip
        releases.lapse(session, lapsed)
        releases.withdraw(session, withdrawn, source)
        queue.skip(session, passed, team.cy, lease(session, passed, team.cy))
        queue.assign(session, passed, team.olu, person_id=team.bo.person_id)
        queue.assign(session, passed, team.olu)
        queue.escalate(session, passed, team.bo)

        def told(item_id: str) -> list[str]:
            return [one.what for one in tell(session, item_id, team.bo).happened][1:]

        assert told(lapsed) == [
            "Lapsed at its deadline: an unmet deadline is never an approval",
            "The lapse is final: nothing is sent",
        ]
        assert told(withdrawn) == ["Withdrawn by the application tests", "Taken out of the queue"]
        assert told(passed) == [
            "Skipped by Cy", "Assigned to Bo by Olu", "Assigned to nobody any more, by Olu",
            "Escalated by Bo: asked for",
        ]  # fmt: skip


def test_an_erased_item_keeps_its_story_without_its_texts(db: Database, team: Team) -> None:
    with db.writing() as session:
        without_grace(session, team.support.id)
        item_id = make_item(session, team.support.id, output="Secret output.", prompt="Secret prompt.")
        judge(session, item_id, team.bo, Verdict.CORRECT, "Secret correction.", note="Secret note.")
        note_erasure(session, item_id, f"person:{team.olu.person_id}", "The customer asked.")
        connection = session.connection()
        connection.execute(
            sa.text("UPDATE item_content SET prompt = NULL, output = NULL, salt = NULL WHERE item_id = :id"),
            {"id": item_id},
        )
        connection.execute(
            sa.text(
                "UPDATE review_content SET text = NULL, note = NULL"
                " WHERE review_id IN (SELECT id FROM review WHERE item_id = :id)"
            ),
            {"id": item_id},
        )
        story = tell(session, item_id, team.olu)

    assert "Secret" not in repr(story)
    assert story.erased == "The customer asked."
    assert story.said[0].verdict is Verdict.CORRECT
    assert story.happened[-1].what == "Texts erased by Olu"
    assert not story.recallable


def test_names_in_a_story_cannot_begin_a_line_of_their_own(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id, source="shop\nApproved by Ada")
        story = tell(session, item_id, team.bo)

    assert story.happened[0].what == "Submitted by the application shop Approved by Ada"


def test_the_decider_may_recall_for_a_day_an_owner_always_and_nobody_else(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    def may(item_id: str) -> list[str]:
        with db.reading() as session:
            return [
                by.name
                for by in (team.bo, team.cy, team.olu, team.ada)
                if tell(session, item_id, by).recallable
            ]  # fmt: skip

    with db.writing() as session:
        held = make_item(session, team.support.id)
        waiting = make_item(session, team.support.id)
        judge(session, waiting, team.bo, Verdict.APPROVE)
        without_grace(session, team.support.id)
        sent, rejected = (make_item(session, team.support.id) for _ in range(2))
        judge(session, sent, team.bo, Verdict.APPROVE)
        judge(session, rejected, team.bo, Verdict.REJECT, reasons=["Tone"])

    assert may(held) == may(waiting) == may(rejected) == []
    assert may(sent) == ["Bo", "Olu", "Ada"]
    moved_clock.forward(DAY + HOUR)
    assert may(sent) == ["Olu", "Ada"]
    with db.writing() as session, pytest.raises(NotAllowedError, match="owner"):
        decisions.recall(session, sent, team.bo, reason="Late.", opinion=Opinion(Verdict.APPROVE))
    with db.writing() as session:
        decisions.recall(session, sent, team.olu, reason="Late.", opinion=Opinion(Verdict.APPROVE))
    assert may(sent) == []


def test_what_the_story_offers_is_what_the_verb_allows(db: Database, team: Team) -> None:
    with db.writing() as session:
        without_grace(session, team.support.id)
        for by in (team.bo, team.cy, team.olu, team.ada, team.eve, OPERATOR):
            item_id = make_item(session, team.support.id)
            judge(session, item_id, team.bo, Verdict.APPROVE)
            try:
                offered = tell(session, item_id, by).recallable
            except NotFoundError:
                offered = False
            try:
                decisions.recall(session, item_id, by, reason="Wrong.", opinion=Opinion(Verdict.APPROVE))
                allowed = True
            except NotAllowedError:
                allowed = False

            assert offered is allowed, by.name


def test_a_recall_without_a_reason_or_a_second_one_is_refused(db: Database, team: Team) -> None:
    with db.writing() as session:
        without_grace(session, team.support.id)
        item_id = make_item(session, team.support.id)
        judge(session, item_id, team.bo, Verdict.APPROVE)
        with pytest.raises(InvalidError, match="needs a reason"):
            decisions.recall(session, item_id, team.bo, reason=" \n", opinion=Opinion(Verdict.APPROVE))
        decisions.recall(session, item_id, team.bo, reason="Wrong.", opinion=Opinion(Verdict.APPROVE))
        with pytest.raises(ConflictError, match="already"):
            decisions.recall(session, item_id, team.bo, reason="Wrong.", opinion=Opinion(Verdict.APPROVE))
