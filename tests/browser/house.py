"""What the browser tests drive: the running app with its database, and a reviewer's tab in a real Chromium."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import sqlalchemy as sa

from db.engine import Database
from db.tables import Role
from neuro_review import access, intake, samples, sessions, workflows
from tests.conftest import OPERATOR
from tests.engines import skip_or_fail
from tests.web.server import APP, PATIENCE, Server

try:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
except ImportError:
    sync_playwright = None  # `chromium` says what is missing

SECRET = "a secret of the tests, long enough to count"
PASSWORD = "correct horse battery"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync"]  # fmt: skip
SAMPLES = [orjson.loads(line) for line in samples.FILE.read_bytes().splitlines()]
DWELL = 230  # milliseconds: a key counts from 200 on
# What lies on top has been painted.
PAINTED = """(root) => Boolean(root.desk?.item)
  && root.dataset.painted === `${root.desk.item.item}:${root.desk.item.lease}`"""
# A page of Streamlit's that is whole, and one on which nothing moves.
WHOLE = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
AT_REST = """() => document.getAnimations().every((one) =>
  one.playState !== "running" || one.effect.getComputedTiming().endTime === Infinity)"""
PRESSES = """async (root, [key, count, apart, seen]) => {
  const pauses = [], pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const isPainted = () => root.desk.item && root.dataset.painted === `${root.desk.item.item}:${root.desk.item.lease}`;
  let paintedAt = performance.now(), last = paintedAt;
  const watch = new MutationObserver(() => { paintedAt = performance.now(); });
  watch.observe(root, {attributes: true, attributeFilter: ["data-painted"]});
  for (let n = 0; n < count; n++) {
    for (const kind of ["keydown", "keyup"])
      document.body.dispatchEvent(new KeyboardEvent(kind, {key, bubbles: true, composed: true}));
    await pause(apart);
    while (seen && !(isPainted() && performance.now() - paintedAt >= seen)) await pause(5);
    pauses.push(performance.now() - last);
    last = performance.now();
  }
  watch.disconnect();
  return pauses;
}"""
ANSWERED = "(root) => root.desk?.loaded && root.desk.line === 'ok' && !root.desk.outbox.length && !root.desk.sending"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium of the machine."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if sync_playwright is None:
        skip_or_fail("Playwright is not here: pip install -r tests/requirements.txt")
    if path is None:
        skip_or_fail("Chromium is not here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


class App(Server):
    """`streamlit run app.py` over a database that the test can look into."""

    def __init__(self, folder: Path, database_url: str, **environment: str) -> None:
        self.environment = {
            "NEURO_REVIEW_DATABASE_URL": database_url, "NEURO_REVIEW_SECRET": SECRET, "NEURO_REVIEW_WORKER": "true",
            **environment,
        }  # fmt: skip
        super().__init__(folder, **self.environment)
        self.folder = folder
        self.database = Database(database_url)

    def stop(self) -> int:
        self.database.dispose()
        return super().stop()

    def command(self, *args: str, stdin: str | None = None) -> str:
        """Run `python -m neuro_review` beside the app and return what it printed."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder / "home"), **self.environment}
        environment |= {"NEURO_REVIEW_FOLDER": str(self.folder / "house")}
        done = subprocess.run(
            [sys.executable, "-m", "neuro_review", *args],
            cwd=APP.parent, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done.stdout

    def rows(self, query: str, **bound: Any) -> list[Any]:
        with self.database.reading() as session:
            return list(session.connection().execute(sa.text(query), bound).all())

    def row(self, query: str, **bound: Any) -> Any:
        (only,) = self.rows(query, **bound)
        return only

    def change(self, statement: str, **bound: Any) -> None:
        with self.database.writing() as session:
            session.connection().execute(sa.text(statement), bound)

    def until(self, query: str, **bound: Any) -> list[Any]:
        """Return the rows of a query once there are some."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.rows(query, **bound)):
            assert time.monotonic() < deadline, f"never: {query} {bound}"
            time.sleep(0.05)
        return found

    def add_workflow(self, name: str, outputs: Iterable[str], **more: Any) -> int:
        """Add a workflow in which these outputs wait, in their order, and return its id."""
        with self.database.writing() as session:
            flow = workflows.add(session, OPERATOR, name, panel_rate=0.0)
            door = intake.Door(flow, workflows.source_id(session, "tests"), OPERATOR.audit_name)
            submissions = [intake.Submission(**{"model": "larch", "prompt": "?", "output": o} | more) for o in outputs]
            intake.store(session, door, [intake.prepare(door, one) for one in submissions])
            return flow.id

    def let_undo(self, workflow_id: int, seconds: int) -> None:
        """Give reviewers of a workflow this long to undo."""
        self.change("UPDATE workflow SET grace_ms = :grace WHERE id = :id", id=workflow_id, grace=seconds * 1000)

    def sign_in(self, name: str, role: Role, workflow_id: int | None = None) -> str:
        """Add a person and return the token of a session of theirs."""
        with self.database.writing() as session:
            email = f"{name.lower()}@example.com"
            if session.connection().execute(sa.text("SELECT 1 FROM person WHERE email = :e"), {"e": email}).first():
                email = f"{name.lower()}-{secrets.token_hex(4)}@example.com"  # another test's, in the same app
            access.add_person(session, OPERATOR, name, email, role, password_hash=None, workflow_id=workflow_id)
            return sessions.sign_in(session, sessions.look_up(session, email))

    def reviews(self, workflow_id: int) -> list[Any]:
        """Return what was said of the items of a workflow, in the order in which it was said."""
        return self.rows(
            "SELECT c.output, v.verdict, t.text, v.reasons FROM review v JOIN item_content c ON c.item_id = v.item_id"
            " LEFT JOIN review_content t ON t.review_id = v.id WHERE v.workflow_id = :workflow ORDER BY v.created_at",
            workflow=workflow_id,
        )

    def verdicts(self, workflow_id: int) -> list[tuple[str, str]]:
        return [(row.output, row.verdict) for row in self.reviews(workflow_id)]


class Tab:
    """A tab of a browser of its own: what a reviewer sees and presses, and every address it asked for."""

    def __init__(self, browser: Browser, app: App, token: str | None = None, **options: Any) -> None:
        self.app = app
        self.context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | options)
        if token is not None:
            self.context.add_cookies([{"name": "nr_session", "value": token, "url": app.url}])
        self.asked: list[str] = []
        self.failed: list[str] = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page: Page = self.another_page()

    def another_page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.failed.append(str(error)))
        return page

    def open(self, path: str) -> None:
        self.page.goto(f"{self.app.url}{path}")

    def settle(self) -> None:
        """Wait until the page is whole: the server has run it to its end, and nothing stands in for what comes."""
        expect(self.page.locator(WHOLE)).to_be_visible()
        expect(self.page.locator('[data-testid="stSkeleton"], [data-testid="stSpinner"]')).to_have_count(0)

    def come_to_rest(self) -> None:
        """Wait until nothing moves on screen any more."""
        self.settle()
        self.page.wait_for_function(AT_REST)

    def lists(self, box: Locator) -> None:
        """Open a list of options; it closes when the page moves or is drawn anew, and is then opened again."""
        first = self.page.get_by_role("option").first
        for _ in range(10):
            self.come_to_rest()
            box.press("ArrowDown")
            with contextlib.suppress(AssertionError):
                expect(first).to_be_visible(timeout=2_000)
            self.come_to_rest()
            if first.is_visible():
                return
        expect(first).to_be_visible()

    def unfold(self) -> None:
        """Open everything that can be folded out."""
        closed = self.page.locator("details:not([open]) > summary")
        for _ in range(closed.count()):
            if closed.count():  # what is folded out can fold others in
                closed.first.evaluate("summary => summary.click()")
            self.settle()
        expect(closed).to_have_count(0)

    @property
    def card(self) -> Locator:
        """The whole card."""
        return self.page.locator(".desk")

    @property
    def answer(self) -> Locator:
        return self.page.locator(".answer")

    @property
    def field(self) -> Locator:
        return self.page.locator(".answer textarea")

    @property
    def notes(self) -> Locator:
        """What the card has to tell, above its bar."""
        return self.page.locator(".notes")

    @property
    def ignored(self) -> int:
        """How many keys came too early."""
        return int(self.card.get_attribute("data-ignored") or 0)

    def key(self, name: str) -> Locator:
        """Return a button of the bar."""
        return self.page.locator(".buttons").get_by_role("button", name=name)

    def sees(self, text: str) -> None:
        """Wait until the output on screen is a text, or begins with its first line."""
        first_line = text.splitlines()[0]
        expect(self.answer.locator(".plain")).to_have_text(re.compile(rf"^\s*{re.escape(first_line)}"))

    def sees_tree(self) -> None:
        """Wait until the output on screen is shown as a tree."""
        expect(self.answer.locator("> details.node")).to_be_visible()

    def reads(self, sentence: str | re.Pattern[str]) -> None:
        """Wait until a sentence stands somewhere on the page."""
        expect(self.page.get_by_text(sentence).first).to_be_visible()

    def is_told(self, sentence: str | re.Pattern[str]) -> None:
        """Wait until the card says something of what came of a verdict."""
        expect(self.notes).to_contain_text(sentence)

    def look(self) -> None:
        """Wait until a key would count."""
        self._until(PAINTED)
        self.page.wait_for_timeout(DWELL)

    def keys(self, name: str, count: int, apart: int, seen: int = 0) -> list[float]:
        """Press a key several times, milliseconds apart, and return how long each pause was in truth.

        With `seen`, no key comes before the next item has been in sight for so long, however slow the machine is.
        They are events in the page: over the wire a press takes as long as it likes.
        """
        pauses: list[float] = self.card.evaluate(PRESSES, [name, count, apart, seen])
        return pauses

    def is_answered(self) -> None:
        """Wait until the server has answered everything that was done."""
        self._until(ANSWERED)

    def _until(self, condition: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.card.evaluate(condition):
            assert time.monotonic() < deadline, f"never: {condition}"
            self.page.wait_for_timeout(20)

    def press(self, key: str) -> None:
        """Press a key as a person does, who has looked at the screen before."""
        self.look()
        self.page.keyboard.press(key)

    def start_to_correct(self) -> None:
        self.press("e")
        expect(self.field).to_be_focused()

    def type(self, text: str) -> None:
        """Replace what stands in the field."""
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def tick(self, row: int) -> None:
        """Choose a row of History's list, whose cells are painted on a canvas."""
        self.come_to_rest()
        grid = self.page.locator("[class*='st-key-found_'] .dvn-scroller")
        grid.click(position={"x": 16, "y": 35 + 35 * row + 17})

    def foreign(self) -> list[str]:
        """Return every address asked for that is not the app's."""
        own = {urlsplit(self.app.url).netloc, ""}
        return [address for address in self.asked if urlsplit(address).netloc not in own]

    def close(self) -> None:
        self.context.close()
