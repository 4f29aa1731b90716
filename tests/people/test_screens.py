"""The screens of those who run the place: what each role sees and can do there, and text of others stays text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.tables import Role
from neuro_review import access, invitations, people, sessions, sources, ui, workflows
from neuro_review.access import Actor
from neuro_review.workflows import agreed
from neuro_review.workflows.agreed import Terms
from tests.conftest import Team
from tests.helpers import make_item

PAGES = Path(__file__).resolve().parent.parent.parent / "pages"
HOSTILE = "![x](https://evil.example/i.png) <b>bold</b> :red[red] $x$ [a](javascript:1)"
# What Streamlit shows as Markdown.
MARKDOWN = "markdown caption error info title header subheader button expander success warning"

Open = Callable[..., AppTest]


@pytest.fixture
def open_page(db: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)

    def run(page: str, by: Actor, /, **query: Any) -> AppTest:
        with db.writing() as session:
            token = sessions.sign_in(session, sessions.look_up(session, by.email))
        app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=20)
        app.user = {"session": sessions.session_id(token)}
        for name, value in query.items():
            app.query_params[name] = str(value)
        return app.run()

    return run


def says(app: AppTest) -> str:
    """Return every text that the page shows, as it was given."""
    assert not app.exception
    shown = [str(one.value) for one in (*app.text, *app.caption, *app.error, *app.info, *app.code, *app.title)]
    shown += [one.label for one in app.button]
    return (
        "\n".join(shown + [str(one.value) for one in (*app.markdown, *app.header, *app.subheader)])
        .replace("\\", "")
        .replace(ui.JOINER, "")
    )


def refusal(app: AppTest) -> str:
    return " ".join(one.value for one in app.error).replace("\\", "").replace(ui.JOINER, "")


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [one for one in app.button if one.label.replace("\\", "").replace(ui.JOINER, "") == label]
    return button.click().run()


@pytest.mark.parametrize(
    ("page", "who", "says_so"),
    [
        ("workflows", "bo", "This page is for owners"),
        ("sources", "bo", "This page is for owners"),
        ("people", "bo", "This page is for admins"),
        ("people", "olu", "This page is for admins"),
    ],
)
def test_a_page_is_closed_to_who_has_not_its_role(
    team: Team, open_page: Open, page: str, who: str, says_so: str
) -> None:
    app = open_page(page, getattr(team, who))

    assert says_so in refusal(app)
    assert not app.button
    assert not app.text


def test_an_owner_sees_their_own_workflow_and_cannot_add_one(db: Database, team: Team, open_page: Open) -> None:
    with db.writing() as session:
        make_item(session, team.support.id)

    app = open_page("workflows", team.olu)

    assert [one.label for one in app.button] == ["support"]
    assert "Olu" in says(app)
    assert "1 held" in says(app)
    assert "no deadline" in says(app)
    assert not app.expander


def test_another_owners_workflow_cannot_be_opened_by_its_link(team: Team, open_page: Open) -> None:
    app = open_page("workflows", team.olu, workflow=team.other.id)

    assert "needs the role owner in this workflow" in refusal(app)
    assert "other" not in says(app)


@pytest.mark.parametrize("named", ["999", "9" * 30, "x", "-1", "²"])
def test_a_link_to_nothing_is_a_sentence_or_the_list(team: Team, open_page: Open, named: str) -> None:
    for page, key in (("workflows", "workflow"), ("people", "person")):
        app = open_page(page, team.ada, **{key: named})
        assert not app.exception
        assert app.error or len(app.button) > 1


def test_an_admin_adds_a_workflow_with_all_that_is_agreed(db: Database, team: Team, open_page: Open) -> None:
    app = open_page("workflows", team.ada)
    app.text_input(key="name_0").input("Chat")
    app.number_input(key="grace_0").set_value(30)
    app.number_input(key="deadline_0").set_value(4)
    app.selectbox(key="unit_0").select("hours")
    app.text_area(key="fallback_0").input("We will call you.")
    app.selectbox(key="owner").select(team.bo.person_id)
    app.text_area(key="reasons_0").input("Wrong fact\nTone\n")
    app.text_area(key="rubric_0").input("Be kind.")

    press(app, "Add the workflow")

    assert "“Chat” is there." in says(app)
    assert app.header[0].value == "Chat"
    with db.reading() as session:
        made = workflows.by_name(session, "Chat")
        assert agreed.terms(made) == Terms("Chat", 30, 4, "hours", "We will call you.")
        assert workflows.reasons(session, made.id) == ["Wrong fact", "Tone"]
        assert workflows.rubric(session, made.id) == "Be kind."
        assert [one.name for one in people.owners(session)[made.id]] == ["Bo"]


def test_a_refused_workflow_is_explained_and_what_was_typed_stays(team: Team, open_page: Open) -> None:
    app = open_page("workflows", team.ada)
    app.text_input(key="name_0").input("support")
    app.text_area(key="rubric_0").input("My long rubric.")

    press(app, "Add the workflow")

    assert "There is a workflow “support” already." in refusal(app)
    assert app.text_area(key="rubric_0").value == "My long rubric."


def test_an_owner_changes_terms_reasons_and_rubric(db: Database, team: Team, open_page: Open) -> None:
    of = team.support.id
    app = open_page("workflows", team.olu, workflow=of)
    app.number_input(key=f"grace_{of}").set_value(0)
    app.number_input(key=f"deadline_{of}").set_value(30)
    app.selectbox(key=f"unit_{of}").select("minutes")
    press(app, "Save")
    assert "Saved." in says(app)
    app.text_area(key=f"reasons_{of}").input("Tone")
    press(app, "Save the reasons")
    app.text_area(key=f"rubric_{of}_0").input("First.")
    press(app, "Save as the next version")
    app.text_area(key=f"rubric_{of}_1").input("Second.")
    press(app, "Save as the next version")

    with db.reading() as session:
        assert agreed.terms(workflows.by_id(session, of)) == Terms("support", 0, 30, "minutes")
        assert workflows.reasons(session, of) == ["Tone"]
        assert workflows.rubric(session, of) == "Second."
    assert "Version 2 is in force." in says(app)
    assert "First." in says(app)


def test_who_saves_over_anothers_change_is_told_first_and_keeps_what_was_typed(
    db: Database, team: Team, open_page: Open
) -> None:
    of = team.support.id
    app = open_page("workflows", team.olu, workflow=of)
    with db.writing() as session:
        agreed.change(session, team.ada, of, Terms("support", 60, 2, "days"))
        agreed.set_reasons(session, team.ada, of, ["Theirs"])
    app.run()  # whatever else runs the page does not make what was read any newer
    app.number_input(key=f"grace_{of}").set_value(30)
    assert "Somebody else changed this meanwhile" in refusal(press(app, "Save"))
    assert app.number_input(key=f"grace_{of}").value == 30
    app.text_area(key=f"reasons_{of}").input("Mine")
    assert "Somebody else changed this meanwhile" in refusal(press(app, "Save the reasons"))
    assert app.text_area(key=f"reasons_{of}").value == "Mine"
    with db.reading() as session:
        assert agreed.terms(workflows.by_id(session, of)) == Terms("support", 60, 2, "days")
        assert workflows.reasons(session, of) == ["Theirs"]
    press(app, "Save")
    press(app, "Save the reasons")

    assert not app.error
    with db.reading() as session:
        assert agreed.terms(workflows.by_id(session, of)) == Terms("support", 30)
        assert workflows.reasons(session, of) == ["Mine"]
    press(app, "Save")
    assert not app.error


def test_a_workflow_is_put_away_and_brought_back(db: Database, team: Team, open_page: Open) -> None:
    app = open_page("workflows", team.olu, workflow=team.support.id)
    press(app, "Put it away")
    assert "Put away" in says(app)
    assert [one.label for one in app.button] == ["All workflows", "Bring it back"]

    press(app, "Bring it back")

    assert "Reasons" in says(app)
    with db.reading() as session:
        assert workflows.by_id(session, team.support.id).archived_at is None


def test_while_something_is_held_a_workflow_cannot_be_put_away(db: Database, team: Team, open_page: Open) -> None:
    app = open_page("workflows", team.olu, workflow=team.support.id)
    with db.writing() as session:
        make_item(session, team.support.id)

    press(app, "Put it away")  # an old screen

    assert "Outputs are still held in “support”" in refusal(app)
    assert "Put it away" not in [one.label for one in app.button]


def test_an_owner_names_a_successor_and_only_then_goes(db: Database, team: Team, open_page: Open) -> None:
    app = open_page("workflows", team.olu, workflow=team.support.id)
    press(app, "Remove")
    assert "would have no owner" in refusal(app)
    app.selectbox(key=f"owner_{team.support.id}").select(team.bo.person_id)
    press(app, "Add the owner")

    with db.reading() as session:
        (_, olu) = people.owners(session)[team.support.id]
    app.button(key=f"remove_{olu.grant_id}").click().run()

    with db.reading() as session:
        assert [one.name for one in people.owners(session)[team.support.id]] == ["Bo"]
    assert "Your session has ended" in says(app)


def test_everybody_is_listed_with_roles_and_state(db: Database, team: Team, open_page: Open) -> None:
    with db.writing() as session:
        people.disable(session, team.ada, team.bo.person_id or 0)

    said = says(open_page("people", team.ada))

    for words in ("bo@example.com", "reviewer of support", "owner of support", "admin", "never seen", "disabled"):
        assert words in said


def invite(app: AppTest, team: Team, name: str = "Di", email: str = "di@example.com") -> AppTest:
    app.text_input(key="name").input(name)
    app.text_input(key="email").input(email)
    app.selectbox(key="role").select(Role.REVIEWER)
    app.selectbox(key="where").select(team.support.id)
    return press(app, "Make the invitation")


def test_an_admin_invites_and_the_link_is_shown_until_it_is_put_away(db: Database, team: Team, open_page: Open) -> None:
    app = invite(open_page("people", team.ada), team)

    (link,) = app.code
    code = link.value.split("code=")[1]
    with db.reading() as session:
        assert invitations.opened(session, code).email == "di@example.com"
    assert app.header[0].value == "Di"
    press(app, "I have it")
    assert not app.code
    assert "reviewer of support" in says(app)


def test_a_link_is_gone_once_another_page_was_opened(team: Team, open_page: Open, db: Database) -> None:
    app = invite(open_page("people", team.ada), team)
    assert app.code
    kept = app.session_state["_once"]
    other = AppTest.from_file(str(PAGES / "workflows.py"), default_timeout=20)
    other.user = app.user
    other.session_state["_once"] = kept

    other.run()

    assert "_once" not in other.session_state


def test_an_invitation_that_is_refused_says_why_and_shows_no_link(team: Team, open_page: Open) -> None:
    app = invite(open_page("people", team.ada), team, email="bo@example.com")

    assert "bo@example.com is here already" in refusal(app)
    assert not app.code
    assert app.text_input(key="name").value == "Di"


def test_an_admin_gives_and_takes_roles_and_closes_and_opens_an_account(
    db: Database, team: Team, open_page: Open
) -> None:
    bo = team.bo.person_id
    app = open_page("people", team.ada, person=bo)
    app.selectbox(key=f"role_{bo}").select(Role.OWNER)
    app.selectbox(key=f"where_{bo}").select(team.other.id)
    press(app, "Give the role")
    assert "owner of other" in says(app)
    app.button(key=f"take_{grant(db, team.bo, 'reviewer of support')}").click().run()
    assert "reviewer of support" not in says(app)

    press(app, "Disable this account")
    assert "“other” would have no owner" in refusal(app)
    app.button(key=f"take_{grant(db, team.bo, 'owner of other')}").click().run()
    assert "“other” would have no owner" in refusal(app)
    with db.writing() as session:
        people.give_role(session, team.ada, team.cy.person_id or 0, Role.OWNER, team.other.id)
    press(app, "Disable this account")
    assert "this person cannot sign in" in says(app)

    press(app, "Enable again")
    with db.reading() as session:
        assert people.member(session, team.ada, bo or 0).in_use


def grant(db: Database, person: Actor, words: str) -> int:
    with db.reading() as session:
        grants = people.member(session, Actor("tests", "tests"), person.person_id or 0).grants
    return next(one.id for one in grants if one.words == words)


def test_a_new_link_takes_the_password_and_nobody_makes_one_for_themselves(
    db: Database, team: Team, open_page: Open
) -> None:
    with db.writing() as session:
        people.set_password(session, team.ada, team.bo.person_id or 0, "hash")
    app = open_page("people", team.ada, person=team.bo.person_id)

    press(app, "Make a new link")

    assert len(app.code) == 1
    with db.reading() as session:
        assert sessions.look_up(session, team.bo.email).password_hash is None
    mine = open_page("people", team.ada, person=team.ada.person_id)
    assert "Make a new link" not in [one.label for one in mine.button]


def test_an_owner_adds_an_application_and_sees_its_key_once(db: Database, team: Team, open_page: Open) -> None:
    app = open_page("sources", team.olu)
    assert "No application has a key yet." in says(app)
    app.text_input(key="name").input("shop")
    press(app, "Add it and make a key")

    key, call = (one.value for one in app.code[:2])
    with db.reading() as session:
        assert sources.caller(session, key).workflow_id == team.support.id
    assert f"Authorization: Bearer {key}" in call
    assert "/api/v1/items" in call
    press(app, "I have it")
    assert key not in says(app)
    assert key not in says(open_page("sources", team.olu))


def test_an_owner_offers_their_own_workflows_alone(team: Team, open_page: Open) -> None:
    assert open_page("sources", team.olu).selectbox(key="workflow").options == ["support"]
    assert open_page("sources", team.ada).selectbox(key="workflow").options == ["other", "support"]


def test_a_key_is_replaced_and_revoked_on_screen(db: Database, team: Team, open_page: Open) -> None:
    with db.writing() as session:
        old = sources.add(session, team.olu, "shop", team.support.id).key
        (source,) = sources.mine(session, team.olu)
    app = open_page("sources", team.olu)

    press(app, "New key")
    new = app.code[0].value
    app.button(key=f"revoke_{source.keys[0].id}").click().run()

    assert "The key is revoked." in says(app)
    with db.reading() as session:
        assert sources.caller(session, new).source == "shop"
        with pytest.raises(access.NotAllowedError):
            sources.caller(session, old)


def test_a_key_that_can_do_nothing_is_refused(team: Team, open_page: Open) -> None:
    app = open_page("sources", team.olu)
    app.text_input(key="name").input("shop")
    app.get("button_group")[0].set_value([])

    press(app, "Add it and make a key")

    assert "of no use" in refusal(app)
    assert len(app.code) <= 1  # the command that imports


@pytest.mark.parametrize(
    ("page", "query"),
    [("workflows", {}), ("workflows", {"workflow": 1}), ("people", {}), ("people", {"person": 6}), ("sources", {})],
)
def test_names_that_are_no_names_are_shown_as_text(
    db: Database, team: Team, open_page: Open, page: str, query: dict[str, int]
) -> None:
    assert team.support.id == 1
    with db.writing() as session:
        agreed.change(session, team.ada, 1, Terms(HOSTILE))
        link = invitations.invite(session, team.ada, HOSTILE, "evil@example.com", Role.OWNER, workflow_id=1)
        workflows.write_rubric(session, access.actor(session, link.person_id), 1, HOSTILE)
        workflows.write_rubric(session, team.ada, 1, "Later.")
        sources.add(session, team.ada, HOSTILE, 1)
    assert link.person_id == 6

    app = open_page(page, team.ada, **query)

    assert HOSTILE in says(app)
    for kind in MARKDOWN.split():
        for one in app.get(kind):
            text = str(getattr(one, "label", "") or "") + str(getattr(one, "value", "") or "")
            assert "![x](" not in text, kind
            assert "<b>" not in text, kind
    for popover in app.get("popover"):
        assert "![x](" not in popover.proto.popover.label
    assert ui.md_escape(HOSTILE) != HOSTILE
