"""The whole gate killed at any moment: API and what stores beside it, reviewers' writers and worker.

Receivers fail one time in five. An application hands outputs in over HTTP, tries again until it is answered, and is
told by webhook and by its feed. Nothing acknowledged is lost, nothing leaves without a decision, all that leaves
arrives, and what arrives twice has the same id. The short form runs with every test; `--long` kills 500 times on SQLite
and 50 on PostgreSQL.
"""

import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook, WebhookVerificationError

from db.engine import Database
from db.tables import Role
from neuro_review import access, settings, sources, workflows
from neuro_review.deliveries import endpoints
from tests.conftest import OPERATOR
from tests.deliveries.receiver import Got, Receiver, cut, plain, receiver
from tests.faults.checks import check
from tests.faults.load import GRACE, REVIEWERS, Load, furnish, load
from tests.web.server import free_port

STORES = "what stores beside the API"
KILLS = {"sqlite": (8, 500), "postgresql": (5, 50)}
LONGEST_PAUSE = 0.6  # seconds between two kills
PATIENCE = 60  # seconds
OPEN = (
    "SELECT (SELECT count(*) FROM item WHERE leaves_at IS NOT NULL)"
    " + (SELECT count(*) FROM delivery WHERE delivered_at IS NULL) AS n"
)
DUE_OUT = "SELECT o.item_id, o.event, o.decision_id, i.output_hash, d.verdict FROM outbox o JOIN item i"
DUE_OUT += " ON i.id = o.item_id JOIN decision d ON d.id = o.decision_id"


@dataclass
class Application:
    """Hands outputs into one workflow until told to stop, each until it is acknowledged, and remembers them."""

    url: str
    workflow: str
    key: str
    chance: random.Random
    acknowledged: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By external id, the item and the output."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def run(self, stop: threading.Event) -> None:
        number = 0
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=5) as http:
            while not stop.is_set():
                names = [f"{self.workflow} {number + n}" for n in range(self.chance.choice((1, 1, 3)))]
                number += len(names)
                self._hand_in(http, names, stop)
                time.sleep(self.chance.uniform(0, 0.1))

    def _hand_in(self, http: httpx.Client, names: list[str], stop: threading.Event) -> None:
        rows = [
            {"workflow": self.workflow, "model": "larch", "external_id": name, "output": f"The answer: {name}."}
            for name in names
        ]
        while not stop.is_set():
            try:
                if len(rows) == 1:
                    answer = http.post("/api/v1/items", json=rows[0])
                    found = [{"status": answer.status_code, "item": answer.json()}]
                else:
                    answer = http.post("/api/v1/items/batch", json=rows)
                    found = answer.json()
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 503:
                continue
            for row, one in zip(rows, found, strict=True):
                assert one["status"] in (200, 201), one
                self.acknowledged[row["external_id"]] = (one["item"]["id"], row["output"])
            return

    def feed(self) -> list[dict[str, Any]]:
        """Read all that became of what it handed in, in pages."""
        events: list[dict[str, Any]] = []
        after = ""
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=20) as http:
            while page := http.get("/api/v1/releases", params={"after": after, "limit": 50}).json()["events"]:
                events += page
                after = page[-1]["cursor"]
        return events


def moody(chance: random.Random) -> Any:
    """Answer well four times in five, and otherwise with a failure of one kind or another."""
    fails = (plain(500), plain(503), plain(429), cut)

    def answer(request: BaseHTTPRequestHandler, got: Got) -> None:
        (chance.choice(fails) if chance.random() < 0.2 else plain(200))(request, got)

    return answer


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NEURO_REVIEW_OUTBOUND_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("NEURO_REVIEW_WEBHOOK_RETRY_SECONDS", "0.05")
    settings.settings.cache_clear()
    with receiver() as running:
        yield running


def applications(db: Database, there: Receiver, url: str, chance: random.Random) -> tuple[list[Application], list[str]]:
    """Put an application before each workflow, and an endpoint behind it; returns the endpoints' secrets too."""
    made, signs = [], []
    with db.writing() as session:
        access.add_person(session, OPERATOR, "Olu", "olu@example.com", Role.OWNER, password_hash=None)
        for name in GRACE:
            flow = workflows.by_name(session, name)
            key = sources.add(session, OPERATOR, f"app {name}", flow.id).key
            made.append(Application(url, name, key, random.Random(chance.getrandbits(32))))
            signs.append(endpoints.add(session, OPERATOR, flow.id, there.url).secret)
    return made, signs


def kill_at_random(running: Load, kills: int) -> Counter[str]:
    """Kill one process, or all at once, and start what died again."""
    killed: Counter[str] = Counter()
    for _ in range(kills):
        time.sleep(running.chance.uniform(0.05, LONGEST_PAUSE))
        everyone = running.chance.random() < 0.2
        # The doors are killed as often as all the reviewers together.
        one = running.chance.choice(["api", STORES, "worker", running.chance.choice(REVIEWERS)])
        if one == STORES and not everyone:
            killed[STORES] += running.kill_beside("api")  # it is started again by the API
            continue
        dead = list(running.writers) if everyone else [one]
        running.kill(*dead)
        killed.update("reviewer" if "@" in name else name for name in dead)
        for name in dead:
            running.start(name)
    return killed


def one(db: Database, query: str) -> int:
    with db.reading() as session:
        return int(session.connection().execute(sa.text(query)).scalar_one())


def let_all_arrive(db: Database) -> None:
    """Wait until everything has left and arrived; for as long as it becomes less."""
    least, deadline = one(db, OPEN), time.monotonic() + PATIENCE
    while least:
        assert time.monotonic() < deadline, f"{least} never leave or arrive."
        time.sleep(0.05)
        left = one(db, OPEN)
        if left < least:
            least, deadline = left, time.monotonic() + PATIENCE


def test_the_gate_loses_nothing_and_tells_of_everything_through_every_kill(
    db: Database, there: Receiver, request: pytest.FixtureRequest
) -> None:
    seed = secrets.randbits(32)
    print("seed", seed)
    chance, port = random.Random(seed), free_port()
    furnish(db)
    apps, signs = applications(db, there, f"http://127.0.0.1:{port}", chance)
    there.answer = moody(random.Random(chance.getrandbits(32)))
    db.dispose()
    kills = KILLS["sqlite" if db.is_sqlite else "postgresql"][bool(request.config.getoption("--long"))]
    stop = threading.Event()
    threads = [threading.Thread(target=app.run, args=(stop,)) for app in apps]

    with load(str(db.url.render_as_string(hide_password=False)), chance, "--no-releases") as running:
        running.port = port
        for name in ("api", "worker", *REVIEWERS):
            running.start(name)
        for thread in threads:
            thread.start()
        running.wait_for("decided", more=5)
        killed = kill_at_random(running, kills)
        running.wait_for("decided", more=5)
        stop.set()
        for thread in threads:
            thread.join()
        running.kill(*REVIEWERS)
        running.catch_up()
        let_all_arrive(db)
        fed = [event for app in apps for event in app.feed()]
        running.kill_all()

    print("killed", dict(killed), "acknowledged", sum(len(app.acknowledged) for app in apps), "told", len(there.got))
    check(db, running.lines)
    check_submits(db, apps)
    check_told(db, apps, there, fed, signs)


def check_submits(db: Database, apps: list[Application]) -> None:
    """What was acknowledged is there, once, as that very item; and with it its text."""
    with db.reading() as session:
        rows = session.connection().execute(sa.text("SELECT external_id, id FROM item")).all()
    there = defaultdict(list)
    for row in rows:
        there[row.external_id].append(row.id)
    assert [name for name, ids in there.items() if len(ids) > 1] == []
    for app in apps:
        assert app.acknowledged, app.workflow
        lost = {name for name, (item, _) in app.acknowledged.items() if there[name] != [item]}
        assert lost == set()


def check_told(
    db: Database, apps: list[Application], there: Receiver, fed: list[dict[str, Any]], signs: list[str]
) -> None:
    """All that left arrived, by webhook and in the feed; what came twice has one id; only reviewed text went out."""
    with db.reading() as session:
        due = {(row.item_id, row.event): row for row in session.connection().execute(sa.text(DUE_OUT))}
        corrected = {
            row.item_id: row.text
            for row in session.connection().execute(
                sa.text("SELECT d.item_id, t.text FROM decision d JOIN review_content t ON t.review_id = d.review_id")
            )
        }
    # A worker that is killed while it sends leaves half a request, which no receiver takes for a message.
    arrived = [got for got in there.got if len(got.body) == int(got.headers["content-length"])]
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for got in arrived:
        ids[got.event["item"]["id"], got.event["type"]].add(got.id)
    assert set(ids) == set(due), "Something never arrived, or arrived that did not leave."
    assert [found for found in ids.values() if len(found) > 1] == [], "A message came under two ids."
    assert len({one for found in ids.values() for one in found}) == len(due)

    told = [(event["item"]["id"], event["type"]) for event in fed]
    assert sorted(told) == sorted(due), "The feed misses something, or says it twice."

    outputs = {item: output for app in apps for item, output in app.acknowledged.values()}
    for event in [*fed, *(got.event for got in arrived)]:
        item = event["item"]
        verdict = due[item["id"], event["type"]].verdict
        assert item["released"] == (verdict in ("approve", "correct"))
        if verdict == "approve":
            assert item["output"] == outputs.get(item["id"], item["output"])
        else:
            assert item["output"] == (corrected[item["id"]] if verdict == "correct" else None)
    for got in arrived:
        assert any(verifies(got, secret) for secret in signs)


def verifies(got: Got, secret: str) -> bool:
    try:
        Webhook(secret).verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True
