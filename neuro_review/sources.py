"""Sources: the applications that hand outputs in, and the keys with which they do.

A key is 256 random bits behind `nr_`; the database holds its SHA-256, so it is shown once, when it is made. It belongs
to one application and one workflow, can submit and read what that application submitted, and can never decide.
"""

import hashlib
import secrets
import shlex
from dataclasses import dataclass, field

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError, NotFoundError, UnknownKeyError

PREFIX = "nr_"
# They name where files and the sample queue come from.
RESERVED = frozenset({workflows.IMPORT_SOURCE, workflows.SAMPLE_SOURCE})
NO_KEY = "This key is unknown or was revoked. Ask an owner of the workflow for a new one."


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; its text is nowhere else."""

    source: str
    workflow: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Key:
    """A key as it is listed: never its text."""

    id: int
    workflow_id: int
    workflow: str
    can_submit: bool
    can_read: bool
    created_at: int
    revoked_at: int | None

    @property
    def scopes(self) -> str:
        """Return what the key can do, in words."""
        can = [word for word, has in (("submit", self.can_submit), ("read", self.can_read)) if has]
        return f"can {' and '.join(can)}"


@dataclass(frozen=True)
class Source:
    """An application with keys."""

    id: int
    name: str
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Caller:
    """An application that has shown its key."""

    source_id: int
    source: str
    workflow_id: int
    can_submit: bool
    can_read: bool


LISTED = sa.text(
    "SELECT s.id AS source_id, s.name, k.id, k.workflow_id, w.name AS workflow, k.can_submit, k.can_read, k.created_at,"
    " k.revoked_at FROM source_key k JOIN source s ON s.id = k.source_id JOIN workflow w ON w.id = k.workflow_id"
    " ORDER BY lower(s.name), s.id, k.revoked_at IS NOT NULL, k.created_at DESC, k.id DESC"
)


def mine(session: Session, by: Actor) -> list[Source]:
    """Return the applications with keys for workflows that this person owns, by name; keys in use first.

    Raises:
        NotAllowedError: not an owner of anything.
    """
    by.require(Role.OWNER)
    keys: dict[tuple[int, str], list[Key]] = {}
    for row in session.connection().execute(LISTED):
        if by.may(Role.OWNER, row.workflow_id):
            keys.setdefault((row.source_id, row.name), []).append(
                Key(row.id, row.workflow_id, row.workflow, bool(row.can_submit), bool(row.can_read), row.created_at,
                    row.revoked_at)
            )  # fmt: skip
    return [Source(source_id, name, tuple(found)) for (source_id, name), found in keys.items()]


def add(
    session: Session, by: Actor, name: str, workflow_id: int, *, can_submit: bool = True, can_read: bool = True
) -> NewKey:  # fmt: skip
    """Add an application with a key for one workflow and return the key.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such workflow.
        ConflictError: there is an application of this name, or the workflow is put away.
        InvalidError: the name cannot be used, or the key could do nothing.
    """
    by.require(Role.OWNER, workflow_id)
    name = " ".join(name.split())
    check_text(name, "name")
    if not name or len(name) > 100:
        raise InvalidError("An application's name has 1 to 100 characters.", "name")
    if name.lower() in RESERVED:
        raise InvalidError(f"“{name}” is the house's own name for a source. Choose another one.", "name")
    if not (can_submit or can_read):
        raise InvalidError("A key that can neither submit nor read is of no use. Choose at least one.", "scopes")
    made = session.connection().execute(
        sa.text("INSERT INTO source (name, created_at) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING RETURNING id"),
        {"name": name, "at": now()},
    ).first()  # fmt: skip
    if made is None:
        raise ConflictError(
            f"There is an application “{name}” already. Choose another name; a new key for it is made on Sources."
        )
    record(session, f"source/{made.id}", by.audit_name, Action.SOURCE_ADDED, {"name": name})
    return _new_key(session, by, made.id, name, workflow_id, can_submit, can_read)


def replace(session: Session, by: Actor, key_id: int) -> NewKey:
    """Return a new key that can what another can; the other stays good until it is revoked.

    Raises:
        NotAllowedError: not an owner of the key's workflow.
        NotFoundError: there is no such key.
        ConflictError: the key was revoked, or its workflow is put away.
    """
    row = _key(session, by, key_id)
    if row.revoked_at is not None:
        raise ConflictError("This key was revoked. Take one that is in use, or add an application.")
    return _new_key(session, by, row.source_id, row.name, row.workflow_id, row.can_submit, row.can_read)


def _new_key(
    session: Session, by: Actor, source_id: int, source: str, workflow_id: int, can_submit: bool, can_read: bool
) -> NewKey:  # fmt: skip
    flow = workflows.by_id(session, workflow_id)
    if flow.archived_at is not None:
        raise ConflictError(f"The workflow “{flow.name}” is put away. Bring it back first.")
    key = PREFIX + secrets.token_urlsafe(32)
    row = {
        "source": source_id, "workflow": workflow_id, "hash": key_hash(key), "submit": bool(can_submit),
        "read": bool(can_read), "at": now(),
    }  # fmt: skip
    key_id = (
        session.connection()
        .execute(
            sa.text(
                "INSERT INTO source_key (source_id, workflow_id, key_hash, can_submit, can_read, created_at)"
                " VALUES (:source, :workflow, :hash, :submit, :read, :at) RETURNING id"
            ),
            row,
        )
        .scalar_one()
    )
    facts = {"key": key_id, "workflow": workflow_id, "submit": row["submit"], "read": row["read"]}
    record(session, f"source/{source_id}", by.audit_name, Action.SOURCE_CHANGED, facts)
    return NewKey(source, flow.name, key)


def revoke(session: Session, by: Actor, key_id: int) -> None:
    """Make a key worthless, at once and for ever; nothing happens where it was revoked already.

    Raises:
        NotAllowedError: not an owner of the key's workflow.
        NotFoundError: there is no such key.
    """
    row = _key(session, by, key_id)
    done = session.connection().execute(
        sa.text("UPDATE source_key SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL RETURNING id"),
        {"at": now(), "id": key_id},
    ).first()  # fmt: skip
    if done is not None:
        facts = {"revoked": key_id, "workflow": row.workflow_id}
        record(session, f"source/{row.source_id}", by.audit_name, Action.SOURCE_CHANGED, facts)


def _key(session: Session, by: Actor, key_id: int) -> sa.Row:  # type: ignore[type-arg]
    row = session.connection().execute(
        sa.text(
            "SELECT k.source_id, s.name, k.workflow_id, k.can_submit, k.can_read, k.revoked_at FROM source_key k"
            " JOIN source s ON s.id = k.source_id WHERE k.id = :id"
        ),
        {"id": key_id},
    ).first()  # fmt: skip
    if row is None:
        raise NotFoundError("There is no such key.")
    by.require(Role.OWNER, row.workflow_id)
    return row


CALLER = sa.text(
    "SELECT s.id, s.name, k.workflow_id, k.can_submit, k.can_read FROM source_key k JOIN source s"
    " ON s.id = k.source_id WHERE k.key_hash = :hash AND k.revoked_at IS NULL AND s.disabled_at IS NULL"
)


def caller(session: Session, key: str) -> Caller:
    """Return which application shows this key.

    Raises:
        UnknownKeyError: the key is unknown or was revoked.
    """
    row = session.connection().execute(CALLER, {"hash": key_hash(key)}).first()
    if row is None:
        raise UnknownKeyError(NO_KEY)
    return Caller(row.id, row.name, row.workflow_id, bool(row.can_submit), bool(row.can_read))


def key_hash(key: str) -> str:
    """Return what the database knows a key by."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def example(address: str, made: NewKey) -> str:
    """Return the call with which an application hands an output in, ready for a shell."""
    body = {"workflow": made.workflow, "model": "my-model", "prompt": "What was asked.", "output": "What it answered."}
    return " \\\n  ".join(
        (
            f"curl -X POST {shlex.quote(address + '/api/v1/items')}",
            f"-H {shlex.quote(f'Authorization: Bearer {made.key}')}",
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(orjson.dumps(body).decode())}",
        )
    )
