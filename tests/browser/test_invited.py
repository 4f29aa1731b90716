"""A second person comes in: invited on screen, in by a link, and at work, with their own role and no other."""

from collections.abc import Callable

import pytest

from db.tables import Role
from tests.browser.house import PASSWORD, App, Tab, expect

pytestmark = pytest.mark.browser


def test_an_invited_reviewer_opens_the_link_chooses_a_password_and_lands_on_review(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow = app.add_workflow("invited to", ["The output that Gilbert reviews."])
    app.add_workflow("not invited to", ["Nothing for Gilbert."])
    admin = tab(app, app.sign_in("Fritz", Role.ADMIN))
    admin.open("/people")
    admin.settle()
    admin.page.get_by_text("Invite somebody").click()
    admin.page.get_by_label("Name", exact=True).fill("Gilbert")
    admin.page.get_by_label("E-mail, with which they sign in").fill("gil@invited.example.com")
    choose(admin, "Where", "invited to")
    admin.page.get_by_role("button", name="Make the invitation").click()
    admin.reads("Send this link to Gilbert.")
    link = admin.page.locator(".st-key-link code").inner_text()
    assert link.startswith(f"{app.url}/auth/invitation?code=")

    gil = tab(app)
    gil.page.goto(link)
    gil.page.get_by_label("Password").fill(PASSWORD)
    gil.page.keyboard.press("Enter")

    gil.sees("The output that Gilbert reviews.")
    assert gil.page.url == f"{app.url}/review"
    gil.press("a")
    gil.reads("Nothing waits for you")
    app.until("SELECT 1 FROM review WHERE workflow_id = :id AND verdict = 'approve'", id=workflow)
    menu = gil.page.get_by_test_id("stSidebar")
    expect(menu.get_by_role("link", name="Review", exact=True)).to_be_visible()
    for page in ("People", "Workflows", "Sources"):
        expect(menu.get_by_role("link", name=page)).to_have_count(0)

    gil.open("/exports")
    gil.reads("This page is for people who may export. Ask an admin for the role: ")
    expect(gil.page.get_by_text("Page not found")).to_have_count(0)
    gil.page.get_by_role("link", name="Go to Home").click()
    gil.reads("Nothing waits.")

    late = tab(app)
    late.page.goto(link)
    late.reads("This link was used")
    admin.page.reload()
    admin.reads("reviewer of invited to")
    expect(admin.page.locator(".st-key-link")).to_have_count(0)


def test_who_is_disabled_is_out_at_once(app: App, tab: Callable[..., Tab]) -> None:
    workflow = app.add_workflow("closed to Hal", ["One.", "Two."])
    hal = tab(app, app.sign_in("Halvard", Role.REVIEWER, workflow))
    hal.open("/review")
    hal.sees("One.")
    admin = tab(app, app.sign_in("Ines", Role.ADMIN))
    admin.open("/people")
    admin.settle()
    admin.page.get_by_role("button", name="Halvard", exact=True).click()
    admin.page.get_by_role("button", name="Disable …").click()
    admin.page.get_by_role("button", name="Disable this account").click()
    admin.reads("this person cannot sign in")

    hal.page.keyboard.press("a")
    hal.page.reload()

    hal.page.wait_for_url("**/auth/sign-in**")
    assert app.verdicts(workflow) == []
    assert app.rows("SELECT 1 FROM item WHERE workflow_id = :id AND lease_by IS NOT NULL", id=workflow) == []


def test_a_key_is_shown_to_be_copied_and_never_again(app: App, tab: Callable[..., Tab]) -> None:
    workflow = app.add_workflow("of Kim", [])
    kim = tab(app, app.sign_in("Kim", Role.OWNER, workflow))
    kim.open("/sources")
    kim.settle()
    kim.page.get_by_label("Name of the application").fill("Kim's shop")
    kim.page.get_by_role("button", name="Add it and make a key").click()
    kim.reads("shown only this once")
    key = kim.page.locator(".st-key-new_key code").first.inner_text()
    assert key.startswith("nr_")

    kim.page.get_by_role("link", name="Workflows").click()
    kim.reads("of Kim")
    kim.page.get_by_role("link", name="Sources").click()

    kim.reads("can submit and read")
    expect(kim.page.get_by_text(key)).to_have_count(0)


def choose(tab: Tab, label: str, option: str) -> None:
    """Choose in a selectbox by keyboard; its list would close if the page still moved."""
    tab.come_to_rest()
    tab.page.get_by_label(label, exact=True).click()
    tab.page.keyboard.type(option)
    tab.page.get_by_role("option", name=option, exact=True).click()
