"""People: who works here, in which roles, and how that changes so that somebody always answers for it."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import HOUR, now
from db.tables import Role
from neuro_review import access, phrases
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.errors import ConflictError, NotAllowedError, NotFoundError

ROLES = {Role.REVIEWER: "reviewer", Role.OWNER: "owner", Role.ADMIN: "admin", Role.EXPORT: "exporter"}
NOBODY = "There is no such person."


@dataclass(frozen=True)
class Grant:
    """A role of a person, in one workflow or everywhere."""

    id: int
    role: Role
    workflow_id: int | None
    workflow: str | None

    @property
    def words(self) -> str:
        """Return the role as a person says it."""
        if self.role is Role.ADMIN:
            return ROLES[self.role]
        return f"{ROLES[self.role]} of {self.workflow or 'every workflow'}"


@dataclass(frozen=True)
class Member:
    """Somebody who works here."""

    id: int
    name: str
    email: str
    grants: tuple[Grant, ...]
    seen_at: int | None
    in_use: bool
    has_password: bool
    invited_until: int | None
    """Until when a link to choose a password is good; none where there is no such link."""

    @property
    def roles(self) -> str:
        """Return the roles in words."""
        return ", ".join(grant.words for grant in self.grants)

    @property
    def state(self) -> str:
        """Return whether the account can be used, in words."""
        if not self.in_use:
            return "disabled"
        if self.has_password:
            return "in use"
        if self.invited_until is None:
            return "no password yet"
        # An hour more, so that a link says its whole days in its first hour.
        return f"invited, link good for {phrases.span(self.invited_until - now() + HOUR)}"


_PEOPLE = (
    "SELECT p.id, p.name, p.email, p.disabled_at, p.password_hash IS NOT NULL AS has_password,"
    " (SELECT max(s.seen_at) FROM sign_in s WHERE s.person_id = p.id) AS seen_at,"
    " (SELECT max(i.expires_at) FROM invitation i WHERE i.person_id = p.id AND i.used_at IS NULL"
    " AND i.expires_at > :now) AS invited_until FROM person p"
)
EVERYBODY = sa.text(f"{_PEOPLE} ORDER BY lower(p.name), p.id")
ONE = sa.text(f"{_PEOPLE} WHERE p.id = :id")
_GRANTS = (
    "SELECT g.id, g.person_id, g.role, g.workflow_id, w.name AS workflow FROM role_grant g"
    " LEFT JOIN workflow w ON w.id = g.workflow_id"
)
ALL_GRANTS = sa.text(f"{_GRANTS} ORDER BY g.role, w.name")
GRANTS_OF = sa.text(f"{_GRANTS} WHERE g.person_id = :id ORDER BY g.role, w.name")


def everybody(session: Session, by: Actor) -> list[Member]:
    """Return everybody, by name.

    Raises:
        NotAllowedError: not an admin.
    """
    by.require(Role.ADMIN)
    connection = session.connection()
    grants: dict[int, list[Grant]] = {}
    for row in connection.execute(ALL_GRANTS):
        grants.setdefault(row.person_id, []).append(_grant(row))
    return [_member(row, grants.get(row.id, [])) for row in connection.execute(EVERYBODY, {"now": now()})]


def member(session: Session, by: Actor, person_id: int) -> Member:
    """Return one person.

    Raises:
        NotAllowedError: not an admin.
        NotFoundError: there is no such person.
    """
    by.require(Role.ADMIN)
    connection = session.connection()
    row = connection.execute(ONE, {"id": person_id, "now": now()}).first()
    if row is None:
        raise NotFoundError(NOBODY)
    return _member(row, [_grant(one) for one in connection.execute(GRANTS_OF, {"id": person_id})])


def _member(row: Any, grants: list[Grant]) -> Member:
    return Member(
        row.id, row.name, row.email, tuple(grants), row.seen_at, row.disabled_at is None, bool(row.has_password),
        row.invited_until,
    )  # fmt: skip


def _grant(row: Any) -> Grant:
    return Grant(row.id, Role(row.role), row.workflow_id, row.workflow)


def names(session: Session, by: Actor) -> dict[int, str]:
    """Return who can be named as an owner: name and e-mail of everybody in use, by id.

    Raises:
        NotAllowedError: not an owner of anything.
    """
    by.require(Role.OWNER)
    rows = session.connection().execute(
        sa.text("SELECT id, name, email FROM person WHERE disabled_at IS NULL ORDER BY lower(name), id")
    )
    return {row.id: f"{row.name} ({row.email})" for row in rows}


def admins(session: Session) -> list[str]:
    """Return the names of the admins in use: whom everybody may ask."""
    return list(
        session.connection().execute(
            sa.text(
                "SELECT name FROM person p WHERE disabled_at IS NULL AND EXISTS (SELECT 1 FROM role_grant g"
                " WHERE g.person_id = p.id AND g.role = 'admin') ORDER BY lower(name), id"
            )
        ).scalars()
    )  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """Somebody who answers for a workflow."""

    person_id: int
    name: str
    grant_id: int
    everywhere: bool
    """By a role for every workflow, which only an admin can take."""


def owners(session: Session) -> dict[int, list[Owner]]:
    """Return who answers for each workflow, by the workflow's id; only people in use, by name."""
    rows = session.connection().execute(
        sa.text(
            "SELECT w.id AS workflow_id, p.id, p.name, g.id AS grant_id, g.workflow_id IS NULL AS everywhere"
            " FROM workflow w JOIN role_grant g ON g.role = 'owner' AND (g.workflow_id = w.id OR g.workflow_id IS NULL)"
            " JOIN person p ON p.id = g.person_id WHERE p.disabled_at IS NULL ORDER BY lower(p.name), g.id"
        )
    )
    found: dict[int, list[Owner]] = {}
    for row in rows:
        found.setdefault(row.workflow_id, []).append(Owner(row.id, row.name, row.grant_id, bool(row.everywhere)))
    return found


def admin(session: Session, by: Actor) -> Actor:
    """Return who changes something of people, once it is settled that this is an admin.

    Raises:
        NotAllowedError: not an admin, or not any more.
    """
    by = access.settled(session, by)
    if by.person_id is not None and not by.everywhere(Role.ADMIN):
        raise NotAllowedError("That needs the role admin. Ask an admin for it.")
    return by


def give_role(session: Session, by: Actor, person_id: int, role: Role, workflow_id: int | None = None) -> None:
    """Give a person a role, in one workflow or everywhere; they sign in anew before it holds.

    Raises:
        NotAllowedError: neither an admin nor an owner of the workflow.
        ConflictError: the account is disabled.
        InvalidError: there is no such role in a single workflow.
    """
    by = access.settled(session, by)
    _may_change(by, role, workflow_id)
    if not _in_use(session, person_id):
        raise ConflictError("This account is disabled. Enable it first.")
    given = access.grant(session, by.audit_name, person_id, role, workflow_id)
    if given and person_id != by.person_id:
        access.end_sessions(session, [person_id])


def take_role(session: Session, by: Actor, grant_id: int) -> None:
    """Take a role away: the person's sessions end, and what they hold is back in the queue; past verdicts stand.

    Raises:
        NotAllowedError: neither an admin nor an owner of the workflow.
        NotFoundError: the role was taken already.
        ConflictError: nobody else is an admin, or the workflow would have no owner.
    """
    by = access.settled(session, by)
    connection = session.connection()
    row = connection.execute(
        sa.text("SELECT person_id, role, workflow_id FROM role_grant WHERE id = :id"), {"id": grant_id}
    ).first()
    if row is None:
        raise NotFoundError("This role was taken away already.")
    _may_change(by, Role(row.role), row.workflow_id)
    _leave_nobody_alone(session, row.person_id, grant_id)
    connection.execute(sa.text("DELETE FROM role_grant WHERE id = :id"), {"id": grant_id})
    facts = {"taken": row.role, "workflow": row.workflow_id}
    record(session, f"person/{row.person_id}", by.audit_name, Action.PERSON_CHANGED, facts)
    _send_away(session, row.person_id)


def _may_change(by: Actor, role: Role, workflow_id: int | None) -> None:
    if by.person_id is None or by.everywhere(Role.ADMIN):
        return
    if workflow_id is None or role is Role.ADMIN or not by.may(Role.OWNER, workflow_id):
        raise NotAllowedError("Only an admin can change that. An owner can name others for their own workflow.")


def _in_use(session: Session, person_id: int) -> bool:
    row = session.connection().execute(access.PERSON, {"id": person_id}).first()
    if row is None:
        raise NotFoundError(NOBODY)
    return row.disabled_at is None


# Who was only invited so far cannot sign in yet, and perhaps never will.
LAST_ADMIN = sa.text(
    "SELECT 1 FROM role_grant g JOIN person p ON p.id = g.person_id WHERE g.person_id = :person AND g.role = 'admin'"
    " AND g.workflow_id IS NULL AND p.disabled_at IS NULL AND (:all OR g.id = :grant) AND NOT EXISTS (SELECT 1 FROM"
    " role_grant o JOIN person q ON q.id = o.person_id WHERE o.role = 'admin' AND o.workflow_id IS NULL"
    " AND q.disabled_at IS NULL AND q.id <> :person AND (q.password_hash IS NOT NULL"
    " OR NOT EXISTS (SELECT 1 FROM invitation v WHERE v.person_id = q.id)))"
)
# Whose only owner this is: by a role of the workflow's own, or by one for every workflow.
LEFT_ALONE = sa.text(
    "SELECT w.name FROM workflow w JOIN role_grant g ON g.role = 'owner' AND g.person_id = :person"
    " AND (g.workflow_id = w.id OR g.workflow_id IS NULL) AND (:all OR g.id = :grant) JOIN person p ON p.id = :person"
    " WHERE w.archived_at IS NULL AND p.disabled_at IS NULL AND NOT EXISTS (SELECT 1 FROM role_grant o"
    " JOIN person q ON q.id = o.person_id WHERE o.role = 'owner' AND (o.workflow_id = w.id OR o.workflow_id IS NULL)"
    " AND q.disabled_at IS NULL AND (q.id <> :person OR (NOT :all AND o.id <> :grant))) ORDER BY w.name LIMIT 1"
)


def _leave_nobody_alone(session: Session, person_id: int, grant_id: int | None = None) -> None:
    """Let one grant of a person go, or all, where somebody else is there for what it stands for.

    Raises:
        ConflictError: nobody else is an admin, or a workflow would have no owner.
    """
    connection = session.connection()
    bound = {"person": person_id, "all": grant_id is None, "grant": grant_id or 0}
    if connection.execute(LAST_ADMIN, bound).first():
        raise ConflictError("This is the last admin. Add another one first.")
    alone = connection.execute(LEFT_ALONE, bound).first()
    if alone:
        raise ConflictError(f"The workflow “{alone.name}” would have no owner. Name a successor first.")


def disable(session: Session, by: Actor, person_id: int) -> None:
    """Close an account: its sessions end and what it holds is back in the queue, at once; past verdicts stand.

    Raises:
        NotAllowedError: not an admin.
        NotFoundError: there is no such person.
        ConflictError: nobody else is an admin, or a workflow would have no owner.
    """
    by = admin(session, by)
    if not _in_use(session, person_id):
        return
    _leave_nobody_alone(session, person_id)
    # The links first, as whoever uses one does: two transactions never wait for each other crosswise.
    end_links(session, person_id)
    _set_disabled(session, by, person_id, now())
    _send_away(session, person_id)


def enable(session: Session, by: Actor, person_id: int) -> None:
    """Open an account again, with the roles and the password that it had.

    Raises:
        NotAllowedError: not an admin.
        NotFoundError: there is no such person.
    """
    by = admin(session, by)
    if not _in_use(session, person_id):
        _set_disabled(session, by, person_id, None)


def _set_disabled(session: Session, by: Actor, person_id: int, at: int | None) -> None:
    session.connection().execute(
        sa.text("UPDATE person SET disabled_at = :at WHERE id = :id"), {"at": at, "id": person_id}
    )
    record(session, f"person/{person_id}", by.audit_name, Action.PERSON_CHANGED, {"disabled": at is not None})


def set_password(session: Session, by: Actor, person_id: int, password_hash: str | None) -> None:
    """Give a person another password, or none; every session and every link they have ends.

    Raises:
        NotAllowedError: not an admin.
    """
    by = admin(session, by)
    end_links(session, person_id)
    session.connection().execute(
        sa.text("UPDATE person SET password_hash = :hash WHERE id = :id"), {"hash": password_hash, "id": person_id}
    )
    facts = {"password": "changed" if password_hash else "taken"}
    record(session, f"person/{person_id}", by.audit_name, Action.PERSON_CHANGED, facts)
    access.end_sessions(session, [person_id])


def end_links(session: Session, person_id: int) -> None:
    """End every link with which this person could still choose a password."""
    session.connection().execute(
        sa.text(
            # Not to this moment: somebody who began to use one just before it would still come in by it.
            "UPDATE invitation SET expires_at = created_at WHERE person_id = :person AND used_at IS NULL"
            " AND expires_at > :at"
        ),
        {"at": now(), "person": person_id},
    )


# 'held' is a literal, never a parameter: else the partial index could not be used.
RETURN_LEASES = sa.text("UPDATE item SET lease_by = NULL, lease_until = 0 WHERE status = 'held' AND lease_by = :person")


def _send_away(session: Session, person_id: int) -> None:
    access.end_sessions(session, [person_id])
    session.connection().execute(RETURN_LEASES, {"person": person_id})
