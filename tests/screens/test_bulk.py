"""Many at once on screen: each text is shown before the verdict, and stays text; the forms are the role's."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from db.engine import Database
from neuro_review import bulk, decisions, queue, sessions, teams
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.likeness import differences
from neuro_review.ui.marked import marked
from neuro_review.words import Verdict
from tests.conftest import Team
from tests.helpers import make_item

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = "Your order {} is on its way and comes to your door on Friday before noon with the post."
HOSTILE = '<img src="http://evil.example/i.png"> [a](http://evil.example) :red[y] </ins></div><style>*{display:none}'
PAGE = dedent("""
    import streamlit as st
    from neuro_review import ui
    from neuro_review.ui.bulk import bulk_actions
    from neuro_review.ui.teams import teams_section

    ui.open_page("Page")
    if st.session_state.get("groups"):
        teams_section()
    bulk_actions(st.session_state.get("ids", []))
""")


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    monkeypatch.setattr(bulk, "DWELL", 0)


def opened(db: Database, actor: Actor, item_ids: list[str], **state: Any) -> AppTest:
    with db.writing() as session:
        session_id = sessions.session_id(sessions.sign_in(session, sessions.look_up(session, actor.email)))
    app = AppTest.from_string(PAGE, default_timeout=30)
    app.user = {"session": session_id}
    for name, value in (state | {"ids": item_ids}).items():
        app.session_state[name] = value
    app.run()
    assert not app.exception
    return app


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def submit(app: AppTest, label: str) -> None:
    next(one for one in app.button if one.label == label).click().run()
    assert not app.exception


def do(app: AppTest, what: str) -> None:
    app.segmented_control(key="bulk_what").set_value(what).run()
    assert not app.exception


def said(app: AppTest) -> list[str]:
    return [one.value.replace("\\", "") for one in (*app.info, *app.error)]


def texts(app: AppTest) -> list[str]:
    return [one.value for one in app.text]


def put(db: Database, team: Team, *outputs: str, **facts: Any) -> list[str]:
    with db.writing() as session:
        return [make_item(session, team.support.id, output=one, **facts) for one in outputs]


def statuses(db: Database) -> list[str]:
    with db.reading() as session:
        return list(session.connection().execute(sa.text("SELECT status FROM item ORDER BY id")).scalars())


def test_each_text_is_shown_before_one_verdict_is_given_on_all(db: Database, team: Team) -> None:
    items = put(db, team, *(TEXT.format(n) for n in (1, 22, 333)), prompt="Where is it?")
    app = opened(db, team.bo, items)

    press(app, "bulk_begin")
    assert TEXT.format(1) in texts(app)
    assert "Where is it?" in texts(app)
    assert "bulk_approve" not in [one.key for one in app.button]
    press(app, f"bulk_seen_{items[0]}")
    assert "<ins>22</ins>" in app.get("html")[-1].proto.body
    press(app, f"bulk_seen_{items[1]}")
    assert "bulk_approve" not in [one.key for one in app.button]
    press(app, f"bulk_seen_{items[2]}")
    press(app, "bulk_approve")

    assert said(app) == ["3 approved."]
    assert statuses(db) == ["approved"] * 3
    press(app, "bulk_undo")
    assert said(app) == ["3 undone; they wait again."]
    assert statuses(db) == ["held"] * 3


def test_a_rejection_without_a_reason_is_refused_and_the_set_stays(db: Database, team: Team) -> None:
    items = put(db, team, TEXT, TEXT)
    app = opened(db, team.bo, items)
    press(app, "bulk_begin")
    for item_id in items:
        press(app, f"bulk_seen_{item_id}")

    press(app, "bulk_reject")
    assert said(app) == ["A rejection needs a reason. Choose at least one."]
    assert statuses(db) == ["held"] * 2
    app.multiselect(key="bulk_reasons").set_value(["Tone"]).run()
    press(app, "bulk_reject")

    assert said(app) == ["2 rejected."]


def test_what_somebody_else_decided_meanwhile_is_told(db: Database, team: Team) -> None:
    items = put(db, team, TEXT, TEXT)
    app = opened(db, team.bo, items)
    press(app, "bulk_begin")
    for item_id in items:
        press(app, f"bulk_seen_{item_id}")
    with db.writing() as session:
        (lease,) = queue.claim_these(session, team.cy, items[:1])
        decisions.decide(session, items[0], team.cy, lease.lease_n, Opinion(Verdict.REJECT, reasons=["Tone"]))

    press(app, "bulk_approve")

    assert said(app) == ["1 approved. 1 moved on meanwhile: somebody else decided or changed it."]
    assert statuses(db) == ["rejected", "approved"]


def test_another_selection_ends_the_reading(db: Database, team: Team) -> None:
    items = put(db, team, TEXT, TEXT, TEXT)
    app = opened(db, team.bo, items[:2])
    press(app, "bulk_begin")
    press(app, f"bulk_seen_{items[0]}")

    app.session_state["ids"] = items
    app.run()

    assert [one.key for one in app.button] == ["bulk_begin"]


def test_a_reviewer_decides_and_an_owner_also_assigns_escalates_and_orders(db: Database, team: Team) -> None:
    items = put(db, team, TEXT, TEXT)

    assert opened(db, team.bo, items).segmented_control(key="bulk_what").options == ["Decide together"]
    assert opened(db, team.olu, items).segmented_control(key="bulk_what").options == [
        "Decide together", "Assign", "Escalate", "Priority"
    ]  # fmt: skip
    assert opened(db, team.olu, items[:1]).segmented_control(key="bulk_what_alone").options == [
        "Assign", "Escalate", "Priority"
    ]  # fmt: skip
    assert not opened(db, team.bo, items[:1]).get("button_group")
    assert "None of the chosen is held" in " ".join(texts(opened(db, team.eve, items)))
    assert texts(opened(db, team.olu, [])) == []


def test_the_owners_forms_do_what_they_say(db: Database, team: Team) -> None:
    items = put(db, team, TEXT, TEXT)
    with db.writing() as session:
        night = teams.add(session, team.olu, "night")
        teams.set_members(session, night, team.olu, [team.cy.person_id or 0])
    app = opened(db, team.olu, items)

    do(app, "Assign")
    submit(app, "Assign")
    assert said(app) == ["Nobody is chosen. Choose a person, a group, or nobody."]
    app.selectbox(key="bulk_to").set_value(f"team:{night}")
    submit(app, "Assign")
    assert said(app) == ["2 assigned."]
    app.selectbox(key="bulk_to").set_value(f"person:{team.bo.person_id}")
    submit(app, "Assign")
    do(app, "Priority")
    app.number_input(key="bulk_number").set_value(8)
    submit(app, "Set priority")
    assert said(app) == ["2 now of priority 8."]
    do(app, "Escalate")
    app.selectbox(key="bulk_why").set_value("could do harm")
    submit(app, "Escalate")
    assert said(app) == ["2 escalated."]
    with db.reading() as session:
        rows = (
            session.connection()
            .execute(sa.text("SELECT assigned_to, team_id, priority, escalated_at IS NOT NULL AS up FROM item"))
            .all()
        )
    assert [(row.assigned_to, row.team_id, row.priority, bool(row.up)) for row in rows] == [
        (team.bo.person_id, None, 8, True)
    ] * 2

    do(app, "Put back")
    press(app, "bulk_back")
    assert said(app) == ["2 put back."]
    do(app, "Assign")
    app.selectbox(key="bulk_to").set_value("nobody")
    submit(app, "Assign")
    assert said(app) == ["2 given back to everyone."]


def test_more_than_fifty_are_not_taken(db: Database, team: Team) -> None:
    app = opened(db, team.olu, put(db, team, *[TEXT] * 51))

    assert "At most 50 go at a time. Choose fewer." in texts(app)
    assert list(app.button) == []


def test_outputs_prompts_and_models_stay_text(db: Database, team: Team) -> None:
    items = put(db, team, f"{TEXT} {HOSTILE}", f"{TEXT} {HOSTILE} \u202eabc", prompt=HOSTILE, model=HOSTILE)
    app = opened(db, team.bo, items)

    press(app, "bulk_begin")
    assert f"{TEXT} {HOSTILE}" in texts(app)
    assert HOSTILE in texts(app)
    press(app, f"bulk_seen_{items[0]}")

    (shown,) = [one.proto.body for one in app.get("html") if "nr-marked" in one.proto.body]
    inner = shown.partition("</style>")[2]
    assert "&lt;img src=&quot;http://evil.example/i.png&quot;&gt;" in inner
    assert "[U+202E]" in inner
    assert {part.partition(">")[0].partition(" ")[0] for part in inner.split("<")[1:]} <= {
        "div", "/div", "span", "/span", "ins", "/ins", "del", "/del"
    }  # fmt: skip
    marked_up = [*app.markdown, *app.caption, *app.header, *app.error, *app.info]
    assert [one.value for one in marked_up if "](http" in one.value.replace("\\", "") and "\\]" not in one.value] == []


def test_a_difference_that_cannot_be_seen_is_written_out() -> None:
    shown = marked(differences("pay 5 now", "pay\u200b 5\u2066 now\nthen"))

    assert "[U+200B]" in shown
    assert "[U+2066]" in shown
    assert "↵" in shown


def test_groups_are_made_and_filled_on_screen(db: Database, team: Team) -> None:
    app = opened(db, team.olu, [], groups=True)
    assert "No group yet." in texts(app)

    app.text_input(key="team_name").set_value(HOSTILE[:60])
    submit(app, "Add the group")
    with db.reading() as session:
        (group,) = teams.every(session)
    assert group.name in texts(app)
    app.multiselect(key=f"team_members_{group.id}").set_value([team.bo.person_id, team.cy.person_id])
    submit(app, "Save members")

    with db.reading() as session:
        assert [one.name for one in teams.every(session)[0].members] == ["Bo", "Cy"]
    assert "2 members" in [one.value for one in app.caption]
