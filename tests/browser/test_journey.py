"""From the first visit to exported verdicts, as a newcomer goes: over each engine."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from db.clock import now
from neuro_review import samples
from tests.browser.house import PASSWORD, SAMPLES, App, Tab, expect

pytestmark = pytest.mark.browser
LAST = "SELECT max(final_at) AS at FROM decision d WHERE NOT EXISTS (SELECT 1 FROM retraction WHERE decision_id = d.id)"
CORRECTED = "Your kettle has arrived, thank you. We are refunding 49.00 EUR to your card within 3–5 working days."
ITEM = (
    "SELECT i.id, i.status, i.lease_by, i.lease_until, v.verdict, v.reasons, v.reviewer, t.text FROM item i"
    " LEFT JOIN decision d ON d.id = i.decision_id LEFT JOIN review v ON v.id = d.review_id"
    " LEFT JOIN review_content t ON t.review_id = v.id WHERE i.external_id = :name"
)


def set_up(tab: Tab) -> None:
    """Go the way that the terminal shows."""
    tab.open(f"/auth/setup?code={tab.app.code}")
    tab.page.fill("input[name=name]", "Ada")
    tab.page.fill("input[name=email]", "ada@example.com")
    tab.page.fill("input[name=password]", PASSWORD)
    tab.page.click("button[type=submit]")


def stored(app: App, name: str, status: str) -> tuple[str, str | None, list[str], str | None]:
    """Return what stands in the database of an item, and check that Ada did it."""
    app.until("SELECT 1 FROM item WHERE external_id = :name AND status = :status", name=name, status=status)
    row = app.row(ITEM, name=name)
    if row.verdict is not None:
        assert row.reviewer == "ada@example.com"
    return row.status, row.verdict, orjson.loads(row.reasons or "[]"), row.text


def test_a_newcomer_gets_from_the_first_visit_to_exported_verdicts(
    empty_app: App, tab: Callable[..., Tab], tmp_path: Path
) -> None:
    app, ada = empty_app, tab(empty_app)
    ada.open("/")
    assert ada.page.url == f"{app.url}/auth/setup"
    set_up(ada)

    ada.sees(SAMPLES[0]["output"])
    expect(ada.card).to_contain_text("59.00 EUR")
    assert ada.page.url == f"{app.url}/review"
    expect(ada.page).to_have_title("Review · Neuro Review")

    ada.start_to_correct()
    ada.type(CORRECTED)
    ada.page.keyboard.press("Control+Enter")
    ada.sees(SAMPLES[1]["output"])
    assert stored(app, "sample-01", "corrected") == ("corrected", "correct", [], CORRECTED)

    sample = app.row("SELECT id FROM workflow").id
    app.let_undo(sample, seconds=60)
    ada.press("a")
    ada.sees(SAMPLES[2]["output"])
    assert stored(app, "sample-02", "approved") == ("approved", "approve", [], None)

    ada.press("u")
    ada.sees(SAMPLES[1]["output"])
    assert stored(app, "sample-02", "held") == ("held", None, [], None)
    assert app.row("SELECT count(*) AS n FROM retraction").n == 1
    app.let_undo(sample, seconds=1)
    ada.press("a")
    ada.sees(SAMPLES[2]["output"])

    ada.press("x")
    ada.reads("A rejection needs a reason")
    assert stored(app, "sample-03", "held") == ("held", None, [], None)
    ada.press("1")
    expect(ada.page.locator(".reason").first).to_have_attribute("aria-pressed", "true")
    expect(ada.page.locator(".state")).not_to_contain_text("A rejection needs a reason")
    ada.press("x")
    ada.sees(SAMPLES[3]["output"])
    assert stored(app, "sample-03", "rejected") == ("rejected", "reject", ["Wrong fact or number"], None)

    ada.press("s")
    ada.sees(SAMPLES[4]["output"])
    ada.is_answered()
    skipped = app.row(
        "SELECT p.kind, i.status FROM item_pass p JOIN item i ON i.id = p.item_id WHERE i.external_id = 'sample-04'"
    )
    assert tuple(skipped) == ("skip", "held")
    expect(ada.card).to_contain_text("3 verdicts today")

    app.until("SELECT count(*) FROM decision HAVING count(*) = 4")  # one of them was undone
    ada.page.wait_for_timeout(max(0, app.row(LAST).at - now()) / 1000 + 2_000)
    out = tmp_path / "labels.jsonl"
    app.command("export", "--workflow", samples.NAME, "--format", "jsonl", "--out", str(out))
    rows = {row["external_id"]: row for row in map(orjson.loads, out.read_bytes().splitlines())}
    said = {name: (row["verdict"], row["correction"], row["reasons"]) for name, row in rows.items()}
    assert said == {
        "sample-01": ("correct", CORRECTED, []),
        "sample-02": ("approve", None, []),
        "sample-03": ("reject", None, ["Wrong fact or number"]),
    }
    assert {row["reviewer"] for row in rows.values()} == {"ada@example.com"}
    checked = orjson.loads(app.command("verify-audit", "--json"))
    assert checked["ok"], checked
