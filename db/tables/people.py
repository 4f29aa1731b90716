"""Who works here: people and their roles, sessions, teams, and the applications that submit."""

import sqlalchemy as sa
from sqlmodel import Field

from .base import Table, check, micros, one_of, serial
from .words import LinkFor, Role


class Person(Table, table=True):
    """Somebody who signs in."""

    id: int | None = serial()
    email: str = Field(unique=True)
    """Lower case; how a person signs in."""
    name: str
    password_hash: str | None = None
    """argon2id; none for a person who signs in through the organisation's own provider."""
    issuer: str | None = None
    subject: str | None = None
    """Who the provider says it is; the first link needs a verified e-mail."""
    created_at: int = micros()
    disabled_at: int | None = micros(null=True)

    __table_args__ = (
        sa.UniqueConstraint("issuer", "subject"),
        check("email_lower", "email = lower(email) AND email <> ''"),
    )


class RoleGrant(Table, table=True):
    """A role of a person: in one workflow, or everywhere."""

    __tablename__ = "role_grant"

    id: int | None = serial()
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger)
    role: str
    workflow_id: int | None = Field(default=None, foreign_key="workflow.id")
    """None: in every workflow."""
    granted_at: int = micros()
    granted_by: str

    __table_args__ = (
        one_of("role", Role),
        sa.UniqueConstraint("person_id", "role", "workflow_id"),
        sa.Index(
            "uq_role_grant_everywhere",
            "person_id",
            "role",
            unique=True,
            sqlite_where=sa.text("workflow_id IS NULL"),
            postgresql_where=sa.text("workflow_id IS NULL"),
        ),
    )


class SignIn(Table, table=True):
    """One signed-in browser."""

    __tablename__ = "sign_in"

    token_hash: str = Field(primary_key=True)
    """SHA-256 of the cookie: who reads the table cannot sign in with it."""
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger, index=True)
    created_at: int = micros()
    seen_at: int = micros()
    ended_at: int | None = micros(null=True)


class Invitation(Table, table=True):
    """A link with which somebody chooses a password: once, and for a while."""

    token_hash: str = Field(primary_key=True)
    """SHA-256 of the link's code: who reads the table cannot use it."""
    person_id: int = Field(foreign_key="person.id", sa_type=sa.BigInteger, index=True)
    purpose: str
    created_at: int = micros()
    expires_at: int = micros()
    used_at: int | None = micros(null=True)
    created_by: str

    __table_args__ = (one_of("purpose", LinkFor), check("term", "expires_at >= created_at"))


class Team(Table, table=True):
    """A group that items can be assigned to."""

    id: int | None = serial()
    name: str = Field(unique=True)


class TeamMember(Table, table=True):
    """A person in a group."""

    __tablename__ = "team_member"

    team_id: int = Field(foreign_key="team.id", primary_key=True, sa_type=sa.BigInteger)
    person_id: int = Field(foreign_key="person.id", primary_key=True, sa_type=sa.BigInteger)


class Source(Table, table=True):
    """An application that submits; files come in as the source `import`."""

    id: int | None = serial()
    name: str = Field(unique=True)
    created_at: int = micros()
    disabled_at: int | None = micros(null=True)


class SourceKey(Table, table=True):
    """A key of a source: it can submit and read its own items, and nothing else, ever."""

    __tablename__ = "source_key"

    id: int | None = serial()
    source_id: int = Field(foreign_key="source.id", index=True, sa_type=sa.BigInteger)
    workflow_id: int = Field(foreign_key="workflow.id")
    key_hash: str = Field(unique=True)
    """SHA-256 of 256 random bits."""
    can_submit: bool = True
    can_read: bool = True
    created_at: int = micros()
    revoked_at: int | None = micros(null=True)
