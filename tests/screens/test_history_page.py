"""The History page as a person works it."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, sessions, views
from neuro_review.access import Actor
from neuro_review.stories import search
from neuro_review.ui import md_escape
from tests.conftest import Team
from tests.helpers import make_item
from tests.screens.deciding import judge, without_grace

ROOT = Path(__file__).resolve().parent.parent.parent
HOSTILE = "![x](https://evil.example/a.png) <b>bold</b> [y](https://evil.example/y) :red[z] $x$"


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)


def signed_in(db: Database, by: Actor) -> str:
    with db.writing() as session:
        return sessions.session_id(sessions.sign_in(session, sessions.look_up(session, by.email)))


def history(db: Database, by: Actor, item_id: str | None = None) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    app.user = {"session": signed_in(db, by)}
    app.run()
    app.switch_page("pages/history.py")
    if item_id is not None:
        app.query_params["id"] = item_id
    return app.run()


def words(app: AppTest) -> str:
    elements = (*app.text, *app.error, *app.info, *app.caption, *app.header, *app.code)
    return "\n".join(element.value for element in elements)


def listed(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["Beginning of the output"]) if app.dataframe else []


def test_the_list_shows_what_one_may_see_newest_first(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="First.")
        make_item(session, team.other.id, output="Elsewhere.")
        make_item(session, team.support.id, output=f"{HOSTILE}\n\n  and more")

    app = history(db, team.bo)

    assert not app.exception
    assert listed(app) == [f"{HOSTILE} and more", "First."]
    assert "2 found, newest first · looked through 2 outputs, back to the first" in words(app)


def test_filters_search_and_can_be_cleared(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="A needle.", model="larch")
        refused = make_item(session, team.support.id, output="Hay.")
        judge(session, refused, team.bo, Verdict.REJECT, reasons=["Tone"])
    app = history(db, team.bo)

    app.text_input(key="find_text").input("NEEDLE").run()
    assert listed(app) == ["A needle."]
    app.selectbox(key="find_verdict").select(Verdict.REJECT).run()
    assert listed(app) == []
    assert "Nothing matches" in words(app)
    app.button(key="clear").click().run()
    assert listed(app) == ["Hay.", "A needle."]
    assert app.text_input(key="find_text").value == ""
    app.multiselect(key="find_statuses").select("rejected").run()
    assert listed(app) == ["Hay."]
    assert not app.query_params


def test_an_empty_house_says_what_comes(db: Database, team: Team) -> None:
    assert "No outputs yet" in words(history(db, team.bo))


def test_older_and_newer_turn_the_pages(db: Database, team: Team) -> None:
    with db.writing() as session:
        for number in range(search.PAGE + 3):
            make_item(session, team.support.id, output=f"Output {number}.")
    app = history(db, team.bo)
    first = listed(app)
    assert f"1 to {search.PAGE} of what was found, newest first" in words(app)

    app.button(key="older").click().run()
    assert f"{search.PAGE + 1} to {search.PAGE + 3} of what was found, newest first" in words(app)
    assert listed(app) == ["Output 2.", "Output 1.", "Output 0."]
    app.button(key="newer").click().run()

    assert listed(app) == first
    assert len(first) == search.PAGE


def test_a_page_that_is_not_full_is_looked_further_for(
    db: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PATIENCE", 0)
    monkeypatch.setattr(search.look, "__kwdefaults__", {**search.look.__kwdefaults__, "patience": 0})
    with db.writing() as session:
        make_item(session, team.support.id, output="An old needle.")
        for _ in range(search.FIRST_STEP):
            make_item(session, team.support.id, output="hay")
        make_item(session, team.support.id, output="A new needle.")
    app = history(db, team.bo)

    app.text_input(key="find_text").input("needle").run()
    assert listed(app) == ["A new needle."]
    app.button(key="further").click().run()

    assert listed(app) == ["A new needle.", "An old needle."]
    assert f"looked through {search.FIRST_STEP + 2} outputs" in words(app)


def test_a_question_that_cannot_be_asked_is_answered_with_a_sentence(db: Database, team: Team) -> None:
    app = history(db, team.bo)
    app.text_input(key="find_text").input("x" * 501).run()

    assert "at most 500 characters" in words(app).replace("\\", "")
    assert app.text_input(key="find_text").value == "x" * 501


def test_a_link_opens_the_story_of_its_item(db: Database, team: Team) -> None:
    with db.writing() as session:
        without_grace(session, team.support.id)
        item_id = make_item(
            session, team.support.id, output=HOSTILE, prompt=HOSTILE, model=HOSTILE, external_id=HOSTILE,
            source=HOSTILE, trace_url=HOSTILE, end_user=HOSTILE, prompt_version=HOSTILE,
        )  # fmt: skip
        judge(session, item_id, team.bo, Verdict.CORRECT, HOSTILE + " corrected", note=HOSTILE)

    app = history(db, team.cy, item_id)

    assert not app.exception
    shown = [element.value for element in app.text]
    assert shown.count(HOSTILE) >= 8
    assert f"/history?id={item_id}" in next(element.value for element in app.code)
    assert not app.dataframe
    for element in (*app.caption, *app.markdown, *app.header, *app.title):
        assert "![x]" not in element.value
        assert "<b>" not in element.value
    html = "".join(element.proto.body for element in app.get("html"))
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


@pytest.mark.parametrize("item_id", ["", "nonsense", "0" * 32, HOSTILE])
def test_a_link_that_names_nothing_says_so_and_leads_on(db: Database, team: Team, item_id: str) -> None:
    app = history(db, team.bo, item_id)

    assert not app.exception
    assert [error.value for error in app.error] == [
        md_escape("There is no item by that id among those you may see. Check that the link was copied whole.")
    ]
    assert not app.dataframe
    app.button(key="all").click().run()
    assert "id" not in app.query_params
    assert "No outputs yet" in words(app)


def test_a_link_to_what_one_may_not_see_names_nothing(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id, output="Secret.")

    assert "Secret." not in words(history(db, team.eve, item_id))


def test_who_may_only_export_sees_nothing_here(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="Secret.")
        access.add_person(session, team.ada, "Exa", "exa@example.com", Role.EXPORT, password_hash=None)
        session_id = sessions.session_id(sessions.sign_in(session, sessions.look_up(session, "exa@example.com")))
    app = AppTest.from_file(str(ROOT / "pages" / "history.py"), default_timeout=30)
    app.user = {"session": session_id}
    app.run()

    assert "for reviewers" in words(app)
    assert "Secret" not in words(app)
    assert not app.dataframe


def recallable(db: Database, team: Team) -> str:
    with db.writing() as session:
        without_grace(session, team.support.id)
        item_id = make_item(session, team.support.id, output="The text.")
        judge(session, item_id, team.bo, Verdict.APPROVE)
        return item_id


def test_a_release_is_recalled_with_a_reason_after_a_second_look(db: Database, team: Team) -> None:
    item_id = recallable(db, team)
    app = history(db, team.bo, item_id)
    app.button(key=f"recall_begin_{item_id}").click().run()

    app.button(key=f"recall_now_{item_id}").click().run()
    assert "Nothing was recalled" in words(app)
    app.checkbox(key=f"recall_sure_{item_id}").check().run()
    app.radio(key=f"recall_verdict_{item_id}").set_value(Verdict.CORRECT).run()
    app.button(key=f"recall_now_{item_id}").click().run()
    assert "A recall needs a reason" in words(app)
    app.text_area(key=f"recall_reason_{item_id}").input("It names a wrong price.")
    app.text_area(key=f"recall_text_{item_id}").input("The right text.")
    app.button(key=f"recall_now_{item_id}").click().run()

    assert not app.exception
    assert "Recalled" in app.info[0].value
    assert "It names a wrong price." in words(app)
    assert f"recall_begin_{item_id}" not in [button.key for button in app.button]
    with db.reading() as session:
        connection = session.connection()
        events = connection.execute(sa.text("SELECT event FROM outbox ORDER BY seq")).scalars().all()
        label = connection.execute(sa.text("SELECT label FROM item")).scalar()
        text = connection.execute(sa.text("SELECT text FROM review_content WHERE text IS NOT NULL")).scalar()
    assert (list(events), label, text) == (["released", "recalled"], "correct", "The right text.")


def test_a_recall_is_offered_to_nobody_who_may_not(db: Database, team: Team) -> None:
    item_id = recallable(db, team)

    app = history(db, team.cy, item_id)

    assert "The text." in words(app)
    assert f"recall_begin_{item_id}" not in [button.key for button in app.button]


def test_a_view_is_saved_loaded_and_deleted(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="A needle.")
        make_item(session, team.support.id, output="Hay.")
    app = history(db, team.bo)
    app.text_input(key="find_text").input("needle").run()
    app.text_input(key="view_name").input(HOSTILE[:80])
    app.button(key="save_view").click().run()
    with db.reading() as session:
        (view,) = views.mine(session, team.bo, "history")
    assert (view.name, view.query) == (HOSTILE[:80], {"text": "needle"})
    app.text_input(key="find_text").input("").run()
    assert len(listed(app)) == 2

    app.button(key=f"view_{view.id}").click().run()
    assert listed(app) == ["A needle."]
    assert app.text_input(key="find_text").value == "needle"
    assert app.button(key=f"view_{view.id}").label == md_escape(HOSTILE[:80])
    app.button(key=f"delete_{view.id}").click().run()

    with db.reading() as session:
        assert views.mine(session, team.bo, "history") == []
    assert f"view_{view.id}" not in [button.key for button in app.button]


def test_a_view_that_is_no_longer_understood_is_refused_and_the_list_stays(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="Hay.")
        view_id = views.save(session, team.bo, "history", "Old", {"statuses": ["vanished"]})
    app = history(db, team.bo)

    app.button(key=f"view_{view_id}").click().run()

    assert "Save it anew" in words(app).replace("\\", "")
    assert listed(app) == ["Hay."]


def test_a_question_is_found_again_when_one_comes_back_to_the_page(db: Database, team: Team) -> None:
    with db.writing() as session:
        make_item(session, team.support.id, output="A needle.")
        make_item(session, team.support.id, output="Hay.")
    app = history(db, team.bo)
    app.text_input(key="find_text").input("needle").run()
    app.switch_page("pages/home.py").run()
    with db.writing() as session:
        make_item(session, team.support.id, output="Another needle.")

    app.switch_page("pages/history.py").run()

    assert app.text_input(key="find_text").value == "needle"
    assert listed(app) == ["Another needle.", "A needle."]
