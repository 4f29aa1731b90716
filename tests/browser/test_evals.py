"""An application follows what an owner clicks: another model, and back, within seconds and without a restart."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from db.tables import Role
from neuro_review import access, models, sources
from tests.browser.house import App, Tab
from tests.browser.test_accessible import SCHEMES, faults
from tests.client.test_readme import SECONDS, installed, run
from tests.integrations.test_callback import MODE
from tests.llm_server import LanguageModel, language_model

__all__ = ["installed"]
pytestmark = pytest.mark.browser
WITHIN = 5  # seconds: promised; the test waits for longer, and says how long it took
APPLICATION = """
import time
from neuro_review.integrations.litellm import completion

while True:
    completion(workflow="{}", messages=[{{"role": "user", "content": "May I return it?"}}])
    time.sleep(0.1)
"""


def follows(llm: LanguageModel, application: subprocess.Popen[str], model: str) -> float:
    """Return how long it took until the application calls a model."""
    began = time.monotonic()
    while not llm.requests or llm.requests[-1]["model"] != model:
        assert application.poll() is None, application.communicate()
        assert time.monotonic() - began < SECONDS, f"It never called {model}."
        time.sleep(0.02)
    return time.monotonic() - began


def test_an_application_follows_a_click_and_the_way_back(
    app: App, tab: Callable[..., Tab], installed: Path, tmp_path: Path
) -> None:
    flow = app.add_workflow("Swaps", ["An answer."])
    olu = tab(app, app.sign_in("Olu", Role.OWNER, flow))
    with app.database.writing() as session:
        owner = access.actor(session, app.row("SELECT max(id) AS id FROM person").id)
        key = sources.add(session, owner, "shop", flow).key
        models.promote(session, flow, owner, model="openai/a", parameters={"temperature": 0}, reason="the first")
    with language_model() as llm:
        environment = {"NEURO_REVIEW_URL": app.url, "NEURO_REVIEW_KEY": key, "OPENAI_API_KEY": "k",
                       "OPENAI_BASE_URL": llm.url, **MODE}  # fmt: skip
        application = run(APPLICATION.format("Swaps"), installed, tmp_path, **environment)
        try:
            follows(llm, application, "a")
            olu.open(f"/models?workflow={flow}")
            olu.reads("In use: openai/a")
            olu.unfold()
            olu.page.get_by_label("Name", exact=True).fill("openai/b")
            olu.page.get_by_label("Parameters (JSON)").fill('{"temperature": 0.5}')
            olu.page.get_by_label("Why", exact=True).fill("it is cheaper")
            olu.page.keyboard.press("Tab")
            olu.settle()
            olu.page.get_by_role("button", name="Put it in use").click()
            there = follows(llm, application, "b")
            olu.reads("openai/b is in use.")
            assert llm.requests[-1]["temperature"] == 0.5

            olu.page.get_by_role("button", name="Go back to openai/a").click()
            back = follows(llm, application, "a")
            olu.reads("In use: openai/a")
            assert llm.requests[-1]["temperature"] == 0
        finally:
            application.kill()
            application.communicate()
    print(f"followed after {there:.1f} s, and back after {back:.1f} s; {WITHIN} s are promised")
    olu.reads("rolled back")
    for scheme in SCHEMES:
        olu.page.emulate_media(color_scheme=scheme)
        olu.come_to_rest()
        assert (scheme, faults(olu)) == (scheme, [])
