"""An export before it is made: how many reviews it would hold, how many come later, and the first of them."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, MINUTE, iso, now, parse_iso
from db.tables import Role, Verdict
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.exports.columns import COLUMNS, Kind
from neuro_review.exports.rows import END, START, WHERE, Filter, Page, Question, chosen, read_some
from neuro_review.labels import LEFT_GRACE

ROWS = 5
MOST_LETTERS = 300
RECENT = 5_000
"""Models and reviewers are offered from so many of the latest reviews; any other can be typed."""
LABELS = "review v JOIN item i ON i.id = v.item_id LEFT JOIN decision g ON g.id = i.decision_id"
IN_GRACE = (
    "g.final_at > :as_of AND g.review_id = v.id AND NOT EXISTS (SELECT 1 FROM retraction x WHERE x.decision_id = g.id)"
)


@dataclass(frozen=True)
class Preview:
    """What an export would hold at this moment."""

    rows: int
    in_grace: int
    """Reviews that match, but can still be undone; they belong to a later export."""
    first: dict[str, list[str]]
    """The first rows, column by column, as texts cut to a length that can be looked at."""


@dataclass(frozen=True)
class Names:
    """What can be chosen from."""

    models: list[str]
    reviewers: list[str]


def look(session: Session, workflow_id: int, by: Actor, choice: Filter) -> Preview:
    """Return what an export of a workflow would hold now.

    Raises:
        NotAllowedError: this person may not export it.
        NotFoundError: there is no such workflow.
    """
    by.require(Role.EXPORT, workflow_id)
    flow, at = workflows.by_id(session, workflow_id), now()
    rules = "".join(f" AND {WHERE[name]}" for name in chosen(choice))
    bound = {"workflow": workflow_id, "as_of": at, **chosen(choice)}
    total = sa.text(f"SELECT count(*) FROM {LABELS} WHERE v.workflow_id = :workflow AND {LEFT_GRACE}{rules}")
    waiting = sa.text(
        f"SELECT count(*) FROM {LABELS} WHERE v.workflow_id = :workflow AND v.id > :after AND {IN_GRACE}{rules}"
    )
    connection = session.connection()
    rows = int(connection.execute(total, bound).scalar_one())
    after = first_id_since(at - flow.grace_ms * 1000 - MINUTE)
    in_grace = int(connection.execute(waiting, {**bound, "after": after}).scalar_one())
    page = Page({}, 0)
    if rows:
        page = read_some(session, Question(workflow_id, flow.name, choice, at), START, END, most=ROWS)
    return Preview(rows, in_grace, _texts(page))


def filter_of(
    first_day: date | None, last_day: date | None, model: str | None, verdict: Verdict | None, reviewer: str | None
) -> Filter:
    """Return the filter that was chosen on a screen: days in UTC, both included."""
    since = parse_iso(first_day.isoformat()) if first_day else None
    until = parse_iso(last_day.isoformat()) + DAY if last_day else None
    return Filter(since, until, model or None, verdict or None, reviewer or None)


def first_id_since(at: int) -> str:
    """Return what sorts before every id made at or after an instant: ids begin with their millisecond."""
    return f"{max(0, at) // 1000:012x}" + "0" * 20


def names(session: Session, workflow_id: int, by: Actor) -> Names:
    """Return the models and reviewers of the latest reviews of a workflow, by name.

    Raises:
        NotAllowedError: this person may not export it.
    """
    by.require(Role.EXPORT, workflow_id)
    latest = session.connection().execute(
        sa.text(
            "SELECT DISTINCT model, reviewer FROM (SELECT i.model, v.reviewer FROM review v"
            " JOIN item i ON i.id = v.item_id WHERE v.workflow_id = :workflow ORDER BY v.id DESC LIMIT :most) AS latest"
        ),
        {"workflow": workflow_id, "most": RECENT},
    ).all()  # fmt: skip
    return Names(sorted({row.model for row in latest}), sorted({row.reviewer for row in latest}))


def _texts(page: Page) -> dict[str, list[str]]:
    return {
        column.name: [_text(column.kind, value) for value in page.columns[column.name]]
        for column in COLUMNS
        if page.rows
    }


def _text(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    text = iso(value) if kind is Kind.TIME else str(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"
