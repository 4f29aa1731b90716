"""The Review screen over time: the way back, what was typed, another workflow, JSON, and a tab that is loaded again."""

import re
from collections.abc import Callable

import orjson
import pytest

from db.tables import Role
from tests.browser.house import App, Tab, expect

pytestmark = pytest.mark.browser
OUTPUTS = [f"Output number {n}." for n in range(1, 13)]
DRAFTS = "SELECT d.text FROM draft d JOIN item i ON i.id = d.item_id WHERE i.workflow_id = :workflow AND d.text = :text"
# Each number of seconds that the way back was seen to have, as it was painted.
SECONDS_LEFT = """(root) => {
  window.secondsLeft = [];
  const look = () => {
    const left = root.querySelector(".done .entry")?.textContent.match(/undo \\((\\d+) s left/)?.[1];
    if (left && window.secondsLeft.at(-1) !== Number(left)) window.secondsLeft.push(Number(left));
  };
  new MutationObserver(look).observe(root, {childList: true, subtree: true, characterData: true});
}"""
HELD = "SELECT count(*) AS n FROM item WHERE workflow_id = :id AND status = 'held'"


def sit(app: App, tab: Callable[..., Tab], name: str, outputs: list[str] = OUTPUTS, **facts: object) -> tuple[int, Tab]:
    """Add a workflow of somebody's own and open Review for them."""
    workflow = app.add_workflow(f"desk of {name}", outputs, **facts)
    own = tab(app, app.sign_in(name, Role.REVIEWER, workflow))
    own.open("/review")
    own.look()
    return workflow, own


def test_the_way_back_counts_down_and_ends_by_itself(app: App, tab: Callable[..., Tab]) -> None:
    workflow, abe = sit(app, tab, "Abe")
    last = abe.page.locator(".done .entry").first
    abe.card.evaluate(SECONDS_LEFT)
    abe.press("a")
    abe.sees(OUTPUTS[1])
    expect(abe.card).to_contain_text("11 held")
    expect(abe.card).to_contain_text("1 verdict today")
    expect(abe.page.get_by_role("combobox", name="Workflow")).to_have_value("0")

    expect(last).not_to_contain_text("undo")

    counted = abe.page.evaluate("window.secondsLeft")
    assert len(counted) >= 2
    assert counted == sorted(set(counted), reverse=True)
    assert counted[0] <= 5
    expect(last).to_have_attribute("href", re.compile(r"^/history\?id=[0-9a-f]{32}$"))
    expect(abe.key("Undo")).to_be_disabled()
    abe.page.keyboard.press("u")
    abe.reads("Nothing can be undone any more; what has left is recalled in History.")
    assert app.verdicts(workflow) == [(OUTPUTS[0], "approve")]


def test_the_key_to_undo_counts_however_soon_it_comes(app: App, tab: Callable[..., Tab]) -> None:
    workflow, bea = sit(app, tab, "Bea")

    bea.page.keyboard.press("a")
    bea.page.keyboard.press("u")

    bea.sees(OUTPUTS[0])
    bea.is_answered()
    assert app.row(HELD, id=workflow).n == 12
    expect(bea.card).to_contain_text("0 verdicts today")


def test_each_of_the_last_verdicts_can_be_undone_by_a_click(app: App, tab: Callable[..., Tab]) -> None:
    workflow, ben = sit(app, tab, "Ben")
    app.let_undo(workflow, seconds=60)
    for _ in range(3):
        ben.press("a")
    ben.is_answered()

    ben.page.locator(".done .entry").nth(1).click()

    ben.sees(OUTPUTS[1])
    ben.is_answered()
    expect(ben.card.locator(".held")).to_have_text("10 held")
    expect(ben.page.locator(".done .entry")).to_have_count(2)
    assert app.row(HELD, id=workflow).n == 10
    ben.page.reload()
    ben.sees(OUTPUTS[1])
    expect(ben.page.locator(".done .entry")).to_have_count(2)


def test_an_undo_that_comes_too_late_says_so_and_leaves_the_verdict_in_its_list(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, bob = sit(app, tab, "Bob")
    bob.press("a")
    bob.is_answered()
    app.until("SELECT 1 FROM item WHERE workflow_id = :id AND released_at IS NOT NULL", id=workflow)
    bob.card.evaluate("root => { root.desk.done[0].undoUntil = Date.now() + 60000 }")  # a clock that is slow

    bob.page.keyboard.press("u")

    bob.is_told(re.compile("has left already; it cannot be undone|time to undo has ended"))
    expect(bob.page.locator("a.entry")).to_have_count(1)
    expect(bob.card).to_contain_text("1 verdict today")
    bob.sees(OUTPUTS[1])


def test_what_is_typed_is_kept_in_each_pause_and_by_escape_and_comes_back_after_an_undo(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, cal = sit(app, tab, "Cal")
    app.let_undo(workflow, seconds=60)
    cal.start_to_correct()
    cal.page.keyboard.type(" More.", delay=20)
    cal.reads("saving the draft…")
    app.until(DRAFTS, workflow=workflow, text=f"{OUTPUTS[0]} More.")
    cal.reads("draft saved")
    cal.page.keyboard.press("ArrowLeft")
    cal.page.keyboard.type(" still", delay=20)
    expect(cal.field).to_have_value(f"{OUTPUTS[0]} More still.")
    expect(cal.page.locator(".diff ins")).to_have_text(" More still.")

    cal.page.keyboard.press("Escape")
    cal.reads("Kept as a draft: E shows it again.")
    cal.sees(OUTPUTS[0])
    app.until(DRAFTS, workflow=workflow, text=f"{OUTPUTS[0]} More still.")
    cal.start_to_correct()
    expect(cal.field).to_have_value(f"{OUTPUTS[0]} More still.")
    cal.page.keyboard.press("Control+Enter")
    cal.sees(OUTPUTS[1])
    cal.press("u")
    cal.is_told("Undone. Your correction is a draft again")
    cal.start_to_correct()
    expect(cal.field).to_have_value(f"{OUTPUTS[0]} More still.")


def test_a_draft_that_cannot_be_stored_says_why(app: App, tab: Callable[..., Tab]) -> None:
    _, cleo = sit(app, tab, "Cleo")
    cleo.start_to_correct()

    cleo.field.evaluate("""(field) => {
      field.value = "a" + String.fromCharCode(0) + "b";
      field.dispatchEvent(new Event("input", {bubbles: true}));
    }""")

    expect(cleo.notes).to_contain_text("The draft")
    expect(cleo.page.locator(".state")).not_to_contain_text("draft saved")


def test_a_correction_that_changes_nothing_is_an_approval_and_says_so(app: App, tab: Callable[..., Tab]) -> None:
    workflow, dan = sit(app, tab, "Dan")
    dan.start_to_correct()
    dan.page.keyboard.press("Control+Enter")

    dan.is_told("The correction equals the output, so it was approved.")
    assert app.verdicts(workflow) == [(OUTPUTS[0], "approve")]
    dan.start_to_correct()
    dan.type("  ")
    dan.page.keyboard.press("Control+Enter")
    dan.reads("A correction needs a text. To send nothing, reject the output.")
    expect(dan.field).to_be_focused()


def test_a_choice_of_a_workflow_shows_at_once_takes_the_keys_and_outlives_a_reload(
    app: App, tab: Callable[..., Tab]
) -> None:
    app.add_workflow("Elms", ["An elm output."], priority=9)
    oaks = app.add_workflow("Oaks", ["An oak output.", "Another oak output."])
    dot = tab(app, app.sign_in("Dot", Role.ADMIN))
    dot.open(f"/review?workflow={oaks}")
    dot.sees("An oak output.")
    selector = dot.page.get_by_role("combobox", name="Workflow")
    expect(selector).to_have_value(str(oaks))

    selector.select_option("Elms")
    dot.sees("An elm output.")
    selector.select_option("Oaks")
    dot.sees("An oak output.")
    dot.press("a")
    dot.sees("Another oak output.")
    dot.is_answered()

    dot.page.reload()
    dot.sees("Another oak output.")
    expect(selector).to_have_value(str(oaks))
    assert app.verdicts(oaks) == [("An oak output.", "approve")]


@pytest.mark.parametrize("named", ["999999", "9" * 400, "x", "-1", "%F0%9F%8C%B2"])
def test_an_address_with_no_workflow_of_ones_own_shows_all_of_ones_own(
    app: App, tab: Callable[..., Tab], named: str
) -> None:
    app.add_workflow(f"not Ed's {named[:9]}", ["Not for Ed."])
    mine = app.add_workflow(f"Ed's {named[:9]}", ["Ed's output."])
    ed = tab(app, app.sign_in(f"Ed{len(named)}{ord(named[0])}", Role.REVIEWER, mine))

    ed.open(f"/review?workflow={named}")

    ed.sees("Ed's output.")
    expect(ed.page.get_by_role("combobox", name="Workflow")).to_have_value("0")


def test_two_tabs_of_one_person_do_not_disturb_each_other(app: App, tab: Callable[..., Tab]) -> None:
    workflow, eli = sit(app, tab, "Eli")
    other = eli.another_page()
    other.goto(f"{app.url}/review")
    shown = other.locator(".answer .plain")
    expect(shown).to_have_text(OUTPUTS[10])

    eli.page.reload()
    eli.sees(OUTPUTS[0])
    expect(shown).to_have_text(OUTPUTS[10])
    eli.start_to_correct()
    eli.type("Of the first tab.")
    other.wait_for_timeout(250)
    other.keyboard.press("a")
    expect(shown).to_have_text(OUTPUTS[11])
    other.reload()
    expect(shown).to_have_text(OUTPUTS[11])
    expect(other.locator(".answer textarea")).to_have_count(0)
    eli.page.keyboard.press("Control+Enter")

    eli.sees(OUTPUTS[1])
    eli.is_answered()
    assert sorted(app.verdicts(workflow)) == [(OUTPUTS[0], "correct"), (OUTPUTS[10], "approve")]


ORDER = {"reply": "We refund 49 EUR.", "items": [{"sku": "K-1", "count": 2}], "sent": False, "note": None}


def test_a_json_output_is_shown_as_a_tree_and_a_broken_correction_is_not_sent_unasked(
    app: App, tab: Callable[..., Tab]
) -> None:
    output = orjson.dumps(ORDER).decode()
    workflow, ivy = sit(app, tab, "Ivy", [output, "Plain."])
    expect(ivy.answer.locator("details.node")).to_have_count(3)
    expect(ivy.answer).to_contain_text('reply: "We refund 49 EUR."')
    expect(ivy.answer).to_contain_text("sent: false")

    ivy.start_to_correct()
    ivy.type(output[:-1])
    expect(ivy.page.locator(".diff")).to_contain_text("This is no valid JSON")
    ivy.page.keyboard.press("Control+Enter")
    ivy.reads("This is no valid JSON any more. Mend it, or save once more to send it as it is.")
    assert app.verdicts(workflow) == []
    ivy.type(output.replace("49", "59"))
    expect(ivy.page.locator(".diff")).not_to_contain_text("no valid JSON")
    ivy.page.keyboard.press("Control+Enter")

    ivy.sees("Plain.")
    ivy.is_answered()
    assert [row.text for row in app.reviews(workflow)] == [output.replace("49", "59")]


@pytest.mark.parametrize("output", ['{"eur": 12345678901234567890}', '{"a": "free", "a": "49 EUR"}', '{"eur": 1.0}'])
def test_json_that_a_tree_would_show_otherwise_is_shown_as_it_is(
    app: App, tab: Callable[..., Tab], output: str
) -> None:
    _, own = sit(app, tab, f"Jo{len(output)}", [output])

    expect(own.answer.locator(".plain")).to_have_text(output)


def test_calls_of_tools_in_a_conversation_are_shown_as_data_and_earlier_turns_fold(
    app: App, tab: Callable[..., Tab]
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"eur": 5}'}}
    chat = [{"role": "user", "content": f"Question {n}"} for n in range(4)]
    chat += [{"role": "assistant", "content": None, "tool_calls": [call]},
             {"role": "tool", "content": "refunded", "tool_call_id": "c1"}]  # fmt: skip
    _, own = sit(app, tab, "Kai", ["Done."], prompt=chat)
    conversation = own.page.locator(".conversation")

    expect(conversation).to_contain_text("4 earlier messages")
    expect(conversation.get_by_text("Question 0")).not_to_be_visible()
    expect(conversation).to_contain_text('name: "refund"')
    expect(conversation).to_contain_text("refunded")
    conversation.get_by_text("4 earlier messages").click()
    expect(conversation.get_by_text("Question 0")).to_be_visible()


def test_the_rendered_view_reads_markdown_and_stays_for_the_next_item(app: App, tab: Callable[..., Tab]) -> None:
    _, own = sit(app, tab, "Lil", ["# Steps\n\n1. **First**", "Second *one*"])

    own.answer.get_by_role("button", name="Shown plain; show rendered").click()

    expect(own.answer.locator("strong")).to_have_text("First")
    expect(own.answer.locator("h1, h2:not(.label)")).to_have_count(0)
    own.press("a")
    expect(own.answer.locator("em")).to_have_text("one")


def test_what_is_escalated_goes_on_without_a_verdict_and_an_empty_queue_says_what_waits(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, moe = sit(app, tab, "Moe", OUTPUTS[:2])
    moe.look()
    moe.key("Escalate").click()
    moe.sees(OUTPUTS[1])
    moe.press("s")

    moe.reads("Nothing waits for you")
    moe.reads(re.compile("2 held: skipped by you, or in others’ hands"))
    moe.is_answered()
    assert app.row(f"{HELD} AND escalated_at IS NOT NULL", id=workflow).n == 1
    assert app.verdicts(workflow) == []
    app.change("DELETE FROM item_pass")
    moe.page.keyboard.press("Enter")
    moe.sees(OUTPUTS[1])


def test_before_an_empty_queue_the_next_output_is_there_within_seconds(app: App, tab: Callable[..., Tab]) -> None:
    workflow = app.add_workflow("desk of Lin", OUTPUTS[:1])
    lin = tab(app, app.sign_in("Lin", Role.REVIEWER, workflow))
    lin.page.clock.install()
    lin.open("/review")
    lin.press("s")
    lin.reads("Nothing waits for you")
    lin.is_answered()

    lin.page.clock.pause_at(lin.page.evaluate("Date.now() / 1000") + 1)  # from here on only the seconds given go by
    app.change("DELETE FROM item_pass WHERE item_id IN (SELECT id FROM item WHERE workflow_id = :id)", id=workflow)
    with lin.page.expect_response("**/desk/sync"):
        lin.page.clock.run_for(5_000)
    lin.page.clock.resume()
    lin.sees(OUTPUTS[0])
