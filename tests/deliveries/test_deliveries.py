"""What was decided is told to each endpoint, signed, in order and until it has arrived; and nothing else is."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook, WebhookVerificationError

from db.clock import DAY, HOUR, MINUTE, SECOND
from db.engine import Database
from db.tables import Verdict
from neuro_review import audit, decisions, overview, verify
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.deliveries import claims, endpoints
from neuro_review.errors import ConflictError, NotAllowedError
from neuro_review.gate.feed import feed
from neuro_review.overview import alerts
from neuro_review.sources import Caller
from tests.conftest import Clock, Team
from tests.deliveries.receiver import Receiver, cut, in_turn, plain, receiver
from tests.helpers import make_item

Add = Callable[..., str]
Decided = Callable[..., str]
Send = Callable[[], int]
Rows = Callable[[], list[Any]]


def recall(db: Database, team: Team, item_id: str) -> None:
    with db.writing() as session:
        opinion = Opinion(Verdict.REJECT, reasons=["Tone"])
        decisions.recall(session, item_id, team.olu, reason="It was wrong.", opinion=opinion)


def test_a_verdict_arrives_as_the_event_of_the_feed_signed(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send
) -> None:
    secret = add(there.url)
    item_id = decided(Verdict.CORRECT, "A better text.", output="The output.")

    assert send() == 1

    (event,) = there.verified(secret)
    with db.reading() as session:
        source_id = session.connection().execute(sa.text("SELECT source_id FROM item")).scalar_one()
        caller = Caller(source_id, "tests", team.support.id, can_submit=True, can_read=True)
        (told,), _ = feed(session, caller)
        release = session.connection().execute(sa.text("SELECT id, text_hash FROM release")).one()
    assert event == {"cursor": told.cursor, "type": "released", "item": told.item}
    assert event["item"]["id"] == item_id
    assert event["item"]["verdict"] == "correct"
    assert event["item"]["output"] == "A better text."
    assert event["item"]["release"] == {"id": release.id.replace("-", ""), "text_hash": release.text_hash}
    assert send() == 0


def test_each_kind_of_end_is_told_and_only_a_release_carries_a_text(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send
) -> None:
    add(there.url)
    decided(Verdict.REJECT)
    released = decided()
    send()
    recall(db, team, released)

    send()

    told = [(event["type"], event["item"]["output"]) for event in there.events]
    assert sorted(told[:2]) == [("rejected", None), ("released", "The output.")]
    assert told[2:] == [("recalled", None)]


def test_nothing_is_sent_while_a_verdict_can_be_undone(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows
) -> None:
    add(there.url)
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 60000"))
    decided()

    assert send() == 0
    assert deliveries() == []


def test_a_failed_try_is_made_again_with_the_same_id_and_ever_longer_pauses(
    there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows, moved_clock: Clock
) -> None:
    there.answer = in_turn(plain(500), plain(503), plain(200))
    secret = add(there.url)
    decided()

    pauses = []
    while not there.got or not deliveries()[0].delivered_at:
        assert send() == 1
        assert send() == 0, "it waits between two tries"
        row = deliveries()[0]
        pauses.append(row.next_at - row.tried_at)
        moved_clock.forward(HOUR)

    assert len(there.got) == 3
    assert len({one.id for one in there.got}) == 1
    assert 1 * SECOND <= pauses[0] <= 3.2 * SECOND
    assert 4 * SECOND <= pauses[1] <= 12.2 * SECOND
    assert (row.attempts, row.status, row.error) == (3, 200, None)
    assert Webhook(secret).verify(there.got[0].body, there.got[0].headers)["type"] == "released"


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (plain(302, {"Location": "http://127.0.0.1:1/"}), 302, "Redirects are not followed"),
        (plain(401), 401, "refuses our signature"),
        (plain(404), 404, "nothing is at this address"),
        (plain(500), 500, "It answered 500"),
        (cut, None, "broke off"),
    ],
)
def test_what_went_wrong_is_said(
    there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows, answer: Any, status: int, says: str
) -> None:
    there.answer = answer
    add(there.url)
    decided()

    send()

    (row,) = deliveries()
    assert (row.status, row.delivered_at, row.dead_at) == (status, None, None)
    assert says in row.error
    assert len(there.got) == 1


def test_a_receiver_that_asks_to_be_left_alone_is(
    there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows
) -> None:
    there.answer = plain(429, {"Retry-After": "120"})
    add(there.url)
    decided()

    send()

    (row,) = deliveries()
    assert row.next_at - row.tried_at >= 120 * SECOND


def test_after_the_last_try_it_is_a_dead_letter_and_can_be_sent_again_under_its_old_id(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows,
    moved_clock: Clock,
) -> None:  # fmt: skip
    there.answer = plain(500)
    add(there.url)
    decided()
    for _ in range(claims.MOST_TRIES):
        assert send() == 1
        moved_clock.forward(DAY)

    (row,) = deliveries()
    assert row.dead_at is not None
    assert send() == 0
    there.answer = plain(200)
    with db.writing() as session:
        assert endpoints.replay(session, team.olu, row.endpoint_id, row.outbox_seq) == 1
    with db.writing() as session, pytest.raises(ConflictError, match="Nothing is given up"):
        endpoints.replay(session, team.olu, row.endpoint_id)
    assert send() == 1

    assert deliveries()[0].delivered_at is not None
    assert len({one.id for one in there.got}) == 1
    assert len(there.got) == claims.MOST_TRIES + 1


def test_once_the_receiver_is_mended_what_waits_is_sent_without_waiting_hours(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows,
    moved_clock: Clock,
) -> None:  # fmt: skip
    there.answer = plain(500)
    add(there.url)
    decided()
    for _ in range(claims.MOST_TRIES - 1):
        assert send() == 1
        moved_clock.forward(DAY)
    moved_clock.forward(-DAY)
    there.answer = plain(200)
    (row,) = deliveries()
    assert (send(), row.dead_at) == (0, None)

    with db.writing() as session:
        assert endpoints.send_waiting(session, team.olu, row.endpoint_id) == 1
    with db.writing() as session:
        assert len(claims.take(session, {}, 8)) == 1
        with pytest.raises(ConflictError, match="Nothing waits"):  # it is on its way: sent again it would come twice
            endpoints.send_waiting(session, team.olu, row.endpoint_id)
        session.rollback()
    assert send() == 1

    assert (deliveries()[0].attempts, len({one.id for one in there.got})) == (1, 1)
    assert deliveries()[0].delivered_at is not None


def alerted(db: Database, by: Actor) -> list[str]:
    """Return what Home tells somebody of deliveries."""
    with db.reading() as session:
        rows = overview.workflows_of(session, by)
        found = alerts.alerts(session, by, rows, overview.owned(session, rows))
    return [one.sentence for one in found if one.page == "pages/deliveries.py"]


def test_who_owns_a_workflow_is_told_on_home_that_a_receiver_hears_nothing(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, moved_clock: Clock
) -> None:
    there.answer = plain(500)
    add(there.url + "?key=hidden")
    decided()
    send()
    moved_clock.forward(HOUR - 10 * SECOND)
    assert alerted(db, team.olu) == []

    moved_clock.forward(MINUTE)
    (late,) = alerted(db, team.olu)
    assert late.startswith(f"For more than an hour messages of “support” have not arrived at {there.url}?….")
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE delivery SET dead_at = 1"))
    (dead,) = alerted(db, team.olu)
    assert dead.startswith(f"1 message of “support” to {there.url}?… was given up.")
    there.answer = plain(410)
    decided()
    send()
    (gone,) = alerted(db, team.olu)
    assert "answered that nobody is there any more, so it is told nothing of “support”." in gone
    assert alerted(db, team.bo) == []

    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE endpoint SET removed_at = 1"))
    assert alerted(db, team.olu) == []


def test_gone_pauses_the_endpoint_and_loses_nothing(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows
) -> None:
    there.answer = in_turn(plain(410), plain(200))
    add(there.url)
    decided()
    send()
    decided()

    assert send() == 0, "an endpoint that is gone is asked nothing any more"
    endpoint_id = deliveries()[0].endpoint_id
    with db.writing() as session:
        assert endpoints.find(session, team.olu, endpoint_id).paused_for == "gone"
        endpoints.resume(session, team.olu, endpoint_id)
    assert send() == 2

    assert [row.delivered_at is not None for row in deliveries()] == [True, True]


def test_of_one_item_the_recall_never_overtakes_the_release(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, moved_clock: Clock
) -> None:
    there.answer = in_turn(plain(500), plain(200))
    add(there.url)
    item_id = decided()
    other = decided()
    send()
    recall(db, team, item_id)

    while len(there.got) < 4:
        send()
        moved_clock.forward(HOUR)

    arrived = [(one["item"]["id"], one["type"], one["item"]["output"]) for one in there.events]
    mine = [one[1:] for one in arrived if one[0] == item_id]
    assert mine[-2:] == [("released", None), ("recalled", None)] or mine == [
        ("released", "The output."),
        ("recalled", None),
    ]
    assert [one[1] for one in arrived if one[0] == other][-1] == "released"


def test_an_endpoint_that_fails_keeps_no_other_waiting(
    there: Receiver, add: Add, decided: Decided, send: Send, deliveries: Rows
) -> None:
    with receiver(plain(500)) as bad:
        add(bad.url)
        add(there.url)
        for _ in range(3 * claims.AT_ONCE):
            decided()

        tries = [send() for _ in range(3)]

    assert tries == [2 * claims.AT_ONCE] * 3
    assert len({one.id for one in there.got}) == len(there.got) == 3 * claims.AT_ONCE


def test_an_endpoint_of_one_application_is_told_of_its_items_only(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send
) -> None:
    with db.writing() as session:
        other = make_item(session, team.other.id, source="stranger")
        source = session.connection().execute(sa.text("SELECT source_id FROM item")).scalar_one()
        session.connection().execute(
            sa.text(
                "INSERT INTO source_key (source_id, workflow_id, key_hash, can_submit, can_read, created_at)"
                " VALUES (:source, :flow, 'x', TRUE, TRUE, 1)"
            ),
            {"source": source, "flow": team.support.id},
        )
    add(there.url, source_id=source)
    decided(source="somebody else")
    mine = decided(source="stranger")

    assert send() == 1
    assert [event["item"]["id"] for event in there.events] == [mine]
    assert other != mine


def test_while_a_secret_changes_both_are_good_and_afterwards_only_the_new_one(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send, moved_clock: Clock,
    deliveries: Rows,
) -> None:  # fmt: skip
    old = add(there.url)
    decided()
    with db.writing() as session:
        endpoint_id = session.connection().execute(sa.text("SELECT id FROM endpoint")).scalar_one()
        new = endpoints.rotate(session, team.olu, endpoint_id).secret
    send()

    assert old != new
    assert there.verified(old) == there.verified(new)
    with db.writing() as session:
        endpoints.end_overlap(session, team.olu, endpoint_id)
    decided()
    send()

    Webhook(new).verify(there.got[1].body, there.got[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(there.got[1].body, there.got[1].headers)


def test_a_secret_lies_nowhere_in_the_database(db: Database, there: Receiver, add: Add) -> None:
    secret = add(there.url).removeprefix("whsec_")

    with db.reading() as session:
        stored = repr(session.connection().execute(sa.text("SELECT * FROM endpoint")).all())
        stored += repr(session.connection().execute(sa.text("SELECT * FROM audit")).all())
    assert secret not in stored
    assert there.url not in repr(
        [row.body for row in db.engine.connect().execute(sa.text("SELECT body FROM audit"))]
    ), "an address can carry a password"


def test_only_owners_say_where_and_every_step_is_in_the_audit_log(
    db: Database, team: Team, there: Receiver, add: Add
) -> None:
    add(there.url)
    with db.writing() as session:
        endpoint_id = session.connection().execute(sa.text("SELECT id FROM endpoint")).scalar_one()
        verbs = (endpoints.rotate, endpoints.pause, endpoints.resume, endpoints.remove, endpoints.find)
        for verb in (*verbs, endpoints.send_waiting):
            with pytest.raises(NotAllowedError):
                verb(session, team.bo, endpoint_id)
        with pytest.raises(NotAllowedError):
            endpoints.add(session, team.eve, team.support.id, there.url)
    with db.writing() as session:
        endpoints.pause(session, team.olu, endpoint_id)
        endpoints.resume(session, team.olu, endpoint_id)
        endpoints.rotate(session, team.olu, endpoint_id)
        endpoints.remove(session, team.olu, endpoint_id)
    with db.writing() as session:
        audit.seal(session)
        steps = session.connection().execute(
            sa.text("SELECT action, actor FROM audit WHERE stream LIKE 'endpoint/%' ORDER BY seq")
        ).all()  # fmt: skip

    assert [row.action for row in steps] == ["endpoint.added"] + ["endpoint.changed"] * 4
    assert {row.actor for row in steps} == {team.olu.audit_name}
    assert verify.verify(db).broken == []


def test_a_removed_or_paused_endpoint_is_sent_nothing(
    db: Database, team: Team, there: Receiver, add: Add, decided: Decided, send: Send
) -> None:
    add(there.url)
    with db.writing() as session:
        endpoint_id = session.connection().execute(sa.text("SELECT id FROM endpoint")).scalar_one()
        endpoints.pause(session, team.olu, endpoint_id)
    decided()
    assert send() == 0
    with db.writing() as session:
        endpoints.resume(session, team.olu, endpoint_id)
    assert send() == 1
    with db.writing() as session:
        endpoints.remove(session, team.olu, endpoint_id)
    decided()

    assert send() == 0
    assert len(there.got) == 1
