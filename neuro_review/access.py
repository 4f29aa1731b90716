"""Who may do what: roles, read from the database at each action, never from what a browser says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import Role
from neuro_review.audit import Action, lock_stream, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")
# What each role includes in the workflow it was granted for.
INCLUDES: dict[str, frozenset[str]] = {
    Role.REVIEWER: frozenset({Role.REVIEWER}),
    Role.EXPORT: frozenset({Role.EXPORT}),
    Role.OWNER: frozenset({Role.OWNER, Role.REVIEWER, Role.EXPORT}),
    Role.ADMIN: frozenset(Role),
}


@dataclass(frozen=True)
class Actor:
    """Somebody who acts: a signed-in person, or an operator at the command line."""

    name: str
    email: str
    person_id: int | None = None
    grants: frozenset[tuple[str, int | None]] = field(default=frozenset())
    """(role, workflow id or None for everywhere)."""

    @property
    def audit_name(self) -> str:
        """Return the name that the audit log keeps."""
        return f"person:{self.person_id}" if self.person_id is not None else f"operator:{self.name}"

    def may(self, role: Role, workflow_id: int | None = None) -> bool:
        """Tell whether this person has a role in a workflow, or, without one, anywhere."""
        if self.person_id is None:
            return role is not Role.REVIEWER  # an operator runs the house but never decides
        return any(
            role in INCLUDES[granted] and (workflow_id is None or where is None or where == workflow_id)
            for granted, where in self.grants
        )

    def everywhere(self, role: Role) -> bool:
        """Tell whether this person has a role in every workflow."""
        return any(role in INCLUDES[granted] and where is None for granted, where in self.grants)

    def require(self, role: Role, workflow_id: int | None = None) -> None:
        """Let only those pass who have the role.

        Raises:
            NotAllowedError: this person does not have it.
        """
        if not self.may(role, workflow_id):
            where = " in this workflow" if workflow_id is not None else ""
            raise NotAllowedError(f"That needs the role {role}{where}. Ask an admin for it.")


PERSON = sa.text("SELECT id, name, email, disabled_at FROM person WHERE id = :id")
GRANTS = sa.text("SELECT role, workflow_id FROM role_grant WHERE person_id = :id")


def actor(session: Session, person_id: int) -> Actor:
    """Return a person with the roles of this moment.

    Raises:
        NotAllowedError: the account is disabled.
        NotFoundError: there is no such person.
    """
    person = session.connection().execute(PERSON, {"id": person_id}).first()
    if person is None:
        raise NotFoundError("There is no such person.")
    if person.disabled_at is not None:
        raise NotAllowedError("This account is disabled. Ask an admin.")
    grants = session.connection().execute(GRANTS, {"id": person_id}).all()
    return Actor(person.name, person.email, person.id, frozenset((g.role, g.workflow_id) for g in grants))


def settled(session: Session, by: Actor) -> Actor:
    """Let one change of roles happen at a time, and return who makes it with the roles that the one before left.

    Raises:
        NotAllowedError: the account was disabled meanwhile.
    """
    lock_stream(session, "roles")
    return by if by.person_id is None else actor(session, by.person_id)


def anybody(session: Session) -> bool:
    """Tell whether anybody has an account yet."""
    return session.connection().execute(sa.text("SELECT 1 FROM person LIMIT 1")).first() is not None


def clean_email(email: str) -> str:
    """Return an e-mail address as it is stored: trimmed, lower case.

    Raises:
        InvalidError: it is not an address.
    """
    check_text(email, "email")
    address = email.strip().lower()
    if len(address) > 254 or not EMAIL.fullmatch(address):
        raise InvalidError("That is not an e-mail address. Write it like ada@example.com.", "email")
    return address


def add_person(
    session: Session, by: Actor | None, name: str, email: str, role: Role, *, password_hash: str | None,
    workflow_id: int | None = None,
) -> int:  # fmt: skip
    """Add a person with one role and return the id; `by` is None only for the first admin.

    Raises:
        ConflictError: somebody has this e-mail already.
        InvalidError: the name or the address cannot be used.
    """
    name = " ".join(name.split())
    if not name or len(name) > 100:
        raise InvalidError("A name has 1 to 100 characters.", "name")
    check_text(name, "name")
    address = clean_email(email)
    connection = session.connection()
    if connection.execute(sa.text("SELECT 1 FROM person WHERE email = :email"), {"email": address}).first():
        raise ConflictError(f"Somebody with the address {address} is here already.")
    at = now()
    person_id = connection.execute(
        sa.text(
            "INSERT INTO person (name, email, password_hash, created_at)"
            " VALUES (:name, :email, :hash, :at) RETURNING id"
        ),
        {"name": name, "email": address, "hash": password_hash, "at": at},
    ).scalar_one()
    by_name = by.audit_name if by else f"person:{person_id}"
    record(session, f"person/{person_id}", by_name, Action.PERSON_ADDED, {"email": address}, at)
    grant(session, by_name, person_id, role, workflow_id)
    return int(person_id)


def grant(session: Session, by: str, person_id: int, role: Role, workflow_id: int | None = None) -> bool:
    """Give a person a role, in one workflow or everywhere, and tell whether they did not have it already.

    Raises:
        InvalidError: an admin of a single workflow; there is no such thing.
    """
    if role is Role.ADMIN and workflow_id is not None:
        raise InvalidError("An admin is one everywhere. Leave the workflow out, or make this person its owner.", "role")
    wanted = {"person": person_id, "role": str(role), "workflow": workflow_id}
    connection = session.connection()
    there = connection.execute(
        sa.text(
            "SELECT 1 FROM role_grant WHERE person_id = :person AND role = :role"
            " AND workflow_id IS NOT DISTINCT FROM CAST(:workflow AS INTEGER)"
        ),
        wanted,
    ).first()
    if there:
        return False
    connection.execute(
        sa.text(
            "INSERT INTO role_grant (person_id, role, workflow_id, granted_at, granted_by)"
            " VALUES (:person, :role, :workflow, :at, :by)"
        ),
        {**wanted, "at": now(), "by": by},
    )
    facts = {"granted": str(role), "workflow": workflow_id}
    record(session, f"person/{person_id}", by, Action.PERSON_CHANGED, facts)
    return True


def person_by_email(session: Session, email: str) -> int:
    """Return the id of the person with this address.

    Raises:
        NotFoundError: nobody has it.
    """
    row = session.connection().execute(
        sa.text("SELECT id FROM person WHERE email = :email"), {"email": email.strip().lower()}
    ).first()  # fmt: skip
    if row is None:
        raise NotFoundError(f"Nobody here has the address {email}. Add the person first: user add.")
    return int(row.id)


def end_sessions(session: Session, person_ids: Iterable[int]) -> None:
    """End every session of these people, so that a changed role holds at once."""
    for person_id in person_ids:
        session.connection().execute(
            sa.text("UPDATE sign_in SET ended_at = :at WHERE person_id = :person AND ended_at IS NULL"),
            {"at": now(), "person": person_id},
        )
