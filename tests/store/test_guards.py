"""What an attacker with SQL cannot do: each statement is refused by the database itself, and nothing changes.

Every case runs through our own connection to either engine, a plain SQLite shell (no foreign keys), and one that also
switched the checks off. The honest statement beside each kind of attack shows that only the lie is refused.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from db.engine import Database
from db.guards import GUARDS
from tests.store.world import REFUSALS, Door, World, ours, stranger, vandal

DOORS = {
    "sqlite": ours,
    "a plain shell on sqlite": stranger,
    "a shell on sqlite without checks": vandal,
    "postgresql": ours,
}
HASH = "a" * 64


@pytest.fixture(scope="module")
def worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """The same world on each engine, made once: every attack is rolled back."""
    yield (made := {})
    for world in made.values():
        world.database.dispose()


@pytest.fixture(params=list(DOORS))
def door(request: pytest.FixtureRequest, worlds: dict[str, World], tmp_path_factory: Any) -> Iterator[Door]:
    yield from _opened(request, worlds, tmp_path_factory, request.param)


@pytest.fixture(params=[name for name in DOORS if "sqlite" in name])
def sqlite_door(request: pytest.FixtureRequest, worlds: dict[str, World], tmp_path_factory: Any) -> Iterator[Door]:
    yield from _opened(request, worlds, tmp_path_factory, request.param)


@pytest.fixture
def postgres_door(request: pytest.FixtureRequest, worlds: dict[str, World], tmp_path_factory: Any) -> Iterator[Door]:
    yield from _opened(request, worlds, tmp_path_factory, "postgresql")


def _opened(request: pytest.FixtureRequest, worlds: dict[str, World], folders: Any, kind: str) -> Iterator[Door]:
    engine = "postgresql" if kind == "postgresql" else "sqlite"
    if engine not in worlds:
        worlds[engine] = World(_database(request, engine, folders))
    opened = Door(DOORS[kind](worlds[engine].database), engine == "postgresql", worlds[engine].names)
    yield opened
    opened.run("ROLLBACK")


def _database(request: pytest.FixtureRequest, engine: str, folders: pytest.TempPathFactory) -> Database:
    if engine == "postgresql":
        server = request.getfixturevalue("postgres")
        return Database(server.url(server.create()))
    path = folders.mktemp("guards") / "test.db"
    path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
    return Database(f"sqlite:///{path}")


# Honest rows, as `{name}` of the world; `=` before a value puts it in without quotes. A case changes one thing.
HONEST: dict[str, dict[str, Any]] = {
    "item": {
        "id": "{fresh}", "workflow_id": "={flow}", "source_id": "={source}", "external_id": "new", "origin": "gate",
        "model": "m", "created_at": "={now}", "output_hash": HASH, "content_hash": HASH, "panel_u": 0.5,
        "panel_rate": 0.1, "panel": False, "rubric_version": 0, "status": "held", "priority": 5, "queue_band": 1,
        "queue_at": "={now}", "lease_until": 0, "lease_n": 0, "audit_seq": 1,
    },
    "item_content": {"item_id": "{fresh}", "salt": "s", "prompt": "p", "prompt_is_chat": False, "output": "o"},
    "review": {
        "id": "{fresh}", "workflow_id": "={flow}", "item_id": "{held}", "person_id": "={bo}",
        "reviewer": "bo@example.com", "purpose": "gate", "verdict": "approve", "text_hash": "{held_hash}",
        "reasons": "[]", "rubric_version": 0, "reviewed_at": "={now}", "created_at": "={now}", "client_id": None,
    },
    "review_content": {"review_id": "{fix}", "text": "Better.", "note": None},
    "decision": {
        "id": "{fresh}", "item_id": "{held}", "seq": 1, "by": "human", "status": "approved", "review_id": "{opinion}",
        "verdict": "approve", "certificate_id": None, "releases": True, "text_hash": "{held_hash}",
        "actor": "person:{bo}", "decided_at": "={now}", "final_at": "={now}",
    },
    "retraction": {"decision_id": "{waiting_decision}", "item_id": "{waiting}", "person_id": "={bo}", "at": "={now}"},
    "release": {
        "id": "{fresh}", "item_id": "{ripe}", "origin": "gate", "decision_id": "{ripe_decision}", "releases": True,
        "text_hash": "{ripe_hash}", "at": "={now}",
    },
    "recall": {
        "release_id": "{sent_release}", "item_id": "{sent}", "review_id": "{sent_review}", "person_id": "={bo}",
        "reason": "Wrong.", "at": "={now}",
    },
    "outbox": {
        "item_id": "{refused}", "origin": "gate", "source_id": "={source}", "workflow_id": "={flow}",
        "event": "rejected", "decision_id": "{refused_decision}", "release_id": None, "created_at": "={now}",
        "attempts": 0, "next_at": "={now}",
    },
    "outbox_content": {"outbox_seq": "=(SELECT max(seq) FROM outbox)", "payload": "p"},
    "endpoint": {
        "workflow_id": "={flow}", "source_id": None, "url": "https://example.com/2", "nonce": "n",
        "created_at": "={now}",
    },
    "delivery": {
        "endpoint_id": "={spare}", "outbox_seq": "={sent_seq}", "item_id": "{sent}", "created_at": "={now}",
        "attempts": 0, "next_at": "={now}",
    },
    "erasure": {"item_id": "{held}", "reason": "asked", "erased_by": "person:{bo}", "at": "={now}"},
    "rubric": {"workflow_id": "={flow}", "version": 2, "text": "t", "written_at": 1, "written_by": "bo"},
    "bad_definition": {"workflow_id": "={flow}", "version": 2, "minor_reasons": "[]", "written_at": 1,
                       "written_by": "bo"},
    "certificate": {
        "id": "{fresh}", "workflow_id": "={flow}", "model": "m", "risk_version": "r1", "policy_version": 1,
        "threshold": 0.1, "tolerance": 0.01, "confidence": 0.95, "labels": 300, "bad": 0, "evidence": "{{}}",
        "issued_at": 1, "expires_at": 2,
    },
    "audit": {
        "stream": "{held}", "seq": "={held_next}", "at": "={now}", "actor": "person:{bo}", "action": "item.assigned",
        "body": "{{}}", "prev": "{held_head}", "hash": HASH,
    },
    "seal": {
        "last_xid": "={seal_xid}", "last_position": "={seal_position} + 1", "events": 1, "root": HASH,
        "prev": "{seal}", "hash": HASH, "at": "={now}",
    },
}  # fmt: skip
POLICY = {
    "item_id": "{calm}", "by": "policy", "review_id": None, "verdict": None, "certificate_id": "{cert}",
    "text_hash": "{calm_hash}", "actor": "policy",
}  # fmt: skip
LAPSE = POLICY | {"status": "lapsed", "certificate_id": None, "releases": False, "text_hash": ""}
WITHDRAWAL = LAPSE | {"by": "source", "status": "withdrawn", "actor": "source:{source}"}
TOLD = {
    "item_id": "{sent}", "event": "released", "decision_id": "{sent_decision}", "release_id": "{sent_release}",
}  # fmt: skip


def insert(table: str, verb: str = "INSERT", **changes: Any) -> str:
    """Return an insert of the honest row of a table with some values changed."""
    row = HONEST[table] | changes
    return f"{verb} INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(_literal, row.values()))})"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value).upper()
    return value[1:] if value.startswith("=") else "'" + value.replace("'", "''") + "'"


def moved(item: str, decision: str, **more: str) -> str:
    """Return the update that follows an honest decision."""
    columns = {"status": "'approved'", "decision_id": f"'{decision}'", "decided_by": "'human'", "decided_at": "{now}",
               "leaves_at": "{now}"} | more  # fmt: skip
    return f"UPDATE item SET {', '.join(f'{k} = {v}' for k, v in columns.items())} WHERE id = '{item}'"


def said(what: str, *statements: str) -> Any:
    return pytest.param(statements, id=what)


HELD_AGAIN = (
    "UPDATE item SET status = 'held', decision_id = NULL, decided_by = NULL, decided_at = NULL, leaves_at = NULL"
    " WHERE id = '{waiting}'"
)
ACCEPTED = [
    said("a submit", insert("item"), insert("item_content")),
    said("a verdict, its decision and the move", insert("review"), insert("decision"), moved("{held}", "{fresh}")),
    said("a verdict on a test of reviewers", insert("decision", item_id="{gold}", review_id="{answer}",
         text_hash="{gold_hash}"), moved("{gold}", "{fresh}", leaves_at="NULL")),
    said("a correction with its text", insert("review_content"),
         insert("decision", status="corrected", verdict="correct", review_id="{fix}", text_hash="f" * 64)),
    said("a rejection", insert("decision", status="rejected", verdict="reject", review_id="{doubt}", text_hash="",
         releases=False)),
    said("a lapse", insert("decision", **LAPSE)),
    said("a withdrawal", insert("decision", **WITHDRAWAL)),
    said("a policy's decision under a certificate in force", insert("decision", **POLICY),
         moved("{calm}", "{fresh}", decided_by="'policy'")),
    said("a delivery that arrives", insert("endpoint"), insert("delivery"),
         "UPDATE delivery SET attempts = 1, delivered_at = {now} WHERE endpoint_id = {spare}"),
    said("a delivery that is given up and replayed", insert("delivery"),
         "UPDATE delivery SET dead_at = {now} WHERE endpoint_id = {spare}",
         "UPDATE delivery SET dead_at = NULL, attempts = 0 WHERE endpoint_id = {spare}"),
    said("an undo, and a new decision", insert("retraction"), HELD_AGAIN,
         insert("review", item_id="{waiting}", text_hash="{waiting_hash}"),
         insert("decision", id="{fresh2}", item_id="{waiting}", seq=2, review_id="{fresh}", text_hash="{waiting_hash}"),
         moved("{waiting}", "{fresh2}")),
    said("a release, its message and the note on the item", insert("release"),
         insert("outbox", item_id="{ripe}", event="released", decision_id="{ripe_decision}", release_id="{fresh}"),
         "UPDATE item SET leaves_at = NULL, released_at = {now}, audit_seq = audit_seq + 1 WHERE id = '{ripe}'"),
    said("a rejection that is told", insert("outbox"), insert("outbox_content"),
         "UPDATE outbox SET delivered_at = 1, attempts = 1 WHERE item_id = '{refused}'",
         "DELETE FROM outbox_content WHERE outbox_seq = (SELECT max(seq) FROM outbox)"),
    said("a recall", insert("recall"), "UPDATE item SET recalled_at = {now}, label = 'approve' WHERE id = '{sent}'",
         insert("outbox", **(TOLD | {"event": "recalled"}))),
    said("an erasure after its event", insert("audit", action="item.erased"), insert("erasure")),
    said("an erasure", "UPDATE item_content SET salt = NULL, prompt = NULL, output = NULL WHERE item_id = '{wiped}'",
         "UPDATE review_content SET text = NULL, note = NULL WHERE review_id = '{wiped_review}'",
         "UPDATE outbox_content SET payload = NULL WHERE outbox_seq = {wiped_seq}"),
    said("routing", "UPDATE item SET routed_at = {now}, risk = 0.5 WHERE id = '{unrouted}'"),
    said("a lease", "UPDATE item SET lease_by = {bo}, lease_until = 1, lease_n = lease_n + 1 WHERE id = '{held}'"),
    said("an audit event and a seal", insert("audit"), insert("seal")),
    said("the next rubric and definition of bad", insert("rubric"), insert("bad_definition")),
    said("a certificate, and its voiding", insert("certificate"),
         "UPDATE certificate SET voided_at = 5, void_reason = 'A new model.' WHERE id = '{cert}'"),
]  # fmt: skip


@pytest.mark.parametrize("statements", ACCEPTED)
def test_the_honest_way_is_open(door: Door, statements: tuple[str, ...]) -> None:
    before = door.everything()

    for statement in statements:
        door.attempt(statement.format(**door.names))

    assert door.everything() != before


def refused(door: Door, statements: tuple[str, ...]) -> None:
    """Run the steps that lead up to it, then the lie: it is refused and changes nothing."""
    *steps, lie = [statement.format(**door.names) for statement in statements]
    for step in steps:
        door.attempt(step)
    before = door.everything()

    with pytest.raises(REFUSALS):
        door.attempt(lie)

    assert door.everything() == before


OTHER = {"item_id": "{held2}", "text_hash": "{held2_hash}"}
UNDONE_AGAIN = {"item_id": "{undone}", "decision_id": "{undone_decision}", "text_hash": "{undone_hash}"}
RELEASES = [
    said("of a held item", insert("release", item_id="{held}", text_hash="{held_hash}")),
    said("of a held item under another item's decision", insert("release", item_id="{held}")),
    said("of a held item under a decision that did not move it", insert("decision"),
         insert("release", id="{fresh2}", item_id="{held}", decision_id="{fresh}", text_hash="{held_hash}")),
    said("under a decision that is not there", insert("release", decision_id="{fresh2}")),
    said("of a rejected item", insert("release", item_id="{refused}", decision_id="{refused_decision}", text_hash="")),
    said("of a rejected item with its output", insert("release", item_id="{refused}", decision_id="{refused_decision}",
         text_hash="{refused_hash}")),
    said("of a lapsed item", insert("release", item_id="{lapsed}", decision_id="{fresh2}", text_hash="{lapsed_hash}")),
    said("during grace", insert("release", item_id="{waiting}", decision_id="{waiting_decision}",
         text_hash="{waiting_hash}")),
    said("of an undone item", insert("release", **UNDONE_AGAIN)),
    said("of a retracted decision before the item went back", insert("retraction"), insert("release",
         item_id="{waiting}", decision_id="{waiting_decision}", text_hash="{waiting_hash}", at="={waiting_final}")),
    said("of a sample", insert("release", item_id="{sample}", decision_id="{sample_decision}",
         text_hash="{sample_hash}")),
    said("of a sample that claims no gate", insert("release", item_id="{sample}", origin="sample",
         decision_id="{sample_decision}", text_hash="{sample_hash}")),
    said("of a label of the past", insert("release", item_id="{history}", text_hash="{history_hash}")),
    said("of a test of reviewers", insert("release", item_id="{gold}", text_hash="{gold_hash}")),
    said("with the hash of another text", insert("release", text_hash=HASH)),
    said("of a correction with the output's hash", insert("release", item_id="{fixed}", decision_id="{fixed_decision}",
         text_hash="{fixed_hash}")),
    said("twice", insert("release", item_id="{sent}", decision_id="{sent_decision}", text_hash="{sent_hash}")),
    said("twice in one transaction", insert("release"), insert("release", id="{fresh2}")),
    said("that does not release", insert("release", releases=False)),
    said("with no id", insert("release", id=None)),
    said("with no item", insert("release", item_id=None)),
    said("with no decision", insert("release", decision_id=None)),
    said("with no hash", insert("release", text_hash=None)),
    said("with no time", insert("release", at=None)),
    said("that is rewritten", "UPDATE release SET text_hash = '" + HASH + "' WHERE item_id = '{sent}'"),
    said("that gets another key", "UPDATE release SET id = '{fresh}' WHERE item_id = '{sent}'"),
    said("that is handed to another item", "UPDATE release SET item_id = '{held}' WHERE item_id = '{sent}'"),
    said("that is deleted", "DELETE FROM release WHERE item_id = '{sent}'"),
    said("that is deleted with all others", "DELETE FROM release"),
    said("by an upsert", insert("release", id="{sent_release}") + " ON CONFLICT (id) DO UPDATE SET at = 1"),
]  # fmt: skip


@pytest.mark.parametrize("statements", RELEASES)
def test_no_release(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


MOVE = moved("{held}", "{fresh}")
DECISIONS = [
    said("a second one", insert("decision"), insert("decision", id="{fresh2}", seq=2, review_id="{second}")),
    said("a second one by another review", insert("decision"), insert("decision", id="{fresh2}", seq=2,
         review_id="{fix}", status="corrected", verdict="correct", text_hash="f" * 64)),
    said("a second one of an item that was decided", insert("decision", item_id="{ripe2}", seq=2, status="rejected",
         review_id="{ripe2_doubt}", verdict="reject", releases=False, text_hash="", actor="person:{cy}")),
    said("without a review", insert("decision", review_id=None)),
    said("without a review and a verdict", insert("decision", review_id=None, verdict=None)),
    said("with a review that is not there", insert("decision", review_id="{fresh2}")),
    said("with a review of another item", insert("decision", review_id="{opinion2}")),
    said("with a review of another item, and its person", insert("decision", review_id="{opinion2}",
         actor="person:{cy}")),
    said("by one person with another's review", insert("decision", actor="person:{cy}")),
    said("by an operator", insert("decision", actor="operator:root")),
    said("by an application with a person's review", insert("decision", actor="source:{source}")),
    said("on a second opinion", insert("decision", review_id="{second}", actor="person:{cy}")),
    said("with another verdict than the review's", insert("decision", review_id="{doubt}")),
    said("with the verdict of the review and another status", insert("decision", status="approved", verdict="reject",
         review_id="{doubt}", text_hash="{held_hash}")),
    said("approved on a rejection, without a text", insert("decision", verdict="reject", review_id="{doubt}",
         text_hash="")),
    said("with another text than the review's", insert("decision", text_hash=HASH)),
    said("corrected with the approved text", insert("decision", status="corrected", verdict="correct",
         review_id="{fix}")),
    said("rejected and releasing", insert("decision", status="rejected", verdict="reject", review_id="{doubt}",
         text_hash="")),
    said("approved and not releasing", insert("decision", releases=False)),
    said("in words of another case", insert("decision", status="Approved")),
    said("by a robot", insert("decision", by="robot", actor="robot")),
    said("by nobody", insert("decision", by=None)),
    said("by a source, approved", insert("decision", **(WITHDRAWAL | {"status": "approved", "releases": True,
         "text_hash": "{calm_hash}"}))),
    said("by a source that did not submit it", insert("decision", **(WITHDRAWAL | {"actor": "source:{other_source}"}))),
    said("lapsed with a text to send", insert("decision", **(LAPSE | {"releases": True, "text_hash": "{calm_hash}"}))),
    said("lapsed on a review", insert("decision", **(LAPSE | {"item_id": "{held}", "review_id": "{opinion}"}))),
    said("of a label of the past", insert("decision", item_id="{history}", text_hash="{history_hash}")),
    said("out of order", insert("decision", seq=7)),
    said("before the first", insert("decision", seq=0)),
    said("final before it was made", insert("decision", final_at=1)),
    said("on a review that an undone decision used", insert("decision", item_id="{undone}", seq=2,
         review_id="{undone_review}", text_hash="{undone_hash}")),
    said("that is rewritten", "UPDATE decision SET final_at = 0 WHERE item_id = '{waiting}'"),
    said("that moves to another item", "UPDATE decision SET item_id = '{held}' WHERE item_id = '{ripe}'"),
    said("that is deleted", "DELETE FROM decision WHERE item_id = '{waiting}'"),
    said("by an upsert", insert("decision", id="{waiting_decision}") + " ON CONFLICT (id) DO UPDATE SET seq = 9"),
    said("by the policy without a certificate", insert("decision", **(POLICY | {"certificate_id": None}))),
    said("by the policy under a certificate that is not there", insert("decision", **POLICY | {"certificate_id":
         "{fresh2}"})),
    *[said(f"by the policy under {what}", insert("decision", **(POLICY | {"certificate_id": "{" + name + "}"})))
      for what, name in (("a voided certificate", "cert_void"), ("an expired certificate", "cert_expired"),
                         ("a certificate of tomorrow", "cert_future"), ("another model's certificate", "cert_model"),
                         ("another workflow's certificate", "cert_flow"))],
    said("by the policy under an expired certificate, dated back", insert("decision", **(POLICY | {"certificate_id":
         "{cert_expired}", "decided_at": 1, "final_at": 1}))),
    *[said(f"by the policy, of {what}", insert("decision", **(POLICY | {"item_id": "{" + name + "}", "text_hash":
           "{" + name + "_hash}"})))
      for what, name in (("a risky item", "risky"), ("an item of the audit panel", "drawn"),
                         ("an item of a new prompt version", "prompted"), ("an item that was not routed", "unrouted"),
                         ("an item of another risk model", "new_risk"), ("an item of another policy", "new_policy"),
                         ("an item without a risk", "unscored"))],
    said("by the policy with another text", insert("decision", **(POLICY | {"text_hash": HASH}))),
    said("by the policy, corrected", insert("decision", **(POLICY | {"status": "corrected"}))),
    said("by the policy in a person's name", insert("decision", **(POLICY | {"actor": "person:{bo}"}))),
    said("by a person under a certificate", insert("decision", certificate_id="{cert}")),
]  # fmt: skip


@pytest.mark.parametrize("statements", DECISIONS)
def test_no_decision(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


LIES_ABOUT_STATUS = [
    said("without a decision", "UPDATE item SET status = 'approved' WHERE id = '{held}'"),
    said("with a decision that is not there", MOVE),
    said("with another item's decision", moved("{held}", "{ripe_decision}")),
    said("with its retracted decision", moved("{undone}", "{undone_decision}")),
    said("with another status than its decision's", insert("decision"), moved("{held}", "{fresh}",
         status="'corrected'")),
    said("to something that leaves later than its decision says", insert("decision"), moved("{held}", "{fresh}",
         leaves_at="{now} + 1")),
    said("to something that never leaves", insert("decision"), moved("{held}", "{fresh}", leaves_at="NULL")),
    said("as if by another kind", insert("decision"), moved("{held}", "{fresh}", decided_by="'policy'")),
    said("as if by nobody", insert("decision"), moved("{held}", "{fresh}", decided_by="NULL")),
    said("at another time than its decision's", insert("decision"), moved("{held}", "{fresh}", decided_at="1")),
    said("without naming its decision", insert("decision"), moved("{held}", "{fresh}", decision_id="NULL")),
    said("to a word that is none", insert("decision"), moved("{held}", "{fresh}", status="'APPROVED'")),
    said("to nothing", "UPDATE item SET status = NULL WHERE id = '{held}'"),
    said("to a label of the past", "UPDATE item SET status = 'recorded', origin = 'history' WHERE id = '{held}'"),
    said("of a held item that keeps its status and gets a decision",
         "UPDATE item SET decision_id = '{ripe_decision}' WHERE id = '{held}'"),
    said("from approved to rejected", "UPDATE item SET status = 'rejected' WHERE id = '{waiting}'"),
    said("back to held without a retraction", HELD_AGAIN),
    said("back to held by half", insert("retraction"), "UPDATE item SET status = 'held', decision_id = NULL"
         " WHERE id = '{waiting}'"),
    said("of a label of the past", "UPDATE item SET status = 'held' WHERE id = '{history}'"),
    said("of who decided it", "UPDATE item SET decided_by = 'policy' WHERE id = '{waiting}'"),
    said("of when it was decided", "UPDATE item SET decided_at = 1 WHERE id = '{waiting}'"),
    said("of when it leaves", "UPDATE item SET leaves_at = 1 WHERE id = '{waiting}'"),
    said("that it has left", "UPDATE item SET leaves_at = NULL WHERE id = '{waiting}'"),
    said("that it has not left", "UPDATE item SET leaves_at = 1 WHERE id = '{sent}'"),
    said("that it was released", "UPDATE item SET released_at = {now} WHERE id = '{ripe}'"),
    said("that a held one was released", "UPDATE item SET released_at = {now} WHERE id = '{held}'"),
    said("that it was not released", "UPDATE item SET released_at = NULL WHERE id = '{sent}'"),
    said("that it was released at another time", "UPDATE item SET released_at = 1 WHERE id = '{sent}'"),
    said("that it was recalled", "UPDATE item SET recalled_at = {now} WHERE id = '{sent}'"),
    said("that it was not recalled", "UPDATE item SET recalled_at = NULL WHERE id = '{recalled}'"),
    said("that its label is another", "UPDATE item SET label = 'reject' WHERE id = '{sent}'"),
    said("that a held one has a label", "UPDATE item SET label = 'correct' WHERE id = '{held2}'"),
]  # fmt: skip


@pytest.mark.parametrize("statements", LIES_ABOUT_STATUS)
def test_no_lie_about_a_status(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


ITEM_LIES = [
    said("born approved", insert("item", status="approved")),
    said("born with a decision", insert("item", status="approved", decision_id="{ripe_decision}")),
    said("born held with a decision", insert("item", decision_id="{ripe_decision}")),
    said("born released", insert("item", released_at="={now}")),
    said("born about to leave", insert("item", leaves_at=1)),
    said("born decided by a person", insert("item", decided_by="human")),
    said("born decided at a time", insert("item", decided_at=1)),
    said("born with a label", insert("item", label="approve")),
    said("born of the past and held", insert("item", origin="history")),
    said("born recorded at the gate", insert("item", status="recorded")),
    said("inserted twice", insert("item", id="{held}")),
    said("inserted twice by its name", insert("item", external_id="held", source_id="={source}")),
    said("upserted", insert("item", id="{held}") + " ON CONFLICT (id) DO UPDATE SET model = 'x'"),
    said("deleted", "DELETE FROM item WHERE id = '{held2}'"),
    *[said(f"with another {column}", f"UPDATE item SET {column} = {value} WHERE id = '{{held}}'")
      for column, value in {
          "id": "'{fresh}'", "workflow_id": "{other_flow}", "source_id": "{other_source}", "external_id": "'x'",
          "origin": "'sample'", "model": "'x'", "created_at": "1", "output_hash": f"'{HASH}'",
          "content_hash": f"'{HASH}'", "prompt_version": "'x'", "prompt_hash": "NULL", "parameters": "'x'",
          "trace_url": "'x'", "cost_micro": "1", "latency_ms": "1", "prompt_tokens": "1", "completion_tokens": "1",
          "panel_u": "0.01", "panel_rate": "0.9", "panel": "TRUE", "rubric_version": "7", "end_user": "'x'",
      }.items()],
    said("of another origin, for a release", "UPDATE item SET origin = 'gate' WHERE id = '{sample}'"),
    *[said(f"routed twice, with another {column}", f"UPDATE item SET {column} = {value} WHERE id = '{{calm}}'")
      for column, value in {
          "routed_at": "1", "stratum": "'x'", "inclusion": "0.5", "risk": "0.0", "risk_version": "'x'",
          "policy_version": "7", "would_release": "TRUE",
      }.items()],
    said("unrouted again", "UPDATE item SET routed_at = NULL WHERE id = '{calm}'"),
    said("scored without being routed", "UPDATE item SET risk = 0.0 WHERE id = '{unrouted}'"),
    said("with leases counted down", "UPDATE item SET lease_n = 0 WHERE id = '{ripe}'"),
    said("with audit events counted down", "UPDATE item SET audit_seq = 1 WHERE id = '{ripe}'"),
]  # fmt: skip


@pytest.mark.parametrize("statements", ITEM_LIES)
def test_no_item(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


AGAIN = {"item_id": "{wiped}", "erased_by": "person:1", "at": "={wiped_erased}"}
TEXTS = [
    *[said(f"a {column} rewritten", f"UPDATE item_content SET {column} = 'x' WHERE item_id = '{{held}}'")
      for column in ("salt", "prompt", "output", "context", "metadata")],
    said("a prompt in another form", "UPDATE item_content SET prompt_is_chat = TRUE WHERE item_id = '{held}'"),
    said("an output rewritten beside an erasure", "UPDATE item_content SET output = 'x' WHERE item_id = '{wiped}'"),
    said("a prompt in another form beside an erasure",
         "UPDATE item_content SET prompt_is_chat = TRUE WHERE item_id = '{wiped}'"),
    said("a text put back after its erasure", "UPDATE item_content SET salt = NULL, output = NULL WHERE item_id ="
         " '{wiped}'", "UPDATE item_content SET salt = 's', output = 'x' WHERE item_id = '{wiped}'"),
    said("a text that goes while its salt stays", "UPDATE item_content SET output = NULL WHERE item_id = '{wiped}'"),
    said("a salt that goes while its text stays", "UPDATE item_content SET salt = NULL WHERE item_id = '{wiped}'"),
    said("a text that goes without an erasure",
         "UPDATE item_content SET output = NULL, salt = NULL WHERE item_id = '{sent}'"),
    said("a text with another item's erasure",
         "UPDATE item_content SET item_id = '{wiped}', output = NULL, salt = NULL WHERE item_id = '{sent}'"),
    said("a text that moves to another item", "UPDATE item_content SET item_id = '{fresh}' WHERE item_id = '{held}'"),
    said("a text that is deleted", "DELETE FROM item_content WHERE item_id = '{held}'"),
    said("a text that is deleted beside an erasure", "DELETE FROM item_content WHERE item_id = '{wiped}'"),
    said("a text upserted", insert("item_content", item_id="{held}") + " ON CONFLICT (item_id) DO UPDATE SET"
         " output = 'x'"),
    said("a correction rewritten", "UPDATE review_content SET text = 'x' WHERE review_id = '{fixed_review}'"),
    said("a correction that goes", "UPDATE review_content SET text = NULL WHERE review_id = '{fixed_review}'"),
    said("a note rewritten", "UPDATE review_content SET note = 'x' WHERE review_id = '{fixed_review}'"),
    said("a correction rewritten beside an erasure",
         "UPDATE review_content SET text = 'x' WHERE review_id = '{wiped_review}'"),
    said("a correction that moves", "UPDATE review_content SET review_id = '{fix}' WHERE review_id = '{fixed_review}'"),
    said("a correction that is deleted", "DELETE FROM review_content WHERE review_id = '{fixed_review}'"),
    said("a correction of an approval", insert("review_content", review_id="{opinion}")),
    said("a correction of a rejection", insert("review_content", review_id="{doubt}")),
    said("a correction without a text", insert("review_content", text=None, note="Because.")),
    said("a correction of no review", insert("review_content", review_id="{fresh}")),
    said("a second correction", insert("review_content", review_id="{fixed_review}")),
    said("a message rewritten", "UPDATE outbox_content SET payload = 'x' WHERE outbox_seq = {sent_seq}"),
    said("a message that goes before it is delivered",
         "UPDATE outbox_content SET payload = NULL WHERE outbox_seq = {sent_seq}"),
    said("a message rewritten beside an erasure",
         "UPDATE outbox_content SET payload = 'x' WHERE outbox_seq = {wiped_seq}"),
    said("a delivered message rewritten", "UPDATE outbox_content SET payload = 'x' WHERE outbox_seq = {recalled_seq}"),
    said("a message deleted before it is delivered", "DELETE FROM outbox_content WHERE outbox_seq = {sent_seq}"),
    said("a message that moves", "UPDATE outbox_content SET outbox_seq = 999, payload = NULL"
         " WHERE outbox_seq = {recalled_seq}"),
    said("an end user that goes without an erasure", insert("item", end_user="u"),
         "UPDATE item SET end_user = NULL WHERE id = '{fresh}'"),
    said("an end user put in beside an erasure", "UPDATE item SET end_user = 'x' WHERE id = '{wiped}'"),
    said("an erasure rewritten", "UPDATE erasure SET reason = 'x'"),
    said("an erasure deleted", "DELETE FROM erasure"),
    said("a second erasure", insert("erasure", **AGAIN)),
    said("an erasure without an event", insert("erasure")),
    said("an erasure after another event", insert("audit"), insert("erasure")),
    said("an erasure after an event that is not its last", insert("audit", action="item.erased"),
         insert("audit", seq="={held_next} + 1", prev=HASH, hash="b" * 64), insert("erasure")),
    said("an erasure by somebody else than its event says", insert("audit", action="item.erased"),
         insert("erasure", erased_by="person:{cy}")),
    said("an erasure with another item's event", insert("audit", action="item.erased"),
         insert("erasure", item_id="{held2}")),
]  # fmt: skip


@pytest.mark.parametrize("statements", TEXTS)
def test_no_change_to(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


VERDICTS = [
    said("approved text that is not the output", insert("review", text_hash=HASH)),
    said("approved text of another item", insert("review", text_hash="{held2_hash}")),
    said("a correction that equals the output", insert("review", verdict="correct")),
    said("a correction without a text", insert("review", verdict="correct", text_hash="")),
    said("a rejection with a text", insert("review", verdict="reject")),
    said("an approval without a text", insert("review", text_hash="")),
    said("no text at all", insert("review", text_hash=None)),
    said("a word that is no verdict", insert("review", verdict="fine")),
    said("a verdict in another case", insert("review", verdict="Approve")),
    said("an item that is not there", insert("review", item_id="{fresh2}")),
    said("another workflow than the item's", insert("review", workflow_id="={other_flow}")),
    said("nobody", insert("review", person_id=None)),
    said("nobody, as an adjudication", insert("review", person_id=None, purpose="adjudication")),
    said("a person who is not there", insert("review", person_id=999_999)),
    said("a person whose account is disabled", insert("review", person_id="={gone}")),
    said("a person, on a label of the past", insert("review", item_id="{history}", text_hash="{history_hash}",
         purpose="history")),
    said("the same click twice", insert("review", client_id="click-sent")),
    said("the same id twice", insert("review", id="{opinion}")),
    said("another verdict later", "UPDATE review SET verdict = 'reject', text_hash = '' WHERE id = '{opinion}'"),
    said("another person later", "UPDATE review SET person_id = {cy} WHERE id = '{opinion}'"),
    said("other reasons later", "UPDATE review SET reasons = '[1]' WHERE id = '{sent_review}'"),
    said("nothing any more", "DELETE FROM review WHERE id = '{opinion}'"),
    said("something else, by an upsert", insert("review", id="{opinion}")
         + " ON CONFLICT (id) DO UPDATE SET reviewer = 'x'"),
]  # fmt: skip


@pytest.mark.parametrize("statements", VERDICTS)
def test_no_verdict_says(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


LEAVING = [
    said("an undo after the release", insert("retraction", decision_id="{sent_decision}", item_id="{sent}")),
    said("an undo after the message alone", insert("retraction", decision_id="{rejected_decision}",
         item_id="{rejected}")),
    said("an undo in the transaction of the release", insert("release"),
         insert("retraction", decision_id="{ripe_decision}", item_id="{ripe}")),
    said("an undo of another item", insert("retraction", item_id="{held}")),
    said("an undo of no decision", insert("retraction", decision_id="{fresh}")),
    said("an undo twice", insert("retraction", decision_id="{undone_decision}", item_id="{undone}")),
    said("an undo by somebody else", insert("retraction", person_id="={cy}")),
    said("an undo by nobody", insert("retraction", person_id=None)),
    said("an undo of the policy's decision", insert("decision", **POLICY),
         moved("{calm}", "{fresh}", decided_by="'policy'"),
         insert("retraction", decision_id="{fresh}", item_id="{calm}")),
    said("an undo rewritten", "UPDATE retraction SET person_id = {cy}"),
    said("an undo deleted", "DELETE FROM retraction"),
    said("a message that something was released, without a release", insert("outbox", item_id="{ripe}",
         event="released", decision_id="{ripe_decision}")),
    said("a message that something was released, with another's release", insert("outbox", item_id="{ripe}",
         event="released", decision_id="{ripe_decision}", release_id="{sent_release}")),
    said("a message that something was released, of a rejected item", insert("outbox", event="released",
         release_id="{sent_release}")),
    said("a message that something was rejected, of an approved item", insert("outbox", item_id="{ripe}",
         decision_id="{ripe_decision}")),
    said("a message that something was rejected, of a held item", insert("outbox", item_id="{held}")),
    said("a message that something lapsed, of a rejected item", insert("outbox", event="lapsed")),
    said("a message of another item's decision", insert("outbox", decision_id="{rejected_decision}")),
    said("a message during grace", insert("outbox", item_id="{waiting}", event="approved",
         decision_id="{waiting_decision}")),
    said("a message of a rejection during grace", insert("decision", status="rejected", verdict="reject",
         review_id="{doubt}", text_hash="", releases=False, final_at="={now} + 1"),
         moved("{held}", "{fresh}", status="'rejected'", leaves_at="{now} + 1"),
         insert("outbox", item_id="{held}", decision_id="{fresh}")),
    said("a message of an undone verdict", insert("outbox", item_id="{undone}", event="released",
         decision_id="{undone_decision}")),
    said("a message to another application", insert("outbox", source_id="={other_source}")),
    said("a message of another workflow", insert("outbox", workflow_id="={other_flow}")),
    said("a message of a sample", insert("outbox", item_id="{sample}", decision_id="{sample_decision}")),
    said("a message with a word that is none", insert("outbox", event="approved")),
    said("a message twice", insert("outbox", **TOLD)),
    said("a message of a recall that was not", insert("outbox", **(TOLD | {"event": "recalled"}))),
    said("a message rewritten", "UPDATE outbox SET event = 'released' WHERE item_id = '{rejected}'"),
    said("a message handed to another application", "UPDATE outbox SET source_id = {other_source}"),
    said("a message renumbered", "UPDATE outbox SET seq = 0 WHERE seq = {sent_seq}"),
    said("a delivery to another workflow", insert("delivery", endpoint_id="={elsewhere}")),
    said("a delivery to another application", insert("delivery", endpoint_id="={strangers}")),
    said("a delivery of another item's message", insert("delivery", item_id="{rejected}")),
    said("a delivery of no message", insert("delivery", outbox_seq=999_999)),
    said("a delivery that has arrived at birth", insert("delivery", delivered_at="={now}")),
    said("a delivery that is given up at birth", insert("delivery", dead_at="={now}")),
    said("a delivery that was tried before it was written", insert("delivery", attempts=1)),
    said("a delivery sent elsewhere",
         "UPDATE delivery SET endpoint_id = {elsewhere} WHERE outbox_seq = {sent_seq} AND endpoint_id = {endpoint}"),
    said("a delivery that did arrive and now did not", insert("delivery"),
         "UPDATE delivery SET delivered_at = {now} WHERE endpoint_id = {spare}",
         "UPDATE delivery SET delivered_at = NULL WHERE endpoint_id = {spare}"),
    said("a delivery deleted", "DELETE FROM delivery"),
    said("an endpoint handed to another workflow", "UPDATE endpoint SET workflow_id = {other_flow}"),
    said("an endpoint of one application opened to all", "UPDATE endpoint SET source_id = NULL"),
    said("an endpoint deleted", insert("endpoint"), "DELETE FROM endpoint WHERE nonce = 'n'"),
    said("a message deleted", "DELETE FROM outbox WHERE seq = {sent_seq}"),
    said("a message that was never delivered", insert("outbox", delivered_at=1)),
    said("a message that is given up at birth", insert("outbox", dead_at=1)),
    said("a message that the feed would pass by", insert("outbox", xid=1)),
    said("a recall of what was not released", insert("recall", release_id="{fresh}", item_id="{held}")),
    said("a recall of another item", insert("recall", item_id="{held}")),
    said("a recall twice", insert("recall", release_id="{recalled_release}", item_id="{recalled}", review_id=None)),
    said("a recall by a person who is not there", insert("recall", person_id=999_999)),
    said("a recall on another item's review", insert("recall", review_id="{opinion}")),
    said("a recall before the release", insert("recall", at=1)),
    said("a recall without a reason", insert("recall", reason="")),
    said("a recall rewritten", "UPDATE recall SET reason = 'x'"),
    said("a recall deleted", "DELETE FROM recall"),
]  # fmt: skip


@pytest.mark.parametrize("statements", LEAVING)
def test_nothing_leaves_and_nothing_is_told_by(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


RECORDS = [
    said("an event edited", "UPDATE audit SET body = 'x' WHERE stream = '{held}'"),
    said("an event deleted", "DELETE FROM audit WHERE stream = '{held}'"),
    said("all events deleted", "DELETE FROM audit"),
    said("an event moved to another item", "UPDATE audit SET stream = '{fresh}' WHERE stream = '{held}'"),
    said("a fork", insert("audit", seq="={held_seq}", prev="")),
    said("a fork at the first", insert("audit", seq=1, prev="")),
    said("a gap", insert("audit", seq="={held_next} + 1")),
    said("an event before the first", insert("audit", seq=0)),
    said("an event of a negative number", insert("audit", seq=-1)),
    said("an event that follows another", insert("audit", prev=HASH)),
    said("an event that follows another item's", insert("audit", stream="{ripe}", seq="={ripe_next}")),
    said("a new chain that does not start at one", insert("audit", stream="{fresh}", seq=2)),
    said("an event without a place", insert("audit", seq=None)),
    said("an event that the seals would pass by", insert("audit", xid=-1)),
    said("an event upserted", insert("audit", seq="={held_seq}", prev="{held_head}")
         + " ON CONFLICT (stream, seq) DO UPDATE SET body = 'x'"),
    said("a seal edited", "UPDATE seal SET root = 'x'"),
    said("a seal deleted", "DELETE FROM seal"),
    said("a seal that follows none", insert("seal", prev="")),
    said("a seal that follows another", insert("seal", prev=HASH)),
    said("a seal over what is sealed", insert("seal", last_position="={seal_position}")),
    said("a rubric rewritten", "UPDATE rubric SET text = 'x'"),
    said("a rubric deleted", "DELETE FROM rubric"),
    said("a definition of bad rewritten", "UPDATE bad_definition SET minor_reasons = '[1]'"),
    said("a definition of bad deleted", "DELETE FROM bad_definition"),
    said("a certificate made milder", "UPDATE certificate SET threshold = 1 WHERE id = '{cert}'"),
    said("a certificate prolonged", "UPDATE certificate SET expires_at = {now} WHERE id = '{cert_expired}'"),
    said("a certificate of another model", "UPDATE certificate SET model = 'm' WHERE id = '{cert}'"),
    said("a certificate in force again", "UPDATE certificate SET voided_at = NULL WHERE id = '{cert_void}'"),
    said("a certificate voided at another time", "UPDATE certificate SET voided_at = 7 WHERE id = '{cert_void}'"),
    said("a certificate deleted", "DELETE FROM certificate"),
    said("a certificate inserted twice", insert("certificate", id="{cert}")),
]  # fmt: skip


@pytest.mark.parametrize("statements", RECORDS)
def test_no_record_is_touched_by(door: Door, statements: tuple[str, ...]) -> None:
    refused(door, statements)


ANY_ROWID = "(SELECT min(rowid) FROM {table})"
REPLACEMENTS = [
    *[said(f"{what} by its key", insert(table, "INSERT OR REPLACE", **changes))
      for what, table, changes in (
          ("an item", "item", {"id": "{held}", "external_id": "x"}),
          ("a rubric", "rubric", {"version": 1}),
          ("a definition of bad", "bad_definition", {"version": 1}),
          ("a text", "item_content", {"item_id": "{held}"}),
          ("a verdict", "review", {"id": "{second}"}),
          ("a correction", "review_content", {"review_id": "{fixed_review}"}),
          ("a decision", "decision", {"id": "{undone_decision}"}),
          ("a retraction", "retraction", {"decision_id": "{undone_decision}", "item_id": "{undone}"}),
          ("a release", "release", {"id": "{sent_release}"}),
          ("a recall", "recall", {"release_id": "{recalled_release}", "item_id": "{recalled}", "review_id": None}),
          ("a message", "outbox", {"seq": "={sent_seq}"}),
          ("a payload", "outbox_content", {"outbox_seq": "={sent_seq}"}),
          ("an erasure", "erasure", AGAIN),
          ("an endpoint", "endpoint", {"id": "={endpoint}"}),
          ("a delivery", "delivery", {"endpoint_id": "={endpoint}"}),
          ("a certificate", "certificate", {"id": "{cert_expired}"}),
          ("an event", "audit", {"seq": "={held_seq}", "prev": "{held_head}"}),
          ("a seal", "seal", {"n": 1}),
      )],
    *[said(f"{what} by another unique key", insert(table, "INSERT OR REPLACE", **changes))
      for what, table, changes in (
          ("an item by its name", "item", {"external_id": "held"}),
          ("a verdict by its click", "review", {"client_id": "click-sent"}),
          ("a decision by its number", "decision", {"item_id": "{undone}", "seq": 1, "review_id": "{opinion}"}),
          ("a release by its item", "release", {"item_id": "{sent}", "decision_id": "{sent_decision}",
                                                "text_hash": "{sent_hash}"}),
          ("a message by what it says", "outbox", TOLD),
          ("an event by its position", "audit", {"position": "={position}"}),
          ("an erasure by its number", "erasure", AGAIN | {"id": 1}),
          ("a message by its number", "outbox", {"seq": 1}),
      )],
    *[said(f"a row of {table} by its rowid", insert(table, "INSERT OR REPLACE",
           rowid="=" + ANY_ROWID.format(table=table)))
      for table in ("item", "item_content", "review", "review_content", "decision", "retraction", "release", "recall",
                    "outbox", "outbox_content", "endpoint", "delivery", "erasure",
                    "certificate", "rubric", "bad_definition", "audit", "seal")],
    *[said(f"a row of {table} by an update of its rowid",
           f"UPDATE OR REPLACE {table} SET rowid = (SELECT min(rowid) FROM {table}){more} WHERE rowid ="
           f" (SELECT max(rowid) FROM {table})")
      for table, more in (("item", ""), ("item_content", ", salt = NULL, output = NULL"), ("review", ""),
                          ("decision", ""), ("release", ""), ("outbox", ""), ("endpoint", ""),
                          ("delivery", ""), ("certificate", ""), ("audit", ""))],
    said("an erased text's neighbour by an update of its rowid", "UPDATE OR REPLACE item_content SET salt = NULL,"
         " output = NULL, rowid = (SELECT rowid FROM item_content WHERE item_id = '{held}') WHERE item_id = '{wiped}'"),
    said("an erased correction's neighbour by an update of its rowid", "UPDATE OR REPLACE review_content SET text ="
         " NULL, note = NULL, rowid = (SELECT min(rowid) FROM review_content) WHERE review_id = '{wiped_review}'"),
    said("a held item by an update of its neighbour's key", "UPDATE OR REPLACE item SET id = '{held}'"
         " WHERE id = '{held2}'"),
    said("a release by an update of its neighbour's key", "UPDATE OR REPLACE release SET id = '{sent_release}'"
         " WHERE item_id = '{recalled}'"),
    said("a status that becomes nothing", "UPDATE OR REPLACE item SET status = NULL WHERE id = '{held}'"),
    said("what may not be by ignoring", insert("release", "INSERT OR IGNORE", item_id="{held}")),
    said("what may not be by failing", insert("release", "INSERT OR FAIL", item_id="{held}")),
    said("an event slipped in behind the seal", insert("audit", position=-7)),
]  # fmt: skip


@pytest.mark.parametrize("statements", REPLACEMENTS)
def test_sqlite_replaces_nothing(sqlite_door: Door, statements: tuple[str, ...]) -> None:
    refused(sqlite_door, statements)


PROTECTED = sorted({guard.table for guard in GUARDS})


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_no_two_guards_have_one_name(engine: str) -> None:
    names = [guard.trigger for guard in GUARDS if guard.is_for(engine)]

    assert [name for name in set(names) if names.count(name) > 1] == []


@pytest.mark.parametrize("table", PROTECTED)
def test_postgresql_empties_nothing(postgres_door: Door, table: str) -> None:
    refused(postgres_door, (f"TRUNCATE {table} CASCADE",))


@pytest.mark.parametrize("table", ["item", "decision", "retraction", "certificate"])
def test_a_temporary_table_of_the_same_name_fools_no_guard(door: Door, table: str) -> None:
    door.run(f"CREATE TEMP TABLE {table} AS SELECT * FROM {'public' if door.postgres else 'main'}.{table}")
    door.run(f"DELETE FROM {'pg_temp' if door.postgres else 'temp'}.{table}")
    lie = insert("release", item_id="{waiting}", decision_id="{waiting_decision}", text_hash="{waiting_hash}")

    refused_here(door, lie)


def test_a_temporary_table_cannot_vouch_for_a_lie(door: Door) -> None:
    mine = "pg_temp" if door.postgres else "temp"
    door.run(f"CREATE TEMP TABLE decision AS SELECT * FROM {'public' if door.postgres else 'main'}.decision")
    door.run(f"UPDATE {mine}.decision SET final_at = 0")
    lie = insert("release", item_id="{waiting}", decision_id="{waiting_decision}", text_hash="{waiting_hash}")

    refused_here(door, lie)


def refused_here(door: Door, lie: str) -> None:
    with pytest.raises(REFUSALS):
        door.attempt(lie.format(**door.names))


def test_an_undo_and_a_release_in_two_transactions_cannot_both_pass(
    postgres_door: Door, worlds: dict[str, World]
) -> None:
    names = postgres_door.names
    release = insert("release", item_id="{waiting}", decision_id="{waiting_decision}", text_hash="{waiting_hash}",
                     at="={waiting_final}")  # fmt: skip
    postgres_door.run(insert("retraction").format(**names))
    url = worlds["postgresql"].database.url.set(drivername="postgresql").render_as_string(hide_password=False)

    with psycopg.connect(url) as second, pytest.raises(psycopg.errors.LockNotAvailable):
        second.execute("SET lock_timeout = '300ms'")
        second.execute(release.format(**names))  # waits for the first, instead of passing beside it
