"""Home and the work on many at once, in a real browser: numbers that follow, focus that stays, text that stays text."""

from __future__ import annotations

import re
from collections.abc import Callable

from db.tables import Role
from neuro_review import access, queue
from tests.browser.house import App, Tab, expect

HOSTILE = '<img src="http://evil.example/i.png"> ![i](http://evil.example) [a](http://evil.example) </ins><style>*{'
TEXT = "Your order {} is on its way and comes to your door on Friday before noon with the post."


def number(tab: Tab, label: str) -> str:
    metric = tab.page.get_by_test_id("stMetric").filter(has_text=label)
    return metric.get_by_test_id("stMetricValue").inner_text()


def test_the_numbers_follow_and_the_focus_stays(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow("Follows", ["One.", "Two."])
    one = tab(app, app.sign_in("Fay", Role.REVIEWER, flow))
    one.page.clock.install()
    one.open("/home")
    link = one.page.get_by_role("link", name="Review what waits")
    link.focus()
    assert number(one, "Held") == "2"

    app.change("UPDATE item SET due_at = 1 WHERE workflow_id = :flow", flow=flow)
    one.page.clock.fast_forward(31_000)

    expect(one.page.get_by_text("2 overdue")).to_be_visible()
    assert number(one, "Due within the hour") == "2"
    expect(link).to_be_focused()


def test_an_owner_opens_what_was_escalated_and_puts_it_back(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow("Escalates", ["Too hard for one."], model="larch")
    (item,) = app.rows("SELECT id FROM item WHERE workflow_id = :flow", flow=flow)
    owner = app.sign_in("Oona", Role.OWNER, flow)
    person = app.row("SELECT id FROM person WHERE email = 'oona@example.com'").id
    with app.database.writing() as session:
        queue.escalate(session, item.id, access.actor(session, person), "could do harm")
    one = tab(app, owner)
    one.open("/home")

    one.page.get_by_text("Escalated to the owner").click()
    one.reads(re.compile("larch · could do harm by Oona"))
    one.page.get_by_role("link", name="Open", exact=True).click()
    one.page.get_by_text("Put back", exact=True).click()
    one.page.get_by_role("button", name="Put back", exact=True).last.click()

    one.reads("1 put back.")
    assert app.row("SELECT escalated_at FROM item WHERE id = :id", id=item.id).escalated_at is None


def test_many_are_decided_after_each_was_seen_and_hostile_text_stays_text(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow(f"Many {HOSTILE}"[:100], [f"{TEXT.format(n)} {HOSTILE}" for n in (1, 22)], model=HOSTILE)
    one = tab(app, app.sign_in("Mia", Role.REVIEWER, flow))
    one.open("/home")
    one.reads(re.compile(r"^Many <img src="))
    one.open("/history")
    table = one.page.get_by_test_id("stDataFrame").locator("canvas").first
    expect(table).to_be_visible()
    for row in (1, 2):
        box = table.bounding_box() or {"x": 0, "y": 0}
        one.page.mouse.click(box["x"] + 18, box["y"] + 18 + row * 35)
        expect(one.page.get_by_text("2 held outputs chosen" if row == 2 else "Held").first).to_be_visible()

    one.page.get_by_role("button", name="Read them").click()
    one.reads("Seen 0 of 2")
    one.page.wait_for_timeout(300)
    one.page.get_by_role("button", name="Seen, next").click()
    one.reads("Seen 1 of 2")
    expect(one.page.locator(".nr-marked ins")).to_have_text(re.compile(r"^(1|22)$"))
    expect(one.page.locator(".nr-marked")).to_contain_text("</ins><style>*{")
    assert one.page.locator('a[href*="evil"], img[src*="evil"]').count() == 0
    one.page.wait_for_timeout(300)
    one.page.get_by_role("button", name="Seen, next").click()
    one.page.get_by_role("button", name="Approve 2 outputs").click()

    one.reads("2 approved.")
    assert sorted(verdict for _, verdict in app.verdicts(flow)) == ["approve", "approve"]
