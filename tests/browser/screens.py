"""Pictures of each screen, for a person to look at: `python -m tests.browser.screens FOLDER [PART …]`.

The parts are `review`, `pages`, `pages-dark`, `pages-narrow` and `door`; all of them take some minutes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.engine import Database
from db.migrate import migrate
from db.tables import Role
from tests.browser.house import PASSWORD, SAMPLES, SECRET, App, Tab, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONG = "\n\n".join(f"{number}. {sample['output']}" for number, sample in enumerate(SAMPLES[:12], 1))
NARROW = {"viewport": {"width": 360, "height": 740}}
THEMES: dict[str, dict[str, Any]] = {"": {}, "-dark": {"color_scheme": "dark"}, "-narrow": NARROW}


def shoot(tab: Tab, out: Path, name: str) -> None:
    if tab.page.get_by_test_id("stApp").count():
        tab.come_to_rest()
    tab.page.wait_for_timeout(300)
    tab.page.screenshot(path=out / f"{name}.png")
    print(out / f"{name}.png")


def shoot_all(tab: Tab, out: Path, name: str) -> None:
    """Shoot a page from its top to its foot: its middle part scrolls by itself, so the window is made as high."""
    tab.come_to_rest()
    before = tab.page.viewport_size
    assert before
    height = tab.page.get_by_test_id("stMain").evaluate("one => one.scrollHeight")
    tab.page.set_viewport_size({"width": before["width"], "height": min(height, 6_000)})
    shoot(tab, out, name)
    tab.page.set_viewport_size(before)


def set_up(tab: Tab, out: Path) -> str:
    """Go through the form and return the token of the new admin."""
    tab.open(f"/auth/setup?code={tab.app.code}")
    shoot(tab, out, "set-up")
    tab.page.fill("input[name=name]", "Ada Lovelace")
    tab.page.fill("input[name=email]", "ada@example.com")
    tab.page.fill("input[name=password]", "short")
    tab.page.keyboard.press("Enter")
    shoot(tab, out, "set-up-refused")
    tab.page.fill("input[name=password]", PASSWORD)
    tab.page.keyboard.press("Enter")
    tab.sees(SAMPLES[0]["output"])
    return next(one["value"] for one in tab.context.cookies() if one["name"] == "nr_session")


def review(tab: Tab, out: Path, name: str) -> None:
    """Shoot the Review screen: reading, a hint, a reason, and correcting."""
    tab.open("/review")
    tab.look()
    shoot(tab, out, name)
    tab.press("x")
    tab.reads("A rejection needs a reason")
    shoot(tab, out, f"{name}-hint")
    tab.press("1")
    shoot(tab, out, f"{name}-reason")
    tab.start_to_correct()
    shoot(tab, out, f"{name}-correcting")
    tab.page.keyboard.press("Escape")
    tab.press("s")
    tab.look()


def all_themes(browser: Browser, app: App, out: Path, ada: Tab, token: str) -> None:
    """Shoot Review and Home in light, dark and narrow."""
    dark, narrow = Tab(browser, app, token, color_scheme="dark"), Tab(browser, app, token, **NARROW)
    for tab, suffix in ((ada, ""), (dark, "-dark"), (narrow, "-narrow")):
        review(tab, out, f"review{suffix}")
        tab.page.mouse.wheel(0, 5000)
        shoot(tab, out, f"review{suffix}-foot")
        tab.open("/home")
        shoot(tab, out, f"home{suffix}")
    ada.page.get_by_role("button", name="Remove the sample queue").click()
    ada.reads("Load the sample queue")
    shoot(ada, out, "home-empty")


def other_pages(tab: Tab, out: Path, suffix: str) -> None:
    """Shoot every other page with something on it."""
    app = tab.app
    flow = app.add_workflow(f"Returns{suffix}", [sample["output"] for sample in [*SAMPLES[:8], SAMPLES[7]]])
    item = app.row("SELECT id FROM item WHERE workflow_id = :flow ORDER BY id LIMIT 1", flow=flow).id
    places = {
        "history": "/history", "story": f"/history?id={item}", "workflows": "/workflows",
        "workflow": f"/workflows?workflow={flow}", "people": "/people", "sources": "/sources",
        "deliveries": "/deliveries", "exports": "/exports",
        "quality": f"/quality?workflow={flow}", "models": f"/models?workflow={flow}",
        "eval_sets": "/eval_sets", "eval_runs": "/eval_runs",
    }  # fmt: skip
    for name, place in places.items():
        tab.open(place)
        shoot_all(tab, out, f"{name}{suffix}")
    folded_out(tab, out, suffix)
    chosen_and_uploaded(tab, out, suffix)


def folded_out(tab: Tab, out: Path, suffix: str) -> None:
    """Shoot the pages whose forms are folded away, with all of them open."""
    for name in ("workflows", "people", "sources", "history"):
        tab.open(f"/{name}")
        tab.settle()
        tab.unfold()
        shoot_all(tab, out, f"{name}-forms{suffix}")


def chosen_and_uploaded(tab: Tab, out: Path, suffix: str) -> None:
    """Shoot work on several outputs, a file that is being mapped, and one that cannot be read."""
    tab.open("/history")
    for row in range(2):
        tab.tick(row)
        tab.reads("2 held outputs chosen" if row else "Link to this story")
    shoot(tab, out, f"bulk{suffix}")
    tab.page.get_by_role("button", name="Read them").click()
    tab.reads("Seen 0 of 2")
    shoot(tab, out, f"bulk-reading{suffix}")
    for name, content, sentence in (
        ("mapping", "id,question,bot_answer,llm\n1,May I?,Yes.,larch\n2,Where?,,larch\n", "would be set aside"),
        ("error", '{"output": ', "Not one of the first rows"),
    ):
        tab.open("/sources")
        tab.settle()
        file = {"name": f"{name}.{'csv' if name == 'mapping' else 'json'}", "mimeType": "text/plain"}
        tab.page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files([file | {"buffer": content.encode()}])
        tab.reads(sentence)
        shoot_all(tab, out, f"upload-{name}{suffix}")


def empty_pages(ada: Tab, out: Path) -> None:
    """Shoot the pages that have nothing to show yet."""
    for name in ("history", "workflows", "sources", "exports"):
        ada.open(f"/{name}")
        shoot(ada, out, f"{name}-empty")


def long_answer_to_empty_queue(browser: Browser, app: App, out: Path) -> Tab:
    """Shoot an answer longer than the screen, a key that came too early, a refusal, and the empty queue."""
    flow = app.add_workflow("Long answers", [LONG, "Short."], prompt=LONG, context=LONG)
    leo = Tab(browser, app, app.sign_in("Leo", Role.REVIEWER, flow))
    leo.open("/review")
    leo.look()
    shoot(leo, out, "review-long")
    leo.page.keyboard.press("a")
    leo.page.wait_for_timeout(30)
    leo.page.keyboard.press("a")
    leo.reads("Ignored")
    shoot(leo, out, "review-ignored-key")
    leo.is_answered()
    app.change("UPDATE item SET lease_until = 1 WHERE workflow_id = :id AND status = 'held'", id=flow)
    leo.press("a")
    leo.is_told("ran out")
    shoot(leo, out, "review-error")
    leo.press("a")
    leo.reads("Nothing waits for you")
    shoot(leo, out, "review-empty")
    return leo


def the_door(browser: Browser, app: App, out: Path, leo: Tab) -> None:
    """Shoot the sign-in, somebody without a role, and the end of a session."""
    for suffix, options in THEMES.items():
        stranger = Tab(browser, app, **options)
        stranger.open("/review")
        stranger.page.fill("input[name=email]", "ada@example.com")
        stranger.page.fill("input[name=password]", "wrong wrong wrong")
        stranger.page.keyboard.press("Enter")
        shoot(stranger, out, f"sign-in-refused{suffix}")
    nobody = Tab(browser, app, app.sign_in("Eve", Role.EXPORT))
    nobody.open("/review")
    shoot(nobody, out, "no-role")
    app.change("UPDATE sign_in SET ended_at = 1")
    leo.page.keyboard.press("Enter")
    leo.reads("Your session has ended")
    shoot(leo, out, "session-ended")


def draw(browser: Browser, app: App, out: Path, parts: list[str]) -> None:
    """Shoot the parts that were asked for, or all of them."""
    ada = Tab(browser, app)
    token = set_up(ada, out)
    if not parts or "review" in parts:
        all_themes(browser, app, out, ada, token)
        empty_pages(ada, out)
    for suffix, options in THEMES.items():
        if not parts or f"pages{suffix}" in parts:
            other_pages(Tab(browser, app, token, **options), out, suffix)
    if not parts or "door" in parts:
        the_door(browser, app, out, long_answer_to_empty_queue(browser, app, out))


def main(out: Path, parts: list[str]) -> None:
    os.environ["NEURO_REVIEW_SECRET"] = SECRET
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nr-screens-") as folder:
        url = f"sqlite:///{folder}/screens.db"
        migrate(Database(url))
        app = App(Path(folder), url)
        try:
            app.wait_until_healthy()
            with chromium() as browser:
                draw(browser, app, out, parts)
        finally:
            app.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screens"), sys.argv[2:])
