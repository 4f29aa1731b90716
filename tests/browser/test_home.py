"""Home and the work on many at once, in a real browser: numbers that follow, focus that stays, text that stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from db.clock import now
from db.tables import Role
from neuro_review import access, queue
from tests.browser.house import App, Tab, expect
from tests.browser.test_accessible import SCHEMES, faults

HOSTILE = '<img src="http://evil.example/i.png"> ![i](http://evil.example) [a](http://evil.example) </ins><style>*{'
HALF_AN_HOUR = 30 * 60 * 1_000_000  # what is overdue lapses before anybody could look at it
TEXT = "Your order {} is on its way and comes to your door on Friday before noon with the post."


def reads_number(tab: Tab, label: str, number: str) -> None:
    """Wait until a number of Home is this one."""
    metric = tab.page.get_by_test_id("stMetric").filter(has_text=label)
    expect(metric.get_by_test_id("stMetricValue")).to_have_text(number)


def test_the_numbers_follow_and_the_focus_stays(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow("Follows", ["One.", "Two."])
    one = tab(app, app.sign_in("Fay", Role.REVIEWER, flow))
    one.page.clock.install()
    one.open("/home")
    one.settle()
    link = one.page.get_by_role("link", name="Review what waits")
    link.focus()
    reads_number(one, "Held", "2")

    app.change("UPDATE item SET due_at = :at WHERE workflow_id = :flow", flow=flow, at=now() + HALF_AN_HOUR)
    one.page.clock.fast_forward(31_000)

    expect(one.page.get_by_text("2 due within the hour")).to_be_visible()
    reads_number(one, "Due within the hour", "2")
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
    one.settle()

    one.page.get_by_text("Escalated to the owner").click()
    one.reads(re.compile("larch · could do harm by Oona"))
    one.page.get_by_role("link", name="Open", exact=True).click()
    one.reads("What to do with it")
    one.settle()
    one.page.get_by_text("Put back", exact=True).click()
    one.reads("1 escalated output can go back")
    one.page.get_by_role("button", name="Put back", exact=True).last.click()

    one.reads("1 put back.")
    assert app.row("SELECT escalated_at FROM item WHERE id = :id", id=item.id).escalated_at is None


def choose(tab: Tab, rows: int) -> None:
    """Tick the first rows of History's list."""
    tab.open("/history")
    for row in range(rows):
        tab.tick(row)
        tab.reads(f"{row + 1} held outputs chosen" if row else "Story")


def test_many_are_decided_after_each_was_seen_and_hostile_text_stays_text(app: App, tab: Callable[..., Tab]) -> None:
    flow = app.add_workflow(f"Many {HOSTILE}"[:100], [f"{TEXT.format(n)} {HOSTILE}" for n in (1, 22)], model=HOSTILE)
    one = tab(app, app.sign_in("Mia", Role.REVIEWER, flow))
    one.open("/home")
    one.reads(re.compile(r"^Many <img src="))
    choose(one, 2)

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


@pytest.mark.parametrize("scheme", SCHEMES)
def test_home_and_the_work_on_many_are_accessible_in_their_states(
    app: App, tab: Callable[..., Tab], scheme: Any
) -> None:
    flow = app.add_workflow(f"States {scheme}", [TEXT.format(n) for n in (1, 22, 333)])
    token = app.sign_in(f"Ona{scheme}", Role.OWNER, flow)
    person = app.row("SELECT id FROM person WHERE email = :email", email=f"ona{scheme}@example.com").id
    items = [row.id for row in app.rows("SELECT id FROM item WHERE workflow_id = :flow ORDER BY id", flow=flow)]
    app.change("UPDATE item SET due_at = :at WHERE id = :id", id=items[2], at=now() + HALF_AN_HOUR)
    with app.database.writing() as session:
        by = access.actor(session, person)
        queue.escalate(session, items[0], by)
        queue.claim_these(session, by, items[2:])
    one = tab(app, token, color_scheme=scheme)
    one.open("/home")
    one.settle()
    one.page.get_by_text("Escalated to the owner").click()
    one.reads("1 due within the hour")
    one.come_to_rest()
    found = {"home": faults(one)}
    choose(one, 3)
    one.reads("For outputs that read alike")  # what a single one offered first is not chosen for many
    shown = {"Assign": "Assign to", "Escalate": "Why", "Priority": "Priority, 0 to 9", "Put back": "can go back into",
             "Decide together": "For outputs that read alike"}  # fmt: skip
    for what, sentence in shown.items():
        one.page.get_by_test_id("stButtonGroup").get_by_text(what, exact=True).click()
        one.reads(sentence)
        one.come_to_rest()
        found[what] = faults(one)
    one.page.get_by_role("button", name="Read them").click()
    for seen in range(3):
        one.reads(f"Seen {seen} of 3")
        one.come_to_rest()
        found[f"seen {seen}"] = faults(one)
        one.page.wait_for_timeout(300)
        one.page.get_by_role("button", name="Seen, next").click()
    one.reads("You have seen 3 outputs")
    one.come_to_rest()
    found["verdict"] = faults(one)

    assert {state: said for state, said in found.items() if said} == {}
