"""Invitations: a link with which somebody chooses a password, used once and good for a week.

The link carries 256 random bits; the database holds their SHA-256, so that nobody who reads it can sign in as anybody.
"""

import hashlib
import secrets
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import DAY, now
from db.tables import LinkFor, Role
from neuro_review import access, people, sessions
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.errors import ConflictError, NotFoundError

LASTS = 7 * DAY
GONE = "This link was used, has run out, or was replaced by a newer one. Ask an admin for a new link."


@dataclass(frozen=True)
class Link:
    """A link that was just made; its code is nowhere else."""

    person_id: int
    code: str = field(repr=False)
    until: int


@dataclass(frozen=True)
class Invited:
    """Whom a link lets in."""

    person_id: int
    name: str
    email: str
    purpose: LinkFor


def invite(
    session: Session, by: Actor, name: str, email: str, role: Role, *, workflow_id: int | None = None
) -> Link:  # fmt: skip
    """Add a person who has no password yet, with one role, and return the link with which they choose one.

    Raises:
        NotAllowedError: not an admin.
        ConflictError: somebody has this e-mail already.
        InvalidError: the name, the address or the role cannot be used.
    """
    by = people.admin(session, by)
    person_id = access.add_person(session, by, name, email, role, password_hash=None, workflow_id=workflow_id)
    return _link(session, by, person_id, LinkFor.INVITE)


def renew(session: Session, by: Actor, person_id: int) -> Link:
    """Return a new link for a person: the links before, the password and every session of theirs end.

    Raises:
        NotAllowedError: not an admin.
        NotFoundError: there is no such person.
        ConflictError: the account is disabled, or it is one's own.
    """
    by = people.admin(session, by)
    if person_id == by.person_id:
        raise ConflictError("This would sign you out before you have seen the link. Ask another admin to do it.")
    before = people.member(session, by, person_id)
    if not before.in_use:
        raise ConflictError("This account is disabled. Enable it first.")
    people.set_password(session, by, person_id, None)
    return _link(session, by, person_id, LinkFor.RESET if before.has_password else LinkFor.INVITE)


def _link(session: Session, by: Actor, person_id: int, purpose: LinkFor) -> Link:
    at, code = now(), secrets.token_urlsafe(32)
    row = (_hash(code), person_id, str(purpose), at, at + LASTS, by.audit_name)
    insert_rows(session, "invitation", "token_hash person_id purpose created_at expires_at created_by", [row])
    record(session, f"person/{person_id}", by.audit_name, Action.PERSON_CHANGED, {"link": str(purpose)}, at)
    return Link(person_id, code, at + LASTS)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()


OPENED = sa.text(
    "SELECT p.id, p.name, p.email, i.purpose FROM invitation i JOIN person p ON p.id = i.person_id"
    " WHERE i.token_hash = :hash AND i.used_at IS NULL AND i.expires_at > :now AND p.disabled_at IS NULL"
)


def opened(session: Session, code: str) -> Invited:
    """Return whom a link would let in; looking does not use it up.

    Raises:
        NotFoundError: nobody any more.
    """
    row = session.connection().execute(OPENED, {"hash": _hash(code), "now": now()}).first()
    if row is None:
        raise NotFoundError(GONE)
    return Invited(row.id, row.name, row.email, LinkFor(row.purpose))


USE = sa.text(
    "UPDATE invitation SET used_at = :at WHERE token_hash = :hash AND used_at IS NULL AND expires_at > :at"
    " RETURNING person_id"
)
CHOOSE = sa.text("UPDATE person SET password_hash = :password WHERE id = :id AND disabled_at IS NULL RETURNING id")


def accept(session: Session, code: str, password_hash: str, *, instead_of: str | None = None) -> str:
    """Use a link up: the password is set, and the token of a new session is returned.

    `instead_of` names the session that this browser had until now: it ends.

    Raises:
        NotFoundError: the link was used, has run out, or its account was disabled.
    """
    connection, at = session.connection(), now()
    used = connection.execute(USE, {"hash": _hash(code), "at": at}).first()
    if used is None or not connection.execute(CHOOSE, {"password": password_hash, "id": used.person_id}).first():
        raise NotFoundError(GONE)
    person_id = int(used.person_id)
    facts = {"password": "chosen"}
    record(session, f"person/{person_id}", f"person:{person_id}", Action.PERSON_CHANGED, facts, at)
    people.end_links(session, person_id)
    access.end_sessions(session, [person_id])
    return sessions.sign_in(session, sessions.Credentials(person_id, password_hash), instead_of=instead_of)
