"""A reviewer's desk: what a browser asks for is done once, in its order, and never for somebody it is not meant for."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from db.clock import MINUTE, SECOND, now
from db.engine import Database
from db.tables import Role, Status
from neuro_review import queue, sessions
from neuro_review.access import Actor
from neuro_review.desk import cards
from neuro_review.desk.work import Ask, Desk, SomebodyElseError
from neuro_review.errors import NotSignedInError
from tests.conftest import Clock, Team
from tests.helpers import make_item

Said = dict[str, Any]


class Browser:
    """What the card does: it asks, and names each thing that it does."""

    def __init__(self, db: Database, by: Actor) -> None:
        self.db, self.by = db, by
        with db.writing() as session:
            token = sessions.sign_in(session, sessions.look_up(session, by.email))
        self.desk = Desk(db, sessions.session_id(token))
        self.made = 0

    def ask(self, *ops: Said, **more: Any) -> Said:
        """Ask as the browser does, through JSON both ways."""
        ask = Ask.model_validate(orjson.loads(orjson.dumps({"ops": ops, **more})))
        return orjson.loads(orjson.dumps(self.desk.answer(ask)))

    def sit_down(self, want: int = 10) -> list[Said]:
        return self.ask(want=want)["cards"]

    def op(self, kind: str, card: Said, **more: Any) -> Said:
        self.made += 1
        return {"id": f"{self.by.name}-click-{self.made}", "kind": kind, "item": card["item"], "lease": card["lease"],
                **more}  # fmt: skip

    def decide(self, card: Said, verdict: str = "approve", **more: Any) -> Said:
        return self.op("decide", card, verdict=verdict, given=card["given"], looked=1500, **more)

    def does(self, op: Said) -> Said:
        """Do one thing and return what came of it."""
        (ack,) = self.ask(op)["acks"]
        return ack


@pytest.fixture
def bo(db: Database, team: Team) -> Browser:
    return Browser(db, team.bo)


@pytest.fixture
def cy(db: Database, team: Team) -> Browser:
    return Browser(db, team.cy)


@pytest.fixture
def items(db: Database, team: Team) -> Callable[..., list[str]]:
    def make(count: int = 3, **facts: Any) -> list[str]:
        with db.writing() as session:
            first_at = now() - MINUTE
            return [
                make_item(session, team.support.id, output=f"Output {n}.", **{"created_at": first_at + n} | facts)
                for n in range(count)
            ]

    return make


def rows(db: Database, query: str, **bound: Any) -> list[tuple[Any, ...]]:
    with db.reading() as session:
        return [tuple(row) for row in session.connection().execute(sa.text(query), bound).all()]


def change(db: Database, statement: str, **bound: Any) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text(statement), bound)


def drafts(db: Database) -> list[tuple[Any, ...]]:
    return rows(db, "SELECT person_id, text FROM draft ORDER BY person_id")


RUN_OUT = "UPDATE item SET lease_until = 1 WHERE lease_by IS NOT NULL"
HELD = "SELECT count(*) FROM item WHERE status = 'held'"


# ---- cards


def test_a_card_shows_what_is_judged_and_neither_its_risk_nor_that_it_is_an_audit(
    bo: Browser, items: Callable[..., list[str]]
) -> None:
    (item,) = items(1, model="larch-2", latency_ms=900, cost_micro=1500, panel=True, risk=0.9)

    (card,) = bo.sit_down()

    assert card["item"] == item
    assert card["turns"] == [{"role": "user", "text": "A prompt."}]
    assert (card["output"], card["model"], card["latency"], card["cost"]) == ("Output 0.", "larch-2", 900, 0.0015)
    assert card["why"] == "Next in line"
    assert (card["draft"], card["sample"], card["workflow"]) == (None, False, "support")
    assert set(card) == {
        "item", "lease", "given", "why", "turns", "context", "output", "draft", "sample", "model", "cost", "latency",
        "created", "due", "workflow", "reasons", "rubric", "rubric_version",
    }  # fmt: skip


def test_what_is_no_text_in_a_conversation_is_shown_as_data() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "refund", "arguments": '{"eur": 5}'}}]
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "https://a.example"}}]
    chat = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "done", "tool_call_id": "1"},
            {"role": "user", "content": "Thanks"}]  # fmt: skip

    assert cards.turns(orjson.dumps(chat).decode(), is_chat=True) == [
        {"role": "user", "text": None, "data": {"content": parts}},
        {"role": "assistant", "text": None, "data": {"tool_calls": calls}},
        {"role": "tool", "text": "done", "data": {"tool_call_id": "1"}},
        {"role": "user", "text": "Thanks", "data": None},
    ]
    assert cards.turns(None, is_chat=False) == []


def test_samples_and_tests_of_reviewers_are_decided_and_only_samples_say_what_they_are(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1, origin="sample")
    items(1, origin="gold", priority=1)
    by_sample = {card["sample"]: card for card in bo.sit_down()}

    assert set(by_sample) == {True, False}
    assert bo.does(bo.decide(by_sample[True]))["ok"]
    assert bo.does(bo.decide(by_sample[False]))["ok"]
    assert rows(db, "SELECT purpose FROM review ORDER BY purpose") == [("gate",), ("gold",)]


def test_one_gets_as_many_as_asked_for_and_never_more_than_the_window(
    bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    made = items(14)

    assert [card["item"] for card in bo.sit_down(2)] == made[:2]
    assert [card["item"] for card in bo.sit_down(0)] == []
    for too_many in (-1, queue.WINDOW + 1):
        with pytest.raises(ValidationError):
            bo.sit_down(too_many)
    assert [card["item"] for card in cy.sit_down()] == made[2:12]


# ---- verdicts


@pytest.mark.parametrize(
    ("verdict", "more", "stored"),
    [
        ("approve", {}, ("approve", None, [])),
        ("correct", {"text": "Better."}, ("correct", "Better.", [])),
        ("reject", {"reasons": ["Wrong fact or number"]}, ("reject", None, ["Wrong fact or number"])),
        ("approve", {"reasons": ["Wrong fact or number"]}, ("approve", None, [])),
        ("correct", {"text": "Output 0."}, ("approve", None, [])),
    ],
)
def test_a_verdict_sent_twice_is_stored_once_and_answered_alike(
    db: Database, bo: Browser, items: Callable[..., list[str]],
    verdict: str, more: Said, stored: tuple[str, str | None, list[str]],
) -> None:  # fmt: skip
    items(1)
    (card,) = bo.sit_down()
    op = bo.decide(card, verdict, **more)

    first, second = bo.does(op), bo.does(op)

    assert first["ok"]
    assert 0 < second["undo"] <= first["undo"] <= 5000
    assert {**first, "undo": 0} == {**second, "undo": 0}
    assert first["verdict"] == stored[0]
    found = rows(
        db, "SELECT v.verdict, t.text, v.reasons FROM review v LEFT JOIN review_content t ON t.review_id = v.id"
    )
    assert [(row[0], row[1], orjson.loads(row[2])) for row in found] == [stored]


def test_of_a_message_everything_is_done_in_its_order(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(3)
    first, second, third = bo.sit_down()

    said = bo.ask(
        bo.op("draft", first, text="Half"), bo.decide(first, "correct", text="Whole"), bo.decide(second, "reject"),
        bo.op("skip", third), bo.op("undo", first),
    )  # fmt: skip

    assert [ack["ok"] for ack in said["acks"]] == [True, True, False, True, True]
    assert said["acks"][2]["says"] == "A rejection needs a reason. Choose at least one."
    assert said["acks"][4]["card"]["draft"] == "Whole"
    assert drafts(db) == [(bo.by.person_id, "Whole")]
    assert rows(db, "SELECT verdict FROM review") == [("correct",)]


def test_a_message_sent_again_as_a_whole_leaves_no_draft_of_what_was_decided(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()
    ops = [bo.op("draft", card, text="Half"), bo.decide(card, "correct", text="Whole")]

    for _ in range(2):
        assert [ack["ok"] for ack in bo.ask(*ops)["acks"]] == [True, True]

    assert drafts(db) == []


def test_under_a_lease_that_is_not_ones_own_nothing_is_decided_and_the_text_is_kept(
    db: Database, bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()

    wrong_number = bo.does(bo.decide({**card, "lease": card["lease"] + 1}, "correct", text="Bo's"))
    wrong_person = cy.does(cy.decide(card, "correct", text="Cy's"))
    change(db, RUN_OUT)
    too_late = bo.does(bo.decide(card, "approve"))

    for ack in (wrong_number, wrong_person, too_late):
        assert (ack["ok"], ack["code"]) == (False, "lease_lost")
    assert (wrong_number["kept"], wrong_person["kept"], too_late["kept"]) == (True, True, False)
    assert "ran out" in too_late["says"]
    assert rows(db, "SELECT count(*) FROM review") == [(0,)]
    assert {text for _, text in drafts(db)} == {"Bo's", "Cy's"}
    (again,) = bo.sit_down()
    assert (again["item"], again["draft"], again["lease"]) == (card["item"], "Bo's", card["lease"] + 1)


def test_who_is_overtaken_is_told_what_became_of_the_item(
    db: Database, bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (mine,) = bo.sit_down()
    change(db, RUN_OUT)
    (theirs,) = cy.sit_down()
    assert cy.does(cy.decide(theirs))["ok"]

    ack = bo.does(bo.decide(mine, "correct", text="Typed for long."))

    assert (ack["code"], ack["kept"]) == ("lease_lost", True)
    assert ack["says"].startswith("This item was approved meanwhile. Your verdict was not stored")
    assert rows(db, "SELECT verdict FROM review") == [("approve",)]
    assert drafts(db) == [(bo.by.person_id, "Typed for long.")]


def test_a_click_of_another_person_or_for_another_item_is_not_taken_for_done(
    db: Database, bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    items(2)
    mine, theirs = bo.sit_down(1) + cy.sit_down(1)
    click = bo.decide(mine)
    assert bo.does(click)["ok"]

    stolen = cy.does(cy.decide(theirs) | {"id": click["id"]})

    assert (stolen["ok"], stolen["code"]) == (False, "invalid")
    assert rows(db, "SELECT item_id FROM review")[0][0].replace("-", "") == mine["item"]


def test_a_role_that_goes_between_two_verdicts_ends_the_second(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(2)
    first, second = bo.sit_down()

    assert bo.does(bo.decide(first))["ok"]
    change(db, "DELETE FROM role_grant WHERE person_id = :me", me=bo.by.person_id)
    said = bo.ask(bo.decide(second, "correct", text="Typed."), want=5, renew=[[second["item"], second["lease"]]])

    (ack,) = said["acks"]
    assert (ack["ok"], ack["code"], ack["kept"]) == (False, "not_allowed", False)
    assert (said["cards"], said["kept"]) == ([], [])
    assert rows(db, "SELECT count(*) FROM review") == [(1,)]
    assert bo.ask(resume=[[second["item"], second["lease"]]])["cards"] == []
    for kind in ("draft", "skip", "escalate", "undo"):
        done = bo.does(bo.op(kind, second, **({"text": "x"} if kind == "draft" else {})))
        assert kind == "skip" or not done["ok"]


# ---- how long it took


SLACK = 500  # milliseconds between two readings of the clock


def handling(db: Database) -> int:
    return rows(db, "SELECT handling_ms FROM review ORDER BY created_at DESC")[0][0]


def test_how_long_an_item_was_looked_at_is_bounded_by_the_sealed_stamp_of_its_lease(
    db: Database, bo: Browser, items: Callable[..., list[str]], moved_clock: Clock
) -> None:
    items(6)
    shown = bo.sit_down()
    moved_clock.forward(20 * SECOND)

    def looked(card: Said, claimed_ms: int, given: str | None) -> int:
        assert bo.does(bo.decide(card) | {"looked": claimed_ms, "given": given})["ok"]
        return handling(db)

    assert 0 <= looked(shown[0], 1500, shown[0]["given"]) - 1500 <= SLACK
    assert 20_000 <= looked(shown[1], 10**9, shown[1]["given"]) < 60_000
    stamp, seal = shown[2]["given"].split(".")
    assert looked(shown[2], 10**9, f"{int(stamp) - 60 * SECOND}.{seal}") <= SLACK, "forged"
    assert looked(shown[3], 10**9, shown[4]["given"]) <= SLACK, "of another item"
    assert looked(shown[4], 10**9, None) <= SLACK
    assert looked(shown[5], 10**9, "²³.x") <= SLACK


def test_nobody_looks_for_longer_than_five_minutes(
    db: Database, bo: Browser, items: Callable[..., list[str]], moved_clock: Clock
) -> None:
    items(1)
    (card,) = bo.sit_down()
    for _ in range(10):
        moved_clock.forward(MINUTE)
        assert bo.ask(renew=[[card["item"], card["lease"]]])["kept"] == [card["item"]]

    assert bo.does(bo.decide(card) | {"looked": 10 * 60_000})["ok"]

    assert 0 <= handling(db) - 5 * 60_000 <= SLACK


# ---- undo, skip, escalate, drafts, giving back


def test_undoing_twice_gives_the_item_back_once_with_the_correction_as_a_draft(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()
    bo.does(bo.decide(card, "correct", text="Much better."))
    op = bo.op("undo", card)

    first, second = bo.does(op), bo.does(op)

    assert first["card"]["item"] == second["card"]["item"] == card["item"]
    assert first["card"]["lease"] == second["card"]["lease"] == card["lease"] + 1
    assert first["card"]["draft"] == second["card"]["draft"] == "Much better."
    assert rows(db, "SELECT count(*) FROM retraction") == [(1,)]
    assert bo.does(bo.decide(first["card"]))["ok"]


def test_what_has_left_and_what_others_decided_is_not_undone(
    db: Database, bo: Browser, cy: Browser, items: Callable[..., list[str]], moved_clock: Clock
) -> None:
    items(1)
    (card,) = bo.sit_down()
    bo.does(bo.decide(card))

    foreign = cy.does(cy.op("undo", card))
    moved_clock.forward(MINUTE)
    late = bo.does(bo.op("undo", card))

    assert (foreign["ok"], foreign["code"]) == (False, "not_allowed")
    assert (late["ok"], late["code"]) == (False, "conflict")
    assert "time to undo has ended" in late["says"]
    assert rows(db, HELD) == [(0,)]


@pytest.mark.parametrize("kind", ["skip", "escalate", "give_back", "draft"])
def test_what_is_no_verdict_can_be_sent_twice_too(
    db: Database, bo: Browser, items: Callable[..., list[str]], kind: str
) -> None:
    items(1)
    (card,) = bo.sit_down()
    op = bo.op(kind, card, **({"text": "Half"} if kind == "draft" else {}))

    assert bo.does(op)["ok"]
    after = rows(db, "SELECT lease_by, escalated_at, status FROM item")
    assert bo.does(op)["ok"]

    assert rows(db, "SELECT lease_by, escalated_at, status FROM item") == after
    assert rows(db, "SELECT count(*) FROM item_pass") == [(1 if kind == "skip" else 0,)]
    assert (after[0][1] is not None) is (kind == "escalate")
    assert [text for _, text in drafts(db)] == (["Half"] if kind == "draft" else [])
    assert len(bo.sit_down()) == (1 if kind == "give_back" else 0)


def test_a_skip_sent_again_after_somebody_else_has_decided_says_nothing(
    bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()
    op = bo.op("skip", card)
    bo.does(op)
    (theirs,) = cy.sit_down()
    cy.does(cy.decide(theirs))

    assert bo.does(op)["ok"]


def test_nobody_gives_back_skips_or_takes_up_what_lies_on_anothers_desk(
    db: Database, bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()
    mine = [[card["item"], card["lease"]]]

    cy.ask(cy.op("give_back", card), cy.op("skip", card), cy.op("escalate", card))
    said = cy.ask(renew=mine, resume=mine, want=10)

    assert (said["kept"], said["cards"]) == ([], [])
    assert rows(db, "SELECT lease_by FROM item") == [(bo.by.person_id,)]
    assert bo.ask(renew=mine)["kept"] == [card["item"]]


def test_after_a_reload_ones_own_item_comes_first_and_only_while_it_is_ones_own(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(3)
    first = bo.sit_down(2)[0]
    resume = [[first["item"], first["lease"]]]

    again = bo.ask(resume=resume, want=3)["cards"]

    assert (again[0]["item"], again[0]["lease"], again[0]["why"]) == (first["item"], first["lease"], "In your hands")
    assert len(again) == 2, "the second still lies on this desk, as that of another tab"
    change(db, RUN_OUT)
    assert bo.ask(resume=resume)["cards"] == []


def test_a_lease_is_kept_as_long_as_its_browser_asks_for_it(
    db: Database, bo: Browser, items: Callable[..., list[str]], moved_clock: Clock
) -> None:
    items(2)
    first, second = bo.sit_down()

    moved_clock.forward(100 * SECOND)
    bo.ask(renew=[[first["item"], first["lease"]]])
    moved_clock.forward(100 * SECOND)
    kept = bo.ask(renew=[[card["item"], card["lease"]] for card in (first, second)])["kept"]

    assert kept == [first["item"]]


# ---- whose desk


def test_of_the_workflows_of_others_nothing_is_shown_and_a_choice_of_one_falls_back_to_ones_own(
    db: Database, team: Team, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    with db.writing() as session:
        make_item(session, team.other.id, output="Not for Bo.")

    for chosen, falls_back in ((team.support.id, team.support.id), (team.other.id, None), (10**18, None), (None, None)):
        said = bo.ask(want=10, workflow=chosen, count=True)
        assert said["workflow"] == falls_back
        assert said["workflows"] == [[team.support.id, "support"]]
        assert said["counts"]["held"] == 1
        assert [card["output"] for card in said["cards"]] == ["Output 0."]
        bo.ask(bo.op("give_back", said["cards"][0]))


def test_who_may_only_export_gets_no_card(db: Database, team: Team, items: Callable[..., list[str]],
                                          add_person: Callable[..., Actor]) -> None:  # fmt: skip
    items(1)
    ed = Browser(db, add_person("Ed", Role.EXPORT))

    said = ed.ask(want=10, count=True)

    assert (said["cards"], said["workflows"], said["counts"]["held"]) == ([], [], 0)


def test_what_one_person_did_is_never_done_in_anothers_name(
    db: Database, bo: Browser, cy: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    said = bo.ask(want=1)
    assert said["person"] == bo.by.person_id
    typed = bo.op("draft", said["cards"][0], text="Bo's words.")

    with pytest.raises(SomebodyElseError):
        cy.ask(typed, person=bo.by.person_id)

    assert drafts(db) == []
    assert bo.ask(typed, person=bo.by.person_id)["acks"][0]["ok"]


def test_when_the_session_has_ended_nothing_is_done(db: Database, bo: Browser, items: Callable[..., list[str]]) -> None:
    items(1)
    (card,) = bo.sit_down()
    with db.writing() as session:
        sessions.sign_out(session, bo.desk.session_id)

    with pytest.raises(NotSignedInError):
        bo.ask(bo.decide(card, "correct", text="Typed."))

    assert rows(db, "SELECT count(*) FROM review") == [(0,)]
    with pytest.raises(NotSignedInError):
        Desk(db, "").answer(Ask(want=1))


def test_only_somebody_who_was_there_keeps_their_session_young(db: Database, bo: Browser, moved_clock: Clock) -> None:
    seen = rows(db, "SELECT seen_at FROM sign_in")
    moved_clock.forward(10 * MINUTE)

    bo.ask(count=True)
    assert rows(db, "SELECT seen_at FROM sign_in") == seen
    bo.ask(count=True, here=True)
    assert rows(db, "SELECT seen_at FROM sign_in")[0][0] >= seen[0][0] + 10 * MINUTE


# ---- what was done


def test_the_last_verdicts_are_told_with_what_is_left_to_undo_them(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(3)
    first, second, third = bo.sit_down()
    bo.ask(bo.decide(first), bo.decide(second, "correct", text="Better."), bo.decide(third), bo.op("undo", third))

    said = bo.ask(count=True)

    assert [(one["item"], one["verdict"]) for one in said["recent"]] == [
        (second["item"], "correct"), (first["item"], "approve"),
    ]  # fmt: skip
    assert all(0 < one["undo"] <= 5000 and one["begins"] == "A prompt." for one in said["recent"])
    assert (said["today"], said["counts"]["held"]) == (2, 1)


def test_what_was_decided_is_not_told_any_more_once_the_role_is_gone(
    db: Database, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()
    bo.ask(bo.decide(card))
    assert len(bo.ask(count=True)["recent"]) == 1

    change(db, "DELETE FROM role_grant WHERE person_id = :me", me=bo.by.person_id)

    assert bo.ask(count=True)["recent"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"ops": [{"id": "x" * 8, "kind": "delete", "item": "0" * 32}]},
        {"ops": [{"id": "short", "kind": "skip", "item": "0" * 32}]},
        {"ops": [{"id": "x" * 8, "kind": "skip", "item": "0" * 32 + "\n"}]},
        {"ops": [{"id": "x" * 8, "kind": "skip", "item": "0" * 32, "lease": 1 << 40}]},
        {"ops": [{"id": "x" * 8, "kind": "skip", "item": "0" * 32, "by": 1}]},
        {"ops": [{"id": f"{n:08}", "kind": "skip", "item": "0" * 32} for n in range(51)]},
        {"renew": [["0" * 32, 1 << 63]]},
        {"resume": [["0" * 31, 1]]},
        {"renew": [["0" * 32, 1]] * 21},
        {"nothing": "known"},
    ],
)
def test_what_no_card_asks_for_is_refused_as_a_whole(wrong: Said) -> None:
    with pytest.raises(ValidationError):
        Ask.model_validate(wrong)


def test_an_item_that_is_not_there_is_told_of_and_nothing_else_suffers(
    bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    (card,) = bo.sit_down()

    said = bo.ask(bo.decide({**card, "item": "0" * 32}), bo.op("decide", card), bo.decide(card))

    assert [(ack["ok"], ack.get("code")) for ack in said["acks"]] == [
        (False, "not_found"), (False, "invalid"), (True, None),
    ]  # fmt: skip


def test_with_no_grace_a_verdict_leaves_at_once_and_says_that_it_cannot_be_undone(
    db: Database, team: Team, bo: Browser, items: Callable[..., list[str]]
) -> None:
    items(1)
    change(db, "UPDATE workflow SET grace_ms = 0")
    (card,) = bo.sit_down()

    ack = bo.does(bo.decide(card))

    assert (ack["ok"], ack["undo"]) == (True, 0)
    assert rows(db, "SELECT status FROM item") == [(Status.APPROVED,)]
    assert not bo.does(bo.op("undo", card))["ok"]
