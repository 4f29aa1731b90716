"""The gate under load: wrk with kept-alive connections against the real app, its worker beside it."""

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db.tables import Role
from neuro_review import access, sources, workflows
from tests.bench import outputs
from tests.bench.figures import Table, load, version
from tests.browser.house import App
from tests.conftest import OPERATOR
from tests.web.server import Server

MISSING = "wrk is not here: apt-get install wrk"
CONNECTIONS, IN_FLIGHT = 16, 4
RUNS = 3
STREAMLIT = {"STREAMLIT_SERVER_HEADLESS": "true", "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"}
"""As the app's own settings, which lie beside the app."""
# The texts of the bodies, so that each connection sends one after the other.
SCRIPT = """
local bodies = {}
for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
local n = 0
wrk.method = "%(method)s"
wrk.headers["Authorization"] = "Bearer %(key)s"
if #bodies > 0 then wrk.headers["Content-Type"] = "application/json" end
request = function()
  if #bodies == 0 then return wrk.format(nil, "%(path)s") end
  n = n %% #bodies + 1
  return wrk.format(nil, "%(path)s", nil, bodies[n])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('JSON{"requests":%%d,"seconds":%%f,"p50":%%f,"p95":%%f,"p99":%%f,"max":%%f,"bad":%%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Ran:
    """What one run of wrk saw; milliseconds."""

    per_second: float
    p50: float
    p95: float
    p99: float
    max: float
    requests: int


@dataclass(frozen=True)
class Target:
    """A running app and the key of an application."""

    app: App
    key: str
    folder: Path

    def wrk(
        self, method: str, path: str, bodies: list[str], connections: int, seconds: int, url: str | None = None
    ) -> Ran:
        """Send requests for a while, to the app or to another address; every one must succeed."""
        file, script = self.folder / "bodies.txt", self.folder / "load.lua"
        file.write_text("".join(f"{body}\n" for body in bodies))
        values = {"bodies": file, "method": method, "key": self.key, "path": path}
        script.write_text(SCRIPT % values)
        ran = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script),
             url or self.app.url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        said = json.loads(next(line[4:] for line in ran.stdout.splitlines() if line.startswith("JSON")))
        assert said["bad"] == 0, ran.stdout
        return Ran(
            said["requests"] / said["seconds"], said["p50"], said["p95"], said["p99"], said["max"], said["requests"]
        )

    def stored(self) -> int:
        return int(self.app.row("SELECT count(*) AS n FROM item").n)


class Plain(Server):
    """The call that only knows who asks, as FastAPI serves any in Streamlit's app."""

    script = Path(__file__).resolve().parent / "noop.py"

    @classmethod
    @contextmanager
    def beside(cls, target: Target) -> Iterator[str]:
        """Let it run over the database of an app for the time of the block; gives its address."""
        root = Path(__file__).resolve().parent.parent.parent
        folder = target.folder / "plain"
        own = {"PYTHONPATH": str(root), "NEURO_REVIEW_WORKER": "false", **STREAMLIT}
        server = cls(folder, **target.app.environment | own)
        try:
            server.wait_until_healthy("/_stcore/health")
            yield server.url
        finally:
            server.stop()


@contextmanager
def running(url: str, folder: Path, **environment: str) -> Iterator[Target]:
    """Run the app over a fresh database, with an owner and an application."""
    folder.mkdir(exist_ok=True)
    app = App(folder, url, NEURO_REVIEW_API_RATE="1000000", **environment)
    try:
        app.wait_until_healthy()
        with app.database.writing() as session:
            owner = access.add_person(session, OPERATOR, "Olu", "olu@example.com", Role.ADMIN, password_hash=None)
            flow = workflows.add(session, OPERATOR, "bench", owner_id=owner)
            key = sources.add(session, OPERATOR, "shop", flow.id).key
        yield Target(app, key, folder)
    finally:
        app.stop()


def bodies(many: int) -> list[str]:
    """Return submissions of real outputs, as JSON."""
    rows = outputs.submissions(many)
    return [
        json.dumps({"workflow": "bench", "model": row["model"], "prompt": row.get("prompt"), "output": row["output"]})
        for row in rows
    ]


def throughput(engine: str, url: str, folder: Path, seconds: int, sizes: tuple[int, ...] = (100, 1000)) -> list[Table]:
    """Measure single submits beside calls that only show a key, and batches; the middle of three runs counts."""
    texts = bodies(1_000)
    with running(url, folder) as target:
        return [_singles(target, engine, texts, seconds), _batches(target, engine, texts, seconds, sizes)]


def _singles(target: Target, engine: str, texts: list[str], seconds: int) -> Table:
    table = Table(
        f"{engine}, {version(target.app.database)}: {CONNECTIONS} kept-alive connections, {RUNS} runs of"
        f" {seconds} s (target ≥ 500/s, p95 ≤ 50 ms, ≥ 60 % of a call that does nothing)",
        ("call", "per second", "p50 ms", "p95 ms", "p99 ms", "max ms", "load"),
    )

    def measure(name: str, method: str, path: str, sent: list[str], at: str | None = None) -> float:
        before = target.stored()
        runs = [target.wrk(method, path, sent, CONNECTIONS, seconds, at) for _ in range(RUNS)]
        ran = sorted(runs, key=lambda one: one.per_second)[RUNS // 2]
        table.add(name, ran.per_second, ran.p50, ran.p95, ran.p99, ran.max, load())
        if sent is texts:
            acknowledged = sum(one.requests for one in runs)
            stored = target.stored() - before
            # wrk hangs up on what it has sent last, which may be stored all the same.
            assert acknowledged <= stored <= acknowledged + RUNS * CONNECTIONS, (acknowledged, stored)
            table.notes.append(f"{acknowledged:,} acknowledged, {stored:,} in the database")
        return ran.per_second

    target.wrk("POST", "/api/v1/items", texts, CONNECTIONS, 1)  # warm
    with Plain.beside(target) as at:
        plain = measure("a FastAPI call that does nothing", "GET", "/api/noop", [], at)
    key = measure("GET /key, past FastAPI's layers", "GET", "/api/v1/key", [])
    empty = measure("POST /items/batch of nothing", "POST", "/api/v1/items/batch", ["[]"])
    held = measure("POST /items", "POST", "/api/v1/items", texts)
    table.notes.append(
        f"ratio to a call that only knows who asks, as FastAPI serves it in Streamlit's app: {held / plain:.2f};"
        f" to GET /key, which goes past both: {held / key:.2f}; to a POST that stores nothing: {held / empty:.2f}"
    )
    return table


def _batches(target: Target, engine: str, texts: list[str], seconds: int, sizes: tuple[int, ...]) -> Table:
    table = Table(
        f"{engine}: batches, {IN_FLIGHT} in flight (target ≥ 8,000 items/s)",
        ("rows in a batch", "items per second", "p50 ms", "p95 ms", "max ms", "load"),
    )
    for size in sizes:
        some = [f"[{','.join(texts[start : start + size])}]" for start in range(0, len(texts), size)]
        runs = [target.wrk("POST", "/api/v1/items/batch", some, IN_FLIGHT, seconds) for _ in range(RUNS)]
        speeds = [one.per_second * size for one in runs]
        ran = sorted(runs, key=lambda one: one.per_second)[RUNS // 2]
        table.add(f"{size:,}", statistics.median(speeds), ran.p50, ran.p95, ran.max, load())
    return table


def is_here() -> bool:
    """Tell whether wrk is installed."""
    return shutil.which("wrk") is not None
