"""The API keeps what its OpenAPI document says: Schemathesis, with all of its checks, as two applications.

The short form sends some hundreds of requests to SQLite; `--long` sends 2,000 and more to each engine.
"""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from db.engine import Database
from neuro_review.api.waiting import Waiting
from neuro_review.settings import settings
from neuro_review.web import alone
from neuro_review.web.door import Door
from tests.api.conftest import add_key
from tests.conftest import Team

SEED = 20_260
EXAMPLES = {False: 25, True: 600}  # of each call and each phase, in the short form and at length
SENT = {False: 300, True: 2_000}  # requests at least
CONFIG = """
[auth.wfc]
path = "{applications}"
peers = ["shop", "mill"]
"""


@pytest.fixture
def live(db: Database, team: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the API on a port, where nobody waits longer than a moment; returns the address."""
    monkeypatch.setenv("NEURO_REVIEW_API_RATE", "1000000")
    settings.cache_clear()
    whole = Waiting.until_final

    async def briefly(self: Waiting, item_id: str, seconds: float) -> None:
        await whole(self, item_id, min(seconds, 0.01))

    monkeypatch.setattr(Waiting, "until_final", briefly)
    door = Door(lambda: db)
    server = uvicorn.Server(
        uvicorn.Config(alone.app(door), port=0, lifespan="off", http="httptools", loop="uvloop", log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    door.gate.end()


def applications(folder: Path, keys: dict[str, str]) -> Path:
    """Write down what each application shows, as Schemathesis reads it."""
    path = folder / "applications.json"
    entries = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for name, key in keys.items()
    ]
    path.write_text(json.dumps({"auth": entries}))
    return path


def test_the_api_keeps_what_its_document_says(
    live: str, db: Database, team: Team, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    long = bool(request.config.getoption("--long"))
    if not db.is_sqlite and not long:
        pytest.skip("on PostgreSQL with --long only")
    keys = {name: add_key(db, team, name) for name in ("shop", "mill")}
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(applications=applications(tmp_path, keys)))
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config), "run",
        f"{live}/api/v1/openapi.json", "--url", f"{live}/api", "--checks", "all", "--mode", "all",
        "--max-examples", str(EXAMPLES[long]), "--seed", str(SEED), "--continue-on-failure", "--generation-database",
        "none", "--warnings", "off",
    ]  # fmt: skip

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-2_000:]
    found = re.search(r"([\d,]+) generated", ran.stdout)
    assert found is not None
    assert int(found[1].replace(",", "")) >= SENT[long]


def test_each_call_has_an_example_that_is_true(http: TestClient, team: Team, db: Database) -> None:
    document = http.get("/api/v1/openapi.json").json()
    key = {"Authorization": f"Bearer {add_key(db, team, 'shop')}"}
    answers = {}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            assert call["security"] == [{"key": []}], path
            assert all("example" in part for said in call["responses"].values() for part in said["content"].values()), (
                path
            )
            assert {"401", "429", "503"} <= set(call["responses"]), path
            assert all("Retry-After" in call["responses"][status]["headers"] for status in ("429", "503")), path
            body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            inside = {one["name"]: one["example"] for one in call.get("parameters", []) if one["in"] == "path"}
            where = path.format(**inside)
            query = {one["name"]: one["example"] for one in call.get("parameters", []) if one["in"] == "query"}
            answer = http.request(method, f"/api{where}", json=body, params=query, headers=key)
            answers[call["operationId"]] = answer.status_code
            if answer.status_code == 201:
                shown = call["responses"]["201"]["content"]["application/json"]["example"]
                assert set(answer.json()) == set(shown)
                assert {name for name in shown if answer.json()[name] == shown[name]} >= {
                    "external_id",
                    "status",
                } & set(shown)

    # The items of the examples are of another application, so that reading them finds nothing.
    assert answers == {
        "create": 201, "create_batch": 200, "withdraw": 404, "key": 200, "read": 404, "releases": 200, "report": 201,
        "workflow": 200,
    }  # fmt: skip
