"""The Exports page: what can be chosen, how many it is, and the file that comes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from db.clock import DAY, SECOND, parse_iso
from db.engine import Database
from db.tables import JobKind, JobState, Role, Verdict
from neuro_review import sessions, settings, ui
from neuro_review.access import Actor
from neuro_review.exports import foreseen, parts, preview
from neuro_review.exports.foreseen import foresee
from neuro_review.exports.formats import Format
from neuro_review.exports.rows import Filter
from neuro_review.jobs import keeper, rows
from neuro_review.jobs import run as process
from tests.conftest import Clock, Team
from tests.exports.labels import exported, hold_out, labels
from tests.exports.stock import decide, held, past, set_grace
from tests.web.conftest import browser, door

__all__ = ["browser", "door"]

PAGE = Path(__file__).resolve().parent.parent.parent / "pages" / "exports.py"
HOSTILE = "![x](http://evil.example/x.png) <b>bold</b> =1+1"


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)


Open = Callable[[Actor], AppTest]


@pytest.fixture
def token(db: Database) -> Callable[[Actor], str]:
    def sign_in(by: Actor) -> str:
        with db.writing() as session:
            return sessions.sign_in(session, sessions.look_up(session, by.email))

    return sign_in


@pytest.fixture
def open_page(token: Callable[[Actor], str]) -> Open:
    def run(by: Actor) -> AppTest:
        app = AppTest.from_file(str(PAGE), default_timeout=30)
        app.user = {"session": sessions.session_id(token(by))}
        app.run()
        assert not app.exception
        return app

    return run


def words(app: AppTest) -> list[str]:
    return [element.value for element in (*app.text, *app.error, *app.warning)]


def work(db: Database) -> None:
    """Do what waits, in this process."""
    held_job = keeper.next_one(db)
    assert held_job
    assert process.run(db, held_job) == process.DONE


def mine(db: Database, by: Actor) -> list[rows.Job]:
    with db.reading() as session:
        return rows.mine(session, by, JobKind.EXPORT)


def test_an_export_goes_from_the_form_to_the_file(
    db: Database, team: Team, open_page: Open, browser: Callable[[], TestClient], token: Callable[[Actor], str]
) -> None:
    for number in range(3):
        past(db, team.support, [{"verdict": "approve", "reviewer": "bo"}], model="larch", external_id=f"l{number}")
    past(db, team.support, [{"verdict": "reject", "reviewer": "cy"}], model="elm", external_id="e")
    app = open_page(team.olu)
    assert "4 reviews." in words(app)

    app.selectbox(key=f"export_model_{team.support.id}").set_value("larch").run()
    assert "3 reviews." in words(app)
    app.selectbox(key="export_format").set_value("csv").run()
    app.button(key="start").click().run()

    (job,) = mine(db, team.olu)
    assert (job.state, job.asked["format"], job.asked["filter"]["model"]) == (JobState.WAITING, "csv", "larch")
    assert any("waits for its turn" in said for said in words(app))
    work(db)
    app.run()
    assert any(said.startswith("3 reviews · ") for said in words(app))
    assert "3 rows: 3 approve" in words(app)

    client = browser()
    client.cookies.set("nr_session", token(team.olu))
    got = client.get(f"/files/{job.id}/data")
    assert (got.status_code, got.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    name = mine(db, team.olu)[0].result["file"]
    assert got.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert len(got.text.splitlines()) == 4
    assert client.get(f"/files/{job.id}/manifest").json()["rows"] == 3


def test_labels_go_out_as_another_tool_reads_them_and_what_is_left_out_is_said(
    db: Database, team: Team, open_page: Open
) -> None:
    labels(db, team)
    hold_out(db, models=("larch",), verdicts=(Verdict.CORRECT,))
    app = open_page(team.olu)
    app.selectbox(key="export_format").set_value("dpo").run()
    assert any("So is whatever a held-out eval set" in one.value for one in app.caption)
    app.selectbox(key="export_format").set_value("trl-kto").run()
    app.button(key="start").click().run()
    work(db)
    app.run()

    (job,) = mine(db, team.olu)
    assert str(job.result["file"]).startswith("support-trl-kto-") and str(job.result["file"]).endswith(".jsonl")
    assert any(said.startswith("6 lines, 8 reviews left out · ") for said in words(app))
    assert "2 left out: It is a case of an eval set that is held out." in words(app)
    assert "Held out: exam@1" in words(app)


@pytest.mark.parametrize("form", [one for one in Format if not one.is_table])
def test_how_many_lines_a_format_will_have_is_said_before_it_is_made(
    db: Database, team: Team, tmp_path: Path, form: Format
) -> None:
    labels(db, team)
    hold_out(db, models=("larch",), verdicts=(Verdict.CORRECT,))

    found = foresee(db, team.olu, team.support.id, form, Filter())
    approved = foresee(db, team.olu, team.support.id, form, Filter(verdict=Verdict.APPROVE))

    done, lines = exported(db, tmp_path, form)
    assert (found.lines, found.left_out, found.is_exact) == (len(lines), done.left_out, True)
    assert found.reviews == 14
    assert approved.lines == len(exported(db, tmp_path, form, choice=Filter(verdict=Verdict.APPROVE))[1])


def test_where_there_is_much_the_first_of_it_is_looked_at_and_that_is_said(
    db: Database, team: Team, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(db, team)
    monkeypatch.setattr(foreseen, "LOOKED_FOR", -SECOND)
    monkeypatch.setattr(parts, "FIRST_PAGE", 5)
    app = open_page(team.olu)

    app.selectbox(key="export_format").set_value("trl-dpo").run()

    assert "The first 5 reviews make 2 lines in this format; the rest is counted when the file is made." in words(app)
    assert (app.button(key="start").label, app.button(key="start").disabled) == ("Export 14 reviews", False)


def test_what_is_held_out_is_not_compared_where_it_is_too_much_and_that_is_said(
    db: Database, team: Team, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels(db, team)
    hold_out(db, models=("larch",), verdicts=(Verdict.CORRECT,))
    monkeypatch.setattr(foreseen, "MOST_HELD_OUT", 1)
    app = open_page(team.olu)

    app.selectbox(key="export_format").set_value("dpo").run()

    (said,) = [one for one in words(app) if "lines in this format" in one]
    assert said.startswith("2 lines in this format; 12 are left out. What is held out will be left out as well")
    assert app.button(key="start").label == "Export 14 reviews"
    app.selectbox(key="export_format").set_value("inspect").run()  # nobody learns from it
    assert not any("held out will be" in one for one in words(app))


def test_a_format_that_can_use_none_of_it_is_not_offered_as_a_file(db: Database, team: Team, open_page: Open) -> None:
    for number in range(3):
        past(db, team.support, [{"verdict": "approve"}], prompt="Why?", external_id=f"l{number}")
    app = open_page(team.olu)
    assert not any("in this format" in one for one in words(app))

    app.selectbox(key="export_format").set_value("dpo").run()

    assert "None of them can be used in this format. Choose another, or take a filter away." in words(app)
    assert any(one.value.startswith("3 left out: There is no correction") for one in app.caption)
    assert app.button(key="start").disabled
    app.selectbox(key="export_format").set_value("sft").run()
    assert "3 lines in this format." in words(app)
    assert (app.button(key="start").label, app.button(key="start").disabled) == ("Export 3 lines", False)


def test_a_file_is_given_to_nobody_but_who_asked(
    db: Database, team: Team, open_page: Open, browser: Callable[[], TestClient], token: Callable[[Actor], str]
) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    open_page(team.olu).button(key="start").click().run()
    work(db)
    (job,) = mine(db, team.olu)
    client = browser()
    address = f"/files/{job.id}/data"

    assert client.get(address, headers={"accept": "text/html"}).status_code == 303
    assert client.get(address).status_code == 401
    for stranger in (team.ada, team.bo, team.eve):
        client.cookies.set("nr_session", token(stranger))
        answer = client.get(address)
        assert answer.status_code == 404
        assert "review_id" not in answer.text
    client.cookies.set("nr_session", token(team.olu))
    for wrong in ("/files/x/data", f"/files/{job.id}/upload", f"/files/{job.id}/rejected", f"/files/{'0' * 32}/data"):
        assert client.get(wrong).status_code == 404
    assert client.get(address).status_code == 200


def test_what_can_still_be_undone_is_counted_apart(
    db: Database, team: Team, open_page: Open, moved_clock: Clock
) -> None:
    set_grace(db, team.support, 60_000)
    app = open_page(team.olu)
    assert app.button(key="start").disabled
    assert "There is no review in this workflow yet." in " ".join(words(app))
    held(db, team.support)
    decide(db, team.support, team.bo, Verdict.APPROVE)
    past(db, team.support, [{"verdict": "approve"}])

    assert "1 review; 1 more is still in their grace." in words(open_page(team.olu))
    moved_clock.forward(61 * SECOND)
    assert "2 reviews." in words(open_page(team.olu))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Filter(), 4), (Filter(model="larch"), 3), (Filter(verdict=Verdict.REJECT), 1), (Filter(reviewer="bo"), 2),
        (Filter(since=parse_iso("2026-03-02")), 2), (Filter(until=parse_iso("2026-03-02")), 2),
        (Filter(model="larch", reviewer="bo"), 1), (Filter(model="oak"), 0),
    ],
)  # fmt: skip
def test_the_count_is_what_the_file_holds(db: Database, team: Team, choice: Filter, expected: int) -> None:
    for number, (model, verdict, reviewer) in enumerate(
        [("larch", "approve", "bo"), ("larch", "approve", "cy"), ("larch", "reject", "di"), ("elm", "approve", "bo")]
    ):
        past(
            db, team.support, [{"verdict": verdict, "reviewer": reviewer}], model=model, external_id=str(number),
            created_at=f"2026-03-0{1 + number // 2}T12:00:00Z",
        )  # fmt: skip

    with db.reading() as session:
        found = preview.look(session, team.support.id, team.olu, choice)

    assert (found.rows, found.in_grace) == (expected, 0)
    assert len(found.first.get("output", [])) == expected


def test_days_are_days_in_utc_and_both_included() -> None:
    day = preview.date(2026, 3, 1)

    choice = preview.filter_of(day, day, None, None, None)

    assert (choice.since, choice.until) == (parse_iso("2026-03-01T00:00:00Z"), parse_iso("2026-03-02T00:00:00Z"))
    assert choice.until == (choice.since or 0) + DAY


def test_names_are_offered_and_text_of_others_stays_text(db: Database, team: Team, open_page: Open) -> None:
    past(db, team.support, [{"verdict": "approve", "reviewer": HOSTILE}], model=HOSTILE, output=HOSTILE)

    app = open_page(team.olu)

    assert app.selectbox(key=f"export_model_{team.support.id}").options == [HOSTILE]
    assert app.selectbox(key=f"export_reviewer_{team.support.id}").options == [HOSTILE]
    assert app.dataframe[0].value["output"].tolist() == [HOSTILE]
    assert not [one for one in (*app.markdown, *app.caption) if "evil" in one.value]


def test_only_who_may_export_sees_the_page_and_only_their_workflows(
    team: Team, open_page: Open, add_person: Callable[..., Actor]
) -> None:
    app = open_page(team.bo)
    assert words(app) == [ui.md_escape("This page is for people who may export. Ask an admin for the role: Ada.")]

    for by, options in ((team.olu, ["support"]), (team.ada, ["other", "support"])):
        assert open_page(by).selectbox(key="export_workflow").options == options
    exporter = add_person("Exa", Role.EXPORT, team.other.id)
    assert open_page(exporter).selectbox(key="export_workflow").options == ["other"]


def test_an_expired_file_says_so_and_has_no_link(db: Database, team: Team, open_page: Open, moved_clock: Clock) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    app = open_page(team.olu)
    app.button(key="start").click().run()
    work(db)
    moved_clock.forward(DAY)

    said = words(open_page(team.olu))

    assert "1 review. The file was kept for 24 hours and is gone; export again." in said


def test_where_no_worker_runs_the_screen_says_so(
    db: Database, team: Team, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    monkeypatch.setenv("NEURO_REVIEW_WORKER", "false")
    settings.settings.cache_clear()
    app = open_page(team.olu)

    app.button(key="start").click().run()

    assert any("NEURO" in said and "worker" in said for said in words(app))


def test_others_see_none_of_my_exports(db: Database, team: Team, open_page: Open) -> None:
    past(db, team.support, [{"verdict": "approve"}])
    open_page(team.olu).button(key="start").click().run()

    said = [one.value for one in open_page(team.ada).caption]

    assert any("None yet" in one for one in said)
    assert len(mine(db, team.olu)) == 1
