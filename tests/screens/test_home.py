"""Home, as each sees it: what waits, what to do next, and names that stay text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from db.clock import HOUR, MINUTE, now
from db.engine import Database
from db.tables import Role
from neuro_review import queue, sessions, workflows
from neuro_review.access import Actor
from tests.conftest import OPERATOR, Team
from tests.helpers import make_item

APP = Path(__file__).resolve().parent.parent.parent / "app.py"
HOSTILE = "<b>x</b> [a](http://evil.example) :red[y] ![i](http://evil.example/i.png)"


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)


def session_of(db: Database, actor: Actor) -> str:
    with db.writing() as session:
        return sessions.session_id(sessions.sign_in(session, sessions.look_up(session, actor.email)))


def home(db: Database, actor: Actor) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30)
    app.user = {"session": session_of(db, actor)}
    app.run().switch_page("pages/home.py").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> list[str]:
    return [one.value for one in app.main.text]


def numbers(app: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in app.metric}


def links(app: AppTest) -> list[str]:
    return [one.proto.label for one in app.main.get("page_link")]


def put(db: Database, workflow: workflows.Workflow, number: int = 1, **facts: Any) -> list[str]:
    with db.writing() as session:
        return [make_item(session, workflow.id, **facts) for _ in range(number)]


def test_a_reviewer_sees_what_waits_what_is_theirs_and_one_thing_to_do(db: Database, team: Team) -> None:
    items = put(db, team.support, 3, created_at=now() - 2 * HOUR - MINUTE)
    put(db, team.support, 1, due_at=now() + MINUTE)
    put(db, team.other, 7)
    with db.writing() as session:
        queue.assign(session, items[0], team.olu, person_id=team.bo.person_id)

    app = home(db, team.bo)

    assert numbers(app) == {
        "Held": "4", "Due within the hour": "1", "Oldest waits": "2 h", "Assigned to you": "1",
        "Your verdicts today": "0", "Your verdicts this week": "0",
    }  # fmt: skip
    assert links(app) == ["Review what waits", "Review"]
    assert "support" in texts(app)
    assert "other" not in texts(app)
    assert not [one for one in app.header if "Look at" in one.value]


def test_an_owner_sees_who_works_what_was_said_and_what_was_escalated(db: Database, team: Team) -> None:
    items = put(db, team.support, 4, model="larch")
    with db.writing() as session:
        queue.escalate(session, items[3], team.cy, "could do harm")
        queue.claim(session, team.bo, [team.support.id], most=2)
        workflows.write_rubric(session, OPERATOR, team.support.id, "Be right.")

    app = home(db, team.olu)

    assert numbers(app)["Escalated to you"] == "1"
    assert "Working now: Bo, 2 items in hand" in texts(app)
    assert "No verdict in the last 14 days" in [one.value for one in app.caption]
    assert [one for one in texts(app) if one.startswith("larch · could do harm by Cy · ")]
    assert [one.label for one in app.expander] == ["Escalated to the owner"]


def test_an_admin_sees_every_workflow_and_what_is_missing(db: Database, team: Team) -> None:
    put(db, team.other)

    app = home(db, team.ada)

    assert {"support", "other"} <= set(texts(app))
    assert "“other” has no owner: nobody answers for it, and no application can submit to it. Name one." in texts(app)
    assert "Look at 3 things" in [one.value for one in app.header]
    assert [one.key for one in app.button] == []


def test_with_no_workflow_it_says_how_outputs_come_in(db: Database, add_person: Callable[..., Actor]) -> None:
    app = home(db, add_person("Ada", Role.ADMIN))

    assert "No outputs yet" in [one.value for one in app.header]
    assert "neuro_review import" in app.code[0].value
    app.button(key="load_samples").click().run()
    assert not app.exception
    assert numbers(app)["Held"] == "60"
    app.button(key="remove_samples").click().run()
    assert "No outputs yet" in [one.value for one in app.header]


def test_a_reviewer_of_a_workflow_that_was_put_away_is_told_so(db: Database, team: Team) -> None:
    with db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)

    app = home(db, team.bo)

    assert "None of your workflows is in use" in " ".join(texts(app))
    assert [one.key for one in app.button] == []


def test_with_nothing_held_it_says_so(db: Database, team: Team) -> None:
    app = home(db, team.bo)

    assert "Nothing waits. New outputs appear here as applications hand them in." in texts(app)
    assert links(app) == []


def test_names_and_models_stay_text(db: Database, team: Team) -> None:
    (item_id,) = put(db, team.support, model=HOSTILE)
    put(db, team.support)
    with db.writing() as session:
        connection = session.connection()
        connection.execute(sa.text("UPDATE workflow SET name = name || :name"), {"name": HOSTILE})
        connection.execute(sa.text("UPDATE person SET name = :name WHERE id = :id"),
                           {"name": HOSTILE, "id": team.bo.person_id})  # fmt: skip
        queue.escalate(session, item_id, team.bo)
        queue.claim(session, team.bo, [team.support.id], most=1)

    app = home(db, team.ada)

    said = texts(app)
    assert f"support{HOSTILE}" in said
    assert f"Working now: {HOSTILE}, 1 item in hand" in said
    assert [one for one in said if one.startswith(f"{HOSTILE} · asked for by {HOSTILE}")]
    assert [one for one in said if f"“support{HOSTILE}” has no rubric" in one]
    marked_up = [*app.markdown, *app.caption, *app.header, *app.title, *app.error, *app.info]
    assert [one.value for one in marked_up if "evil" in one.value] == []
    assert [one.label for one in (*app.metric, *app.expander, *app.button) if "evil" in one.label] == []
    assert [label for label in links(app) if "evil" in label] == []


def test_an_ended_session_shows_nothing(db: Database, team: Team) -> None:
    put(db, team.support)
    app = home(db, team.bo)
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE sign_in SET ended_at = 1"))

    app.run()

    assert "support" not in texts(app)
    assert sessions.ENDED in texts(app)
