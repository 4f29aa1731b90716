"""Who gets nothing: a reviewer's cookie from the API, a key from another application, workflow or scope."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from db.clock import HOUR, SECOND
from db.engine import Database
from db.tables import Verdict
from neuro_review import decisions, sessions, sources
from neuro_review.api.together import Together
from neuro_review.decisions import Opinion
from neuro_review.errors import LeaseLostError
from neuro_review.verify import verify
from tests.api.conftest import Judge, Shop, add_key
from tests.conftest import Clock, Team
from tests.helpers import claim_one

SUBMIT = {"workflow": "support", "model": "larch", "output": "Model text."}
CALLS = (
    ("POST", "items"), ("POST", "items/batch"), ("GET", "items/{id}"), ("POST", "items/{id}/withdraw"), ("GET", "key"),
    ("GET", "releases"), ("GET", "workflows/support"),
)  # fmt: skip


@pytest.fixture
def other(http: TestClient, db: Database, team: Team) -> Shop:
    return Shop(http, add_key(db, team, "other"))


def row(db: Database, item_id: str) -> Any:
    with db.reading() as session:
        return session.connection().execute(sa.text("SELECT * FROM item WHERE id = :id"), {"id": item_id}).one()


def another_key(db: Database, team: Team, key: str) -> str:
    """Return a second key of the same application."""
    with db.writing() as session:
        (made,) = [
            one for source in sources.mine(session, team.olu) for one in source.keys
            if sources.caller(session, key).source_id == source.id
        ]  # fmt: skip
        return sources.replace(session, team.olu, made.id).key


def test_a_session_gets_nothing_from_any_call_however_it_is_shown(
    http: TestClient, shop: Shop, db: Database, team: Team
) -> None:
    item = shop.submit()
    with db.writing() as session:
        token = sessions.sign_in(session, sessions.look_up(session, team.ada.email))

    for method, path in CALLS:
        for headers in (
            {"Cookie": f"nr_session={token}"},
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Bearer {sessions.session_id(token)}"},
            {
                "Cookie": f"nr_session={token}",
                "X-NR-Session": sessions.session_id(token),
                "Authorization": "Bearer nr_x",
            },
        ):
            body = [SUBMIT] if path.endswith("batch") else SUBMIT
            address = f"/api/v1/{path.format(id=item['id'])}"
            answer = http.request(method, address, headers=headers, json=body if method == "POST" else None)
            assert answer.status_code == 401, (method, path, headers)
            assert answer.json()["error"]["code"] == "unknown_key"
    assert row(db, item["id"]).status == "held"


def test_an_application_sees_and_moves_nothing_of_another(
    shop: Shop, other: Shop, judge: Judge, go: Callable[[], None], moved_clock: Clock, db: Database
) -> None:
    decided = shop.submit("Decided.", external_id="t-1")
    judge(Verdict.APPROVE)
    moved_clock.forward(6 * SECOND)
    go()
    held = shop.submit("Held.", external_id="t-2")
    cursor = shop.get("releases").json()["next"]

    for item in (decided, held):
        nothing = other.get("items/" + "0" * 32)
        for answer in (other.get(f"items/{item['id']}"), other.get(f"items/{item['id']}", wait=1)):
            assert (answer.status_code, answer.json()) == (404, nothing.json())
        assert other.post(f"items/{item['id']}/withdraw", None).json() == nothing.json()
    # The same external id is another application's own: it neither finds the first nor is told that there is one.
    assert other.post("items", SUBMIT | {"external_id": "t-1"}).status_code == 201
    rows = other.post("items/batch", [SUBMIT | {"external_id": "t-2"}, SUBMIT | {"external_id": held["id"]}]).json()
    assert [one["status"] for one in rows] == [201, 201]
    assert all(one["item"]["id"] != held["id"] for one in rows)
    # A cursor is a place, not a right: with another's one reads one's own.
    for after in (None, "", cursor, "0-0"):
        assert other.get("releases", **({} if after is None else {"after": after})).json()["events"] == []
    assert row(db, held["id"]).status == "held"
    # A workflow of others is not even there.
    assert [other.get(f"workflows/{name}").status_code for name in ("support", "other", "nowhere")] == [200, 404, 404]


def test_two_keys_of_an_application_are_the_same_application_and_each_stays_in_its_workflow(
    shop: Shop, http: TestClient, db: Database, team: Team
) -> None:
    item = shop.submit(external_id="t-1")
    second = Shop(http, another_key(db, team, shop.key))
    elsewhere = Shop(http, "nr_for-the-other-workflow", workflow="other")
    with db.writing() as session:
        session.connection().execute(
            sa.text(
                "INSERT INTO source_key (source_id, workflow_id, key_hash, can_submit, can_read, created_at)"
                " SELECT source_id, :workflow, :hash, can_submit, can_read, created_at FROM source_key"
                " WHERE key_hash = :from"
            ),
            {"workflow": team.other.id, "hash": sources.key_hash(elsewhere.key), "from": sources.key_hash(shop.key)},
        )

    assert second.get(f"items/{item['id']}").json() == item
    assert second.post("items", SUBMIT | {"external_id": "t-1"}).status_code == 200
    assert elsewhere.get(f"items/{item['id']}").status_code == 404
    assert elsewhere.post(f"items/{item['id']}/withdraw", None).status_code == 404
    assert elsewhere.post("items", SUBMIT).status_code == 409  # nobody owns it; and the key is for that one
    assert second.post("items", SUBMIT | {"workflow": "other"}).status_code == 403
    assert [one["status"] for one in second.post("items/batch", [SUBMIT | {"workflow": "other"}]).json()] == [403]


def test_keys_that_submit_one_external_id_at_once_get_one_item(
    shop: Shop, http: TestClient, db: Database, team: Team
) -> None:
    keys = [shop, Shop(http, another_key(db, team, shop.key))]
    answers: list[Any] = []

    def submit(one: Shop, n: int) -> None:
        answers.append(one.post("items", SUBMIT | {"external_id": "t-1"}))
        answers.append(one.post("items", SUBMIT | {"external_id": "t-2", "output": f"Text {n}."}))

    threads = [threading.Thread(target=submit, args=(keys[n % 2], n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    same, others = answers[::2], answers[1::2]
    by_name = {name: [one for one in answers if one.json().get("external_id") == name] for name in ("t-1", "t-2")}
    assert len({one.json()["id"] for one in by_name["t-1"]}) == 1
    assert sorted(one.status_code for one in by_name["t-1"]) == [200] * 7 + [201]
    assert sorted(one.status_code for one in (*same, *others)) == [200] * 7 + [201, 201] + [409] * 7
    assert verify(db).first is None


def test_a_key_that_is_revoked_in_the_middle_of_a_batch_stores_nothing_more(
    shop: Shop, db: Database, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Together._store

    def store(*given: Any) -> None:
        whole(*given)
        with db.writing() as session:
            (source,) = sources.mine(session, team.olu)
            sources.revoke(session, team.olu, source.keys[0].id)

    monkeypatch.setattr(Together, "_store", store)

    found = shop.post("items/batch", [SUBMIT | {"external_id": f"t-{n}"} for n in range(600)]).json()

    statuses = [one["status"] for one in found]
    assert statuses == [201] * 256 + [401] * 344
    with db.reading() as session:
        assert session.connection().execute(sa.text("SELECT count(*) FROM item")).scalar_one() == 256


def test_of_a_verdict_and_a_withdrawal_at_once_one_counts_and_the_other_is_told(
    shop: Shop, db: Database, team: Team
) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0"))
    for n in range(12):
        item = shop.submit(f"Output {n}.")
        with db.writing() as session:
            lease = claim_one(session, team.bo, team.support)
        start, said = threading.Barrier(2), {}

        def judge(start: threading.Barrier = start, said: dict[str, Any] = said, lease: Any = lease) -> None:
            start.wait()
            try:
                with db.writing() as session:
                    decisions.decide(session, lease.item_id, team.bo, lease.lease_n, Opinion(Verdict.APPROVE))
                said["decided"] = True
            except LeaseLostError:
                said["decided"] = False

        thread = threading.Thread(target=judge)
        thread.start()
        start.wait()
        withdrawn = shop.post(f"items/{item['id']}/withdraw", None)
        thread.join()

        seen = shop.get(f"items/{item['id']}").json()
        assert withdrawn.status_code == (409 if said["decided"] else 200)
        assert seen["status"] == ("approved" if said["decided"] else "withdrawn")
        assert seen["output"] == (f"Output {n}." if said["decided"] else None)
    assert len(shop.get("releases").json()["events"]) == 12
    assert verify(db).first is None


def test_a_clock_that_is_put_back_locks_nobody_out_and_releases_nothing_early(
    shop: Shop, judge: Judge, go: Callable[[], None], moved_clock: Clock
) -> None:
    item = shop.submit()
    judge(Verdict.APPROVE)
    moved_clock.forward(-HOUR)
    go()
    assert shop.get(f"items/{item['id']}").json()["output"] is None

    assert [shop.submit()["status"] for _ in range(3)] == ["held"] * 3
    moved_clock.forward(HOUR + 6 * SECOND)
    go()

    assert shop.get(f"items/{item['id']}").json()["output"] == "Model text."
    assert len(shop.get("releases").json()["events"]) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "999999999999999999999", "1_0", " 5", "+5", "1e2", "٣", "5.0"])
def test_no_limit_but_the_documents_is_taken(shop: Shop, limit: str) -> None:
    assert shop.get("releases", limit=limit).status_code == 422


def test_ids_that_are_near_one_say_nothing(shop: Shop, other: Shop) -> None:
    item = shop.submit()
    nothing = shop.get("items/" + "0" * 32).json()
    near = [item["id"][:-1] + digit for digit in "0123456789abcdef" if digit != item["id"][-1]]

    for id in (*near, item["id"].upper(), f"{item['id']} ", item["id"][:-1], f"{item['id']}%00", f"{{{item['id']}}}"):
        answer = shop.get(f"items/{id}")
        assert answer.status_code == 404, id
        assert answer.json() == nothing
    assert other.get(f"items/{item['id']}").json() == nothing
