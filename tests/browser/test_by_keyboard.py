"""Every journey of the first day by keyboard alone: no pointer, and the focus is where the keys have put it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.house import PASSWORD, SAMPLES, App, Tab, expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser
MOST_STOPS = 120
ROWS = """id,question,answer,llm,verdict
1,May I send the kettle back?,"Yes, within 30 days.",larch,approve
2,Where is my order?,It left our warehouse on Tuesday.,larch,approve
3,Do you open on Saturdays?,"No, we are here Monday to Friday.",larch,approve
"""
AT_ONCE = """document.addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "* { transition: none !important; }";
  document.head.append(style);
})"""
# What tells a stop from what it looked like before: of itself, and of what lies around it, as fields have a frame.
LOOKS = """() => {
  let one = document.activeElement;
  while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  if (!one || one === document.body) return null;
  window.stop = one;
  window.looksOf = (one) => { const said = []; for (let n = 0; one && n < 5; n++, one = one.parentElement) {
    const {outline, boxShadow, borderColor, backgroundColor, textDecoration} = getComputedStyle(one);
    said.push([outline, boxShadow, borderColor, backgroundColor, textDecoration].join());
  } return said.join("; "); };
  const painted = one.tagName === "CANVAS" || one.closest("[data-testid='stDataFrame']");   // in pixels, not by style
  const theirs = one.type === "file";   // Streamlit hides it; it has the focus after a file was chosen, never by Tab
  return {looks: painted || theirs ? null : window.looksOf(one),
    name: `${location.pathname} ${one.outerHTML.slice(0, 140)} ${one.textContent.slice(0, 40)}`};
}"""
# Within a field, from what is typed to what clears it, its frame stays as it is.
LOOKED = """() => {
  const field = window.stop?.closest("[data-testid='stSelectbox']");
  if (!window.stop?.isConnected || field?.contains(document.activeElement)) return null;
  return window.looksOf(window.stop);
}"""


class Hands:
    """Somebody at a keyboard, who has to see where they are."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.keys = tab.page.keyboard
        self.unseen: list[str] = []
        """Each stop at which nothing on screen told that the focus was there."""
        tab.context.add_init_script(AT_ONCE)

    def opens(self, path: str) -> None:
        """Type an address."""
        self.tab.open(path)
        self.tab.come_to_rest()

    def reach(self, wanted: Locator, key: str = "Tab") -> None:
        """Press Tab until something has the focus."""
        expect(wanted).to_be_attached()
        if self.tab.page.get_by_test_id("stApp").count():
            self.tab.settle()
        for _ in range(MOST_STOPS):
            if wanted.evaluate("one => one.getRootNode().activeElement === one"):
                return
            stop = self.tab.page.evaluate(LOOKS)
            self.keys.press(key)
            without = self.tab.page.evaluate(LOOKED) if stop else None
            if stop and without is not None and stop["looks"] == without:
                self.unseen.append(stop["name"])
        pytest.fail(f"{wanted} is not reached by {key}")

    def presses(self, name: str, role: str = "button", key: str = "Enter", exact: bool = True) -> None:
        """Press a button, follow a link, or fold something out."""
        self.reach(self.tab.page.get_by_role(role, name=name, exact=exact))
        self.keys.press(key)

    def unfolds(self, name: str) -> None:
        self.reach(self.tab.page.locator("summary").filter(has_text=name))
        self.keys.press("Enter")
        self.tab.come_to_rest()

    def writes(self, label: str, text: str) -> None:
        self.reach(self.tab.page.get_by_role("textbox", name=label, exact=True))
        self.keys.type(text)

    def chooses(self, label: str, option: str) -> None:
        """Choose from a list by what it is called."""
        self.reach(self.tab.page.get_by_role("combobox", name=label, exact=True))
        self.tab.come_to_rest()
        self.keys.type(option)
        expect(self.tab.page.get_by_role("option", name=option, exact=True)).to_be_visible()
        self.keys.press("Enter")
        expect(self.tab.page.get_by_role("option")).to_have_count(0)
        self.tab.come_to_rest()


@pytest.fixture
def new_app(sqlite_template: Path, tmp_path: Path) -> Iterator[App]:
    """An app that nobody has set up: what keys reach is the same over each engine."""
    shutil.copyfile(sqlite_template, tmp_path / "app.db")
    running = App(tmp_path, f"sqlite:///{tmp_path / 'app.db'}")
    running.wait_until_healthy()
    yield running
    running.stop()


def sets_up_and_decides(ada: Hands) -> None:
    ada.tab.open(f"/auth/setup?code={ada.tab.app.code}")
    for text in ("Ada", "ada@example.com", PASSWORD):
        ada.keys.type(text)
        ada.keys.press("Tab")
    ada.presses("Create the admin and start")
    ada.tab.sees(SAMPLES[0]["output"])
    ada.reach(ada.tab.key("Approve"))
    ada.tab.press("Enter")
    ada.tab.sees(SAMPLES[1]["output"])
    ada.tab.is_answered()


def makes_a_workflow_and_invites(ada: Hands) -> None:
    ada.presses("Workflows", "link")
    ada.tab.page.wait_for_url("**/workflows")
    ada.unfolds("Add a workflow")
    ada.writes("Name", "Returns")
    ada.presses("Add the workflow")
    ada.tab.reads("“Returns” is there.")
    ada.opens("/people")
    ada.unfolds("Invite somebody")
    ada.writes("Name", "Bo")
    ada.writes("E-mail, with which they sign in", "bo@example.com")
    ada.chooses("Where", "Returns")
    ada.presses("Make the invitation")
    ada.tab.reads("Send this link to Bo.")
    ada.presses("Copy the link")
    ada.tab.reads("Copied.")
    ada.presses("I have it")


def makes_a_key_and_uploads(ada: Hands, file: Path) -> None:
    ada.opens("/sources")
    ada.writes("Name of the application", "shop")
    ada.chooses("Workflow that its outputs go to", "Returns")
    ada.presses("Add it and make a key")
    ada.tab.reads("shown only this once")
    ada.presses("Copy the key", key=" ")
    ada.tab.reads("Copied.")
    ada.presses("I have it")
    ada.tab.reads("can submit and read")
    file.write_text(ROWS)
    with ada.tab.page.expect_file_chooser() as chooser:
        ada.reach(ada.tab.page.get_by_test_id("stFileUploaderDropzone").get_by_test_id("stBaseButton-secondary"))
        ada.keys.press("Enter")
    chooser.value.set_files(file)
    ada.tab.reads("The first items, as they would come in")
    ada.chooses("Workflow", "Returns")
    ada.presses("Import 3 rows")
    ada.tab.reads("3 rows read: 3 labels of the past.")


def takes_labels_out(ada: Hands) -> None:
    ada.opens("/exports")
    ada.chooses("Workflow", "Returns")
    ada.tab.reads("3 reviews.")
    ada.presses("Export 3 reviews")
    with ada.tab.page.expect_download() as exported:
        ada.presses("Download", "link")
    assert len(Path(exported.value.path()).read_text().splitlines()) == 3
    ada.opens("/eval_sets")
    ada.chooses("Workflow", "Returns")
    ada.writes("Name of the set", "returns")
    ada.presses("Make it")
    ada.tab.reads(re.compile("“returns@.?1” has 3 cases"))


def test_the_first_day_goes_by_keyboard_alone(new_app: App, tab: Callable[..., Tab], tmp_path: Path) -> None:
    ada = Hands(tab(new_app))

    sets_up_and_decides(ada)
    makes_a_workflow_and_invites(ada)
    makes_a_key_and_uploads(ada, tmp_path / "past.csv")
    takes_labels_out(ada)
    ada.presses("Sign out")
    ada.tab.page.wait_for_url("**/auth/sign-in**")

    assert not ada.unseen, "\n".join(sorted(set(ada.unseen)))
