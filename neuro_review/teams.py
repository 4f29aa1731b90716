"""Groups of people that outputs can be assigned to, and who can be given what."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.tables import Role
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError, NotFoundError


@dataclass(frozen=True)
class Member:
    """A person who can be chosen."""

    id: int
    name: str
    email: str

    @property
    def label(self) -> str:
        """Return what tells two people of one name apart."""
        return f"{self.name} ({self.email})"


@dataclass(frozen=True)
class Group:
    """A group and who is in it."""

    id: int
    name: str
    members: list[Member]


# Who owns a workflow may review it, and an admin everything.
REVIEWERS = sa.text(
    "SELECT DISTINCT p.id, p.name, p.email FROM person p JOIN role_grant g ON g.person_id = p.id"
    " WHERE p.disabled_at IS NULL AND g.role IN ('reviewer', 'owner', 'admin')"
    " AND (g.workflow_id IS NULL OR g.workflow_id = :workflow) ORDER BY p.name, p.email"
)
PEOPLE = sa.text("SELECT id, name, email FROM person WHERE disabled_at IS NULL ORDER BY name, email")
GROUPS = sa.text("SELECT id, name FROM team ORDER BY name")
MEMBERS = sa.text(
    "SELECT p.id, p.name, p.email FROM team_member m JOIN person p ON p.id = m.person_id"
    " WHERE m.team_id = :team AND p.disabled_at IS NULL ORDER BY p.name, p.email"
)


def reviewers(session: Session, workflow_id: int) -> list[Member]:
    """Return who may review a workflow, by name."""
    return [Member(*row) for row in session.connection().execute(REVIEWERS, {"workflow": workflow_id})]


def people(session: Session) -> list[Member]:
    """Return everybody whose account is in use, by name."""
    return [Member(*row) for row in session.connection().execute(PEOPLE)]


def members(session: Session, team_id: int) -> list[Member]:
    """Return who is in a group and has an account in use, by name."""
    return [Member(*row) for row in session.connection().execute(MEMBERS, {"team": team_id})]


def every(session: Session) -> list[Group]:
    """Return all groups, by name."""
    rows = session.connection().execute(GROUPS).all()
    return [Group(row.id, row.name, members(session, row.id)) for row in rows]


def add(session: Session, by: Actor, name: str) -> int:
    """Add a group with nobody in it and return its id.

    Raises:
        NotAllowedError: not an owner of a workflow.
        ConflictError: there is one of this name.
        InvalidError: the name cannot be used.
    """
    by.require(Role.OWNER)
    name = " ".join(name.split())
    check_text(name, "The name")
    if not name or len(name) > 100:
        raise InvalidError("A group's name has 1 to 100 characters.", "name")
    team_id = session.connection().execute(
        sa.text("INSERT INTO team (name) VALUES (:name) ON CONFLICT (name) DO NOTHING RETURNING id"), {"name": name}
    ).scalar()  # fmt: skip
    if team_id is None:
        raise ConflictError(f"There is a group “{name}” already. Choose another name.")
    record(session, f"team/{team_id}", by.audit_name, Action.TEAM_ADDED, {"name": name})
    return int(team_id)


def set_members(session: Session, team_id: int, by: Actor, person_ids: Iterable[int]) -> None:
    """Let these people, and nobody else, be in a group.

    Raises:
        NotAllowedError: not an owner of a workflow, or of one whose outputs wait for the group.
        NotFoundError: there is no such group, or somebody has no account in use.
        ConflictError: outputs wait for the group, and nobody would be left to review them.
    """
    by.require(Role.OWNER)
    connection = session.connection()
    if connection.execute(sa.text("SELECT 1 FROM team WHERE id = :id"), {"id": team_id}).first() is None:
        raise NotFoundError("There is no such group.")
    waits = connection.execute(WAITS_FOR, {"team": team_id}).scalars().all()
    for workflow_id in waits:
        by.require(Role.OWNER, workflow_id)
    wanted = sorted(set(person_ids))
    if set(wanted) - {one.id for one in people(session)}:
        raise NotFoundError("Somebody you chose has no account in use. Load the page again.")
    if not wanted and waits:
        raise ConflictError("Outputs wait for this group. Assign them to somebody else first, or leave a reviewer in.")
    connection.execute(sa.text("DELETE FROM team_member WHERE team_id = :team"), {"team": team_id})
    insert_rows(session, "team_member", "team_id person_id", [(team_id, person_id) for person_id in wanted])
    record(session, f"team/{team_id}", by.audit_name, Action.TEAM_CHANGED, {"members": wanted})


WAITS_FOR = sa.text("SELECT DISTINCT workflow_id FROM item WHERE status = 'held' AND team_id = :team")
