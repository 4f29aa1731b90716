"""One press, one item: no key decides what was not on screen, and typing decides nothing."""

from collections.abc import Callable

import pytest

from db.tables import Role
from tests.browser.house import DWELL, App, Tab, expect

pytestmark = pytest.mark.browser
OUTPUTS = [f"Output number {n}." for n in range(1, 21)]
TAKEN_AWAY = (
    "UPDATE item SET lease_until = 1, lease_by = NULL, lease_n = lease_n + 1, queue_at = queue_at + 100000000"
    " WHERE workflow_id = :id AND id IN (SELECT item_id FROM item_content WHERE output = :output)"
)
# What the bar says in the very moment in which a reason is chosen: a hint would go by itself a little later.
SAID_AFTER_A_REASON = """(root) => {
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "1", bubbles: true, composed: true}));
  return root.querySelector(".state").textContent;
}"""
IGNORED = "Ignored: that came before the item had been in sight for a moment."


class Case:
    """A reviewer with a queue of their own, who looks at its first item."""

    def __init__(self, app: App, tab: Callable[..., Tab], name: str, **options: object) -> None:
        self.app = app
        self.workflow = app.add_workflow(f"keys of {name}", OUTPUTS)
        self.tab = tab(app, app.sign_in(name, Role.REVIEWER, self.workflow), **options)
        self.tab.open("/review")
        self.tab.sees(OUTPUTS[0])
        self.tab.look()

    def wait(self, milliseconds: int) -> None:
        self.tab.page.wait_for_timeout(milliseconds)

    def verdicts(self) -> list[tuple[str, str]]:
        self.tab.is_answered()
        return self.app.verdicts(self.workflow)


def approved(count: int) -> list[tuple[str, str]]:
    return [(output, "approve") for output in OUTPUTS[:count]]


def test_of_fifteen_keys_in_a_burst_one_decides_and_fourteen_are_visibly_ignored(
    app: App, tab: Callable[..., Tab]
) -> None:
    for attempt in range(10):
        case = Case(app, tab, f"Abel{attempt}")
        pauses = case.tab.keys("a", 15, apart=20)
        if max(pauses) < DWELL / 2:
            break  # else this machine was so busy that it was no burst

    case.tab.reads(IGNORED)
    assert case.tab.ignored == 14
    assert case.verdicts() == approved(1)
    case.tab.sees(OUTPUTS[1])


def test_of_fifteen_keys_a_quarter_of_a_second_apart_each_decides_once(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Bela")

    pauses = case.tab.keys("a", 15, apart=250, seen=200)

    assert min(pauses) >= 249
    assert case.verdicts() == approved(15)
    assert case.tab.ignored == 0
    case.tab.sees(OUTPUTS[15])


@pytest.mark.parametrize("key", ["a", "s", "e", "1", "Enter", " "])
def test_a_held_key_counts_once(app: App, tab: Callable[..., Tab], key: str) -> None:
    case = Case(app, tab, f"Hal{ord(key[0])}")
    if key in {"Enter", " "}:
        case.tab.key("Approve").focus()

    for _ in range(30):
        case.tab.page.keyboard.down(key)
        case.wait(30)
    case.tab.page.keyboard.up(key)

    case.tab.is_answered()
    stays = {"e", "1"}
    expect(case.tab.field).to_have_count(1 if key == "e" else 0)
    expect(case.tab.page.locator(".reason[aria-pressed=true]")).to_have_count(1 if key == "1" else 0)
    if key != "e":
        case.tab.sees(OUTPUTS[0 if key in stays else 1])
    assert case.verdicts() == ([] if key in stays | {"s"} else approved(1))


def test_a_double_click_counts_once(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Ida")

    case.tab.key("Approve").dblclick()
    case.wait(600)
    case.tab.key("Approve").dblclick(delay=130)

    case.tab.reads(IGNORED)
    assert case.verdicts() == approved(2)
    case.tab.sees(OUTPUTS[2])


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_what_the_bar_says_moves_no_key(app: App, tab: Callable[..., Tab], width: int) -> None:
    case = Case(app, tab, f"Ina{width}", viewport={"width": width, "height": 860})
    before = case.tab.key("Approve").bounding_box()

    case.tab.press("x")

    case.tab.reads("A rejection needs a reason")
    assert case.tab.key("Approve").bounding_box() == before
    case.tab.look()
    assert "A rejection needs" not in case.tab.card.evaluate(SAID_AFTER_A_REASON)
    assert case.tab.key("Approve").bounding_box() == before


def test_on_a_narrow_screen_a_rejection_without_a_reason_brings_the_reasons_into_sight(
    app: App, tab: Callable[..., Tab]
) -> None:
    flow = app.add_workflow("a narrow screen", ["A line of a long answer.\n" * 60, "Short."])
    ivo = tab(app, app.sign_in("Ivo", Role.REVIEWER, flow), viewport={"width": 360, "height": 740})
    ivo.open("/review")
    ivo.look()
    reason = ivo.page.locator(".reason").first
    expect(reason).not_to_be_in_viewport()

    ivo.key("Reject").click()
    ivo.reads("A rejection needs a reason")
    expect(reason).to_be_in_viewport()
    reason.click()
    ivo.look()
    ivo.key("Reject").click()

    ivo.sees("Short.")
    ivo.is_answered()
    assert [verdict for _, verdict in app.verdicts(flow)] == ["reject"]


def test_a_double_click_on_a_button_that_changes_under_the_mouse_decides_nothing(
    app: App, tab: Callable[..., Tab]
) -> None:
    case = Case(app, tab, "Ike")
    place = case.tab.key("Correct").bounding_box()
    assert place

    case.tab.page.mouse.dblclick(place["x"] + 10, place["y"] + 10, delay=120)
    case.wait(300)

    expect(case.tab.field).to_have_value(OUTPUTS[0])
    assert case.verdicts() == []


def test_a_key_right_after_the_one_to_correct_does_not_decide(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Kim")

    for key in "eaxs":
        case.tab.page.keyboard.press(key)

    expect(case.tab.field).to_have_value(f"{OUTPUTS[0]}axs")
    assert case.verdicts() == []


def test_typing_decides_nothing_and_escape_leaves_the_output_as_it_was(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Lea")
    case.tab.start_to_correct()

    case.tab.page.keyboard.type(" axesu? 123", delay=20)
    expect(case.tab.field).to_have_value(f"{OUTPUTS[0]} axesu? 123")
    case.tab.page.keyboard.press("Escape")

    case.tab.sees(OUTPUTS[0])
    expect(case.tab.field).to_have_count(0)
    assert case.verdicts() == []
    case.tab.press("a")
    case.tab.sees(OUTPUTS[1])
    assert case.verdicts() == approved(1)


def test_a_correction_is_saved_by_its_keys_wherever_the_focus_is(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Lou")
    case.tab.start_to_correct()
    case.tab.type("Mine.")
    case.tab.page.locator(".conversation").click()
    case.tab.page.locator(".reason").first.click()

    case.tab.page.keyboard.press("a")
    case.tab.page.keyboard.press("Control+Enter")

    case.tab.sees(OUTPUTS[1])
    assert case.verdicts() == [(OUTPUTS[0], "correct")]
    (review,) = app.reviews(case.workflow)
    assert (review.text, review.reasons) == ("Mine.", '["Wrong fact or number"]')


def test_no_key_goes_past_an_open_dialog(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Ona")
    case.tab.press("?")
    case.tab.reads("All keys")
    for key in "axs1u":
        case.tab.press(key)
    assert case.verdicts() == []
    expect(case.tab.page.locator(".reason[aria-pressed=true]")).to_have_count(0)
    case.tab.page.keyboard.press("?")
    expect(case.tab.page.locator("dialog")).not_to_be_visible()

    case.tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div role=dialog id=d></div>')")
    case.tab.press("a")
    assert case.verdicts() == []
    case.tab.page.evaluate("document.getElementById('d').remove()")
    case.tab.press("a")
    assert case.verdicts() == approved(1)


def test_letters_with_a_modifier_belong_to_the_browser(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Oke")

    for key in ("Control+a", "Alt+a", "Meta+x", "Control+s"):
        case.tab.press(key)

    assert case.verdicts() == []
    case.tab.press("A")
    assert case.verdicts() == approved(1)


def test_a_key_of_a_field_elsewhere_decides_nothing(app: App, tab: Callable[..., Tab]) -> None:
    case = Case(app, tab, "Pat")
    case.tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<input id=elsewhere>')")
    case.tab.look()

    case.tab.page.locator("#elsewhere").press("a")
    case.tab.page.locator(".top select").focus()
    case.tab.press("s")

    assert case.verdicts() == []
    case.tab.sees(OUTPUTS[0])


def test_what_is_typed_when_an_item_is_taken_from_under_the_hands_decides_nothing(
    app: App, tab: Callable[..., Tab]
) -> None:
    case = Case(app, tab, "Ray")
    case.tab.start_to_correct()
    case.tab.page.keyboard.type("I was away for lo")
    case.tab.is_answered()
    app.change(TAKEN_AWAY, id=case.workflow, output=OUTPUTS[0])
    case.tab.card.evaluate("root => root.desk.send({beat: true})")

    case.tab.is_told("Your time with this item ran out. What you typed is kept as a draft, and here:")
    expect(case.tab.notes).to_contain_text("I was away for lo")
    case.wait(500)
    for key in "as xa":
        case.tab.page.keyboard.press(key)
        case.wait(400)

    assert case.verdicts() == []
    case.wait(2100)
    case.tab.page.keyboard.press("a")
    assert case.verdicts() == [(OUTPUTS[1], "approve")]
