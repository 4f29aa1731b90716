"""Two people at one queue: never the same item, and nothing that was typed is lost."""

from collections.abc import Callable

import pytest

from db.tables import Role
from tests.browser.house import PASSWORD, App, Tab, expect

pytestmark = pytest.mark.browser
OUTPUTS = [f"Output number {n}." for n in range(1, 13)]
RUN_OUT = "UPDATE item SET lease_until = 1 WHERE workflow_id = :workflow AND lease_by IS NOT NULL"


def drafts(app: App, workflow_id: int) -> list[str]:
    query = "SELECT d.text FROM draft d JOIN item i ON i.id = d.item_id WHERE i.workflow_id = :workflow"
    return [row.text for row in app.rows(query, workflow=workflow_id)]


def test_somebody_who_was_added_signs_in_and_never_sees_what_lies_on_anothers_desk(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow = app.add_workflow("pair", OUTPUTS)
    bo = tab(app, app.sign_in("Bo", Role.REVIEWER, workflow))
    bo.open("/review")
    bo.sees(OUTPUTS[0])
    app.command("user", "add", "Cy", "--email", "cy@example.com", "--role", "reviewer", "--workflow", "pair",
                "--password-stdin", stdin=PASSWORD)  # fmt: skip

    cy = tab(app)
    cy.open("/review")
    cy.page.fill("input[name=email]", "cy@example.com")
    cy.page.fill("input[name=password]", PASSWORD)
    cy.page.keyboard.press("Enter")

    cy.sees(OUTPUTS[10])
    bo.press("a")
    bo.sees(OUTPUTS[1])
    cy.press("a")
    cy.sees(OUTPUTS[11])
    for own in (bo, cy):
        own.is_answered()
    assert sorted(app.verdicts(workflow)) == [(OUTPUTS[0], "approve"), (OUTPUTS[10], "approve")]


def test_a_reviewer_of_another_workflow_finds_nothing(app: App, tab: Callable[..., Tab]) -> None:
    app.add_workflow("not hers", OUTPUTS)
    hers = app.add_workflow("hers", [])

    eve = tab(app, app.sign_in("Eve", Role.REVIEWER, hers))
    eve.open("/review")

    eve.reads("Nothing waits for you")
    expect(eve.page.get_by_text("not hers")).to_have_count(0)
    eve.open("/home")
    eve.reads("0 held")
    expect(eve.page.get_by_text("not hers")).to_have_count(0)


def test_a_correction_that_comes_too_late_is_refused_and_comes_back_with_the_item(
    app: App, tab: Callable[..., Tab]
) -> None:
    workflow = app.add_workflow("late", OUTPUTS[:1])
    dee = tab(app, app.sign_in("Dee", Role.REVIEWER, workflow))
    dee.open("/review")
    dee.sees(OUTPUTS[0])
    dee.start_to_correct()
    dee.type("What Dee typed.")
    app.change(RUN_OUT, workflow=workflow)

    dee.page.keyboard.press("Control+Enter")

    dee.is_told("ran out. Your verdict was not stored; the item may come back. What you typed is kept here:")
    expect(dee.notes).to_contain_text("What Dee typed.")
    assert app.verdicts(workflow) == []
    dee.sees(OUTPUTS[0])
    dee.start_to_correct()
    expect(dee.field).to_have_value("What Dee typed.")
    dee.page.keyboard.press("Control+Enter")
    dee.reads("Nothing waits for you")
    dee.is_answered()
    assert [row.text for row in app.reviews(workflow)] == ["What Dee typed."]
    assert drafts(app, workflow) == []


def test_who_is_overtaken_is_told_and_the_typed_text_is_kept(app: App, tab: Callable[..., Tab]) -> None:
    workflow = app.add_workflow("overtaken", OUTPUTS[:1])
    fay = tab(app, app.sign_in("Fay", Role.REVIEWER, workflow))
    fay.open("/review")
    fay.sees(OUTPUTS[0])
    fay.start_to_correct()
    fay.type("What Fay typed.")
    app.change(RUN_OUT, workflow=workflow)
    gus = tab(app, app.sign_in("Gus", Role.REVIEWER, workflow))
    gus.open("/review")
    gus.sees(OUTPUTS[0])
    gus.press("a")
    gus.reads("Nothing waits for you")
    gus.is_answered()

    fay.page.keyboard.press("Control+Enter")

    fay.is_told("This item was approved meanwhile. Your verdict was not stored; go on with the next one.")
    fay.is_told("What you typed is kept here:")
    expect(fay.notes).to_contain_text("What Fay typed.")
    fay.page.get_by_role("button", name="Put this message away").click()
    expect(fay.notes).to_be_empty()
    assert app.verdicts(workflow) == [(OUTPUTS[0], "approve")]
    assert drafts(app, workflow) == ["What Fay typed."]
