"""What an application sees: text only once it was released, as it was reviewed, and nothing of another's."""

from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import SECOND
from db.engine import Database
from db.tables import Event, Verdict
from neuro_review import decisions, intake, releases, sources
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import InvalidError, NotFoundError
from neuro_review.gate import feed, views
from neuro_review.intake import Door, Submission
from neuro_review.sources import Caller
from tests.conftest import Clock, Team
from tests.helpers import claim_one


@pytest.fixture
def shop(db: Database, team: Team) -> Caller:
    with db.writing() as session:
        return sources.caller(session, sources.add(session, team.olu, "shop", team.support.id).key)


def submit(db: Database, team: Team, by: Caller, *outputs: str) -> list[str]:
    door = Door(team.support, by.source_id, f"source:{by.source_id}")
    with db.writing() as session:
        prepared = [intake.prepare(door, Submission(model="m", output=output)) for output in outputs]
        return [one.item_id for one in intake.store(session, door, prepared)]


def judge(db: Database, team: Team, verdict: Verdict, text: str | None = None, by: Actor | None = None) -> str:
    """Decide the next item and return its id."""
    person = by or team.bo
    with db.writing() as session:
        lease = claim_one(session, person, team.support)
        reasons = ["Tone"] if verdict is Verdict.REJECT else []
        decisions.decide(session, lease.item_id, person, lease.lease_n, Opinion(verdict, text, reasons))
        return str(lease.item_id)


def go(db: Database) -> None:
    with db.writing() as session:
        releases.release_due(session)


def seen(db: Database, by: Caller, item_id: str) -> dict[str, Any]:
    with db.reading() as session:
        return views.view(session, by, item_id)


def test_the_text_is_there_once_grace_has_ended_and_gone_after_a_recall(
    db: Database, team: Team, shop: Caller, moved_clock: Clock
) -> None:
    (item_id,) = submit(db, team, shop, "Model text.")
    held = seen(db, shop, item_id)
    assert (held["status"], held["verdict"], held["released"], held["output"]) == ("held", None, False, None)

    judge(db, team, Verdict.CORRECT, "Better text.")
    decided = seen(db, shop, item_id)
    assert (decided["status"], decided["verdict"], decided["released"]) == ("corrected", "correct", False)
    assert (decided["output"], decided["release"]) == (None, None)

    moved_clock.forward(6 * SECOND)
    go(db)
    left = seen(db, shop, item_id)
    assert (left["released"], left["output"], len(left["release"]["id"])) == (True, "Better text.", 32)
    assert left["decided_at"] is not None

    with db.writing() as session:
        opinion = Opinion(Verdict.REJECT, None, ["Tone"])
        decisions.recall(session, item_id, team.olu, reason="Wrong price.", opinion=opinion)
    gone = seen(db, shop, item_id)
    assert (gone["released"], gone["output"], gone["recalled"], gone["status"]) == (False, None, True, "corrected")


def test_an_approved_text_is_the_submitted_one_byte_for_byte(
    db: Database, team: Team, shop: Caller, moved_clock: Clock
) -> None:
    text = "  é e\u0301 \u202e\r\n\t\u2028 end  "
    (item_id,) = submit(db, team, shop, text)
    judge(db, team, Verdict.APPROVE)
    moved_clock.forward(6 * SECOND)
    go(db)

    assert seen(db, shop, item_id)["output"] == text


def test_a_rejected_and_a_lapsed_item_have_the_fallback_and_no_text(
    db: Database, team: Team, shop: Caller, moved_clock: Clock
) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET fallback = 'A colleague will answer.'"))
    submit(db, team, shop, "One.", "Two.")
    rejected = judge(db, team, Verdict.REJECT)
    moved_clock.forward(6 * SECOND)
    go(db)
    with db.writing() as session:
        (other,) = session.connection().execute(sa.text("SELECT id FROM item WHERE status = 'held'")).scalars()
        releases.lapse(session, other)

    for item_id, status in ((rejected, "rejected"), (other, "lapsed")):
        found = seen(db, shop, item_id)
        assert (found["status"], found["released"], found["output"]) == (status, False, None)
        assert found["fallback"] == "A colleague will answer."
    assert seen(db, shop, rejected)["reasons"] == ["Tone"]


def test_nothing_of_another_application_is_seen(db: Database, team: Team, shop: Caller) -> None:
    (item_id,) = submit(db, team, shop, "One.")
    with db.writing() as session:
        stranger = sources.caller(session, sources.add(session, team.olu, "mail", team.support.id).key)
        releases.withdraw(session, item_id, shop.source_id)

    for named in (item_id, "f" * 32, "nothing", "", "'"):
        with pytest.raises(NotFoundError), db.reading() as session:
            views.view(session, stranger, named)
    with db.reading() as session:
        assert feed.feed(session, stranger) == ([], None)


def test_the_feed_tells_each_event_once_in_order_and_goes_on_where_it_was_left(
    db: Database, team: Team, shop: Caller, moved_clock: Clock
) -> None:
    ids = submit(db, team, shop, *(f"Output {n}." for n in range(5)))
    for verdict, text in ((Verdict.APPROVE, None), (Verdict.CORRECT, "Mine."), (Verdict.REJECT, None)):
        judge(db, team, verdict, text)
        moved_clock.forward(6 * SECOND)
        go(db)
    with db.writing() as session:
        held = [row.id for row in session.connection().execute(sa.text("SELECT id FROM item WHERE status = 'held'"))]
        releases.withdraw(session, held[0], shop.source_id)
    with db.writing() as session:
        releases.lapse(session, held[1])

    events, cursor, after = [], None, None
    for _ in range(10):
        with db.reading() as session:
            told, cursor = feed.feed(session, shop, after, most=2)
        if not told:
            break
        events += told
        after = cursor
    assert cursor == after == events[-1].cursor
    assert [one.event for one in events] == [
        Event.RELEASED, Event.RELEASED, Event.REJECTED, Event.WITHDRAWN, Event.LAPSED,
    ]  # fmt: skip
    assert sorted(one.item["id"] for one in events) == sorted(ids)
    assert [one.item["output"] is not None for one in events] == [True, True, False, False, False]


@pytest.mark.parametrize(
    "after", ["x", "1", "-", "1-", "-1-2", "1-2-3", "²-1", "1" * 40 + "-1", f"{1 << 63}-1", "1-1 "]
)
def test_a_cursor_that_was_never_given_out_is_refused(db: Database, shop: Caller, after: str) -> None:
    with pytest.raises(InvalidError, match="cursor"), db.reading() as session:
        feed.feed(session, shop, after)


@pytest.mark.parametrize("most", [0, -1, 1001])
def test_a_feed_has_a_largest_page(db: Database, shop: Caller, most: int) -> None:
    with pytest.raises(InvalidError, match="limit"), db.reading() as session:
        feed.feed(session, shop, None, most)


def test_the_feed_does_not_run_past_a_transaction_that_is_still_open(db: Database, team: Team, shop: Caller) -> None:
    """A message with a lower number may still be committed on PostgreSQL; who reads on would miss it."""
    first, second = submit(db, team, shop, "One.", "Two.")
    if db.url.get_backend_name() == "sqlite":
        pytest.skip("one writer at a time")
    with db.writing() as early:
        releases.withdraw(early, first, shop.source_id)
        with db.writing() as late:
            releases.withdraw(late, second, shop.source_id)
        with db.reading() as session:
            assert feed.feed(session, shop) == ([], None)

    with db.reading() as session:
        told, _ = feed.feed(session, shop)
    assert sorted(one.item["id"] for one in told) == sorted([first, second])


def test_a_text_that_is_not_the_one_that_was_reviewed_is_not_handed_out(
    db: Database, team: Team, shop: Caller, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item_id,) = submit(db, team, shop, "Reviewed.")
    judge(db, team, Verdict.APPROVE)
    moved_clock.forward(6 * SECOND)
    go(db)
    monkeypatch.setattr(views, "text_hash", lambda _salt, _text: "another")

    assert seen(db, shop, item_id)["output"] is None
