"""Where applications are told: owners add an endpoint to a workflow, pause it, give it a new secret, or remove it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.tables import PausedFor, Role
from neuro_review import outbound, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.deliveries import messages, signing
from neuro_review.deliveries.claims import CLAIM_LASTS, says
from neuro_review.errors import ConflictError, InvalidError, NotFoundError
from neuro_review.outbound import OutboundError

OVERLAP = DAY
"""How long messages carry the signature of the secret before as well."""
MOST_ENDPOINTS = 20


@dataclass(frozen=True)
class NewSecret:
    """A secret that was just made; its text is nowhere else."""

    url: str
    workflow: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as the verbs need it."""

    id: int
    workflow_id: int
    workflow: str
    url: str
    nonce: str = field(repr=False)
    paused_at: int | None
    paused_for: str | None
    removed_at: int | None


def add(session: Session, by: Actor, workflow_id: int, url: str, *, source_id: int | None = None) -> NewSecret:
    """Add an endpoint, which is told of everything from now on, and return its secret.

    With a source it is told of that application's items only.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: the workflow is put away, has this endpoint already, or too many.
        InvalidError: the address cannot be used, or the application does not submit here.
    """
    flow = workflows.take(session, by, workflow_id)
    if flow.archived_at is not None:
        raise ConflictError(f"The workflow “{flow.name}” is put away. Bring it back first.")
    url = outbound.check_url(url)
    there = _in_use(session, workflow_id)
    if any((one.url, one.source_id) == (url, source_id) for one in there):
        raise ConflictError("This workflow has this endpoint already. Give it a new secret instead.")
    if len(there) >= MOST_ENDPOINTS:
        raise ConflictError(f"A workflow has at most {MOST_ENDPOINTS} endpoints. Remove one first.")
    if source_id is not None and source_id not in applications(session, by, workflow_id):
        raise InvalidError("This application has no key for the workflow. Choose another one.", "source")
    nonce = signing.new_nonce()
    row = {"workflow": workflow_id, "source": source_id, "url": url, "nonce": nonce, "at": now()}
    endpoint_id = session.connection().execute(INSERT, row).scalar_one()
    facts = {"workflow": workflow_id, "source": source_id, "url": _hash(url)}
    record(session, f"endpoint/{endpoint_id}", by.audit_name, Action.ENDPOINT_ADDED, facts)
    return NewSecret(url, flow.name, signing.secret(nonce))


INSERT = sa.text(
    "INSERT INTO endpoint (workflow_id, source_id, url, nonce, created_at)"
    " VALUES (:workflow, :source, :url, :nonce, :at) RETURNING id"
)
APPLICATIONS = sa.text(
    "SELECT DISTINCT s.id, s.name FROM source s JOIN source_key k ON k.source_id = s.id WHERE k.workflow_id = :workflow"
    " ORDER BY s.name, s.id"
)


def applications(session: Session, by: Actor, workflow_id: int) -> dict[int, str]:
    """Return the applications with a key for a workflow, by id.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    return {row.id: row.name for row in session.connection().execute(APPLICATIONS, {"workflow": workflow_id})}


def readdress(session: Session, by: Actor, endpoint_id: int, url: str) -> None:
    """Give an endpoint another address; what waits goes there.

    Raises:
        NotAllowedError: not an owner of the workflow.
        InvalidError: the address cannot be used.
    """
    one = take(session, by, endpoint_id)
    url = outbound.check_url(url)
    if url != one.url:
        _set(session, by, one, "url = :url", {"url": _hash(url)}, url=url)


def rotate(session: Session, by: Actor, endpoint_id: int) -> NewSecret:
    """Give an endpoint a new secret and return it; for a day messages carry the signatures of both.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    one, nonce = take(session, by, endpoint_id), signing.new_nonce()
    _set(
        session, by, one, "nonce = :nonce, old_nonce = :old, old_until = :until", {"secret": "new"},
        nonce=nonce, old=one.nonce, until=now() + OVERLAP,
    )  # fmt: skip
    return NewSecret(one.url, one.workflow, signing.secret(nonce))


def end_overlap(session: Session, by: Actor, endpoint_id: int) -> None:
    """Stop signing with the secret before, at once: for one that got into the wrong hands.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    one = take(session, by, endpoint_id)
    _set(session, by, one, "old_nonce = NULL, old_until = NULL", {"secret": "new only"})


def pause(session: Session, by: Actor, endpoint_id: int) -> None:
    """Send nothing to an endpoint for a while; what happens meanwhile waits.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    one = take(session, by, endpoint_id)
    if one.paused_at is None:
        why = str(PausedFor.ASKED)
        _set(session, by, one, "paused_at = :at, paused_for = :why", {"paused": why}, at=now(), why=why)


def resume(session: Session, by: Actor, endpoint_id: int) -> None:
    """Send to an endpoint again, beginning with what waits.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    one = take(session, by, endpoint_id)
    if one.paused_at is not None:
        _set(session, by, one, "paused_at = NULL, paused_for = NULL", {"paused": None})


def remove(session: Session, by: Actor, endpoint_id: int) -> None:
    """Take an endpoint out of use for ever; what waits for it is not sent any more and stays in the feed.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    one = take(session, by, endpoint_id)
    _set(session, by, one, "removed_at = :at", {"removed": True}, at=now())


REPLAY = sa.text(
    "UPDATE delivery SET dead_at = NULL, attempts = 0, next_at = :at WHERE endpoint_id = :endpoint"
    " AND dead_at IS NOT NULL AND outbox_seq = coalesce(CAST(:seq AS BIGINT), outbox_seq)"
)


def replay(session: Session, by: Actor, endpoint_id: int, seq: int | None = None) -> int:
    """Send again what was given up, under its old id: one message, or all of an endpoint. Returns how many.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: nothing was given up, or the endpoint is paused.
    """
    _awake(session, by, endpoint_id, "send again what was given up")
    bound = {"at": now(), "endpoint": endpoint_id, "seq": seq}
    replayed = session.connection().execute(REPLAY, bound).rowcount
    if not replayed:
        raise ConflictError("Nothing is given up here any more; somebody has sent it again.")
    facts = {"message": seq, "messages": replayed}
    record(session, f"endpoint/{endpoint_id}", by.audit_name, Action.DELIVERY_REPLAYED, facts)
    return replayed


# One that is being sent at this moment is left alone: it would go out twice.
SEND_NOW = sa.text(
    "UPDATE delivery SET attempts = 0, next_at = :at WHERE endpoint_id = :endpoint AND delivered_at IS NULL"
    " AND dead_at IS NULL AND error IS NOT NULL AND next_at <> tried_at + :claim"
)


def send_waiting(session: Session, by: Actor, endpoint_id: int) -> int:
    """Send now what was tried in vain and rests until its next try, the latest hours away. Returns how many.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: nothing rests, or the endpoint is paused.
    """
    _awake(session, by, endpoint_id, "send what waits")
    bound = {"at": now(), "endpoint": endpoint_id, "claim": CLAIM_LASTS}
    sent = session.connection().execute(SEND_NOW, bound).rowcount
    if not sent:
        raise ConflictError("Nothing waits for another try here any more.")
    record(session, f"endpoint/{endpoint_id}", by.audit_name, Action.ENDPOINT_CHANGED, {"sent_now": sent})
    return sent


def _awake(session: Session, by: Actor, endpoint_id: int, then: str) -> None:
    """Take an endpoint to which something is to be sent, unless it is paused."""
    if take(session, by, endpoint_id).paused_at is not None:
        raise ConflictError(f"This endpoint is paused. Resume it first; then {then}.")


@dataclass(frozen=True)
class Tested:
    """How a test went."""

    arrived: bool
    sentence: str


def send_test(endpoint: Endpoint) -> Tested:
    """Send a message that is about no item to an endpoint and wait for the answer; outside of any transaction."""
    message = messages.test_message(endpoint.workflow)
    headers = signing.headers(message.webhook_id, message.body, [endpoint.nonce], now())
    try:
        reply = outbound.post(endpoint.url, message.body, headers)
    except (OutboundError, InvalidError) as error:
        return Tested(False, str(error))
    if 200 <= reply.status < 300:
        return Tested(True, f"The test arrived: answered {reply.status} after {reply.took_ms:,} ms.")
    return Tested(False, says(reply))


def note_test(session: Session, by: Actor, endpoint: Endpoint, tested: Tested) -> None:
    """Write down that a test was sent."""
    facts = {"test": tested.arrived}
    record(session, f"endpoint/{endpoint.id}", by.audit_name, Action.ENDPOINT_CHANGED, facts)


_ONE = (
    "SELECT e.id, e.workflow_id, w.name AS workflow, e.url, e.nonce, e.paused_at, e.paused_for, e.removed_at"
    " FROM endpoint e JOIN workflow w ON w.id = e.workflow_id WHERE e.id = :id"
)
LOCKED = {"sqlite": sa.text(_ONE), "postgresql": sa.text(_ONE + " FOR UPDATE OF e")}
IN_USE = sa.text("SELECT url, source_id FROM endpoint WHERE workflow_id = :workflow AND removed_at IS NULL")


def find(session: Session, by: Actor, endpoint_id: int) -> Endpoint:
    """Return an endpoint of a workflow that this person owns.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is none by that number, or it was removed.
    """
    return _checked(session.connection().execute(sa.text(_ONE), {"id": endpoint_id}).first(), by)


def take(session: Session, by: Actor, endpoint_id: int) -> Endpoint:
    """Return an endpoint to be changed, and let nobody else change it until the transaction ends.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is none by that number, or it was removed.
    """
    connection = session.connection()
    return _checked(connection.execute(LOCKED[connection.dialect.name], {"id": endpoint_id}).first(), by)


def _checked(row: Any, by: Actor) -> Endpoint:
    if row is None or row.removed_at is not None:
        raise NotFoundError("There is no such endpoint any more.")
    by.require(Role.OWNER, row.workflow_id)
    return Endpoint(**row._mapping)


def _in_use(session: Session, workflow_id: int) -> list[Any]:
    return list(session.connection().execute(IN_USE, {"workflow": workflow_id}))


def _set(session: Session, by: Actor, one: Endpoint, columns: str, facts: dict[str, Any], **values: Any) -> None:
    session.connection().execute(sa.text(f"UPDATE endpoint SET {columns} WHERE id = :id"), {**values, "id": one.id})
    record(session, f"endpoint/{one.id}", by.audit_name, Action.ENDPOINT_CHANGED, facts)


def _hash(url: str) -> str:
    """Return what the audit log keeps of an address, which may carry a password in its query."""
    return hashlib.sha256(url.encode()).hexdigest()
