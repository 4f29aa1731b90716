"""One press, one item: no key decides what was not on screen, and typing decides nothing."""

from collections.abc import Callable

import pytest

from db.tables import Role
from tests.browser.house import App, Tab, expect

pytestmark = pytest.mark.browser
OUTPUTS = [f"Output number {n}." for n in range(1, 7)]
IGNORED = "Ignored: that key came too early."
# What is sent goes out later, as on a slow line.
SLOW = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) { setTimeout(() => send.call(this, data), 400); };
"""


class Case:
    """A reviewer with a queue of their own, who looks at its first item."""

    def __init__(self, app: App, tab: Callable[..., Tab], name: str, init: str | None = None) -> None:
        self.app = app
        self.workflow = app.add_workflow(f"keys of {name}", OUTPUTS)
        self.tab = tab(app, app.sign_in(name, Role.REVIEWER, self.workflow))
        if init:
            self.tab.page.add_init_script(init)
        self.tab.open("/review")
        self.tab.sees(OUTPUTS[0])
        self.tab.look()

    def verdicts(self) -> list[tuple[str, str]]:
        self.tab.page.wait_for_timeout(500)  # whatever is on its way arrives
        return self.app.verdicts(self.workflow)


def test_a_held_key_decides_one_item(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Hal")

    for _ in range(30):
        case.tab.page.keyboard.down("a")
        case.tab.page.wait_for_timeout(30)
    case.tab.page.keyboard.up("a")

    assert case.verdicts() == [(OUTPUTS[0], "approve")]
    case.tab.sees(OUTPUTS[1])


def test_of_a_double_press_one_counts_and_the_other_says_that_it_did_not(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Ida")

    case.tab.page.keyboard.press("a")
    case.tab.page.wait_for_timeout(60)
    case.tab.page.keyboard.press("a")

    case.tab.reads(IGNORED)
    assert case.verdicts() == [(OUTPUTS[0], "approve")]


def test_on_a_slow_line_neither_a_key_nor_a_click_reaches_an_item_that_was_not_in_sight(
    app: App, tab: Callable[..., Tab]
) -> None:
    case = Case(app, tab, "Jim", init=SLOW)
    case.tab.page.keyboard.press("a")
    case.tab.page.wait_for_timeout(300)
    case.tab.page.keyboard.press("a")
    case.tab.reads(IGNORED)
    case.tab.sees(OUTPUTS[1])
    assert case.verdicts() == [(OUTPUTS[0], "approve")]

    approve = case.tab.key("Approve").bounding_box()
    assert approve
    for _ in range(2):
        case.tab.page.mouse.click(approve["x"] + 20, approve["y"] + 10)
        case.tab.page.wait_for_timeout(300)

    case.tab.sees(OUTPUTS[2])
    assert case.verdicts() == [(OUTPUTS[0], "approve"), (OUTPUTS[1], "approve")]


def test_a_key_right_after_the_one_to_correct_does_not_decide(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Kim")

    for key in "eaxs":
        case.tab.page.keyboard.press(key)

    expect(case.tab.field).to_be_focused()
    assert case.verdicts() == []


def test_typing_decides_nothing_and_escape_leaves_the_output_as_it_was(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Lea")
    case.tab.start_to_correct()
    case.tab.page.keyboard.press("Control+End")

    case.tab.page.keyboard.type(" axesu 123", delay=20)
    expect(case.tab.field).to_have_value(f"{OUTPUTS[0]} axesu 123")
    case.tab.page.keyboard.press("Escape")

    case.tab.sees(OUTPUTS[0])
    expect(case.tab.field).to_have_count(0)
    assert case.verdicts() == []
    case.tab.press("a")
    case.tab.sees(OUTPUTS[1])
    assert case.verdicts() == [(OUTPUTS[0], "approve")]


def test_a_reload_while_correcting_loses_no_verdict_and_makes_none(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Mia")
    case.tab.press("a")
    case.tab.sees(OUTPUTS[1])
    case.tab.start_to_correct()
    case.tab.type("Half a thought")

    case.tab.page.reload()

    expect(case.tab.answer).to_contain_text("Output number")
    assert case.verdicts() == [(OUTPUTS[0], "approve")]


def test_after_a_sign_out_in_another_tab_the_next_key_decides_nothing_and_says_why(
    app: App, tab: Callable[..., Tab]
) -> None:
    case = Case(app, tab, "Ned")
    other = case.tab.another_page()
    other.goto(f"{app.url}/home")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/auth/sign-in")

    case.tab.press("a")

    case.tab.reads("Your session has ended. Sign in again.")
    assert case.verdicts() == []
    expect(case.tab.page.get_by_text("Output number")).to_have_count(0)
    case.tab.page.get_by_role("link", name="Sign in").click()
    case.tab.page.wait_for_url("**/auth/sign-in?next=/review")


def test_no_key_goes_past_an_open_dialog(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Ona")
    case.tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div role=dialog id=d></div>')")

    case.tab.press("a")

    assert case.verdicts() == []
    case.tab.page.evaluate("document.getElementById('d').remove()")
    case.tab.press("a")
    assert case.verdicts() == [(OUTPUTS[0], "approve")]
