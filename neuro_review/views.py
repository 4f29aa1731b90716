"""Saved views: a search that somebody wants to find again; each person has their own."""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import as_json, check_text
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError

MOST = 50
LONGEST_NAME = 80


@dataclass(frozen=True)
class View:
    """A saved view."""

    id: int
    name: str
    query: dict[str, Any]


MINE = sa.text("SELECT id, name, query FROM saved_view WHERE person_id = :me AND page = :page ORDER BY name")
SAVE = sa.text(
    "INSERT INTO saved_view (person_id, page, name, query, saved_at) VALUES (:me, :page, :name, :query, :at)"
    " ON CONFLICT (person_id, page, name) DO UPDATE SET query = excluded.query, saved_at = excluded.saved_at"
    " RETURNING id"
)
DELETE = sa.text("DELETE FROM saved_view WHERE id = :id AND person_id = :me RETURNING page")


def mine(session: Session, by: Actor, page: str) -> list[View]:
    """Return this person's views of a page, by name."""
    rows = session.connection().execute(MINE, {"me": by.person_id, "page": page})
    return [View(row.id, row.name, orjson.loads(row.query)) for row in rows]


def save(session: Session, by: Actor, page: str, name: str, query: dict[str, Any]) -> int:
    """Keep a search under a name and return its id; one of this name is replaced.

    Raises:
        NotAllowedError: nobody is signed in who could find it again.
        InvalidError: the name cannot be used.
        ConflictError: this person has saved as many as there may be.
    """
    if by.person_id is None:
        raise NotAllowedError("Only a signed-in person can save a view.")
    name = " ".join(name.split())
    check_text(name, "The name")
    if not name or len(name) > LONGEST_NAME:
        raise InvalidError(f"A saved view has a name of 1 to {LONGEST_NAME} characters.", "name")
    there = [view.name for view in mine(session, by, page)]
    if len(there) >= MOST and name not in there:
        raise ConflictError(f"You have {MOST} saved views here already. Delete one first.")
    at = now()
    view_id = session.connection().execute(
        SAVE, {"me": by.person_id, "page": page, "name": name, "query": as_json(query), "at": at}
    ).scalar_one()  # fmt: skip
    record(session, f"person/{by.person_id}", by.audit_name, Action.VIEW_SAVED, {"view": view_id, "page": page}, at)
    return int(view_id)


def delete(session: Session, by: Actor, view_id: int) -> None:
    """Delete one of one's own views.

    Raises:
        NotFoundError: it is not there, or is somebody else's.
    """
    page = session.connection().execute(DELETE, {"id": view_id, "me": by.person_id}).scalar()
    if page is None:
        raise NotFoundError("This saved view is not there any more.")
    facts = {"view": view_id, "page": page}
    record(session, f"person/{by.person_id}", by.audit_name, Action.VIEW_DELETED, facts)
