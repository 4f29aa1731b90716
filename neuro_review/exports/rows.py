"""The rows of an export: pages of reviews out of the database, in the order of their ids.

Each page is a short transaction of its own, so that an export of any length holds up neither the queue nor SQLite's
checkpoint, and starts after the last id of the page before (keyset), so that the last page costs what the first does.
"""

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.engine import Database, explained
from db.tables import Id, Purpose, Verdict
from neuro_review.labels import LEFT_GRACE, label_givers

START, END = "0" * 32, "f" * 32
PAGE_BYTES = 8 << 20  # of long texts a page holds fewer reviews, so that memory does not grow with them
FEWEST_ROWS, MOST_ROWS = 4, 64  # at a time


@dataclass(frozen=True)
class Filter:
    """Which reviews are wanted; all of them unless told otherwise."""

    since: int | None = None
    """Items submitted at or after this instant: the time axis of the charts."""
    until: int | None = None
    """Items submitted before this instant."""
    model: str | None = None
    verdict: Verdict | None = None
    reviewer: str | None = None
    held_out: bool | None = None
    """Only items that are cases of a held-out eval set."""


@dataclass(frozen=True)
class Question:
    """What one export asks of the database, the same for every page of it."""

    workflow_id: int
    workflow: str
    choice: Filter
    as_of: int
    """What was written or left grace after this instant belongs to the next export."""
    version_id: str | None = None
    """The version of an eval set whose cases are wanted, instead of reviews."""
    eval_set: str | None = None
    """How that is named."""


@dataclass(frozen=True)
class Page:
    """Some rows of an export, column by column: times in microseconds, JSON as text."""

    columns: dict[str, list[Any]]
    rows: int
    last: str = END
    """The review up to which it goes: the one that was asked for, or an earlier one where the texts are long."""


# Where each column comes from; what is missing here is computed from the others.
FROM = {
    "review_id": "v.id", "item_id": "v.item_id", "external_id": "i.external_id", "source": "s.name",
    "origin": "i.origin", "model": "i.model", "prompt_version": "i.prompt_version", "status": "i.status",
    "verdict": "v.verdict", "item_label": "i.label", "reviewer": "v.reviewer", "purpose": "v.purpose",
    "reasons": "v.reasons", "prompt": "c.prompt", "prompt_is_chat": "c.prompt_is_chat", "output": "c.output",
    "correction": "t.text", "note": "t.note", "context": "c.context", "metadata": "c.metadata",
    "rubric_version": "v.rubric_version", "cost_micro": "i.cost_micro", "latency_ms": "i.latency_ms",
    "prompt_tokens": "i.prompt_tokens", "completion_tokens": "i.completion_tokens", "end_user": "i.end_user",
    "trace_url": "i.trace_url", "created_at": "i.created_at", "shown_at": "v.shown_at", "handling_ms": "v.handling_ms",
    "reviewed_at": "v.reviewed_at", "released_at": "i.released_at", "recalled_at": "i.recalled_at", "panel": "i.panel",
    "stratum": "i.stratum", "inclusion_probability": "i.inclusion",
    "reviews": "(SELECT count(*) FROM review o WHERE o.item_id = v.item_id)",
}  # fmt: skip
LONG = ("prompt", "output", "correction", "note", "context", "metadata")
_PLACES = operator.itemgetter(*(list(FROM).index(name) for name in LONG))
# An id leaves PostgreSQL as the house writes it; a loader in Python would be called for every single one.
HEX = "encode(uuid_send({}), 'hex')"
# CROSS JOIN fixes the order on SQLite: reviews first, along their index, or it would sort the workflow for each page.
TABLES = (
    "review v CROSS JOIN item i CROSS JOIN source s LEFT JOIN decision g ON g.id = i.decision_id"
    " LEFT JOIN item_content c ON c.item_id = v.item_id LEFT JOIN review_content t ON t.review_id = v.id"
)
WHERE: dict[str, str] = {
    "since": "i.created_at >= :since",
    "until": "i.created_at < :until",
    "model": "i.model = :model",
    "verdict": "v.verdict = :verdict",
    "reviewer": "v.reviewer = :reviewer",
    "held_out": (
        ":held_out = EXISTS (SELECT 1 FROM eval_case k JOIN eval_version n ON n.id = k.version_id JOIN eval_set h"
        " ON h.id = n.set_id WHERE k.item_id = v.item_id AND h.held_out AND n.frozen_at IS NOT NULL)"
    ),
}
LAST_OF_PAGE = sa.text(
    "SELECT id FROM review WHERE workflow_id = :workflow AND id > :after ORDER BY id LIMIT 1 OFFSET :others"
)
REST = sa.text("SELECT count(*) FROM review WHERE workflow_id = :workflow AND id > :after")
# PostgreSQL guesses the size of a page from old statistics; told so, it follows the indexes as SQLite does.
BY_INDEX = (
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off;"
    " SET LOCAL enable_bitmapscan = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
)
VOTES = sa.text(
    "SELECT v.item_id, v.id, v.purpose, v.verdict, v.reviewed_at, i.label FROM review v"
    " JOIN item i ON i.id = v.item_id LEFT JOIN decision g ON g.id = i.decision_id"
    f" WHERE v.item_id IN :items AND {LEFT_GRACE}"
).bindparams(sa.bindparam("items", expanding=True, type_=Id()))


def page_query(choice: Filter, dialect: str) -> str:
    """Return the SQL of one page: the reviews of a workflow after one id and up to another."""
    hexed = {"review_id", "item_id"} if dialect == "postgresql" else set()
    columns = ", ".join(f"{HEX.format(sql) if name in hexed else sql} AS {name}" for name, sql in FROM.items())
    rules = "".join(f" AND {WHERE[name]}" for name in chosen(choice))
    return (
        f"SELECT {columns} FROM {TABLES} WHERE v.workflow_id = :workflow AND v.id > :after AND v.id <= :upto"
        f" AND i.id = v.item_id AND s.id = i.source_id AND {LEFT_GRACE}{rules} ORDER BY v.id"
    )


def count(database: Database, workflow_id: int) -> int:
    """Return how many reviews a workflow has, those included that an export leaves out."""
    with explained(), database.reading() as session:
        return int(session.connection().execute(REST, {"workflow": workflow_id, "after": START}).scalar_one())


def page_end(database: Database, workflow_id: int, after: str, step: int) -> tuple[str, int]:
    """Return the last id of the next page of at most `step` reviews, and how many it spans.

    Raises:
        DatabaseUnusableError: the database is away or damaged.
    """
    bound = {"workflow": workflow_id, "after": after}
    with explained(), database.reading() as session:
        last = session.connection().execute(LAST_OF_PAGE, {**bound, "others": step - 1}).scalar()
        if last is not None:
            return str(last), step
        return END, int(session.connection().execute(REST, bound).scalar_one())


def read(database: Database, question: Question, after: str, upto: str) -> Page:
    """Return the reviews after one id and up to another that had left grace when the export began, as many as fit.

    Raises:
        DatabaseUnusableError: the database is away or damaged.
    """
    with explained(), database.reading() as session:
        return read_some(session, question, after, upto)


def read_some(session: Session, question: Question, after: str, upto: str, *, most: int | None = None) -> Page:
    """Return what `read` does, in the caller's transaction, and no more than so many rows."""
    connection = session.connection()
    query = page_query(question.choice, connection.dialect.name) + (f" LIMIT {most:d}" if most else "")
    bound = {"workflow": question.workflow_id, "as_of": question.as_of, "after": after, "upto": upto}
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(BY_INDEX)
    raw, full = _until_full(_asked(connection, query, {**bound, **chosen(question.choice)}))
    page = _page(raw, question.workflow, upto, full=full)
    _mark_labels(session, page, question.as_of)
    return page


def chosen(choice: Filter) -> dict[str, Any]:
    """Return what a filter asks for, without what it leaves open."""
    return {name: value for name in WHERE if (value := getattr(choice, name)) is not None}


def _asked(connection: sa.Connection, query: str, bound: dict[str, Any]) -> Callable[[int], list[Any]]:
    """Ask, and return what gives the next so many rows.

    They are the driver's own tuples: a Row around each would cost as much as reading it.
    """
    if connection.dialect.name == "sqlite":
        found: Any = connection.execute(sa.text(query), bound).cursor
        return found.fetchmany  # type: ignore[no-any-return]
    # PostgreSQL's driver takes a whole answer, unless a cursor of the server keeps it.
    connection.execute(sa.text(f"DECLARE page NO SCROLL CURSOR FOR {query}"), bound)
    driver: Any = connection.connection.driver_connection
    return lambda many: list(driver.execute(f"FETCH {many} FROM page"))


def _until_full(give: Callable[[int], list[Any]]) -> tuple[list[Any], bool]:
    """Return the rows up to those that fill the page, and whether it is full."""
    raw: list[Any] = []
    size, many = 0, FEWEST_ROWS
    while some := give(many):
        raw += some
        size += sum(map(len, filter(None, itertools.chain.from_iterable(map(_PLACES, some)))))
        if size >= PAGE_BYTES:
            return raw, True
        # Few at first, and no more than seem to fit: long texts may come after short ones.
        many = max(1, min(2 * many, MOST_ROWS, (PAGE_BYTES - size) * len(raw) // (size or 1)))
    return raw, False


def _page(raw: Sequence[Any], workflow: str, upto: str, *, full: bool) -> Page:
    if not raw:
        return Page({}, 0, upto)
    columns: dict[str, list[Any]] = dict(zip(FROM, map(list, zip(*raw, strict=True)), strict=True))
    rows = len(columns["review_id"])
    for name in ("prompt_is_chat", "panel"):  # SQLite has no booleans
        columns[name] = list(map({0: False, 1: True}.get, columns[name]))
    columns["workflow"] = [workflow] * rows
    columns["cost_usd"] = [None if cost is None else cost / 1_000_000 for cost in columns["cost_micro"]]
    columns["adjudication"] = [purpose == Purpose.ADJUDICATION for purpose in columns["purpose"]]
    texts = zip(columns["verdict"], columns["output"], columns["correction"], strict=True)
    columns["final_text"] = [
        output if verdict == Verdict.APPROVE else correction if verdict == Verdict.CORRECT else None
        for verdict, output, correction in texts
    ]
    return Page(columns, rows, columns["review_id"][-1] if full else upto)


def _mark_labels(session: Session, page: Page, as_of: int) -> None:
    """Say of each row whether its item's label comes from it."""
    if not page.rows:
        return
    columns = page.columns
    # Nearly every item has one review; only the others need a second look.
    several = {item for item, reviews in zip(columns["item_id"], columns["reviews"], strict=True) if reviews > 1}
    chosen: set[str] = set()
    if several:
        bound = {"items": sorted(several), "as_of": as_of}
        chosen = label_givers(session.connection().execute(VOTES, bound))
    rows = zip(*(columns[name] for name in ("review_id", "item_id", "verdict", "item_label")), strict=True)
    columns["is_item_label"] = [
        review in chosen if item in several else verdict == label for review, item, verdict, label in rows
    ]
