"""When the line breaks, the server dies, a session ends or somebody else sits down: no text is lost, none is mixed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.tables import Role
from neuro_review import sessions
from tests.browser.house import PASSWORD, App, Tab, expect

pytestmark = pytest.mark.browser
OUTPUTS = [f"Output number {n}." for n in range(1, 21)]
DRAFTS = "SELECT p.name, d.text FROM draft d JOIN item i ON i.id = d.item_id JOIN person p ON p.id = d.person_id"
# A press that could not be sent is not taken.
NOTHING_CAN_BE_PRESSED = "getComputedStyle(document.querySelector('.stMain')).pointerEvents === 'none'"
SIGN_OUT = "UPDATE sign_in SET ended_at = 1 WHERE person_id = (SELECT id FROM person WHERE name = :name)"


def sit(app: App, tab: Callable[..., Tab], name: str, outputs: list[str] = OUTPUTS) -> tuple[int, Tab]:
    """Add a workflow of somebody's own and open Review for them; they can sign in with `PASSWORD`."""
    workflow = app.add_workflow(f"line of {name}", outputs)
    token = app.sign_in(name, Role.REVIEWER, workflow)
    own = tab(app, token)
    own.open("/review")
    own.sees(outputs[0])
    return workflow, own


def approved(count: int) -> list[tuple[str, str]]:
    return [(output, "approve") for output in OUTPUTS[:count]]


def give_password(app: App, name: str) -> None:
    hashed = sessions.hash_password(PASSWORD, f"{name.lower()}@example.com")
    app.change("UPDATE person SET password_hash = :hash WHERE name = :name", hash=hashed, name=name)


def sign_in(tab: Tab, name: str) -> None:
    """Go through the form, in the same tab."""
    tab.page.wait_for_url("**/auth/sign-in?next=/review")
    tab.page.fill("input[name=email]", f"{name.lower()}@example.com")
    tab.page.fill("input[name=password]", PASSWORD)
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/review")


def test_verdicts_given_while_the_line_is_down_go_through_afterwards_each_once(
    app: App, tab: Callable[..., Tab], request: pytest.FixtureRequest
) -> None:
    workflow, abe = sit(app, tab, "Abe")
    abe.look()
    abe.context.set_offline(True)

    for output in OUTPUTS[1:4]:
        abe.press("a")
        abe.sees(output)
    abe.reads("No connection; 3 to be sent. Trying again.")
    abe.start_to_correct()
    abe.type("Typed without a line.")
    abe.page.wait_for_timeout(30_000 if request.config.getoption("--long") else 4_000)
    assert app.verdicts(workflow) == []
    abe.context.set_offline(False)

    abe.is_answered()
    assert app.verdicts(workflow) == approved(3)
    expect(abe.field).to_have_value("Typed without a line.")
    abe.page.keyboard.press("Control+Enter")
    abe.is_answered()
    assert [row.text for row in app.reviews(workflow)] == [None, None, None, "Typed without a line."]


def test_an_answer_that_is_lost_on_its_way_doubles_nothing(app: App, tab: Callable[..., Tab]) -> None:
    workflow, ada = sit(app, tab, "Ari")
    lost = []

    def lose(route: Any) -> None:
        if len(lost) < 2:
            route.fetch()  # the server has done it
            lost.append(1)
            route.abort()
        else:
            route.continue_()

    ada.is_answered()
    ada.page.route("**/desk/sync", lose)
    ada.press("a")
    ada.press("a")

    ada.is_answered()
    assert len(lost) == 2
    assert app.verdicts(workflow) == approved(2)


def test_the_whole_window_can_be_decided_without_a_line_and_then_nothing_unseen_is(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, bea = sit(app, tab, "Bea")
    bea.is_answered()
    bea.context.set_offline(True)
    for _ in range(10):
        bea.press("a")
    bea.reads("Fetching what waits…")
    for key in "aaxs":
        bea.page.keyboard.press(key)
        bea.page.wait_for_timeout(250)
    bea.context.set_offline(False)

    bea.sees(OUTPUTS[10])
    bea.is_answered()
    assert app.verdicts(workflow) == approved(10)


def test_a_verdict_that_has_not_been_sent_is_undone_without_a_word_to_the_server(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, cal = sit(app, tab, "Cal")
    cal.is_answered()
    waiting: list[Any] = []
    open_again: list[bool] = []
    cal.page.route("**/desk/sync", lambda route: route.continue_() if open_again else waiting.append(route))
    cal.press("a")
    cal.sees(OUTPUTS[1])
    cal.start_to_correct()
    cal.type("Taken back.")
    cal.page.keyboard.press("Control+Enter")
    cal.sees(OUTPUTS[2])

    cal.page.keyboard.press("u")
    cal.sees(OUTPUTS[1])
    cal.start_to_correct()
    expect(cal.field).to_have_value("Taken back.")
    cal.page.keyboard.press("Escape")
    open_again.append(True)
    for route in waiting:
        route.continue_()

    cal.is_answered()
    assert app.verdicts(workflow) == approved(1)
    assert app.row("SELECT count(*) AS n FROM retraction x JOIN item i ON i.id = x.item_id WHERE i.workflow_id = :id",
                   id=workflow).n == 0  # fmt: skip


def test_undo_of_a_verdict_that_the_server_refuses_counts_nothing(app: App, tab: Callable[..., Tab]) -> None:
    workflow, dov = sit(app, tab, "Dov")
    dov.is_answered()
    dov.press("a")
    dov.sees(OUTPUTS[1])
    dov.is_answered()
    waiting: list[Any] = []
    dov.page.route("**/desk/sync", lambda route: waiting.extend([route]))
    dov.press("a")
    dov.sees(OUTPUTS[2])
    while not waiting:
        dov.page.wait_for_timeout(20)
    dov.page.keyboard.press("u")
    app.change("UPDATE item SET lease_n = lease_n + 1 WHERE status = 'held' AND workflow_id = :id", id=workflow)

    for route in waiting:
        route.continue_()
    dov.page.unroute("**/desk/sync")

    dov.is_answered()
    expect(dov.card).to_contain_text("1 verdict today")
    assert app.verdicts(workflow) == approved(1)
    expect(dov.page.locator("a.entry")).to_have_count(1)


def test_undo_while_the_line_is_down_is_done_once_it_is_back(app: App, tab: Callable[..., Tab]) -> None:
    workflow, deb = sit(app, tab, "Deb")
    deb.is_answered()
    deb.context.set_offline(True)
    deb.press("a")
    deb.sees(OUTPUTS[1])
    deb.reads("No connection; 1 to be sent")
    deb.page.keyboard.press("u")
    deb.start_to_correct()
    deb.page.keyboard.type(" Mine", delay=20)
    deb.context.set_offline(False)

    deb.is_answered()
    expect(deb.field).to_have_value(f"{OUTPUTS[1]} Mine")
    deb.page.keyboard.type(", not the one undone")
    deb.page.keyboard.press("Control+Enter")
    deb.sees(OUTPUTS[0])
    deb.is_answered()
    assert [row.text for row in app.reviews(workflow)] == [None, f"{OUTPUTS[1]} Mine, not the one undone"]
    assert app.row("SELECT count(*) AS n FROM item WHERE workflow_id = :id AND status = 'held'", id=workflow).n == 19


# What Streamlit does where the server is away: a dialog takes the focus, and the button in it closes it.
SHUT = """() => { document.body.insertAdjacentHTML("beforeend", `<div data-testid="stDialog" role="dialog">
  <h2>Connection error</h2><button aria-label="Close" onclick="this.parentNode.remove()">x</button></div>`);
  document.querySelector('[aria-label="Close"]').focus(); }"""


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_button_that_a_dialog_took_the_focus_from_has_it_again_while_the_line_is_down(
    app: App, tab: Callable[..., Tab], key: str
) -> None:
    workflow, eve = sit(app, tab, f"Evi{key}")
    eve.is_answered()
    eve.context.set_offline(True)
    eve.key("Approve").focus()

    eve.page.evaluate(SHUT)
    expect(eve.page.get_by_role("dialog", name="Connection error")).to_have_count(0)
    expect(eve.key("Approve")).to_be_focused()
    eve.press(key)
    eve.sees(OUTPUTS[1])
    eve.context.set_offline(False)

    eve.is_answered()
    assert app.verdicts(workflow) == approved(1)


def test_a_server_that_dies_and_comes_back_costs_neither_text_nor_verdict(
    sqlite_template: Path, tmp_path: Path, tab: Callable[..., Tab]
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "dies.db")
    app = App(tmp_path / "dies", f"sqlite:///{tmp_path / 'dies.db'}")
    try:
        app.wait_until_healthy()
        workflow, dot = sit(app, tab, "Dot")
        dot.press("a")
        dot.is_answered()
        other = dot.another_page()
        other.goto(f"{app.url}/home")
        expect(other.get_by_role("link", name="Review what waits")).to_be_visible()
        app.crash()
        other.wait_for_function(NOTHING_CAN_BE_PRESSED)
        other.close()
        dialog = dot.page.get_by_role("dialog", name="Connection error")
        expect(dialog).to_have_count(0)
        dot.press("a")
        dot.sees(OUTPUTS[2])
        dot.start_to_correct()
        dot.page.keyboard.type(" Half a", delay=20)
        dot.reads("No connection")
        app.start_again()
        app.wait_until_healthy()

        expect(dot.field).to_have_value(f"{OUTPUTS[2]} Half a")
        dot.is_answered()
        assert app.verdicts(workflow) == approved(2)
        expect(dot.field).to_have_value(f"{OUTPUTS[2]} Half a")
        expect(dialog).to_have_count(0)
        dot.page.keyboard.type(" thought.", delay=5)  # it took the focus with it
        app.crash()
        app.start_again()
        app.wait_until_healthy()
        dot.page.reload()
        expect(dot.field).to_have_value(f"{OUTPUTS[2]} Half a thought.")
        dot.look()
        dot.page.keyboard.press("Control+Enter")
        dot.is_answered()
        assert [row.text for row in app.reviews(workflow)] == [None, None, f"{OUTPUTS[2]} Half a thought."]
    finally:
        app.stop()


def test_a_page_that_is_loaded_again_and_again_without_a_server_keeps_what_was_typed(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, eli = sit(app, tab, "Eli")
    eli.is_answered()
    eli.page.route("**/desk/sync", lambda route: route.abort())
    eli.press("a")
    eli.start_to_correct()
    eli.type("Typed for hours.")
    for _ in range(2):
        eli.page.reload()
        eli.page.wait_for_timeout(1_000)
    eli.page.unroute("**/desk/sync")

    eli.page.reload()

    expect(eli.field).to_have_value("Typed for hours.")
    eli.is_answered()
    assert app.verdicts(workflow) == approved(1)


def test_a_reload_in_mid_correction_shows_the_text_again_and_decides_nothing(app: App, tab: Callable[..., Tab]) -> None:
    workflow, fay = sit(app, tab, "Fay")
    fay.press("a")
    fay.sees(OUTPUTS[1])
    fay.start_to_correct()
    fay.type("Half a thought")

    fay.page.reload()

    expect(fay.field).to_have_value("Half a thought")
    fay.is_answered()
    assert app.verdicts(workflow) == approved(1)
    fay.page.keyboard.press("Escape")
    fay.sees(OUTPUTS[1])
    fay.start_to_correct()
    expect(fay.field).to_have_value("Half a thought")


def test_another_page_and_back_finds_the_text_again(app: App, tab: Callable[..., Tab]) -> None:
    _, gil = sit(app, tab, "Gil")
    gil.start_to_correct()
    gil.type("Half a thought")
    gil.page.get_by_role("link", name="Home").click()
    gil.page.wait_for_url("**/home")
    gil.page.get_by_role("link", name="Review", exact=True).first.click()

    expect(gil.field).to_have_value("Half a thought")


def test_who_is_signed_out_in_mid_correction_signs_in_again_and_goes_on(app: App, tab: Callable[..., Tab]) -> None:
    workflow, hal = sit(app, tab, "Hal")
    give_password(app, "Hal")
    hal.start_to_correct()
    app.change(SIGN_OUT, name="Hal")
    hal.type("Typed at the end of a session.")

    hal.reads("Your session has ended; what you typed is kept here.")
    hal.page.keyboard.press("Control+Enter")
    hal.sees(OUTPUTS[1])
    hal.start_to_correct()
    hal.type("And more.")
    hal.page.get_by_role("link", name="Sign in again").click()
    sign_in(hal, "Hal")

    expect(hal.field).to_have_value("And more.")
    hal.is_answered()
    assert [(row.output, row.text) for row in app.reviews(workflow)] == [(OUTPUTS[0], "Typed at the end of a session.")]
    hal.look()
    hal.page.keyboard.press("Control+Enter")
    hal.is_answered()
    assert [row.text for row in app.reviews(workflow)] == ["Typed at the end of a session.", "And more."]


def test_another_person_in_the_same_tab_sees_nothing_of_the_first_and_does_nothing_for_them(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, ina = sit(app, tab, "Ina")
    app.sign_in("Jan", Role.REVIEWER, workflow)
    give_password(app, "Jan")
    ina.start_to_correct()
    app.change(SIGN_OUT, name="Ina")
    ina.type("Ina's secret words.")
    ina.reads("Your session has ended")
    ina.page.keyboard.press("Control+Enter")
    ina.page.get_by_role("link", name="Sign in again").click()

    sign_in(ina, "Jan")

    ina.look()
    ina.is_answered()
    expect(ina.card).not_to_contain_text("secret")
    expect(ina.field).to_have_count(0)
    assert "secret" not in ina.page.evaluate("JSON.stringify(sessionStorage)")
    assert app.verdicts(workflow) == []
    assert app.rows(f"{DRAFTS} WHERE p.name = 'Jan'") == []


def test_a_tab_left_open_does_nothing_in_the_name_of_who_signs_in_in_another(app: App, tab: Callable[..., Tab]) -> None:
    workflow, kay = sit(app, tab, "Kay")
    token = app.sign_in("Leo", Role.REVIEWER, workflow)
    kay.start_to_correct()
    kay.type("Kay's words.")
    kay.is_answered()
    kay.page.keyboard.type(" And")
    kay.context.add_cookies([{"name": "nr_session", "value": token, "url": app.url}])
    kay.page.keyboard.press("Control+Enter")

    kay.sees(OUTPUTS[10])  # what Kay holds stays in her hands
    kay.is_answered()
    assert app.verdicts(workflow) == []
    assert app.rows(f"{DRAFTS} WHERE p.name = 'Leo'") == []
    expect(kay.card).not_to_contain_text("Kay's")


def test_who_was_away_gives_back_what_lies_there_and_keeps_what_was_typed(app: App, tab: Callable[..., Tab]) -> None:
    workflow = app.add_workflow("line of Mia", OUTPUTS)
    mia = tab(app, app.sign_in("Mia", Role.REVIEWER, workflow))
    mia.page.clock.install()
    mia.open("/review")
    mia.sees(OUTPUTS[0])
    mia.page.clock.run_for(1_000)
    held = "SELECT count(*) AS n FROM item WHERE workflow_id = :id AND lease_by IS NOT NULL AND lease_until > 0"
    assert app.row(held, id=workflow).n == 10

    mia.page.clock.fast_forward(301_000)
    mia.page.clock.run_for(3_000)

    mia.reads("You were away, so your items went back")
    mia.is_answered()
    assert app.row(held, id=workflow).n == 0
    mia.page.keyboard.press("Enter")
    mia.sees(OUTPUTS[0])
    assert app.verdicts(workflow) == []
