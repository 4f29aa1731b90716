"""Every page passes axe-core's rules, in light and in dark, and in the states that people meet.

axe-core cannot judge everything; what it finds is always a fault.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from db.tables import Role
from tests.browser.house import App, Tab, expect
from tests.engines import skip_or_fail

try:
    from axe_playwright_python.sync_playwright import Axe
except ImportError:
    Axe = None

pytestmark = pytest.mark.browser
PAGES = sorted(path.stem for path in (Path(__file__).parent.parent.parent / "pages").glob("*.py"))
SCHEMES = ("light", "dark")
# WCAG 2.2 A and AA, and what axe-core calls good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# Streamlit draws these itself and gives no way to change them; each is looked at again with every new version.
THEIRS = {"presentation-role-conflict": "Streamlit's file uploader names its drop zone, which it calls presentational."}


def faults(tab: Tab) -> list[str]:
    """Return what axe-core finds on the page, one sentence each."""
    if Axe is None:
        skip_or_fail("axe-core is not here: pip install -r tests/requirements.txt")
    found = Axe().run(tab.page, options={**RULES, "resultTypes": ["violations"]}).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['html'][:160]}"
        for one in found
        if one["id"] not in THEIRS
        for node in one["nodes"]
    ]


@pytest.fixture
def admin(app: App, tab: Callable[..., Tab], request: pytest.FixtureRequest) -> Tab:
    name = f"Axe{abs(hash(request.node.name)) % 10**8}"
    app.add_workflow(f"accessible {name}", ["First answer.", '{"a": [1, {"b": null}]}', "Third answer."])
    return tab(app, app.sign_in(name, Role.ADMIN))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_accessible(admin: Tab, page: str, scheme: Any) -> None:
    admin.page.emulate_media(color_scheme=scheme)
    admin.open(f"/{page}")
    admin.come_to_rest()

    assert faults(admin) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_review_card_is_accessible_in_each_of_its_states(admin: Tab, scheme: Any) -> None:
    admin.page.emulate_media(color_scheme=scheme)
    admin.open("/review")
    admin.press("1")
    chosen = faults(admin)
    admin.start_to_correct()
    correcting = faults(admin)
    admin.page.keyboard.press("Escape")
    admin.page.keyboard.press("?")
    expect(admin.page.get_by_role("dialog")).to_be_visible()

    assert [chosen, correcting, faults(admin)] == [[], [], []]


@pytest.fixture(scope="module")
def new_app(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app that nobody has set up: its forms are the same over each engine."""
    folder = tmp_path_factory.mktemp("new")
    shutil.copyfile(sqlite_template, folder / "app.db")
    running = App(folder, f"sqlite:///{folder / 'app.db'}")
    running.wait_until_healthy()
    yield running
    running.stop()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/setup"])
def test_a_form_is_accessible(new_app: App, tab: Callable[..., Tab], path: str, scheme: Any) -> None:
    stranger = tab(new_app, color_scheme=scheme)
    stranger.open(path)

    assert faults(stranger) == []
