"""A gate on a port of this machine over each engine, and somebody who decides."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from db.engine import Database
from db.tables import Verdict
from neuro_review import decisions, sources
from neuro_review.client import ReviewGate
from neuro_review.decisions import Opinion
from neuro_review.web.door import Door
from neuro_review.web.guard import Guard
from neuro_review.web.routes import routes
from tests.conftest import Team
from tests.helpers import claim_one
from tests.serving import serving

PATIENCE = 120  # seconds; a program that imports LiteLLM on a busy machine takes one of them to start


@dataclass
class Served:
    """A running gate, which can be stopped and started again at the same address."""

    db: Database
    team: Team
    key: str
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """What was asked, in order."""
    lose: int = 0
    """So many answers are lost from now on, after what was asked for was done."""
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self.door = Door(lambda: self.db)
        app = Starlette(
            routes=routes(self.door),
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._watch), Middleware(Guard, door=self.door)],
        )
        self._running.callback(self.door.gate.end)
        self.url = self._running.enter_context(serving(app, urlsplit(self.url).port or 0 if self.url else 0))

    def stop(self) -> None:
        self._running.close()

    async def _watch(self, request: Request, call_next: Any) -> Response:
        self.requests.append(f"{request.method} {request.url.path}")
        answer = await call_next(request)
        if self.lose > 0:
            self.lose -= 1
            return JSONResponse({"error": {"code": "lost", "message": "The answer was lost."}}, 502)
        return answer

    def somebody_waits(self) -> bool:
        return bool(self.door.gate.waiting._events)

    def decide(self, verdict: Verdict, text: str | None = None) -> str:
        """Decide the next item as Bo, at once and for good, and return its id."""
        with self.db.writing() as session:
            lease = claim_one(session, self.team.bo, self.team.support)
            reasons = ["Tone"] if verdict is Verdict.REJECT else []
            decisions.decide(session, lease.item_id, self.team.bo, lease.lease_n, Opinion(verdict, text, reasons))
            return str(lease.item_id)

    def count(self) -> int:
        with self.db.reading() as session:
            return int(session.connection().execute(sa.text("SELECT count(*) FROM item")).scalar() or 0)


def until(fact: Callable[[], Any]) -> Any:
    """Return what a fact says once it says something."""
    deadline = time.monotonic() + PATIENCE
    while not (said := fact()):
        assert time.monotonic() < deadline, "It never came true."
        time.sleep(0.01)
    return said


def later(work: Callable[[], Any]) -> threading.Thread:
    """Do something beside the test."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def served(db: Database, team: Team) -> Iterator[Served]:
    """A gate whose workflow `support` lets verdicts leave at once."""
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0, fallback = 'We will call you.'"))
        key = sources.add(session, team.olu, "shop", team.support.id).key
    served = Served(db, team, key)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def gate(served: Served) -> Iterator[ReviewGate]:
    with ReviewGate(served.url, served.key) as gate:
        yield gate
