"""A model is tried in the browser: started, watched, compared with the one before, and let through the gate."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from db.tables import Role
from neuro_review import workflows
from neuro_review.eval_sets import making
from neuro_review.eval_sets.choosing import Wanted
from tests.browser.house import App, Tab, expect
from tests.browser.test_accessible import SCHEMES, faults
from tests.conftest import OPERATOR
from tests.evals.conftest import answers, label
from tests.exports.stock import past
from tests.llm_server import LanguageModel, language_model

pytestmark = pytest.mark.browser
CASES = 24


@pytest.fixture
def served() -> Iterator[LanguageModel]:
    with language_model(answers) as model:
        yield model


@pytest.fixture
def own_app(sqlite_template: Path, tmp_path: Path, served: LanguageModel) -> Iterator[App]:
    """An app whose operator has named an endpoint."""
    shutil.copyfile(sqlite_template, tmp_path / "app.db")
    named = orjson.dumps({"own": {"url": served.url}}).decode()
    running = App(tmp_path, f"sqlite:///{tmp_path / 'app.db'}", NEURO_REVIEW_ENDPOINTS=named)
    running.wait_until_healthy()
    yield running
    running.stop()


def name(tab: Tab, number: int, model: str) -> None:
    tab.page.get_by_label(f"Candidate {number}").fill(model)
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_text("No price list knows it")).to_have_count(number)
    box = tab.page.locator(f".st-key-run_endpoint_{number - 1}").get_by_role("combobox")
    tab.lists(box)
    tab.page.get_by_role("option", name="own", exact=True).click()
    expect(box).to_have_value("own")


def test_a_model_is_tried_compared_and_let_through_the_gate(
    own_app: App, tab: Callable[..., Tab], served: LanguageModel
) -> None:
    with own_app.database.writing() as session:
        flow = workflows.add(session, OPERATOR, "support", panel_rate=0.0)
    for row in map(label, range(CASES)):
        said = {name: row[name] for name in ("verdict", "reviewer", "decided_at")}
        past(own_app.database, flow, [said], **{name: row[name] for name in ("model", "prompt", "output")})
    making.make(own_app.database, OPERATOR, "safe", "support", Wanted())
    served.latency = 0.2
    olu = tab(own_app, own_app.sign_in("Olu", Role.OWNER, flow.id))

    olu.open("/eval_runs")
    name(olu, 1, "openai/worse")
    name(olu, 2, "openai/better")
    olu.reads(f"It makes {2 * CASES} calls.")
    olu.page.get_by_role("button", name="Start the run").click()
    olu.reads(f"of {2 * CASES} answers")
    olu.reads("It has ended.")
    olu.reads(f"{2 * CASES} of {2 * CASES} answers, 0 failed")
    assert len(served.requests) == 2 * CASES

    olu.reads("25.0 points fewer bad cases than before")
    expect(olu.page.locator(".st-key-flip ins").first).to_be_visible()
    olu.page.get_by_role("button", name="Ask the gate").click()
    olu.reads("The candidate may take the place.")
    expect(olu.page.get_by_role("link", name="Put it in use on Models")).to_be_visible()
    with olu.page.expect_download() as saved:
        olu.page.get_by_role("button", name="Download JUnit XML").click()
    assert b'name="outcome" value="pass"' in Path(saved.value.path()).read_bytes()
    assert own_app.row("SELECT outcome FROM eval_gate").outcome == "pass"
    for scheme in SCHEMES:
        olu.page.emulate_media(color_scheme=scheme)
        olu.come_to_rest()
        assert (scheme, faults(olu)) == (scheme, [])
