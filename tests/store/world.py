"""A small world with an item of every kind, and the doors through which an attacker with SQL comes."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import DAY, new_id, now
from db.engine import Database
from db.tables import Role, Table, Verdict
from neuro_review import access, audit, decisions, queue, releases, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from tests.helpers import make_item, note_erasure

OPERATOR = Actor("tests", "operator:tests")
REFUSALS = (sa.exc.IntegrityError, sqlite3.IntegrityError)


class Door:
    """A connection that can do what SQL can, in one transaction that is always rolled back."""

    def __init__(self, run: Callable[[str], Any], postgres: bool, names: dict[str, Any]) -> None:
        self.run = run
        self.postgres = postgres
        self.names = names
        run("BEGIN")

    def attempt(self, statement: str) -> None:
        """Run one statement; where it is refused nothing of it stays, and the transaction goes on."""
        if self.postgres:
            self.run("SAVEPOINT attempt")
        try:
            self.run(statement)
        except REFUSALS:
            if self.postgres:
                self.run("ROLLBACK TO SAVEPOINT attempt")
            raise

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table."""
        return {
            name: sorted((tuple(row) for row in self.run(f"SELECT * FROM {name}").fetchall()), key=repr)
            for name in Table.metadata.tables
        }


def ours(database: Database) -> Callable[[str], Any]:
    """Come in as our own code does: foreign keys are enforced."""
    connection = database.engine.raw_connection()
    if database.is_sqlite:
        return connection.driver_connection.execute  # type: ignore[union-attr,no-any-return]
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine.connect().exec_driver_sql


def stranger(database: Database) -> Callable[[str], Any]:
    """Come in with a plain shell: SQLite then enforces no foreign key."""
    return sqlite3.connect(database.path, isolation_level=None).execute


def vandal(database: Database) -> Callable[[str], Any]:
    """Come in with a shell that also switched the checks off."""
    run = stranger(database)
    run("PRAGMA ignore_check_constraints = ON")
    return run


class World:
    """Names for everything that is there, to be put into SQL as `{name}`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.names: dict[str, Any] = {"fresh": new_id(), "fresh2": new_id(), "house": "house"}
        with database.writing() as session:
            self._people(session)
            self._endpoint(session, "endpoint", self.flow.id)
        with database.writing() as session:
            self._items(session)
        time.sleep(0.005)  # the grace of the ripe ones ends
        with database.writing() as session:
            self._leave(session)
        with database.writing() as session:
            self.names["now"] = now()
            self.names["position"] = session.connection().exec_driver_sql("SELECT max(position) FROM audit").scalar()
            audit.seal(session)
            for row in session.connection().exec_driver_sql("SELECT hash, last_xid, last_position FROM seal").all():
                self.names |= {"seal": row.hash, "seal_xid": row.last_xid, "seal_position": row.last_position}

    def _people(self, session: Session) -> None:
        self.flow = workflows.add(session, OPERATOR, "support")
        self.other = workflows.add(session, OPERATOR, "other")
        ids = {
            name: access.add_person(session, OPERATOR, name, f"{name}@example.com", Role.OWNER, password_hash=None)
            for name in ("bo", "cy", "gone")
        }
        self.bo, self.cy = access.actor(session, ids["bo"]), access.actor(session, ids["cy"])
        session.connection().execute(sa.text("UPDATE person SET disabled_at = 1 WHERE id = :id"), {"id": ids["gone"]})
        for table, says in (("rubric", "text"), ("bad_definition", "minor_reasons")):
            insert_rows(session, table, f"workflow_id version {says} written_at written_by", [(1, 1, "[]", 1, "bo")])
        sources = {name: workflows.source_id(session, name) for name in ("tests", "others")}
        self.names |= ids | {"flow": self.flow.id, "other_flow": self.other.id}
        self.names |= {"source": sources["tests"], "other_source": sources["others"]}

    def _grace(self, session: Session, millis: int) -> None:
        session.connection().execute(
            sa.text("UPDATE workflow SET grace_ms = :grace WHERE id = :id"), {"grace": millis, "id": self.flow.id}
        )

    def _item(self, session: Session, name: str, **facts: Any) -> str:
        item_id = make_item(session, self.flow.id, output=f"The output of {name}.", external_id=name, **facts)
        self.names[name] = item_id
        self._hash(session, name)
        return item_id

    def _hash(self, session: Session, name: str) -> None:
        row = session.connection().execute(
            sa.text("SELECT output_hash FROM item WHERE id = :id"), {"id": self.names[name]}
        ).one()  # fmt: skip
        self.names[f"{name}_hash"] = row.output_hash

    def _decided(self, session: Session, name: str, verdict: Verdict, by: Actor | None = None, **facts: Any) -> None:
        item_id, by = self._item(session, name, **facts), by or self.bo
        lease = self._lease(session, item_id, by)
        opinion = Opinion(verdict, "Another text.", ["Tone"], "A note.", client_id=f"click-{name}")
        decided = decisions.decide(session, item_id, by, lease, opinion)
        row = session.connection().execute(
            sa.text("SELECT review_id, text_hash FROM decision WHERE id = :id"), {"id": decided.decision_id}
        ).one()  # fmt: skip
        self.names |= {
            f"{name}_decision": decided.decision_id, f"{name}_review": row.review_id, f"{name}_text": row.text_hash,
            f"{name}_final": decided.undo_until,
        }  # fmt: skip

    def _lease(self, session: Session, item_id: str, by: Actor) -> int:
        row = session.connection().execute(
            sa.text(
                "UPDATE item SET lease_by = :me, lease_until = :until, lease_n = lease_n + 1 WHERE id = :id"
                " RETURNING lease_n"
            ),
            {"me": by.person_id, "until": now() + queue.LEASE_LASTS, "id": item_id},
        ).one()  # fmt: skip
        return int(row.lease_n)

    def _items(self, session: Session) -> None:
        for name in ("held", "held2"):
            self._item(session, name)
        self._item(session, "gold", origin="gold")
        self._item(session, "history", origin="history")
        self._grace(session, 86_400_000)
        self._decided(session, "waiting", Verdict.APPROVE)
        self._decided(session, "undone", Verdict.APPROVE)
        decisions.undo(session, self.names["undone"], self.bo)
        self._grace(session, 1)
        for name, verdict in (("ripe", "approve"), ("ripe2", "approve"), ("fixed", "correct"), ("refused", "reject")):
            self._decided(session, name, Verdict(verdict))
        self._decided(session, "sample", Verdict.APPROVE, origin="sample")
        self._grace(session, 0)
        for name, verdict in (
            ("sent", "approve"),
            ("recalled", "correct"),
            ("rejected", "reject"),
            ("wiped", "correct"),
        ):
            self._decided(session, name, Verdict(verdict))
        self._item(session, "lapsed")
        releases.lapse(session, self.names["lapsed"])
        self._reviews(session)
        self._certificates(session)

    def _reviews(self, session: Session) -> None:
        """Add reviews that no decision rests on yet."""
        columns = (
            "id workflow_id item_id person_id reviewer purpose verdict text_hash reasons rubric_version reviewed_at"
            " created_at"
        )
        for name, item, person, purpose, verdict, text in (
            ("opinion", "held", "bo", "gate", "approve", "{held_hash}"),
            ("second", "held", "cy", "second", "approve", "{held_hash}"),
            ("fix", "held", "bo", "gate", "correct", "f" * 64),
            ("doubt", "held", "bo", "gate", "reject", ""),
            ("opinion2", "held2", "cy", "gate", "approve", "{held2_hash}"),
            ("answer", "gold", "bo", "gold", "approve", "{gold_hash}"),
            ("ripe2_doubt", "ripe2", "cy", "second", "reject", ""),
        ):
            self.names[name] = new_id()
            row = (
                self.names[name], self.flow.id, self.names[item], self.names[person], person, purpose, verdict,
                text.format(**self.names), "[]", 0, 1, 1,
            )  # fmt: skip
            insert_rows(session, "review", columns, [row])

    def _certificates(self, session: Session) -> None:
        routed = {"risk": 0.1, "risk_version": "r1", "policy_version": 1}
        self._item(session, "calm", model="m1", **routed)
        self._item(session, "risky", model="m1", **(routed | {"risk": 0.9}))
        self._item(session, "drawn", model="m1", panel=True, **routed)
        self._item(session, "prompted", model="m1", prompt_version="p2", **routed)
        self._item(session, "unrouted", model="m1", **(routed | {"routed_at": None}))
        self._item(session, "new_risk", model="m1", **(routed | {"risk_version": "r2"}))
        self._item(session, "new_policy", model="m1", **(routed | {"policy_version": 2}))
        self._item(session, "unscored", model="m1", policy_version=1)
        columns = (
            "id workflow_id model risk_version policy_version threshold tolerance confidence labels bad evidence"
            " issued_at expires_at voided_at"
        )
        issued, expires = now() - DAY, now() + DAY
        for name, flow, model, term in (
            ("cert", self.flow.id, "m1", (issued, expires, None)),
            ("cert_void", self.flow.id, "m1", (issued, expires, issued)),
            ("cert_expired", self.flow.id, "m1", (issued, issued + 1, None)),
            ("cert_future", self.flow.id, "m1", (expires, expires + DAY, None)),
            ("cert_model", self.flow.id, "m2", (issued, expires, None)),
            ("cert_flow", self.other.id, "m1", (issued, expires, None)),
        ):
            self.names[name] = new_id()
            row = (self.names[name], flow, model, "r1", 1, 0.2, 0.01, 0.95, 300, 0, "{}", *term)
            insert_rows(session, "certificate", columns, [row])

    def _endpoint(self, session: Session, name: str, flow: int, source: int | None = None) -> None:
        columns = "workflow_id source_id url nonce created_at"
        insert_rows(session, "endpoint", columns, [(flow, source, "https://example.com/", name, 1)])
        query = sa.text("SELECT id FROM endpoint WHERE nonce = :name")
        self.names[name] = session.connection().execute(query, {"name": name}).scalar_one()

    def _leave(self, session: Session) -> None:
        decisions.recall(
            session, self.names["recalled"], self.bo, reason="Wrong.", opinion=Opinion(Verdict.REJECT, reasons=["Tone"])
        )
        self.names["wiped_erased"] = note_erasure(session, self.names["wiped"])
        connection = session.connection()
        self.names["left"] = now()
        for name in ("sent", "recalled", "wiped"):
            row = connection.execute(
                sa.text("SELECT r.id, o.seq, r.at FROM release r JOIN outbox o ON o.release_id = r.id WHERE r.item_id = :id"),  # noqa: E501
                {"id": self.names[name]},
            ).first()  # fmt: skip
            assert row is not None
            self.names |= {f"{name}_release": row.id, f"{name}_seq": row.seq, f"{name}_at": row.at}
        for seq in (self.names["sent_seq"], self.names["wiped_seq"], self.names["recalled_seq"]):
            insert_rows(session, "outbox_content", "outbox_seq payload", [(seq, "The message.")])
        connection.execute(
            sa.text("UPDATE outbox SET delivered_at = 1 WHERE seq = :seq"), {"seq": self.names["recalled_seq"]}
        )
        # Made after all of it was told: nothing is on its way to these.
        self._endpoint(session, "spare", self.flow.id)
        self._endpoint(session, "elsewhere", self.other.id)
        self._endpoint(session, "strangers", self.flow.id, self.names["other_source"])
        for name in ("held", "ripe"):
            last = connection.execute(
                sa.text("SELECT seq, hash FROM audit WHERE stream = :id ORDER BY seq DESC LIMIT 1"),
                {"id": self.names[name]},
            ).one()  # fmt: skip
            self.names |= {f"{name}_seq": last.seq, f"{name}_next": last.seq + 1, f"{name}_head": last.hash}
