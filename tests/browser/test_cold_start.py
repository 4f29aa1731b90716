"""The first visits to a server that has just started: Streamlit must not run a page past the gate."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from db.tables import Role
from tests.browser.house import App, Tab, expect

pytestmark = pytest.mark.browser


def test_the_very_first_visits_of_a_stranger_and_of_somebody_without_the_role_run_no_page(
    sqlite_template: Path, tmp_path: Path, tab: Callable[..., Tab]
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "cold.db")
    app = App(tmp_path / "cold", f"sqlite:///{tmp_path / 'cold.db'}")
    try:
        app.wait_until_healthy()
        workflow = app.add_workflow("support", ["An output."])
        eve, rob = app.sign_in("Eve", Role.EXPORT), app.sign_in("Rob", Role.REVIEWER, workflow)

        stranger = tab(app)
        for path in ("/home", "/review"):
            stranger.open(path)
            assert stranger.page.url == f"{app.url}/auth/sign-in?next={path}"

        exporter = tab(app, eve)
        for path in ("/review", "/home"):
            exporter.open(path)
            expect(exporter.page.get_by_role("link", name="Exports").first).to_be_visible()
            expect(exporter.page.get_by_role("link", name="Review", exact=True)).to_have_count(0)
            expect(exporter.page.locator(".desk")).to_have_count(0)
            expect(exporter.page.get_by_text("An output.")).to_have_count(0)
        assert app.row("SELECT max(lease_n) AS n FROM item").n == 0

        reviewer = tab(app, rob)
        reviewer.open("/review")
        reviewer.sees("An output.")
    finally:
        app.stop()
