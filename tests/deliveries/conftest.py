"""A workflow whose verdicts leave at once, an endpoint that a receiver stands behind, and who sends."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from db.engine import Database
from db.tables import Verdict
from neuro_review import decisions, settings
from neuro_review.decisions import Opinion
from neuro_review.deliveries import endpoints
from neuro_review.deliveries.run import Courier
from tests.conftest import Team
from tests.deliveries.receiver import Receiver, receiver
from tests.helpers import claim_one, make_item


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NEURO_REVIEW_OUTBOUND_NETWORKS", "127.0.0.0/8")
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def at_once(db: Database, team: Team) -> None:
    """Let verdicts of `support` leave at once."""
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0"))


@pytest.fixture
def add(db: Database, team: Team, at_once: None) -> Callable[..., str]:
    """Add an endpoint to `support` and return its secret."""

    def call(url: str, **more: Any) -> str:
        with db.writing() as session:
            return endpoints.add(session, team.olu, team.support.id, url, **more).secret

    return call


@pytest.fixture
def decided(db: Database, team: Team) -> Callable[..., str]:
    """Submit an output to `support`, decide it, and return its id."""

    def call(verdict: Verdict = Verdict.APPROVE, text: str | None = None, **more: Any) -> str:
        with db.writing() as session:
            item_id = make_item(session, team.support.id, **more)
            lease = claim_one(session, team.bo, team.support)
            assert lease.item_id == item_id
            reasons = ["Tone"] if verdict is Verdict.REJECT else []
            decisions.decide(session, item_id, team.bo, lease.lease_n, Opinion(verdict, text, reasons))
        return item_id

    return call


@pytest.fixture
def send(db: Database) -> Callable[[], int]:
    """Send what is due now and return how many tries there were."""

    def call() -> int:
        async def once() -> int:
            courier = Courier(db)
            try:
                return await courier.once()
            finally:
                await courier.client.close()

        return asyncio.run(once())

    return call


@pytest.fixture
def deliveries(db: Database) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        with db.reading() as session:
            query = sa.text("SELECT * FROM delivery ORDER BY endpoint_id, outbox_seq")
            return list(session.connection().execute(query))

    return read
