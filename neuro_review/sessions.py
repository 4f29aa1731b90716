"""Sign-in: passwords, the first admin, and the sessions of signed-in browsers.

A browser holds 32 random bytes; the database holds their SHA-256, and that is the session's id within the house: it
finds the session, and nobody can sign in with it. Hashing a password costs tens of milliseconds on purpose, so it
happens outside any transaction: look up, compare, and only then write.
"""

import functools
import hashlib
import secrets
import unicodedata
from dataclasses import dataclass, field

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session

from db.clock import DAY, HOUR, MINUTE, now
from db.tables import Role
from neuro_review import access
from neuro_review.access import Actor
from neuro_review.audit import HOUSE, Action, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError, NotSignedInError
from neuro_review.settings import settings

SHORTEST, LONGEST = 10, 200  # of a password, in characters
HASHER = PasswordHasher()  # argon2id with 64 MiB: the second recommendation of RFC 9106
TOUCHED_EVERY = MINUTE
SET_UP_ALREADY = "Neuro Review is set up already. Sign in instead."
ENDED = "Your session has ended. Sign in again."


@dataclass(frozen=True)
class Credentials:
    """What is known of an address before its password is compared; of an unknown one, nothing."""

    person_id: int | None = None
    password_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Visit:
    """A session that is alive, and whose it is."""

    session_id: str
    person: Actor
    seen_at: int

    @property
    def is_stale(self) -> bool:
        """Tell whether the time of the last action should be written again."""
        return now() - self.seen_at >= TOUCHED_EVERY


def session_id(token: str) -> str:
    """Return the id of the session that a browser's token opens."""
    return hashlib.sha256(token.encode()).hexdigest()


def hash_password(password: str, email: str) -> str:
    """Return what to store of a password.

    Raises:
        InvalidError: it is too short, too long, or the person's own address.
    """
    chosen = _normal(password)
    if not SHORTEST <= len(chosen) <= LONGEST:
        raise InvalidError(f"A password has {SHORTEST} to {LONGEST} characters. Choose another one.", "password")
    if chosen.casefold() == _normal(email).strip().casefold():
        raise InvalidError("The password is the e-mail address. Choose another one.", "password")
    check_text(chosen, "password")
    return HASHER.hash(chosen)


def matches(credentials: Credentials, password: str) -> bool:
    """Tell whether a password is right; an unknown address takes as long as a wrong password."""
    try:
        HASHER.verify(credentials.password_hash or _nobodys_hash(), _normal(password))
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return credentials.password_hash is not None


def rehashed(credentials: Credentials, password: str) -> str | None:
    """Return a right password hashed anew where the parameters have grown since, else None."""
    if credentials.password_hash is None or not HASHER.check_needs_rehash(credentials.password_hash):
        return None
    return HASHER.hash(_normal(password))


def look_up(session: Session, email: str) -> Credentials:
    """Return what `matches` needs to know of an address."""
    if "\0" in email:  # PostgreSQL cannot even be asked
        return Credentials()
    row = session.connection().execute(
        sa.text("SELECT id, password_hash FROM person WHERE email = :email"), {"email": email.strip().lower()}
    ).first()  # fmt: skip
    return Credentials(row.id, row.password_hash) if row else Credentials()


# Two attempts at once: without it each would see an empty table on PostgreSQL. SQLite has one writer anyway.
LOCK_SET_UP = sa.text("SELECT pg_advisory_xact_lock(7, hashtext('set-up'))")


def set_up(session: Session, name: str, email: str, password_hash: str) -> Actor:
    """Make the first person, an admin.

    Raises:
        ConflictError: somebody is here already.
        InvalidError: the name or the address cannot be used.
    """
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(LOCK_SET_UP)
    if access.anybody(session):
        raise ConflictError(SET_UP_ALREADY)
    person_id = access.add_person(session, None, name, email, Role.ADMIN, password_hash=password_hash)
    return access.actor(session, person_id)


def sign_in(
    session: Session, credentials: Credentials, *, new_hash: str | None = None, instead_of: str | None = None
) -> str:
    """Open a session for somebody whose password `matches` and return the token for the browser.

    `instead_of` names the session that this browser had until now: it ends.

    Raises:
        NotSignedInError: the account was disabled, or its password changed meanwhile.
    """
    connection = session.connection()
    person = connection.execute(
        sa.text("SELECT disabled_at, password_hash FROM person WHERE id = :id"), {"id": credentials.person_id}
    ).first()
    if person is None or person.password_hash != credentials.password_hash:
        raise NotSignedInError("The password was changed in this moment. Sign in again.")
    if person.disabled_at is not None:
        raise NotSignedInError("This account is disabled. Ask an admin.")
    if new_hash is not None:
        connection.execute(
            sa.text("UPDATE person SET password_hash = :hash WHERE id = :id"),
            {"hash": new_hash, "id": credentials.person_id},
        )
    if instead_of is not None:
        sign_out(session, instead_of)
    token, at = secrets.token_urlsafe(32), now()
    opened = {"sid": session_id(token), "person": credentials.person_id, "at": at}
    connection.execute(
        sa.text("INSERT INTO sign_in (token_hash, person_id, created_at, seen_at) VALUES (:sid, :person, :at, :at)"),
        opened,
    )
    who = f"person:{credentials.person_id}"
    record(session, f"person/{credentials.person_id}", who, Action.PERSON_SIGNED_IN, {}, at)
    return token


def refuse(session: Session, credentials: Credentials) -> None:
    """Record a sign-in that failed."""
    known = credentials.person_id is not None
    stream = f"person/{credentials.person_id}" if known else HOUSE
    # Written for an unknown address too: a missing write would show in the time of the answer.
    record(session, stream, "nobody", Action.PERSON_REFUSED, {"known": known})


# One query for all of it: it runs with every request and every action.
VISIT = sa.text(
    "SELECT s.seen_at, p.id, p.name, p.email, g.role, g.workflow_id"
    " FROM sign_in s JOIN person p ON p.id = s.person_id LEFT JOIN role_grant g ON g.person_id = p.id"
    " WHERE s.token_hash = :sid AND s.ended_at IS NULL AND p.disabled_at IS NULL"
    " AND s.created_at > :born AND s.seen_at > :seen"
)


def visit(session: Session, session_id: str) -> Visit | None:
    """Return a session that is alive, with the person's roles of this moment, or None."""
    at, limits = now(), settings()
    bounds = {
        "sid": session_id,
        "born": at - int(limits.session_hours * HOUR),
        "seen": at - int(limits.session_idle_hours * HOUR),
    }
    rows = session.connection().execute(VISIT, bounds).all()
    if not rows:
        return None
    first = rows[0]
    grants = frozenset((row.role, row.workflow_id) for row in rows if row.role is not None)
    return Visit(session_id, Actor(first.name, first.email, first.id, grants), first.seen_at)


def person_of(session: Session, session_id: str) -> Actor | None:
    """Return whose session this is, with the roles of this moment; None once it has ended."""
    found = visit(session, session_id)
    return found.person if found else None


def touch(session: Session, session_id: str) -> None:
    """Note that the person of a session has just acted; the door calls it when the visit is stale."""
    session.connection().execute(
        sa.text("UPDATE sign_in SET seen_at = :at WHERE token_hash = :sid AND ended_at IS NULL AND seen_at < :at"),
        {"at": now(), "sid": session_id},
    )


def sign_out(session: Session, session_id: str) -> None:
    """End one session; nothing happens where it has ended already."""
    ended = session.connection().execute(
        sa.text("UPDATE sign_in SET ended_at = :at WHERE token_hash = :sid AND ended_at IS NULL RETURNING person_id"),
        {"at": now(), "sid": session_id},
    ).first()  # fmt: skip
    if ended is not None:
        stream, who = f"person/{ended.person_id}", f"person:{ended.person_id}"
        record(session, stream, who, Action.PERSON_SIGNED_OUT, {})


PURGE = sa.text(
    "DELETE FROM sign_in WHERE token_hash IN (SELECT token_hash FROM sign_in WHERE ended_at < :late"
    " OR created_at < :born OR seen_at < :seen LIMIT :most)"
)


def purge(session: Session, most: int = 256) -> int:
    """Delete sessions that have been over for a day, at most so many; the audit log keeps who signed in and when."""
    late, limits = now() - DAY, settings()
    bounds = {
        "late": late,
        "born": late - int(limits.session_hours * HOUR),
        "seen": late - int(limits.session_idle_hours * HOUR),
        "most": most,
    }
    return session.connection().execute(PURGE, bounds).rowcount


def _normal(text: str) -> str:
    # The same letters typed on two systems may be composed differently.
    return unicodedata.normalize("NFC", text)


@functools.cache
def _nobodys_hash() -> str:
    return HASHER.hash(secrets.token_urlsafe(32))
