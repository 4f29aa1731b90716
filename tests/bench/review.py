"""The Review screen in a real Chromium over the real app: from a key to the next text, and the server's work for it."""

import contextlib
import importlib.metadata
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.tables import Role
from tests.bench import outputs, rows
from tests.bench.databases import settle
from tests.bench.figures import Table, load, percentile, version
from tests.bench.screen import WATCH, Presses, press, processor
from tests.browser.house import App, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Beside = Callable[[App], contextlib.AbstractContextManager[None]]
APART = 260.0  # milliseconds from key to key: an item must have been in sight for 200
MIDDLE, LATE, CPU = 15.0, 30.0, 15.0
IDLE = 3.0  # seconds
COLUMNS = ("screen", "keys", "p50 ms", "p95 ms", "max ms", "load before", "load after")
ANSWER = """(root) => {
  window.bench.read = () => root.querySelector(".answer .plain")?.textContent ?? null;
  window.bench.quiet = () => !root.desk.outbox.length && !root.desk.sending;
}"""
QUEUE = (
    "SELECT c.output FROM item i JOIN item_content c ON c.item_id = i.id WHERE i.workflow_id = :workflow"
    " ORDER BY i.queue_band, i.queue_at, i.id LIMIT :most"
)
STORED = (
    "SELECT c.output, count(*) AS times FROM review v JOIN item_content c ON c.item_id = v.item_id"
    " WHERE v.workflow_id = :workflow AND v.verdict = 'approve' GROUP BY v.item_id, c.output"
)


@dataclass(frozen=True)
class Sat:
    """What came of one sitting at the Review screen."""

    name: str
    presses: Presses
    idle: float
    """Milliseconds of processor time that the server takes from key to key when nobody presses any."""
    before: str
    after: str
    said: list[str]


def sit(
    name: str, browser: "Browser", url: str, folder: Path, many: int, keys: int, beside: Beside | None = None
) -> Sat:
    """Hold real outputs, open Review as a new reviewer, and approve one after the other.

    Args:
        name: what to call this sitting.
        browser: a running Chromium.
        url: the address of a fresh database.
        folder: where files may lie.
        many: how many outputs are held.
        keys: how often the key is pressed.
        beside: what else goes on meanwhile.
    """
    path = rows.write(outputs.submissions(many), folder / "outputs.jsonl")
    with _app(folder, url) as app:
        app.command("import", str(path), "--workflow", "bench")
        workflow = app.row("SELECT id FROM workflow WHERE name = 'bench'").id
        settle(app.database)
        expected = [row.output for row in app.rows(QUEUE, workflow=workflow, most=keys + 1)]
        tab = Tab(browser, app, app.sign_in("Bo", Role.REVIEWER, workflow))
        said = [_opened(tab), f"{version(app.database)}; {_lengths(app, workflow)}"]
        cpu = processor(app.process.pid)
        idle, before = _idle(cpu), load()
        with beside(app) if beside else contextlib.nullcontext():
            presses = press(tab.page, "a", APART, keys, cpu)
        after = load()
        assert tab.failed == [], tab.failed
        tab.close()
        said += [_changed(presses, expected), _stored(app, workflow, expected[:keys])]
    return Sat(name, presses, idle, before, after, said)


@contextlib.contextmanager
def _app(folder: Path, url: str) -> Iterator[App]:
    app = App(folder / "app", url)
    try:
        app.wait_until_healthy()
        yield app
    finally:
        app.stop()


def _opened(tab: Tab) -> str:
    tab.page.add_init_script(WATCH)
    before = time.monotonic()
    tab.open("/review")
    tab.page.locator(".desk .answer .plain").wait_for()
    seconds = time.monotonic() - before
    tab.page.locator(".desk").evaluate(ANSWER)
    tab.page.bring_to_front()
    time.sleep(2)  # whatever a page does after it has come
    return f"the page opened, with its first text, in {seconds:.1f} s"


def _lengths(app: App, workflow: int) -> str:
    held, shortest, middle, longest = app.row(
        "SELECT count(*), min(length(c.output)), avg(length(c.output)), max(length(c.output)) FROM item i"
        " JOIN item_content c ON c.item_id = i.id WHERE i.workflow_id = :workflow AND i.status = 'held'",
        workflow=workflow,
    )
    return f"{held:,} real outputs held, of {shortest:,} to {longest:,} characters, {middle:,.0f} on average"


def _idle(cpu: Callable[[], float]) -> float:
    before = cpu()
    time.sleep(IDLE)
    return (cpu() - before) * APART / 1000 / IDLE


def _changed(presses: Presses, expected: list[str]) -> str:
    """Say that each key brought the text that the server hands out next; fail where it did not."""
    assert presses.done[0].before == expected[0], "The first text is not the first of the queue."
    for number, (one, text) in enumerate(zip(presses.done, expected[1:], strict=True), 1):
        assert one.before != one.text == text, f"After key {number} another text was painted than the queue has next."
    early = f"{presses.too_early} came too early and were pressed again" if presses.too_early else "none came too early"
    return (
        f"{len(presses.done)} keys: each painted another text, the one that the queue in the database has next; {early}"
    )


def _stored(app: App, workflow: int, decided: list[str]) -> str:
    """Say that each verdict was stored once, for what was on screen; fail where it was not."""
    stored = {row.output: row.times for row in app.rows(STORED, workflow=workflow)}
    assert stored == dict.fromkeys(decided, 1), f"{len(stored)} items have {sum(stored.values())} verdicts."
    return f"{sum(stored.values())} verdicts in the database, each once, for the texts that were on screen"


def versions(browser: "Browser") -> str:
    return f"Streamlit {importlib.metadata.version('streamlit')}, Chromium {browser.version}, 1280 × 860, no screen"


def painted(last: int, sittings: list[Sat]) -> Table:
    """Return how long it took from a key to the next text, for the last keys of each sitting."""
    table = Table(f"Key to next text painted (target p50 ≤ {MIDDLE:.0f}, p95 ≤ {LATE:.0f})", (*COLUMNS, "target"))
    for one in sittings:
        presses = one.presses.last(last)
        middle, late = (percentile(presses.took, share) for share in (0.5, 0.95))
        reached = "reached" if middle <= MIDDLE and late <= LATE else "MISSED"
        table.add(one.name, len(presses.took), middle, late, max(presses.took), one.before, one.after, reached)
        shown = [f"{percentile(presses.shown(), share):.0f}" for share in (0.5, 0.95)]
        table.notes.append(
            f"{one.name}, Chromium's own Event Timing (until shown, steps of 8 ms, 16 or less is 16):"
            f" p50 {shown[0]}, p95 {shown[1]}"
        )
    return table


def worked(last: int, sittings: list[Sat]) -> Table:
    """Return what the server's processor did for each of the last verdicts."""
    table = Table(
        f"Server CPU per verdict, ms, from key to key (target p95 ≤ {CPU:.0f})",
        ("screen", "verdicts", "p50", "p95", "max", "of it when idle", "target"),
        notes=["The app's process with all its threads; neither the worker nor a database server."],
    )
    for one in sittings:
        took = [pressed.cpu for pressed in one.presses.last(last).done]
        late = percentile(took, 0.95)
        table.add(
            one.name,
            len(took),
            percentile(took, 0.5),
            late,
            max(took),
            one.idle,
            "reached" if late <= CPU else "MISSED",
        )
    return table
