"""The Eval sets page: sets made out of labels, where each case came from, and who may change what."""

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.tables import Role
from neuro_review.access import Actor
from neuro_review.eval_sets import rows
from neuro_review.eval_sets.rows import Version
from tests.conftest import OPERATOR, Team
from tests.evals.conftest import label
from tests.screens.test_quality_page import HOSTILE, markup, signed_in, words

Record = Callable[[list[dict[str, Any]]], None]
Make = Callable[..., Version]
VERDICTS = ("approve", "correct", "reject")


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    st.cache_data.clear()


def opened(db: Database, actor: Actor, version: str | None = None) -> AppTest:
    app = signed_in(db, actor)
    if version is not None:
        app.query_params["version"] = version
    app.switch_page("pages/eval_sets.py").run()
    assert not app.exception
    return app


def versions(db: Database) -> list[Version]:
    with db.reading() as session:
        return rows.listed(session, OPERATOR)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def test_an_owner_makes_a_draft_out_of_labels_drops_a_case_and_freezes_it(
    db: Database, team: Team, record: Record
) -> None:
    record([label(n, VERDICTS[n % 3]) for n in range(9)])
    app = opened(db, team.olu)
    assert "No eval set yet" in words(app)
    assert "9 labels match." in words(app)

    app.text_input(key="set_name").input("safe")
    app.multiselect(key="set_verdicts").set_value(["approve", "correct"])
    app.checkbox(key="set_freeze").set_value(False)
    app.run()
    assert "6 labels match." in words(app)
    press(app, "set_make")

    (draft,) = versions(db)
    assert (draft.ref, draft.cases, draft.content_hash) == ("safe@1", 6, None)
    assert "Cases: 6 (3 approve · 3 correct)" in words(app)
    app.button(key=next(one.key for one in app.button if str(one.key).startswith("drop_"))).click().run()
    press(app, "freeze")
    (frozen,) = versions(db)
    assert (frozen.cases, frozen.content_hash is not None) == (5, True)
    assert frozen.content_hash in [one.value for one in app.code]
    assert not [one for one in app.button if str(one.key).startswith("drop_")]


def test_a_case_says_where_it_came_from_and_text_of_others_stays_text(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record(
        [
            label(
                1, "correct", model=HOSTILE, reviewer=HOSTILE, prompt=HOSTILE, output=HOSTILE, correction="b " + HOSTILE
            )
        ]
    )
    made = make(HOSTILE.replace("@", ""))

    app = opened(db, team.olu, made.id)

    said = words(app)
    assert f"{HOSTILE} wrote it; {HOSTILE} said correct; no rubric was written then." in said
    assert HOSTILE in [one.value for one in app.text]
    assert "<b>" not in markup(app)
    assert "&lt;b&gt;x&lt;/b&gt;" in markup(app)


def test_what_a_reviewer_changed_is_marked_also_where_it_cannot_be_seen_and_shown_whole_where_it_is_long(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1, "correct", output="Pay\u202e 5 now", correction="Pay 7 now")])
    long = ("b " * 60_000).strip()
    record([label(2, "correct", output="a " * 60_000, correction=long)])
    made = make()

    app = opened(db, team.olu, made.id)
    shown, whole = markup(app), [one.value for one in app.text]
    app.number_input(key=f"case_{made.id}").set_value(2).run()
    assert not app.exception
    shown, whole = shown + markup(app), whole + [one.value for one in app.text]

    assert "[U+202E]" in shown
    assert ">7</ins>" in shown
    assert "b b b" not in shown
    assert long in whole


def test_two_versions_are_held_beside_each_other_and_a_set_is_held_out(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(n) for n in range(4)])
    make("safe", sample=2, seed=1)
    second = make("safe")

    app = opened(db, team.olu, second.id)
    assert "Since version 1: 2 added, 0 removed, 0 changed, 2 the same." in words(app)
    press(app, "hold_out")

    assert {one.held_out for one in versions(db)} == {True}


def test_who_may_export_reads_and_changes_nothing_and_others_see_nothing(
    db: Database, team: Team, record: Record, make: Make, add_person: Callable[..., Actor]
) -> None:
    record([label(1)])
    draft = make("safe", freeze_it=False)
    mine, other = (
        add_person(name, Role.EXPORT, flow.id) for name, flow in (("Exa", team.support), ("Ext", team.other))
    )

    app = opened(db, mine, draft.id)
    assert "Cases: 1 (1 approve)" in words(app)
    assert {"freeze", "discard", "hold_out"} & {one.key for one in app.button} == set()
    assert "No eval set yet" in words(opened(db, other))
    assert "Cases:" not in words(opened(db, other, draft.id))
    assert "There is no such version." in words(opened(db, mine, "x' OR 1=1")).replace("\\", "")


def test_a_draft_that_is_not_whole_says_so_and_offers_no_freezing(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    draft = make("safe", freeze_it=False)
    with db.writing() as session:
        session.connection().exec_driver_sql('UPDATE eval_version SET asked = \'{"unfinished":"made"}\'')

    app = opened(db, team.olu, draft.id)

    assert "This draft is not whole" in words(app)
    assert {"freeze", "discard"} & {one.key for one in app.button} == {"discard"}


def test_a_button_of_an_owner_does_nothing_once_the_role_is_gone(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    draft = make("safe", freeze_it=False)
    app = opened(db, team.olu, draft.id)
    with db.writing() as session:
        session.connection().exec_driver_sql(
            f"UPDATE role_grant SET role = 'export' WHERE person_id = {team.olu.person_id}"
        )

    app.button(key="discard").click().run()

    assert not app.exception
    assert len(versions(db)) == 1
