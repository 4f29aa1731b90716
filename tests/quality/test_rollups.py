"""The counts beside the labels say at every moment what the rows say, whatever happened to them."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from db.clock import DAY, SECOND, now
from db.engine import Database
from db.migrate import MIGRATIONS
from db.tables import Origin, Verdict
from neuro_review import decisions, history, intake, queue, releases, workflows
from neuro_review.decisions import Opinion
from neuro_review.history import PastReview
from neuro_review.intake import Door, Submission
from neuro_review.rollups import checking
from neuro_review.rollups.counting import BOUNDS, bucket, middle
from neuro_review.workflows import Workflow
from tests.conftest import Clock, Team
from tests.helpers import claim_one

REASONS = ("Tone", "Invented policy", "Leaks data")


def door(db: Database, flow: Workflow, origin: Origin = Origin.GATE, source: str = "app") -> Door:
    with db.writing() as session:
        return Door(workflows.by_id(session, flow.id), workflows.source_id(session, source), "tests", origin)


def hold(db: Database, into: Door, **given: Any) -> str:
    one = intake.prepare(into, Submission(**{"model": "m", "output": "Yes, within 30 days.", **given}))
    with db.writing() as session:
        return intake.store(session, into, [one])[0].item_id


def remember(db: Database, into: Door, external_id: str, *reviews: dict[str, Any], **given: Any) -> None:
    one = Submission(**{"model": "m", "output": "Yes, within 30 days.", "external_id": external_id, **given})
    rows = [(intake.prepare(into, one), PastReview(**review)) for review in reviews]
    with db.writing() as session:
        history.store(session, into, rows)


def wrong(db: Database, flow: Workflow) -> list[checking.Difference]:
    """Return every count that is not what the rows say, of all days there are."""
    with db.reading() as session:
        return list(checking.differences(session, flow.id, 0, now() // DAY + 20))


def labels(db: Database) -> Counter[tuple[str, str, str]]:
    with db.reading() as session:
        rows = session.connection().execute(
            sa.text("SELECT s.origin, s.model, r.label, r.n FROM rollup_label r JOIN rollup_series s"
                    " ON s.id = r.series_id WHERE r.n <> 0")
        )  # fmt: skip
        found = Counter[tuple[str, str, str]]()
        for origin, model, label, n in rows:
            found[origin, model, label] += n
        return found


def decided(db: Database, team: Team, opinion: Opinion) -> str:
    with db.writing() as session:
        lease = claim_one(session, team.bo, team.support)
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, opinion)
    return lease.item_id


def test_a_verdict_is_counted_with_it_and_its_undoing_takes_it_back(db: Database, team: Team) -> None:
    hold(db, door(db, team.support), cost_usd=0.002, latency_ms=900)
    held = labels(db)

    item_id = decided(db, team, Opinion(Verdict.REJECT, reasons=["Tone"]))
    rejected = labels(db)
    with db.writing() as session:
        decisions.undo(session, item_id, team.bo)

    assert held == {("gate", "m", "open"): 1}
    assert rejected == {("gate", "m", "reject"): 1}
    assert labels(db) == held
    assert wrong(db, team.support) == []


def test_what_was_released_counts_as_released_and_a_recall_changes_its_label(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    hold(db, door(db, team.support))
    item_id = decided(db, team, Opinion(Verdict.APPROVE))
    moved_clock.forward(6 * SECOND)
    with db.writing() as session:
        releases.release_due(session)

    with db.writing() as session:
        decisions.recall(session, item_id, team.bo, reason="wrong", opinion=Opinion(Verdict.REJECT, reasons=["Tone"]))

    assert labels(db) == {("gate", "m", "reject"): 1}
    assert wrong(db, team.support) == []
    with db.reading() as session:
        day = session.connection().execute(sa.text("SELECT released, recalled FROM rollup_day")).one()
    assert tuple(day) == (1, 1)


def test_lapsed_and_withdrawn_outputs_are_unseen(db: Database, team: Team) -> None:
    into = door(db, team.support)
    first, second = hold(db, into), hold(db, into)

    with db.writing() as session:
        releases.lapse(session, first)
        releases.withdraw(session, second, into.source_id)

    assert labels(db) == {("gate", "m", "unseen"): 2}
    assert wrong(db, team.support) == []


def test_an_adjudication_replaces_the_label_of_the_past(db: Database, team: Team) -> None:
    past = door(db, team.support, Origin.HISTORY)
    remember(db, past, "1", {"verdict": "approve", "reviewer": "ann"}, {"verdict": "reject", "reviewer": "ben"})
    disputed = labels(db)

    remember(db, past, "1", {"verdict": "reject", "adjudication": True, "reasons": ["Tone"]})

    assert disputed == {("history", "m", "disputed"): 1}
    assert labels(db) == {("history", "m", "reject"): 1}
    assert wrong(db, team.support) == []


def test_samples_are_counted_apart(db: Database, team: Team) -> None:
    hold(db, door(db, team.support, Origin.SAMPLE))
    hold(db, door(db, team.support))

    assert labels(db) == {("sample", "m", "open"): 1, ("gate", "m", "open"): 1}


def test_what_is_rolled_back_is_not_counted(db: Database, team: Team) -> None:
    hold(db, door(db, team.support))

    with db.writing() as session:
        lease = claim_one(session, team.bo, team.support)
        try:
            with session.begin_nested():
                decisions.decide(session, lease.item_id, team.bo, lease.lease_n, Opinion(Verdict.APPROVE))
                raise KeyError
        except KeyError:
            pass

    assert labels(db) == {("gate", "m", "open"): 1}
    assert wrong(db, team.support) == []


def test_an_end_user_is_known_by_a_hash_and_forgotten_with_the_last_output(db: Database, team: Team) -> None:
    item_id = hold(db, door(db, team.support), end_user="ada@example.com")
    with db.reading() as session:
        known = session.connection().execute(sa.text("SELECT end_user, n FROM rollup_user")).all()

    from neuro_review import rollups
    from tests.helpers import note_erasure

    with db.writing() as session:
        rollups.touch(session, [item_id])
        note_erasure(session, item_id)
        session.connection().execute(sa.text("UPDATE item SET end_user = NULL WHERE id = :id"), {"id": item_id})

    assert [row.n for row in known] == [1]
    assert "ada" not in known[0].end_user
    with db.reading() as session:
        assert session.connection().execute(sa.text("SELECT count(*) FROM rollup_user")).scalar_one() == 0


def test_after_a_year_of_everything_at_random_the_counts_are_what_the_rows_say(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    chance = random.Random(7)
    steps = list(_steps(db, team, moved_clock, chance))
    for _ in range(120):
        chance.choice(steps)()

    assert wrong(db, team.support) == []
    assert sum(labels(db).values()) >= 30


def _steps(db: Database, team: Team, clock: Clock, chance: random.Random) -> Iterator[Callable[[], object]]:
    gate, past = door(db, team.support), door(db, team.support, Origin.HISTORY)
    decided_ids: list[str] = []

    def submit() -> None:
        day = now() - chance.randrange(300) * DAY
        hold(
            db, gate, model=chance.choice("ab"), created_at=day // SECOND, cost_usd=chance.choice([None, 0.001]),
            latency_ms=chance.choice([None, chance.randrange(5_000)]), end_user=chance.choice([None, "u1", "u2"]),
            prompt_version=chance.choice([None, "v1", "v2"]), prompt_tokens=chance.choice([None, 12]),
        )  # fmt: skip

    def decide() -> None:
        opinion = chance.choice([
            Opinion(Verdict.APPROVE, shown_at=now() - chance.randrange(900) * SECOND),
            Opinion(Verdict.CORRECT, "Yes, but within 14 days.", reasons=chance.choice([[], ["Tone"]])),
            Opinion(Verdict.REJECT, reasons=chance.sample(REASONS, 2)),
        ])  # fmt: skip
        with db.writing() as session:
            for lease in queue.claim(session, team.bo, [team.support.id], most=1):
                decisions.decide(session, lease.item_id, team.bo, lease.lease_n, opinion)
                decided_ids.append(lease.item_id)

    def undo() -> None:
        if decided_ids:
            try:
                with db.writing() as session:
                    decisions.undo(session, decided_ids[-1], team.bo)
                decided_ids.pop()
            except decisions.ConflictError:
                pass

    def release() -> None:
        clock.forward(6 * SECOND)
        with db.writing() as session:
            releases.release_due(session)

    def remember_some() -> None:
        number = chance.randrange(8)
        reviews = [
            {"verdict": chance.choice(["approve", "reject"]), "reviewer": chance.choice(["ann", "ben"])},
            {"verdict": "reject", "adjudication": True, "reasons": [chance.choice(REASONS)]},
        ]
        remember(db, past, f"past-{number}", *chance.sample(reviews, chance.randrange(1, 3)), created_at=1_700_000_000)

    return iter([submit, submit, submit, decide, decide, undo, release, remember_some])


def test_a_planted_difference_is_found(db: Database, team: Team) -> None:
    hold(db, door(db, team.support))
    decided(db, team, Opinion(Verdict.REJECT, reasons=["Tone"]))

    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollup_label SET n = n + 3 WHERE label = 'reject'")

    (found,) = wrong(db, team.support)
    assert (found.table, found.kept, found.counted) == ("rollup_label", [4], [1])


def test_a_verdict_that_went_past_the_counts_is_found(db: Database, team: Team) -> None:
    hold(db, door(db, team.support))
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM rollup_label")
        connection.exec_driver_sql("DELETE FROM rollup_day")

    assert {one.table for one in wrong(db, team.support)} == {"rollup_label", "rollup_day"}


def test_the_migration_counts_what_was_there_before_it(db: Database, team: Team, moved_clock: Clock) -> None:
    chance = random.Random(3)
    steps = list(_steps(db, team, moved_clock, chance))
    for _ in range(60):
        chance.choice(steps)()
    revision = ScriptDirectory(str(MIGRATIONS)).get_revision("0008").module
    with db.engine.begin() as connection:
        for table in [*revision.SUMS, "rollup_series"]:
            connection.exec_driver_sql(f"DELETE FROM {table}")

        revision._fill(connection)

    # How much a correction changed was not known of those that were made before: the last two sums of a day.
    differ = [one for one in wrong(db, team.support) if one.table != "rollup_day" or one.kept[:10] != one.counted[:10]]
    assert differ == []


@pytest.mark.parametrize("value", [0, 1, 14, 15, 16, 99, 100, 12_345, 10**7, 10**12])
def test_a_bucket_stands_for_its_values_within_five_percent(value: int) -> None:
    assert abs(middle(bucket(value)) - value) <= 0.05 * value + 0.5


def test_buckets_begin_at_whole_numbers_that_never_go_back() -> None:
    assert sorted(set(BOUNDS)) == BOUNDS
    assert all(isinstance(bound, int) for bound in BOUNDS)


def test_a_batch_of_labels_is_one_row_a_day_and_label(db: Database, team: Team) -> None:
    past = door(db, team.support, Origin.HISTORY)
    given = [
        (intake.prepare(past, Submission(model="m", output="Yes.", external_id=str(n), created_at=1_700_000_000)),
         PastReview(verdict=Verdict.APPROVE, reviewer="ann"))
        for n in range(300)
    ]  # fmt: skip
    with db.writing() as session:
        history.store(session, past, given)

    with db.reading() as session:
        rows = session.connection().execute(sa.text("SELECT n FROM rollup_label")).all()
        reviews = session.connection().execute(sa.text("SELECT reviewer, n FROM rollup_review")).all()
    assert sum(row.n for row in rows) == 300
    assert [tuple(row) for row in reviews] == [("ann", 300)]
