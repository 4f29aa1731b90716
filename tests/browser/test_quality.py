"""Quality in the browser: from a point of the chart to the outputs behind it."""

from collections.abc import Callable

import pytest

from db.clock import DAY, SECOND, now
from db.tables import Role
from neuro_review import workflows
from tests.browser.house import App, Tab, expect
from tests.browser.test_accessible import faults
from tests.conftest import OPERATOR
from tests.exports.stock import past

pytestmark = pytest.mark.browser


def test_on_a_narrow_screen_a_wide_table_is_a_list_that_is_still_read_as_a_table(
    app: App, tab: Callable[..., Tab]
) -> None:
    with app.database.writing() as session:
        flow = workflows.add(session, OPERATOR, "narrow")
    for model in ("openai/gpt-4o-mini-2024-07-18-of-a-long-name", "larch"):
        past(app.database, flow, [{"verdict": "approve", "reviewer": "bo"}], model=model)
    olu = tab(app, app.sign_in("Nia", Role.OWNER, flow.id), viewport={"width": 360, "height": 740})
    olu.open(f"/models?workflow={flow.id}")
    table = olu.page.get_by_role("table", name="Models side by side")

    expect(table.get_by_role("row")).to_have_count(3)
    expect(table.get_by_role("columnheader")).to_have_count(8)
    expect(table.get_by_role("row", name="larch").get_by_role("cell")).to_have_count(7)
    olu.come_to_rest()
    assert table.evaluate("one => one.scrollWidth <= one.parentElement.clientWidth")
    assert faults(olu) == []


def test_a_click_on_a_point_leads_to_the_bad_outputs_behind_it(app: App, tab: Callable[..., Tab]) -> None:
    with app.database.writing() as session:
        flow = workflows.add(session, OPERATOR, "points")
    at = (now() - 8 * DAY) / SECOND
    for n in range(40):
        said = {"verdict": "reject" if n < 4 else "approve", "reviewer": "bo"}
        past(app.database, flow, [said], output=f"Point text {n}.", created_at=at)
    olu = tab(app, app.sign_in("Olu", Role.OWNER, flow.id))
    olu.open(f"/quality?workflow={flow.id}")
    olu.reads("Choose a point to see what it rests on")
    olu.page.locator(".st-key-trend svg.marks .mark-symbol path").last.click()
    olu.reads("m, ")
    olu.page.get_by_role("button", name="Show the 4 bad in History").click()

    expect(olu.page.get_by_role("heading", name="History")).to_be_visible()
    olu.reads("4 found, newest first")
