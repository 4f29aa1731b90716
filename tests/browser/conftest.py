"""A real Chromium and the real app; no test may make the browser ask another host for anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.house import App, Tab, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def app(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One running app for many tests; each works in a workflow of its own, with people of its own."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copyfile(sqlite_template, folder / "app.db")
    running = App(folder, f"sqlite:///{folder / 'app.db'}")
    running.wait_until_healthy()
    yield running
    running.stop()


@pytest.fixture
def empty_app(url: str, tmp_path: Path) -> Iterator[App]:
    """An app that nobody has set up yet, over each engine."""
    running = App(tmp_path / "app", url)
    running.wait_until_healthy()
    yield running
    running.stop()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Open a tab of a browser of its own; with a token, signed in."""
    opened: list[Tab] = []

    def open_one(app: App, token: str | None = None, **options: Any) -> Tab:
        opened.append(Tab(browser, app, token, **options))
        return opened[-1]

    yield open_one
    foreign = [address for one in opened for address in one.foreign()]
    failed = [said for one in opened for said in one.failed]
    for one in opened:
        one.close()
    assert foreign == []
    assert failed == []
