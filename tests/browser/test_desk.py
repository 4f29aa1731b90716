"""The Review screen over time: the way back, what was typed, another workflow, and a tab that is loaded again."""

import re
from collections.abc import Callable

import pytest

from db.tables import Role
from tests.browser.house import App, Tab, expect

pytestmark = pytest.mark.browser
OUTPUTS = ["The first output.", "The second output.", "The third output."]
DRAFTS = "SELECT d.text FROM draft d JOIN item i ON i.id = d.item_id WHERE i.workflow_id = :workflow AND d.text = :text"


def sit(app: App, tab: Callable[..., Tab], name: str) -> tuple[int, Tab]:
    """Add a workflow of somebody's own and open Review for them."""
    workflow = app.add_workflow(f"desk of {name}", OUTPUTS)
    own = tab(app, app.sign_in(name, Role.REVIEWER, workflow))
    own.open("/review")
    own.sees(OUTPUTS[0])
    return workflow, own


def test_the_way_back_counts_down_and_ends_by_itself(app: App, tab: Callable[..., Tab]) -> None:
    workflow, abe = sit(app, tab, "Abe")
    undo = abe.page.locator(".st-key-undo")
    abe.press("a")
    abe.sees(OUTPUTS[1])
    for seconds in (4, 3):
        expect(undo).to_have_attribute("data-left", str(seconds))
    abe.reads("2 held")
    shown = "getComputedStyle(document.querySelector('.st-key-undo p'), '::after').content"
    assert abe.page.evaluate(shown) == '" (3 s left)"'
    expect(abe.page.get_by_role("combobox", name="Workflow")).to_have_value("All my workflows")

    expect(undo).to_have_attribute("data-left", "")

    abe.page.keyboard.press("u")
    abe.reads("There is nothing to undo any more.")
    assert app.verdicts(workflow) == [(OUTPUTS[0], "approve")]


def test_the_key_to_undo_counts_however_soon_it_comes(app: App, tab: Callable[..., Tab]) -> None:
    workflow, bea = sit(app, tab, "Bea")
    bea.look()

    bea.page.keyboard.press("a")
    bea.page.keyboard.press("u")

    bea.reads("undone by you")
    bea.sees(OUTPUTS[0])
    assert app.row("SELECT count(*) AS n FROM item WHERE workflow_id = :id AND status = 'held'", id=workflow).n == 3


def test_what_is_typed_is_kept_in_each_pause_and_by_escape_and_comes_back_after_an_undo(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow, cal = sit(app, tab, "Cal")
    cal.start_to_correct()
    cal.page.keyboard.type(" More.", delay=20)
    app.until(DRAFTS, workflow=workflow, text=f"{OUTPUTS[0]} More.")
    cal.page.keyboard.press("ArrowLeft")
    cal.page.keyboard.type(" still", delay=20)
    expect(cal.field).to_be_focused()
    expect(cal.field).to_have_value(f"{OUTPUTS[0]} More still.")
    expect(cal.page.get_by_text("Ctrl+Enter to apply")).not_to_be_visible()

    cal.page.keyboard.press("Escape")
    cal.reads("Kept as a draft")
    cal.sees(OUTPUTS[0])
    app.until(DRAFTS, workflow=workflow, text=f"{OUTPUTS[0]} More still.")
    cal.start_to_correct()
    expect(cal.field).to_have_value(f"{OUTPUTS[0]} More still.")
    cal.page.keyboard.press("Control+Enter")
    cal.sees(OUTPUTS[1])
    cal.press("u")
    cal.reads("Your correction is a draft again")
    cal.start_to_correct()
    expect(cal.field).to_have_value(f"{OUTPUTS[0]} More still.")


def test_a_choice_of_a_workflow_shows_at_once_takes_the_keys_and_outlives_a_page_change_and_a_reload(
    app: App, tab: Callable[..., Tab]
) -> None:
    app.add_workflow("Elms", ["An elm output."], priority=9)
    oaks = app.add_workflow("Oaks", ["An oak output.", "Another oak output."])
    dot = tab(app, app.sign_in("Dot", Role.ADMIN))
    dot.open("/home")
    dot.page.locator(f".st-key-workflow_{oaks}").get_by_role("link", name="Review").click()
    dot.sees("An oak output.")
    selector = dot.page.locator(".st-key-workflow").get_by_role("combobox")
    expect(selector).to_have_value("Oaks")
    dot.look()
    selector.press("ArrowDown")
    dot.page.get_by_role("option", name="Elms").click()
    dot.sees("An elm output.")
    expect(selector).to_have_value("Elms")

    dot.look()
    selector.press("ArrowDown")
    dot.page.get_by_role("option", name="Oaks").click()
    dot.sees("An oak output.")
    dot.press("a")
    dot.sees("Another oak output.")

    dot.page.get_by_role("link", name="Home").click()
    dot.reads("Review what waits")
    dot.page.get_by_role("link", name="Review", exact=True).first.click()
    dot.sees("Another oak output.")
    expect(selector).to_have_value("Oaks")
    dot.page.reload()
    dot.sees("Another oak output.")
    expect(selector).to_have_value("Oaks")
    assert app.verdicts(oaks) == [("An oak output.", "approve")]


def test_a_reload_shows_the_same_item_and_another_tab_the_next(app: App, tab: Callable[..., Tab]) -> None:
    workflow, eli = sit(app, tab, "Eli")
    other = eli.another_page()
    other.goto(f"{app.url}/review")
    expect(other.locator(".st-key-answer")).to_contain_text(OUTPUTS[1])

    eli.page.reload()
    eli.sees(OUTPUTS[0])
    other.reload()
    expect(other.locator(".st-key-answer")).to_contain_text(OUTPUTS[1])
    eli.press("a")

    eli.sees(OUTPUTS[2])
    eli.press("s")
    eli.reads("Nothing waits for you")
    eli.reads(re.compile("2 held: skipped by you"))
    assert app.verdicts(workflow) == [(OUTPUTS[0], "approve")]
