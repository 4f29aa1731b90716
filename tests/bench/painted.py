"""How long Quality takes in a browser: from the click that asks for a year until its chart is painted."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from db.tables import Role
from tests.bench.figures import percentile
from tests.browser.house import App, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TARGET = 1_500  # milliseconds
YEAR, QUARTER = "12 months", "90 days"
# The points of each week of the year, and a frame with them on the screen.
PAINTED = """(least) => new Promise((settle) => {
  const look = () => {
    const points = document.querySelectorAll(".st-key-trend svg.marks .mark-symbol path").length;
    if (points < least) return requestAnimationFrame(look);
    requestAnimationFrame(() => setTimeout(settle, 0));
  };
  look();
})"""
WEEKS_OF_A_YEAR, WEEKS_OF_A_QUARTER, SERIES = 50, 10, 4


def painted(browser: "Browser", url: str, folder: Path, times: int) -> str:
    """Return a line: how long it takes when nothing is kept, and when it is."""
    folder.mkdir(parents=True)
    app = App(folder, url)
    try:
        app.wait_until_healthy()
        tab = Tab(browser, app, app.sign_in("Pia", Role.ADMIN))
        try:
            return _line(tab, times)
        finally:
            tab.close()
    finally:
        app.stop()


def _line(tab: Tab, times: int) -> str:
    def took(act: Callable[[], object], weeks: int) -> float:
        began = time.perf_counter()
        act()
        tab.page.evaluate(PAINTED, weeks * SERIES)
        return (time.perf_counter() - began) * 1000

    tab.open("/models")  # so that what the browser and the server load once is there
    tab.come_to_rest()
    opened = took(lambda: tab.page.get_by_role("link", name="Quality").click(), WEEKS_OF_A_QUARTER)
    tab.come_to_rest()
    year, quarter = (tab.page.get_by_role("radio", name=name) for name in (YEAR, QUARTER))
    cold = took(year.click, WEEKS_OF_A_YEAR)
    again = []
    for _ in range(times):
        tab.come_to_rest()
        quarter.click()
        tab.come_to_rest()
        again.append(took(year.click, WEEKS_OF_A_YEAR))
    tab.come_to_rest()
    loaded = took(tab.page.reload, WEEKS_OF_A_QUARTER)
    said = "reached" if max(opened, cold) <= TARGET else "MISSED"
    middle, late = percentile(again, 0.5), percentile(again, 0.95)
    return (
        f"painted (target {TARGET:,} ms: {said}): from the link to Quality {opened:,.0f} ms, a year that was not"
        f" counted yet {cold:,.0f}, the year again p50 {middle:,.0f} p95 {late:,.0f}, the whole page loaded anew"
        f" {loaded:,.0f}"
    )
