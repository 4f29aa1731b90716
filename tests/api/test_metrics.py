"""What a scraper reads: the right numbers, in Prometheus' own format, for who has the token, and never a name."""

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from db.engine import Database
from db.tables import Verdict
from neuro_review import settings, worker
from neuro_review.deliveries import endpoints
from tests.api.conftest import Judge, Shop
from tests.conftest import Team

TOKEN = "a token of the tests"
Values = dict[tuple[str, str], float]


@pytest.fixture
def scrape(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Values]:
    monkeypatch.setenv("NEURO_REVIEW_METRICS_TOKEN", TOKEN)
    settings.settings.cache_clear()

    def call() -> Values:
        answer = http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = {}
        for family in text_string_to_metric_families(answer.text):
            assert family.documentation
            assert family.type != "unknown"
            for sample in family.samples:
                labels = ",".join(sample.labels.values())
                assert (sample.name, labels) not in found, "a sample stands there twice"
                found[sample.name.removeprefix("neuro_review_"), labels] = sample.value
        return found

    return call


def test_the_numbers_follow_what_happens(
    db: Database, team: Team, shop: Shop, judge: Judge, scrape: Callable[[], Values]
) -> None:
    flow = str(team.support.id)
    scrape()  # from now on it counts
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0"))
        endpoints.add(session, team.olu, team.support.id, "https://example.com/hook")
    for number in range(5):
        shop.submit(f"Output {number}.")
    judge(Verdict.APPROVE)
    judge(Verdict.REJECT)
    with db.writing() as session:
        session.connection().execute(
            sa.text("UPDATE delivery SET dead_at = 1 WHERE outbox_seq = (SELECT max(seq) FROM outbox)")
        )
    worker.beat(db)

    # PostgreSQL counts no event behind a transaction that is open somewhere, be it the server's own.
    after, deadline = scrape(), time.monotonic() + 60
    while after["left_total", ""] < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        after = scrape()

    assert after["held", flow] == 3
    assert after["held", str(team.other.id)] == 0
    assert 0 < after["oldest_held_seconds", flow] < 600
    assert after["submitted_total", ""] == 5
    assert (after["decisions_total", "approved"], after["decisions_total", "rejected"]) == (1, 1)
    assert after["left_total", ""] == 2
    assert (after["messages_waiting", flow], after["messages_dead", flow]) == (1, 1)
    assert (after["workers", ""], after["leases", ""], after["leaving", ""]) == (1, 0, 0)
    assert after["worker_seen_seconds", ""] < 600
    assert after["submit_seconds_count", ""] == after["submit_seconds_bucket", "+Inf"] == 5
    assert scrape()["submitted_total", ""] == 5, "nothing is counted twice"


def test_a_failure_of_the_database_is_counted_and_a_kept_rule_is_not(
    db: Database, shop: Shop, scrape: Callable[[], Values]
) -> None:
    before = scrape()["database_errors_total", ""]
    for broken in ("INSERT INTO source (name, created_at) VALUES ('shop', 1)", "SELECT * FROM nowhere"):
        with pytest.raises(sa.exc.DBAPIError), db.writing() as session:
            session.connection().execute(sa.text(broken))

    assert scrape()["database_errors_total", ""] == before + 1


def test_no_name_is_in_it_and_nobody_reads_it_without_the_token(
    http: TestClient, team: Team, shop: Shop, scrape: Callable[[], Values]
) -> None:
    shop.submit("Secret text.")
    scrape()
    text = http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text

    for name in ("support", "shop", "Olu", "example.com", "Secret", "larch"):
        assert name not in text
    assert http.get("/metrics").status_code == 401
    assert http.get("/metrics", headers={"Authorization": f"Bearer {shop.key}"}).status_code == 401
