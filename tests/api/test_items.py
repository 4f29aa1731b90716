"""What an application hands in over HTTP, and what it gets back."""

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from db.clock import SECOND
from db.engine import Database
from db.tables import Verdict
from neuro_review import content, intake, sources, workflows
from neuro_review.settings import settings
from neuro_review.verify import verify
from tests.api.conftest import Judge, Shop, add_key
from tests.conftest import OPERATOR, Clock, Team

SUBMIT = {"workflow": "support", "model": "larch", "output": "Model text."}


def said(answer: Any) -> tuple[int, str, str | None]:
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"].get("field")


def count(db: Database, table: str = "item") -> int:
    with db.reading() as session:
        return int(session.connection().execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_an_output_is_held_and_comes_back_as_it_was_corrected(
    shop: Shop, judge: Judge, go: Callable[[], None], moved_clock: Clock, db: Database
) -> None:
    chat = [{"role": "user", "content": "May I?"}]
    item = shop.submit(prompt=chat, external_id="t-1", cost_usd=0.01, latency_ms=12.6)
    assert (item["status"], item["output"], item["released"], item["final"]) == ("held", None, False, False)
    assert shop.get(f"items/{item['id']}").json() == item

    judge(Verdict.CORRECT, "The better text.")
    in_grace = shop.get(f"items/{item['id']}").json()
    assert (in_grace["status"], in_grace["output"], in_grace["final"]) == ("corrected", None, False)
    moved_clock.forward(6 * SECOND)
    go()

    done = shop.get(f"items/{item['id']}").json()
    assert (done["status"], done["verdict"], done["output"]) == ("corrected", "correct", "The better text.")
    assert done["released"]
    assert done["final"]
    assert done["release"]["id"]
    assert verify(db).first is None


def test_the_same_again_is_the_same_item_and_other_content_is_a_conflict(shop: Shop, db: Database) -> None:
    first = shop.submit(external_id="t-1")

    again = shop.post("items", SUBMIT | {"external_id": "t-1"})
    other = shop.post("items", SUBMIT | {"external_id": "t-1", "output": "Another text."})

    assert (again.status_code, again.json()) == (200, first)
    assert said(other) == (409, "conflict", None)
    assert count(db) == 1


BAD: dict[str, tuple[Any, int, str | None]] = {
    "no output": ({"workflow": "support", "model": "m"}, 422, "output"),
    "an empty output": (SUBMIT | {"output": ""}, 422, "output"),
    "another type": (SUBMIT | {"output": 7}, 422, "output"),
    "an unknown field": (SUBMIT | {"anwser": "x"}, 422, "anwser"),
    "a NUL": (SUBMIT | {"output": "a\0b"}, 422, "output"),
    "a negative cost": (SUBMIT | {"cost_usd": -1}, 422, "cost_usd"),
    "a cost in words": (SUBMIT | {"cost_usd": "0.1"}, 422, "cost_usd"),
    "a negative time": (SUBMIT | {"latency_ms": -0.4}, 422, "latency_ms"),
    "a priority of ten": (SUBMIT | {"priority": 10}, 422, "priority"),
    "another workflow": (SUBMIT | {"workflow": "other"}, 403, None),
    "no workflow": ({"model": "m", "output": "x"}, 422, "workflow"),
    "a list": ([SUBMIT], 422, None),
    "a number": (7, 422, None),
    "too much": (SUBMIT | {"output": "x" * ((1 << 20) + 1)}, 413, "output"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_with_a_sentence_and_nothing_is_stored(
    shop: Shop, db: Database, name: str
) -> None:
    body, status, field = BAD[name]

    answer = shop.post("items", body)

    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field)
    assert answer.json()["error"]["message"].endswith((".", "."))
    assert count(db) == 0


def test_a_key_of_another_workflow_hears_which_one_is_its_own(shop: Shop) -> None:
    answer = shop.post("items", SUBMIT | {"workflow": "other"})

    assert answer.json()["error"]["message"].startswith("This key is for the workflow “support”.")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"{", 422), (b'{"output": "\\ud800"}', 422), (b"\xff\xfe{}", 422), (b"[" * 100_000, 422),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 422), (b"x" * (5 << 20), 413),
    ],
    ids=["nothing", "half", "surrogate", "no UTF-8", "deep list", "deep object", "too large"],
)  # fmt: skip
def test_a_broken_body_is_refused(shop: Shop, body: bytes, status: int) -> None:
    answer = shop.http.post("/api/v1/items", content=body, headers=shop.headers | {"Content-Type": "application/json"})

    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_something_else_than_json_is_named(shop: Shop) -> None:
    answer = shop.http.post("/api/v1/items", data={"output": "x"}, headers=shop.headers)

    assert said(answer) == (415, "not_json", None)


def test_a_batch_is_answered_row_by_row_and_a_bad_row_sinks_none(shop: Shop, db: Database) -> None:
    rows = [SUBMIT | {"external_id": f"t-{n}"} for n in range(600)]
    rows[1] = SUBMIT | {"external_id": "t-0"}
    rows[2] = SUBMIT | {"external_id": "t-0", "output": "Another."}
    rows[3] = {"output": 1}
    rows[599] = 7  # type: ignore[call-overload]

    answer = shop.post("items/batch", rows)

    assert answer.status_code == 200
    found = answer.json()
    assert [row["status"] for row in found[:5]] == [201, 200, 409, 422, 201]
    assert found[599]["status"] == 422
    assert found[1]["item"] == found[0]["item"]
    assert found[2]["error"]["code"] == "conflict"
    assert [row["item"]["external_id"] for row in found[4:599]] == [f"t-{n}" for n in range(4, 599)]
    assert count(db) == 596
    assert [row["status"] for row in shop.post("items/batch", rows).json()].count(200) == 597
    assert verify(db).first is None


@pytest.mark.parametrize(("rows", "status"), [({}, 422), ([], 200), ([SUBMIT] * 1001, 422)])
def test_a_batch_has_at_most_a_thousand_rows(shop: Shop, rows: Any, status: int, db: Database) -> None:
    assert shop.post("items/batch", rows).status_code == status
    assert count(db) == 0


def test_an_output_can_be_withdrawn_while_it_is_held_and_not_after(shop: Shop, judge: Judge, db: Database) -> None:
    first = shop.submit("First.")

    taken = shop.post(f"items/{first['id']}/withdraw", None)
    assert (taken.status_code, taken.json()["status"], taken.json()["output"]) == (200, "withdrawn", None)
    again = shop.post(f"items/{first['id']}/withdraw", None)
    assert said(again) == (409, "conflict", None)
    assert again.json()["error"]["message"].endswith("submit it again with another external_id.")
    second = shop.submit("Second.")
    judge(Verdict.APPROVE)
    late = shop.post(f"items/{second['id']}/withdraw", None)
    assert said(late) == (409, "conflict", None)
    assert "Ask its reviewer to undo that while it has not left" in late.json()["error"]["message"]
    assert count(db, "release") == 0


def test_the_feed_tells_of_everything_in_order_once_and_goes_on_where_it_ended(
    shop: Shop, judge: Judge, go: Callable[[], None], moved_clock: Clock
) -> None:
    assert shop.get("releases").json() == {"events": [], "next": None}
    for _ in range(3):
        shop.submit()
    decided = [judge(Verdict.APPROVE), judge(Verdict.REJECT)]
    moved_clock.forward(6 * SECOND)
    go()

    first = shop.get("releases", limit=1).json()
    rest = shop.get("releases", after=first["next"]).json()

    events = first["events"] + rest["events"]
    assert {(one["type"], one["item"]["id"]) for one in events} == {("released", decided[0]), ("rejected", decided[1])}
    assert shop.get("releases", after=rest["next"]).json() == {"events": [], "next": rest["next"]}
    assert said(shop.get("releases", after="nonsense")) == (422, "invalid", "after")
    for limit in ("0", "1001", "x", "1.5"):
        assert said(shop.get("releases", limit=limit)) == (422, "invalid", "limit")


def test_who_waits_is_told_as_soon_as_it_has_left(
    shop: Shop, judge: Judge, go: Callable[[], None], moved_clock: Clock, db: Database
) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0"))
    item = shop.submit()
    timer = threading.Timer(0.5, lambda: judge(Verdict.APPROVE))
    began = time.monotonic()
    timer.start()

    answer = shop.get(f"items/{item['id']}", wait=30)

    timer.join()
    assert answer.json()["output"] == "Model text."
    assert 0.4 < time.monotonic() - began < 15
    assert shop.get(f"items/{item['id']}", wait=60).json()["final"]


def test_who_waits_in_vain_is_answered_when_the_time_is_over(shop: Shop) -> None:
    item = shop.submit()

    assert shop.get(f"items/{item['id']}", wait=0.3).json()["status"] == "held"
    for wait in ("61", "-1", "x", "nan", "inf"):
        assert said(shop.get(f"items/{item['id']}", wait=wait)) == (422, "invalid", "wait")


def test_who_may_not_is_refused(shop: Shop, http: TestClient, db: Database, team: Team) -> None:
    item = shop.submit()
    other = Shop(http, add_key(db, team, "other"))
    reader = Shop(http, add_key(db, team, "reader", can_submit=False))
    writer = Shop(http, add_key(db, team, "writer", can_read=False))

    assert said(http.get(f"/api/v1/items/{item['id']}")) == (401, "unknown_key", None)
    assert http.post("/api/v1/items", json=SUBMIT).headers["www-authenticate"] == "Bearer"
    assert said(Shop(http, "nr_wrong").post("items", SUBMIT)) == (401, "unknown_key", None)
    assert said(Shop(http, "nr_wrong").post("items/batch", [SUBMIT])) == (401, "unknown_key", None)
    assert said(other.get(f"items/{item['id']}")) == (404, "not_found", None)
    assert said(other.post(f"items/{item['id']}/withdraw", None)) == (404, "not_found", None)
    assert other.get("releases").json()["events"] == []
    assert said(reader.post("items", SUBMIT)) == (403, "not_allowed", None)
    assert said(reader.post("items/batch", [SUBMIT])) == (403, "not_allowed", None)
    assert said(reader.post(f"items/{item['id']}/withdraw", None)) == (403, "not_allowed", None)
    assert said(writer.get(f"items/{item['id']}")) == (403, "not_allowed", None)
    assert said(writer.get("releases")) == (403, "not_allowed", None)
    assert writer.submit()["status"] == "held"
    assert said(shop.get("items/nonsense")) == (404, "not_found", None)
    assert said(shop.get("nothing")) == (404, "not_found", None)


def test_a_key_says_what_it_can_do(shop: Shop, http: TestClient, db: Database, team: Team) -> None:
    reader = Shop(http, add_key(db, team, "reader", can_submit=False))

    assert shop.get("key").json() == {"source": "shop", "workflow": "support", "can_submit": True, "can_read": True}
    assert reader.get("key").json() == {
        "source": "reader",
        "workflow": "support",
        "can_submit": False,
        "can_read": True,
    }
    assert said(http.get("/api/v1/key")) == (401, "unknown_key", None)


def test_a_revoked_key_stores_nothing_any_more(shop: Shop, db: Database, team: Team) -> None:
    shop.submit()  # so that the key is known in memory
    with db.writing() as session:
        (source,) = sources.mine(session, team.olu)
        sources.revoke(session, team.olu, source.keys[0].id)

    assert said(shop.post("items", SUBMIT)) == (401, "unknown_key", None)
    assert [row["status"] for row in shop.post("items/batch", [SUBMIT]).json()] == [401]
    assert count(db) == 1


def test_a_workflow_without_an_owner_or_put_away_takes_nothing(shop: Shop, db: Database, team: Team) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text("DELETE FROM role_grant WHERE role = 'owner'"))
    assert said(shop.post("items", SUBMIT)) == (409, "conflict", None)
    with db.writing() as session:
        workflows.archive(session, OPERATOR, team.support.id)

    assert said(shop.post("items", SUBMIT)) == (409, "conflict", None)
    assert count(db) == 0


def test_many_at_once_are_each_stored_once(shop: Shop, db: Database) -> None:
    answers: list[int] = []

    def submit(worker: int) -> None:
        for n in range(10):
            answers.append(shop.post("items", SUBMIT | {"external_id": f"{n}"}).status_code)
            answers.append(shop.post("items", SUBMIT | {"external_id": f"{worker}-{n}"}).status_code)

    threads = [threading.Thread(target=submit, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(set(answers)) == [200, 201]
    assert answers.count(201) == count(db) == 90
    assert verify(db).first is None


def test_a_key_that_asks_too_often_is_told_to_wait(shop: Shop, door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_API_RATE", "1")
    settings.cache_clear()
    shop.submit("One.")
    shop.submit("Two.")

    answer = shop.post("items", SUBMIT)

    assert said(answer) == (429, "too_often", None)
    assert int(answer.headers["retry-after"]) >= 1


def test_a_reviewers_cookie_gets_nothing(http: TestClient, shop: Shop, db: Database, team: Team) -> None:
    from neuro_review import sessions

    item = shop.submit()
    with db.writing() as session:
        token = sessions.sign_in(session, sessions.look_up(session, team.bo.email))
    http.cookies.set("nr_session", token)

    assert said(http.get(f"/api/v1/items/{item['id']}")) == (401, "unknown_key", None)
    assert http.get("/history", headers=shop.headers, cookies={"nr_session": ""}).status_code == 401


def test_the_document_describes_every_route(http: TestClient, team: Team) -> None:
    document = http.get("/api/v1/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    assert sorted(document["paths"]) == [
        "/v1/items", "/v1/items/batch", "/v1/items/{id}", "/v1/items/{id}/withdraw", "/v1/key",
        "/v1/outcomes", "/v1/releases", "/v1/workflows/{name}",
    ]  # fmt: skip
    assert document["servers"] == [{"url": "/api"}]


def test_a_workflow_whose_name_has_a_slash_is_asked_for_like_any_other(
    http: TestClient, db: Database, team: Team
) -> None:
    name = "shop/de 50%"
    with db.writing() as session:
        flow = workflows.add(session, OPERATOR, name, owner_id=team.olu.person_id)
        shop = Shop(http, sources.add(session, team.ada, "de", flow.id).key, name)

    asked = shop.get(f"workflows/{quote(name, safe='')}")

    assert (asked.status_code, asked.json()["workflow"]) == (200, name)


def test_an_application_with_the_largest_numbers_there_are_stops_nobodys_submits(shop: Shop) -> None:
    most = {"prompt_tokens": content.MOST_TOKENS, "cost_usd": intake.MOST_USD, "latency_ms": intake.MOST_MS}
    rows = [{"workflow": "support", "model": "larch", "output": "x", **most}] * 1000

    taken = [one["status"] for _ in range(2) for one in shop.post("items/batch", rows).json()]

    assert taken == [201] * 2000
    shop.submit()


def test_an_address_with_a_slash_too_many_leads_no_text_elsewhere(shop: Shop) -> None:
    output = {"workflow": shop.workflow, "model": "larch", "output": "Model text."}
    made = shop.http.post("/api/v1/items/", json=output, headers=shop.headers, follow_redirects=False)
    asked = shop.http.get(f"/api/v1/items/{made.json().get('id')}/", headers=shop.headers, follow_redirects=False)

    # A redirect would name the scheme that this server sees, and behind a proxy that is not the encrypted one.
    assert (made.status_code, asked.status_code) == (201, 404)
    assert asked.json()["error"]["code"] == "not_found"
    assert not {"location"} & {*made.headers, *asked.headers}
