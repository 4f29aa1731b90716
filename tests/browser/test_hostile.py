"""What a model wrote, and what an application called things, stays text wherever it is shown."""

import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from db.tables import Role
from neuro_review import workflows
from tests.browser.house import App, Tab, expect
from tests.conftest import OPERATOR

pytestmark = pytest.mark.browser
PARTS = (
    "![remote](https://evil.example/a.png)", "[click](https://evil.example/b)", "[run](javascript:alert(1))",
    "<img src=https://evil.example/c.png onerror=alert(1)>", '<form action="https://evil.example/d"><input></form>',
    "<style>@import 'https://evil.example/e.css'</style>", "<script>alert(1)</script>", "$$\\frac{1}{2}$$",
    ":red[alarm] :material/home: :tada:", "https://evil.example/f www.evil.example me@evil.example",
    "| a | b |\n|---|---|\n| 1 | 2 |", "# Heading",
)  # fmt: skip
HOSTILE = "\n\n".join(PARTS)
NAME = "![n](https://evil.example/n.png) <b>x</b> [y](https://evil.example/y)"
LITERALLY = re.compile("\u2060?".join(map(re.escape, NAME)))  # an invisible joiner here and there
BIDI = "larch\u202e0.0$\u202c\u2066"
LONG = "x" * 200_000
MADE_BY_MARKUP = (
    "img, iframe, form form, table, .katex, b, h1:not(:has-text('Home')),"
    " a[href*='evil'], a[href^='mailto'], a[href^='javascript']"
)


@pytest.fixture
def workflow(app: App, tmp_path: Path, request: pytest.FixtureRequest) -> int:
    """A workflow whose name, reasons, rubric and outputs are hostile, imported from a file."""
    rows = [
        {"model": NAME, "output": HOSTILE, "context": HOSTILE,
         "prompt": [{"role": NAME, "content": HOSTILE}, {"role": "user", "content": HOSTILE}]},
        {"model": BIDI, "output": LONG, "context": LONG, "prompt": LONG, "latency_ms": 1200, "cost_usd": 0.003},
    ]  # fmt: skip
    file = tmp_path / "hostile.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    name = f"{NAME} {request.node.name[:18]}"
    counts = orjson.loads(app.command("import", str(file), "--workflow", name, "--json"))
    assert counts["held"] == len(rows)
    with app.database.writing() as session:
        flow = workflows.by_name(session, name)
        workflows.write_rubric(session, OPERATOR, flow.id, HOSTILE)
    app.change("UPDATE item SET queue_band = 1 WHERE workflow_id = :id", id=flow.id)
    app.change("UPDATE reason SET name = :name WHERE workflow_id = :id AND position = 1", name=NAME, id=flow.id)
    return flow.id


def only_text(tab: Tab) -> None:
    """Check that the page, except its own sign-out form, holds nothing that markup has made."""
    main = tab.page.get_by_test_id("stMain")
    expect(main.locator(MADE_BY_MARKUP)).to_have_count(0)
    expect(main.locator("form")).to_have_count(0)


def test_hostile_text_is_shown_as_it_is_and_asks_nobody_for_anything(
    app: App, tab: Callable[..., Tab], workflow: int
) -> None:
    pia = tab(app, app.sign_in("Pia", Role.REVIEWER, workflow))
    pia.open("/review")

    pia.sees(PARTS[0])
    shown = pia.answer.get_by_test_id("stText").inner_text()
    assert shown == HOSTILE
    for place in (".st-key-conversation", ".st-key-beside"):
        expect(pia.page.locator(place)).to_contain_text(PARTS[0])
    for place in (".st-key-conversation", ".st-key-answer", ".st-key-beside", ".st-key-reason_1"):
        expect(pia.page.locator(place)).to_contain_text(LITERALLY)
    only_text(pia)

    pia.press("1")
    pia.press("e")
    expect(pia.field).to_have_value(HOSTILE)
    only_text(pia)
    pia.page.keyboard.press("Escape")
    pia.sees(PARTS[0])

    pia.page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")  # a list closes when the page scrolls
    pia.look()
    pia.page.locator(".st-key-workflow").get_by_role("combobox").press("ArrowDown")
    expect(pia.page.get_by_role("option").filter(has_text=NAME)).to_have_count(1)
    pia.page.get_by_role("option").filter(has_text=NAME).click()
    pia.sees(PARTS[0])
    only_text(pia)
    pia.open("/home")
    pia.reads("2 held")
    only_text(pia)


def test_a_long_line_breaks_and_a_name_cannot_turn_its_neighbours_around(
    app: App, tab: Callable[..., Tab], workflow: int
) -> None:
    app.change("UPDATE item SET queue_at = 0 WHERE workflow_id = :id AND latency_ms IS NOT NULL", id=workflow)
    quin = tab(app, app.sign_in("Quin", Role.REVIEWER, workflow))
    quin.open("/review")

    quin.sees("x" * 50)
    assert quin.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert len(quin.answer.get_by_test_id("stText").inner_text()) == len(LONG)
    expect(quin.key("Approve")).to_be_in_viewport()
    facts = quin.answer.get_by_test_id("stCaptionContainer").inner_text()
    assert not set(facts) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert facts.endswith("1.2 s · $0.0030")
