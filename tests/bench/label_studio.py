"""Label Studio beside ours: installed from the registry, filled with the same texts, measured in the same Chromium."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from tests.bench import outputs
from tests.bench.figures import Table, load, percentile
from tests.bench.screen import WATCH, Presses, press
from tests.web.server import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VERSION = "1.23.2"
DATED = (
    f"Label Studio {VERSION}: it could not be run here. Measured before, on a machine like the one of our own figures:"
    " p50 346, p95 427 ms (Ctrl+Enter to the next text, 30 tasks, 5,000 in the project)."
)
MANY, TASKS, APART = 5_000, 30, 500.0
PATIENCE = 600  # seconds: its first start migrates for a minute or more
EMAIL, PASSWORD, TOKEN = "bench@example.com", "correct horse battery", "0123456789abcdef" * 2 + "01234567"
CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="verdict" toName="text" choice="single">
    <Choice value="ok" hotkey="1"/><Choice value="hallucinated" hotkey="2"/>
  </Choices>
</View>"""
TEXT = ".lsf-htx-richtext"
READ = f"""() => {{
  window.bench.read = () => document.querySelector("{TEXT}")?.textContent ?? null;
}}"""


@dataclass(frozen=True)
class Studio:
    """A running Label Studio with one project."""

    url: str
    project: int

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(
            method, f"{self.url}{path}", content=orjson.dumps(body), timeout=PATIENCE,
            headers={"authorization": f"Token {TOKEN}", "content-type": "application/json"},
        )  # fmt: skip
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()


def beside(table: Table, browser: "Browser", peer: Path, folder: Path, many: int, last: int) -> None:
    """Add its row to the table; where it cannot be run, the figure of before, with its date."""
    try:
        _install(peer)
        with _running(peer, folder / "label-studio", many) as studio:
            before = load()
            presses = _label(browser, studio, min(last, TASKS))
            project = studio.ask("GET", f"/api/projects/{studio.project}/")
    except (AssertionError, OSError, subprocess.SubprocessError, httpx.HTTPError) as error:
        table.notes += [DATED, f"Why not: {str(error)[:500]}"]
        return
    took, stored = presses.took, project["total_annotations_number"]
    assert stored == len(took), f"Label Studio has {stored} annotations of {len(took)}."
    middle, late = (percentile(took, share) for share in (0.5, 0.95))
    table.add(f"Label Studio {VERSION}, sqlite", len(took), middle, late, max(took), before, load(), "")
    table.notes.append(
        f"Label Studio: {project['task_number']:,} of the same texts; one choice made by its key, then Ctrl+Enter to"
        f" the next text painted; {stored} annotations in its database."
    )


def _install(peer: Path) -> None:
    if not (peer / "bin" / "label-studio").exists():
        print(f"Label Studio {VERSION} is being installed (800 MB)…", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(peer)], check=True)
        subprocess.run(
            [peer / "bin" / "pip", "install", "-q", "--disable-pip-version-check", f"label-studio=={VERSION}"],
            check=True, capture_output=True,
        )  # fmt: skip


@contextlib.contextmanager
def _running(peer: Path, folder: Path, many: int) -> Iterator[Studio]:
    """Start it on SQLite in an empty folder, and hold the texts in a project."""
    folder.mkdir(parents=True)
    port = free_port()
    environment = os.environ | {
        "HOME": str(folder), "LABEL_STUDIO_BASE_DATA_DIR": str(folder), "LABEL_STUDIO_USERNAME": EMAIL,
        "LABEL_STUDIO_PASSWORD": PASSWORD, "LABEL_STUDIO_USER_TOKEN": TOKEN,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true", "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
    }  # fmt: skip
    command = [peer / "bin" / "label-studio", "start", "--no-browser", "--internal-host", "127.0.0.1",
               "--port", str(port), "--log-level", "WARNING"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            studio = Studio(f"http://127.0.0.1:{port}", 0)
            _wait(studio, process)
            project = studio.ask("POST", "/api/projects/", {"title": "bench", "label_config": CONFIG})["id"]
            tasks = [{"text": row["output"]} for row in outputs.submissions(many)]
            studio.ask("POST", f"/api/projects/{project}/import", tasks)
            yield Studio(studio.url, project)
        finally:
            process.terminate()
            process.wait(20)


def _wait(studio: Studio, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "It ended while it started."
        assert time.monotonic() < deadline, "It did not start."
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{studio.url}/health", timeout=5).is_success:
                return
        time.sleep(1)


def _label(browser: "Browser", studio: Studio, many: int) -> Presses:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    try:
        page: Page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(f"{studio.url}/user/login/")
        page.locator("input[name=email]").fill(EMAIL)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("button[type=submit]").click()
        page.wait_for_url(lambda url: "/user/login" not in url)
        page.goto(f"{studio.url}/projects/{studio.project}/data?labeling=1")
        page.locator(TEXT).first.wait_for(timeout=60_000)
        page.evaluate(READ)
        time.sleep(3)
        return press(page, "Control+Enter", APART, many, lambda: 0.0, begin="1")
    finally:
        context.close()
