"""An application reports what became of a case, with its own key and of its own items."""

from starlette.testclient import TestClient

from db.engine import Database
from neuro_review.quality import outcomes
from neuro_review.quality.periods import Per
from tests.api.conftest import Shop, add_key
from tests.conftest import Team


def test_an_outcome_is_taken_and_a_later_one_replaces_it(shop: Shop) -> None:
    item = shop.submit(external_id="4711")

    first = shop.post("outcomes", {"external_id": "4711", "metric": "resolution_minutes", "value": 34.5})
    again = shop.post("outcomes", {"item": item["id"], "metric": "resolution_minutes", "value": 12})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {"item": item["id"], "metric": "resolution_minutes", "value": 12.0}


def test_what_cannot_be_used_is_refused_with_its_field(shop: Shop) -> None:
    shop.submit(external_id="4711")
    wrong = {
        "value": {"external_id": "4711", "metric": "m", "value": "12"},
        "metric": {"external_id": "4711", "value": 1},
        "external_id": {"external_id": None, "metric": "m", "value": 1},
        "item": {"metric": "m", "value": 1},
    }

    answers = {field: shop.post("outcomes", body) for field, body in wrong.items()}

    assert {field: (one.status_code, one.json()["error"]["field"]) for field, one in answers.items()} == {
        field: (422, field) for field in wrong
    }


def test_only_a_key_that_submits_reports_and_only_of_its_own_items(
    shop: Shop, http: TestClient, db: Database, team: Team
) -> None:
    shop.submit(external_id="4711")
    body = {"external_id": "4711", "metric": "m", "value": 1}
    other, reader = (
        Shop(http, add_key(db, team, "other")), Shop(http, add_key(db, team, "reader", can_submit=False)),
    )  # fmt: skip

    assert other.post("outcomes", body).status_code == 404
    assert reader.post("outcomes", body).status_code == 403
    assert http.post("/api/v1/outcomes", json=body).status_code == 401
    assert "/v1/outcomes" in http.get("/api/v1/openapi.json").json()["paths"]


def test_a_value_that_was_put_right_leaves_nothing_behind(
    shop: Shop, http: TestClient, db: Database, team: Team
) -> None:
    def report(n: int, value: float) -> None:
        assert shop.post("outcomes", {"external_id": str(n), "metric": "m", "value": value}).status_code < 300

    for n in range(4):
        shop.submit(external_id=str(n))
    report(0, outcomes.LARGEST)
    for n in range(1, 4):
        report(n, n)
    report(0, 4)

    with db.reading() as session:
        (row,) = outcomes.outcome(session, team.olu, team.support.id, "m", per=Per.ALL)
    assert row.mean == outcomes.mean(4, 10.0, 30.0)
