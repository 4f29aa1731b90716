"""History in a real browser: nothing hostile gets out, a row opens its story, and a link opens it for somebody else."""

import re
from collections.abc import Callable

import pytest

from db.tables import Role, Verdict
from neuro_review import access, decisions
from neuro_review.decisions import Opinion
from tests.browser.house import App, Tab, expect
from tests.browser.test_accessible import SCHEMES, faults
from tests.browser.test_hostile import HOSTILE, NAME
from tests.helpers import make_item
from tests.screens.deciding import judge, without_grace

pytestmark = pytest.mark.browser
MADE_BY_MARKUP = (
    "img, iframe, form, .katex, b, a[href*='evil'], a[href^='mailto'], a[href^='javascript'],"
    " h1:not(:has-text('History'))"
)


def only_text(tab: Tab) -> None:
    main = tab.page.get_by_test_id("stMain")
    expect(main.locator(MADE_BY_MARKUP)).to_have_count(0)


def hostile_item(app: App, flow: int, by: access.Actor) -> str:
    """Put an item in place of which every text is hostile, decide it, release it and recall it."""
    with app.database.writing() as session:
        without_grace(session, flow)
        item_id = make_item(
            session, flow, output=HOSTILE, prompt=HOSTILE, model=NAME, external_id=NAME, source=NAME, end_user=NAME,
            prompt_version=NAME, trace_url="https://evil.example/trace", parameters=HOSTILE,
        )  # fmt: skip
        reason = "Tone"
        judge(session, item_id, by, Verdict.CORRECT, f"{HOSTILE}\n\n{HOSTILE}", note=HOSTILE, reasons=[reason])
        decisions.recall(session, item_id, by, reason=HOSTILE, opinion=Opinion(Verdict.CORRECT, HOSTILE[::-1]))
    return item_id


def reviewer(app: App, name: str, flow: int) -> tuple[str, access.Actor]:
    token = app.sign_in(name, Role.OWNER, flow)
    with app.database.reading() as session:
        return token, access.actor(session, access.person_by_email(session, f"{name.lower()}@example.com"))


def test_a_hostile_story_asks_nobody_for_anything_and_stays_text(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow(f"{NAME} history", [])
    token, hilda = reviewer(app, "Hilda", flow)
    item_id = hostile_item(app, flow, hilda)
    one = tab(app, token)

    one.open(f"/history?id={item_id}")

    expect(one.page.locator(".st-key-story_answer").get_by_test_id("stText")).to_have_text(
        re.compile(re.escape(HOSTILE.splitlines()[0]))
    )
    expect(one.page.locator(".nr-marked").first).to_contain_text("<script>alert(1)</script>")
    expect(one.page.locator(".nr-marked ins").first).to_be_visible()
    expect(one.page.locator(".st-key-story_recalled")).to_contain_text("<img src=https://evil.example/c.png")
    expect(one.page.locator(".st-key-story_facts")).to_contain_text("![n](https://evil.example/n.png)")
    only_text(one)
    assert "evil" not in one.page.url


def test_a_row_opens_its_story_and_what_was_looked_for_stays_out_of_the_address(
    app: App, tab: Callable[..., Tab]
) -> None:
    flow = app.add_workflow("Ledger", ["An older answer.", HOSTILE, "A needle in the ledger."])
    one = tab(app, app.sign_in("Ines", Role.REVIEWER, flow))
    one.open("/history")
    one.reads("3 found")
    one.settle()
    one.page.get_by_label("Text in prompt, output or correction").fill("NEEDLE")
    one.page.keyboard.press("Enter")
    one.reads("1 found")

    one.tick(0)

    expect(one.page.locator(".st-key-story_answer")).to_contain_text("A needle in the ledger.")
    assert "eedle" not in one.page.url.lower().replace("needle_", "")
    assert not [address for address in one.asked if "needle" in address.lower()]
    only_text(one)
    address = one.page.locator(".st-key-story_facts code").inner_text()
    one.open(address.removeprefix(app.url))
    expect(one.page.locator(".st-key-story_answer")).to_contain_text("A needle in the ledger.")
    one.page.get_by_role("button", name="All outputs").click()
    one.reads("found, newest first")
    expect(one.page).not_to_have_url(re.compile("id="))


def test_two_rows_are_for_working_on_together_and_hostile_choices_stay_text(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow("Pairs", ["The same answer.", "The same answer."], model=NAME)
    app.change("UPDATE reason SET name = :name WHERE workflow_id = :id AND position = 1", name=NAME, id=flow)
    one = tab(app, app.sign_in("Jo", Role.REVIEWER, flow))
    one.open("/history")
    one.reads("2 found")
    one.page.get_by_text("More filters").click()
    one.lists(one.page.get_by_role("combobox", name="Model"))
    expect(one.page.get_by_role("option").filter(has_text=NAME)).to_have_count(1)
    one.page.keyboard.press("Escape")
    one.tick(0)
    expect(one.page.locator(".st-key-story_answer")).to_be_visible()

    one.tick(1)

    one.reads("2 chosen. Choose one alone")
    expect(one.page.locator(".st-key-bulk")).to_contain_text("2 held outputs chosen")
    only_text(one)


def test_the_form_of_a_recall_shows_hostile_reasons_as_text(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow("Recalls", [])
    app.change("UPDATE reason SET name = :name WHERE workflow_id = :id AND position = 1", name=NAME, id=flow)
    token, karl = reviewer(app, "Karl", flow)
    with app.database.writing() as session:
        without_grace(session, flow)
        item_id = make_item(session, flow, source=NAME)
        judge(session, item_id, karl, Verdict.APPROVE)
    one = tab(app, token)
    one.open(f"/history?id={item_id}")
    one.settle()
    one.page.get_by_role("button", name="Recall…").click()
    form = one.page.locator(".st-key-recall")
    form.get_by_label("Why is it recalled?").fill("It was wrong.")
    one.lists(form.get_by_role("combobox", name="Reasons"))
    one.page.get_by_role("option").filter(has_text=NAME).click()
    one.page.keyboard.press("Escape")
    expect(form).to_contain_text("evil.example/n.png")
    only_text(one)
    form.get_by_text("I want the application to be told now").click()
    form.get_by_role("button", name="Recall it").click()

    expect(one.page.locator(".st-key-story_recalled")).to_contain_text("It was wrong.")

    only_text(one)
    row = app.row("SELECT label, recalled_at FROM item WHERE id = :id", id=item_id)
    assert row.label == "reject"
    assert row.recalled_at is not None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_state_of_the_page_is_accessible(app: App, tab: Callable[..., Tab], scheme: str) -> None:
    flow = app.add_workflow(f"Accessible {scheme}", ["An answer.", "Another answer."])
    token, lena = reviewer(app, f"Lena{scheme}", flow)
    with app.database.writing() as session:
        without_grace(session, flow)
        item_id = make_item(session, flow)
        judge(session, item_id, lena, Verdict.CORRECT, "The other output.")
    one = tab(app, token, color_scheme=scheme)
    found = {}

    def look(state: str, sentence: str) -> None:
        one.reads(sentence)
        one.come_to_rest()
        found[state] = faults(one)

    one.open("/history")
    one.reads("3 found")
    one.settle()
    one.page.get_by_text("More filters").click()
    look("filters", "To (UTC day)")
    one.tick(0)
    look("a story below the list", "What happened")
    one.page.get_by_label("Text in prompt").fill("nowhere")
    one.page.keyboard.press("Enter")
    look("nothing found", "Nothing matches")
    one.page.get_by_text("Saved views").click()
    look("views", "only you see your views")
    one.open("/history?id=nothing")
    look("no item", "There is no item by that id")
    one.open(f"/history?id={item_id}")
    one.settle()
    one.page.get_by_role("button", name="Recall…").click()
    look("recall", "Recall this release")
    assert {state: said for state, said in found.items() if said} == {}


def test_a_row_is_chosen_by_keyboard_alone(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow("Keyboard", ["The older answer.", "The newer answer."])
    one = tab(app, app.sign_in("Mo", Role.REVIEWER, flow))
    one.open("/history")
    one.reads("2 found")
    table = one.page.locator("[data-testid=data-grid-canvas]")
    expect(table).to_be_visible()
    one.come_to_rest()  # drawn anew while the page settles, it would lose the focus
    for _ in range(30):
        one.page.keyboard.press("Tab")
        if one.page.evaluate("document.activeElement.dataset.testid") == "data-grid-canvas":
            break
    expect(table).to_be_focused()
    one.page.keyboard.press("ArrowDown")
    one.page.wait_for_timeout(300)
    one.page.keyboard.press("Shift+Space")

    expect(one.page.locator(".st-key-story_answer")).to_contain_text("The older answer.")
