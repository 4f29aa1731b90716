"""A file uploaded in the browser: what its columns become, what is refused, and where its import is found again."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.tables import JobKind, JobState
from neuro_review import sessions
from neuro_review.access import Actor
from neuro_review.jobs import files, keeper, rows
from neuro_review.jobs import run as process
from tests.conftest import Team
from tests.jobs.conftest import csv_of, value

SCRIPT = """
from neuro_review import ui
from neuro_review.ui.upload import upload_form
ui.open_page("Page")
upload_form()
"""
HOSTILE = "![x](http://evil.example/x.png) <b>bold</b>"


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)


Open = Callable[[Actor], AppTest]


@pytest.fixture
def open_page(db: Database) -> Open:
    def run(by: Actor) -> AppTest:
        with db.writing() as session:
            token = sessions.sign_in(session, sessions.look_up(session, by.email))
        app = AppTest.from_string(SCRIPT, default_timeout=30)
        app.user = {"session": sessions.session_id(token)}
        return ran(app)

    return run


def ran(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def upload(app: AppTest, data: bytes, name: str = "outputs.csv") -> AppTest:
    app.file_uploader[0].set_value((name, data, "text/csv"))
    return ran(app)


def words(app: AppTest) -> list[str]:
    return [element.value for element in (*app.text, *app.error, *app.warning)]


def choice(app: AppTest, label: str) -> object:
    (found,) = [one for one in app.selectbox if one.label == label]
    return found.value


def choose(app: AppTest, label: str, wanted: object) -> AppTest:
    (found,) = [one for one in app.selectbox if one.label == label]
    found.set_value(wanted)
    return ran(app)


def button(app: AppTest, starts: str = "Import") -> object:
    return next(one for one in app.button if one.label.startswith(starts))


def mine(db: Database, by: Actor) -> list[rows.Job]:
    with db.reading() as session:
        return rows.mine(session, by, JobKind.IMPORT)


def work(db: Database) -> None:
    held = keeper.next_one(db)
    assert held
    assert process.run(db, held) == process.DONE


def test_a_file_is_mapped_imported_and_found_again(db: Database, team: Team, open_page: Open) -> None:
    app = upload(open_page(team.olu), csv_of(7) + b'7,"no answer",,m\n')

    assert [choice(app, one) for one in ("Output", "Prompt", "Model", "External id")] == [
        "answer", "question", "model", "id"
    ]  # fmt: skip
    assert "1 of the first 8 rows would be set aside:" in words(app)
    assert "1 row, the first in line 9: output is missing. Fill it in, or leave the row out." in words(app)
    raw, items = (one.value for one in app.dataframe)
    assert raw["answer"].tolist()[0] == "Answer 0, at length."
    assert items["Output"].tolist() == [f"Answer {i}, at length." for i in range(5)]
    assert choice(app, "Workflow") == team.support.id
    button(app).click()
    ran(app)

    (job,) = mine(db, team.olu)
    assert (job.state, job.asked["file"]) == (JobState.WAITING, "outputs.csv")
    assert app.file_uploader[0].value is None
    work(db)
    ran(app)
    assert "8 rows read: 7 held for review, 1 set aside." in words(app)
    assert "Row 9: output is missing. Fill it in, or leave the row out." in words(app)
    assert "outputs.csv" in words(open_page(team.olu))
    assert "outputs.csv" not in words(open_page(team.ada))


def test_nothing_can_be_imported_before_output_model_and_workflow_are_known(team: Team, open_page: Open) -> None:
    app = upload(open_page(team.ada), b"x,y\n1,Hello\n")
    assert choice(app, "Output") is None
    assert button(app).disabled
    assert [one.value for one in app.info] == [
        "Choose the column that holds the output.",
        "Which model wrote them? Choose its column, or name one model for all rows.",
    ]

    choose(app, "Output", "y")
    assert button(app).disabled
    assert len(app.info) == 1
    assert app.dataframe[1].value["Output"].tolist() == ["Hello"]
    next(one for one in app.text_input if one.label.startswith("Model")).set_value("larch")
    ran(app)
    assert not app.warning
    assert not app.info
    assert button(app).disabled
    choose(app, "Workflow", team.other.id)

    assert not button(app).disabled


def test_an_admin_can_make_the_workflow_and_an_owner_cannot(db: Database, team: Team, open_page: Open) -> None:
    (options,) = (one.options for one in upload(open_page(team.olu), csv_of(1)).selectbox if one.label == "Workflow")
    assert options == ["support"]

    app = choose(upload(open_page(team.ada), csv_of(1)), "Workflow", 0)
    button(app).click()
    ran(app)
    assert any("has no name yet" in said for said in words(app))
    # Typed, and at once the button: what was typed last counts.
    next(one for one in app.text_input if one.label.startswith("Name of")).set_value("fresh")
    button(app).click()
    ran(app)
    work(db)

    assert (mine(db, team.ada)[0].workflow, mine(db, team.ada)[0].result["held"]) == ("fresh", 1)


def test_a_reviewer_sees_nothing_of_it(team: Team, open_page: Open) -> None:
    app = open_page(team.bo)

    assert not app.file_uploader
    assert words(app) == []


@pytest.mark.parametrize("name", ["../../x.csv", f"{'n' * 300}.csv", f"{HOSTILE}.csv"])
def test_a_hostile_name_and_hostile_cells_are_only_text(db: Database, team: Team, open_page: Open, name: str) -> None:
    data = f'{HOSTILE},output,model\n"{HOSTILE}","{HOSTILE}",m\n'.encode()
    app = upload(open_page(team.olu), data, name)
    folder = files.every()
    assert len(list(folder.iterdir())) == 1
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["upload.csv"]
    button(app).click()
    ran(app)
    work(db)
    ran(app)

    shown = [one.value for one in (*app.markdown, *app.caption, *app.error, *app.warning, *app.header)]
    assert not [one for one in shown if "evil" in one]
    assert files.shown_name(name) in words(app)
    assert value(db, "SELECT output FROM item_content") == HOSTILE


def test_what_cannot_be_read_is_told_and_leaves_nothing_behind(db: Database, team: Team, open_page: Open) -> None:
    app = upload(open_page(team.olu), b"", "empty.csv")

    assert len(app.error) == 1
    assert "is empty" in words(app)[-1]
    assert list(files.every().iterdir()) == []
    assert mine(db, team.olu) == []


def test_a_file_that_is_taken_away_again_is_not_kept(team: Team, open_page: Open) -> None:
    app = upload(open_page(team.olu), csv_of(1))
    assert len(list(files.every().iterdir())) == 1

    app.file_uploader[0].set_value(None)
    ran(app)

    assert list(files.every().iterdir()) == []


def test_labels_of_the_past_come_in_as_such(db: Database, team: Team, open_page: Open) -> None:
    data = b"id,output,model,verdict,reviewer\n1,a,m,approve,bo\n2,b,m,rejected,cy\n"
    app = upload(open_page(team.olu), data)
    assert [choice(app, one) for one in ("Verdict", "Reviewer")] == ["verdict", "reviewer"]
    button(app).click()
    ran(app)
    work(db)

    assert "2 rows read: 2 labels of the past." in words(ran(app))
