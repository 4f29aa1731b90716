"""The API over each engine, as applications reach it: through the guard, with a key of their own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.testclient import TestClient

from db.engine import Database
from db.tables import Verdict
from neuro_review import decisions, releases, sources
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.web.door import Door
from neuro_review.web.guard import Guard
from neuro_review.web.routes import routes
from tests.conftest import Team
from tests.helpers import claim_one


@pytest.fixture
def door(db: Database) -> Iterator[Door]:
    door = Door(lambda: db)
    yield door
    door.gate.end()


@pytest.fixture
def http(door: Door) -> Iterator[TestClient]:
    """One server; it answers who shows a key."""
    app = Starlette(routes=routes(door), middleware=[Middleware(Guard, door=door)])
    with TestClient(app, base_url="http://testserver", raise_server_exceptions=False) as client:
        yield client


@dataclass
class Shop:
    """An application of the workflow `support`."""

    http: TestClient
    key: str
    workflow: str = "support"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def post(self, path: str, json: Any) -> Response:
        return self.http.post(f"/api/v1/{path}", json=json, headers=self.headers)

    def get(self, path: str, **query: Any) -> Response:
        return self.http.get(f"/api/v1/{path}", params=query, headers=self.headers)

    def submit(self, output: str = "Model text.", **more: Any) -> dict[str, Any]:
        answer = self.post("items", {"workflow": self.workflow, "model": "larch", "output": output, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
def shop(http: TestClient, db: Database, team: Team) -> Shop:
    return Shop(http, add_key(db, team, "shop"))


def add_key(db: Database, team: Team, name: str, **scopes: bool) -> str:
    with db.writing() as session:
        return sources.add(session, team.olu, name, team.support.id, **scopes).key


Judge = Callable[..., str]


@pytest.fixture
def judge(db: Database, team: Team) -> Judge:
    """Decide the next item and return its id."""

    def decide(verdict: Verdict, text: str | None = None, *, by: Actor | None = None) -> str:
        person = by or team.bo
        with db.writing() as session:
            lease = claim_one(session, person, team.support)
            reasons = ["Tone"] if verdict is Verdict.REJECT else []
            decisions.decide(session, lease.item_id, person, lease.lease_n, Opinion(verdict, text, reasons))
            return str(lease.item_id)

    return decide


@pytest.fixture
def go(db: Database) -> Callable[[], None]:
    """Let leave what is due."""

    def leave() -> None:
        with db.writing() as session:
            releases.release_due(session)

    return leave
