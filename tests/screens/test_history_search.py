"""A search finds what is wanted, newest first, among what one may see, and never looks longer than a person waits."""

from datetime import date

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.engine import Database
from db.tables import Status, Verdict
from neuro_review import access, decisions, history, intake, workflows
from neuro_review.errors import InvalidError, NotAllowedError
from neuro_review.stories import search
from neuro_review.stories.wanted import Wanted
from tests.conftest import OPERATOR, Team
from tests.helpers import make_item, note_erasure
from tests.screens.deciding import judge

HOSTILE = '100%_! "quoted"\n\'; DROP TABLE item; -- \\ ![x](https://evil.example/a.png) <b>'


def ids(session: Session, by: access.Actor, **wanted: object) -> list[str]:
    found = search.look(session, by, Wanted(**wanted))
    assert found.stopped is None
    return found.ids


def recorded(session: Session, team: Team, **row: object) -> str:
    """Import one label of the past and return the id of its item."""
    door = intake.Door(team.support, workflows.source_id(session, "import"), "operator:tests", intake.Origin.HISTORY)
    review = {name: row.pop(name) for name in ("verdict", "reviewer", "reasons", "correction") if name in row}
    prepared = intake.prepare(door, intake.Submission(**{"model": "m", "output": "The output."} | row))
    history.store(session, door, [(prepared, history.PastReview(**review))])
    return prepared.item_id


def test_the_newest_comes_first_whatever_the_order_of_arrival(db: Database, team: Team) -> None:
    with db.writing() as session:
        at = now()
        middle, newest, oldest = (
            make_item(session, team.support.id, created_at=at - age * DAY) for age in (2, 1, 3)
        )  # fmt: skip
        elsewhere = make_item(session, team.other.id, created_at=at - 2 * DAY - 1)

        assert ids(session, team.bo) == [newest, middle, oldest]
        assert ids(session, team.ada) == [newest, middle, elsewhere, oldest]


def test_pages_have_no_gaps_and_nothing_twice_even_where_all_came_at_once(db: Database, team: Team) -> None:
    with db.writing() as session:
        at = now()
        made = [make_item(session, flow, created_at=at) for flow in (team.support.id, team.other.id) for _ in range(9)]

        pages, place = [], None
        while True:
            found = search.look(session, team.ada, Wanted(), place, most=4)
            pages.append(found)
            if found.stopped is None:
                break
            place = found.stopped

    assert [len(page.ids) for page in pages] == [4, 4, 4, 4, 2]
    assert [one for page in pages for one in page.ids] == sorted(made, reverse=True)
    assert sum(page.looked for page in pages) == len(made)


def test_what_comes_in_meanwhile_moves_nothing_on_the_next_page(db: Database, team: Team) -> None:
    with db.writing() as session:
        made = [make_item(session, team.support.id) for _ in range(4)]
        first = search.look(session, team.bo, Wanted(), most=2)
        make_item(session, team.support.id)
        second = search.look(session, team.bo, Wanted(), first.stopped, most=2)

    assert first.ids + second.ids == made[::-1]


def test_a_full_last_page_offers_no_empty_one(db: Database, team: Team) -> None:
    with db.writing() as session:
        for _ in range(4):
            make_item(session, team.support.id)

        assert search.look(session, team.bo, Wanted(), most=4).stopped is None


def test_a_rare_text_is_looked_for_in_parts_that_can_be_gone_on_with(db: Database, team: Team) -> None:
    with db.writing() as session:
        rare = make_item(session, team.support.id, output="the needle")
        for _ in range(200):
            make_item(session, team.support.id, output="hay")

        looks = [search.look(session, team.bo, Wanted(text="needle"), through=60)]
        while looks[-1].stopped is not None:
            looks.append(search.look(session, team.bo, Wanted(text="needle"), looks[-1].stopped, through=60))

    assert [look.ids for look in looks] == [[], [], [], [rare]]
    assert all(60 <= look.looked <= 70 for look in looks[:-1])
    assert sum(look.looked for look in looks) == 201


def test_a_look_ends_when_its_time_is_over(db: Database, team: Team) -> None:
    with db.writing() as session:
        for _ in range(search.FIRST_STEP + 1):
            make_item(session, team.support.id, output="hay")

        found = search.look(session, team.bo, Wanted(text="needle"), patience=0)

    assert (found.ids, found.looked) == ([], search.FIRST_STEP)
    assert found.stopped is not None


@pytest.mark.parametrize("text", ["needle", "NEEDLE", '100%_! "quoted"\n\'; DROP', "\\ ![x](https", "ÄRGER", "größe"])
@pytest.mark.parametrize("place", ["prompt", "output", "correction", "chat"])
def test_a_text_is_found_wherever_it_stands_and_whatever_it_holds(
    db: Database, team: Team, text: str, place: str
) -> None:
    said = f"{HOSTILE} Ärger GRÖSSE größe neeDle"
    with db.writing() as session:
        make_item(session, team.support.id, output="100x_ hay", prompt="100 quoted")
        if place == "correction":
            item_id = make_item(session, team.support.id)
            judge(session, item_id, team.bo, Verdict.CORRECT, said)
        elif place == "chat":
            door = intake.Door(team.support, workflows.source_id(session, "tests"), "source:1")
            chat = [{"role": "user", "content": said}]
            prepared = intake.prepare(door, intake.Submission(model="m", output="x", prompt=chat))
            intake.store(session, door, [prepared])
            item_id = prepared.item_id
        else:
            item_id = make_item(session, team.support.id, **{place: said})

        assert ids(session, team.bo, text=text) == [item_id]


def test_wildcards_are_letters(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="abc")

        assert ids(session, team.bo, text="a_c") == []
        assert ids(session, team.bo, text="a%c") == []
        assert ids(session, team.bo, text="!") == []


def test_each_filter_narrows_and_they_narrow_together(db: Database, team: Team) -> None:
    with db.writing() as session:
        held = make_item(session, team.support.id, model="larch")
        fixed = make_item(session, team.support.id, model="larch")
        judge(session, fixed, team.bo, Verdict.CORRECT, "Better.", reasons=["Tone"])
        refused = make_item(session, team.support.id, model="pine")
        judge(session, refused, team.cy, Verdict.REJECT, reasons=["Tone", "Leaks data"])
        elsewhere = make_item(session, team.other.id, model="larch")

        def ask(**wanted: object) -> set[str]:
            return set(ids(session, team.ada, **wanted))

        assert ask(model="larch") == {held, fixed, elsewhere}
        assert ask(workflow=team.support.id) == {held, fixed, refused}
        assert ask(statuses=["held"]) == {held, elsewhere}
        assert ask(statuses=["corrected", "rejected"]) == {fixed, refused}
        assert ask(verdict="reject") == {refused}
        assert ask(reviewer="bo@example.com") == {fixed}
        assert ask(reason="Tone") == {fixed, refused}
        assert ask(reason="Leaks data") == {refused}
        assert ask(reason="Tone", reviewer="bo@example.com", verdict="reject") == set()
        assert ask(reason="Tone", model="larch") == {fixed}
        assert ask(model="larch", workflow=team.other.id) == {elsewhere}


def test_a_verdict_that_was_taken_back_is_not_found_as_one(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        judge(session, item_id, team.bo, Verdict.REJECT, reasons=["Tone"])
        assert ids(session, team.bo, verdict="reject") == [item_id]

        decisions.undo(session, item_id, team.bo)

        assert ids(session, team.bo, verdict="reject") == []
        assert ids(session, team.bo, statuses=["held"]) == [item_id]


def test_labels_of_the_past_are_found_by_their_reviewer_and_reasons(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = recorded(session, team, verdict="reject", reviewer="Zoë", reasons=['a "quoted" one', "x"])

        assert ids(session, team.bo, reviewer="Zoë", statuses=["recorded"]) == [item_id]
        assert ids(session, team.bo, reason='a "quoted" one') == [item_id]
        assert ids(session, team.bo, reason="quoted") == []


def test_days_are_whole_and_of_utc(db: Database, team: Team) -> None:
    day = 1_780_272_000_000_000  # 2026-06-01T00:00:00Z
    with db.writing() as session:
        before, first, last, after = (
            make_item(session, team.support.id, created_at=at) for at in (day - 1, day, day + DAY - 1, day + DAY)
        )
        wanted = date(2026, 6, 1)

        assert ids(session, team.bo, first_day=wanted, last_day=wanted) == [last, first]
        assert ids(session, team.bo, first_day=wanted) == [after, last, first]
        assert ids(session, team.bo, last_day=wanted) == [last, first, before]
        assert ids(session, team.bo, last_day=wanted, name=after) == []


def test_an_id_or_the_applications_own_id_finds_one_item_in_any_spelling(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id, external_id="order 7")
        twin = make_item(session, team.support.id, external_id="order 7", source="another")
        make_item(session, team.support.id, external_id="order 77")
        dashed = f"{item_id[:8]}-{item_id[8:12]}-{item_id[12:16]}-{item_id[16:20]}-{item_id[20:]}".upper()

        assert ids(session, team.bo, name=item_id) == [item_id]
        assert ids(session, team.bo, name=f" {dashed} ") == [item_id]
        assert ids(session, team.bo, name="order 7") == [twin, item_id]
        assert ids(session, team.bo, name="order") == []
        assert ids(session, team.bo, name="0" * 32) == []
        assert ids(session, team.bo, name=item_id, model="other") == []


def test_nobody_finds_what_they_may_not_review(db: Database, team: Team) -> None:
    exporter = access.Actor("X", "x@example.com", 99, frozenset({("export", None)}))
    with db.writing() as session:
        item_id = make_item(session, team.support.id, external_id="order 7", output="secret")

        for nobody in (team.eve, exporter, OPERATOR):
            for wanted in ({}, {"name": item_id}, {"name": "order 7"}, {"text": "secret"}):
                assert ids(session, nobody, **wanted) == []
            assert search.rows(session, nobody, [item_id]) == []
            assert "support" not in search.choices(session, nobody).workflows.values()
            with pytest.raises(NotAllowedError):
                search.look(session, nobody, Wanted(workflow=team.support.id))


def test_what_was_put_away_is_still_found(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id, origin="history")
        workflows.archive(session, team.olu, team.support.id)

        assert ids(session, team.bo) == [item_id]
        assert search.choices(session, team.bo).workflows == {team.support.id: "support"}


@pytest.mark.parametrize("field", ["text", "name", "model", "reviewer", "reason"])
@pytest.mark.parametrize("said", ["a\0b", "\ud800", "x" * 501])
def test_what_no_database_can_look_for_is_refused_with_a_sentence(
    db: Database, team: Team, field: str, said: str
) -> None:
    with db.reading() as session, pytest.raises(InvalidError):
        search.look(session, team.bo, Wanted.model_construct(**{field: said}))


def test_days_the_wrong_way_round_are_refused(db: Database, team: Team) -> None:
    with db.reading() as session, pytest.raises(InvalidError, match="Swap"):
        search.look(session, team.bo, Wanted(first_day=date(2026, 2, 1), last_day=date(2026, 1, 1)))


def test_a_row_shows_who_said_what_and_how_the_output_begins(db: Database, team: Team) -> None:
    with db.writing() as session:
        plain = make_item(session, team.support.id, output=HOSTILE + "x" * 500, model=HOSTILE)
        judged = make_item(session, team.support.id)
        judge(session, judged, team.bo, Verdict.REJECT, reasons=["Tone"])
        undone = make_item(session, team.support.id)
        judge(session, undone, team.bo, Verdict.REJECT, reasons=["Tone"])
        decisions.undo(session, undone, team.bo)
        erased = make_item(session, team.support.id)
        note_erasure(session, erased)
        session.connection().execute(
            sa.text("UPDATE item_content SET prompt = NULL, output = NULL, salt = NULL WHERE item_id = :id"),
            {"id": erased},
        )
        rows = search.rows(session, team.bo, [judged, plain, undone, erased])

    assert [row.item_id for row in rows] == [judged, plain, undone, erased]
    assert (rows[0].status, rows[0].reviewers, rows[0].reasons) == (Status.REJECTED, ["bo@example.com"], ["Tone"])
    assert rows[1].beginning == (HOSTILE + "x" * 500)[: search.BEGINNING]
    assert rows[1].model == HOSTILE
    assert (rows[2].status, rows[2].reviewers, rows[2].reasons) == (Status.HELD, [], [])
    assert rows[3].beginning is None


def test_choices_come_from_what_happened_lately(db: Database, team: Team) -> None:
    with db.writing() as session:
        judge(session, make_item(session, team.support.id, model="larch"), team.bo, Verdict.REJECT, reasons=["Tone"])
        recorded(session, team, verdict="reject", reviewer="Zoë", reasons=["Of the past"])
        make_item(session, team.other.id, model="hidden")
        choices = search.choices(session, team.bo)

    assert choices.workflows == {team.support.id: "support"}
    assert choices.models == ["larch", "m"]
    assert choices.reviewers == ["Zoë", "bo@example.com"]
    assert {"Of the past", "Tone", "Leaks data"} <= set(choices.reasons)


def test_a_step_follows_the_index_and_sorts_no_workflow(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id)
        if not db.is_sqlite:
            session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        query, bound, _ = search._question(session, [team.support.id, team.other.id], Wanted(text="x"))
        explain = sa.text(("EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN ") + query.text)
        bound |= {"at": 1 << 62, "after": "0" * 32, "step": 10}
        plan = "\n".join(str(tuple(row)) for row in session.connection().execute(explain, bound))

    assert plan.count("ix_item_created") == 2, plan


def test_a_person_of_very_many_workflows_is_asked_for_one(
    db: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_WORKFLOWS", 1)
    with db.writing() as session:
        with pytest.raises(InvalidError, match="Choose one"):
            search.look(session, team.ada, Wanted())
        assert ids(session, team.ada, workflow=team.other.id) == []
