"""Find items again: newest first, page by page, and never for longer than a person waits.

What is wanted may be rare, and no index knows what a text contains. So a search looks through the items in steps, along
one index, each step a short query; it stops when the page is full, or when it has looked through so many or for so
long, and says how far it came. It goes on from there when it is asked to.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.tables import Id, Role, Status
from neuro_review.access import Actor
from neuro_review.content import as_json
from neuro_review.errors import InvalidError
from neuro_review.exports.rows import BY_INDEX
from neuro_review.stories.wanted import Wanted

PAGE = 50
LOOK_THROUGH = 50_000
PATIENCE = 1.0  # seconds
# The first step fills a page where nothing is asked; then a step must stay short also where outputs are long.
FIRST_STEP, LONGEST_STEP = PAGE + 1, 4_000
# One step reads its length in each workflow.
MOST_READ = 16_000
MOST_WORKFLOWS = 300  # SQLite joins no more than 500 queries into one
BEGINNING = 200
NEWEST_FOR_CHOICES = 200


@dataclass(frozen=True)
class Place:
    """A place in the order of a search: after this item, newest first."""

    at: int
    item_id: str


START = Place(1 << 62, "0" * 32)


@dataclass(frozen=True)
class Found:
    """What a look brought."""

    ids: list[str]
    looked: int
    """How many items were looked through."""
    stopped: Place | None
    """Where the next look goes on; None where nothing is left."""


@dataclass(frozen=True)
class Row:
    """An item as a list shows it."""

    item_id: str
    created_at: int
    workflow: str
    model: str
    status: Status
    recalled: bool
    reviewers: list[str]
    reasons: list[str]
    beginning: str | None
    """Of the output; None where it was erased."""


@dataclass(frozen=True)
class Choices:
    """What can be asked for: the workflows this person may see, and names that came up there lately."""

    workflows: dict[int, str]
    models: list[str]
    reviewers: list[str]
    reasons: list[str]


# Archived ones too: what is in them is kept, so that it can be found.
WORKFLOWS = sa.text("SELECT id, name FROM workflow ORDER BY name")


def workflows_of(session: Session, by: Actor) -> dict[int, str]:
    """Return the workflows whose items this person may see, in use and archived, by name."""
    rows = session.connection().execute(WORKFLOWS)
    return {row.id: row.name for row in rows if by.may(Role.REVIEWER, row.id)}


def look(
    session: Session, by: Actor, wanted: Wanted, after: Place | None = None, *, most: int = PAGE,
    through: int = LOOK_THROUGH, patience: float = PATIENCE,
) -> Found:  # fmt: skip
    """Return the ids of the next items that are wanted, newest first, from a place on.

    Raises:
        NotAllowedError: not a reviewer of the workflow that is asked for.
        InvalidError: the question cannot be asked.
    """
    wanted.check()
    query, bound, longest = _question(session, _asked_for(session, by, wanted), wanted)
    place = after or Place(wanted.until or START.at, START.item_id)
    if session.connection().dialect.name == "postgresql":
        session.connection().exec_driver_sql(BY_INDEX)
    found: list[tuple[int, Place]] = []
    looked, step, began = 0, FIRST_STEP, time.monotonic()
    while longest:
        asked = bound | {"at": place.at, "after": place.item_id, "step": step}
        rows = session.connection().execute(query, asked).all()
        hits = [(looked + row.n, Place(row.created_at, row.id)) for row in rows if row.hit]
        found += hits
        if len(found) > most:
            looked, place = found[most - 1]
            return Found([one.item_id for _, one in found[:most]], looked, place)
        seen = rows[-1].n if rows else 0
        looked += seen
        if seen < step:
            break
        place = Place(rows[-1].created_at, rows[-1].id)
        spent = time.monotonic() - began
        if looked >= through or spent > patience:
            return Found([one.item_id for _, one in found], looked, place)
        # No longer than what is left, at the pace so far.
        fits = int(looked / max(spent, 0.001) * (patience - spent))
        step = min(max(FIRST_STEP, min(step * 4, longest, fits)), through - looked)
    return Found([one.item_id for _, one in found], looked, None)


def _asked_for(session: Session, by: Actor, wanted: Wanted) -> list[int]:
    if wanted.workflow is not None:
        by.require(Role.REVIEWER, wanted.workflow)
        return [wanted.workflow]
    flows = list(workflows_of(session, by))
    if len(flows) > MOST_WORKFLOWS:
        raise InvalidError(f"You review more than {MOST_WORKFLOWS} workflows. Choose one of them.", "workflow")
    return flows


NEWEST = (
    "SELECT * FROM (SELECT id, created_at FROM item WHERE workflow_id = :w{n} AND (created_at, id) < (:at, :after)"
    "{since} ORDER BY created_at DESC, id DESC LIMIT :step) AS w{n}"
)
# Along the unique key of sources and their names, which needs to be told each source.
NAMED = (
    "SELECT i.id, i.created_at FROM source s CROSS JOIN item i WHERE i.workflow_id = :w{n} AND i.source_id = s.id"
    " AND i.external_id = :name AND (i.created_at, i.id) < (:at, :after){since} UNION"
    " SELECT i.id, i.created_at FROM item i WHERE i.id = :as_id AND i.workflow_id = :w{n}"
    " AND (i.created_at, i.id) < (:at, :after){since}"
)
# The last row of a step always comes along: it says how far the step went, and where the next begins.
STEP = (
    "WITH looked AS (SELECT row_number() OVER (ORDER BY created_at DESC, id DESC) AS n, id, created_at FROM"
    " (SELECT id, created_at FROM ({each}) AS every_one ORDER BY created_at DESC, id DESC LIMIT :step) AS newest)"
    " SELECT n, id, created_at, hit FROM (SELECT l.n, l.id, l.created_at, ({asked}) AS hit FROM looked l"
    " JOIN item i ON i.id = l.id{content}) AS judged"
    " WHERE hit OR n = (SELECT count(*) FROM looked) ORDER BY n"
)
CONTENT = " LEFT JOIN item_content c ON c.item_id = l.id"


def _question(session: Session, flows: Sequence[int], wanted: Wanted) -> tuple[sa.TextClause, dict[str, Any], int]:
    """Return the SQL of one step, what is bound to it, and how long a step may be; 0 where nothing can be found."""
    one = NAMED if wanted.name else NEWEST
    since = " AND created_at >= :since" if wanted.since is not None else ""
    each = " UNION ALL ".join(one.format(n=n, since=since) for n in range(len(flows)))
    asked, bound = _conditions(wanted, session.connection().dialect.name)
    bound |= {f"w{n}": flow for n, flow in enumerate(flows)}
    if wanted.name:
        bound |= {"name": wanted.name.strip(), "as_id": as_id(wanted.name) or "0" * 32}
    if wanted.since is not None:
        bound["since"] = wanted.since
    content = CONTENT if wanted.text else ""
    clause = sa.text(STEP.format(each=each, asked=" AND ".join(asked) or "TRUE", content=content))
    for several in ("statuses", "labels"):
        if several in bound:
            clause = clause.bindparams(sa.bindparam(several, expanding=True))
    return clause, bound, max(FIRST_STEP, min(LONGEST_STEP, MOST_READ // len(flows))) if flows else 0


NOT_UNDONE = "NOT EXISTS (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id WHERE d.review_id = v.id)"
HAS_REASON = {
    "sqlite": "EXISTS (SELECT 1 FROM json_each(v.reasons) r WHERE r.value = :reason)",
    "postgresql": "CAST(v.reasons AS jsonb) @> CAST(:reason AS jsonb)",
}
LIKE = {"sqlite": "LIKE", "postgresql": "ILIKE"}


def _conditions(wanted: Wanted, dialect: str) -> tuple[list[str], dict[str, Any]]:
    """Return what an item `i` with its content `c` must fulfil, and what is bound to it."""
    asked, bound = [], dict[str, Any]()
    if wanted.statuses:
        asked.append("i.status IN :statuses")
        bound["statuses"] = [str(status) for status in wanted.statuses]
    if wanted.labels:
        asked.append("i.label IN :labels")
        bound["labels"] = [str(label) for label in wanted.labels]
    if wanted.model:
        asked.append("i.model = :model")
        bound["model"] = wanted.model
    if wanted.asks_of_reviews:
        of_review = ["v.item_id = i.id", NOT_UNDONE]
        if wanted.verdict:
            of_review.append("v.verdict = :verdict")
            bound["verdict"] = str(wanted.verdict)
        if wanted.reviewer:
            of_review.append("v.reviewer = :reviewer")
            bound["reviewer"] = wanted.reviewer
        if wanted.reason:
            of_review.append(HAS_REASON[dialect])
            bound["reason"] = as_json([wanted.reason]) if dialect == "postgresql" else wanted.reason
        asked.append(f"EXISTS (SELECT 1 FROM review v WHERE {' AND '.join(of_review)})")
    if wanted.text:
        asked.append(_contains(wanted.text, LIKE[dialect], bound))
    return asked, bound


def _contains(text: str, like: str, bound: dict[str, Any]) -> str:
    """Return the condition that a text stands in the prompt, the output or a correction."""
    # SQLite knows the two cases of A to Z only; so a word with other letters is asked for in each usual spelling.
    spellings = [text] if text.isascii() else list(dict.fromkeys((text, text.lower(), text.upper(), text.capitalize())))
    # A chat is stored as JSON, where a quotation mark or a new line is written otherwise.
    in_chat = list(dict.fromkeys(as_json(spelling)[1:-1] for spelling in spellings))
    bound |= {f"text{n}": _pattern(spelling) for n, spelling in enumerate(spellings)}
    bound |= {f"chat{n}": _pattern(spelling) for n, spelling in enumerate(in_chat)}

    def among(column: str, name: str, many: int) -> str:
        return "(" + " OR ".join(f"{column} {like} :{name}{n} ESCAPE '!'" for n in range(many)) + ")"

    said = {column: among(column, "text", len(spellings)) for column in ("c.output", "c.prompt", "t.text")}
    chat = among("c.prompt", "chat", len(in_chat))
    return (
        f"({said['c.output']} OR (NOT c.prompt_is_chat AND {said['c.prompt']}) OR (c.prompt_is_chat AND {chat})"
        " OR EXISTS (SELECT 1 FROM review v JOIN review_content t ON t.review_id = v.id WHERE v.item_id = i.id"
        f" AND {said['t.text']}))"
    )


def _pattern(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"


def as_id(text: str) -> str | None:
    """Return an item's id in its one form, or None where a text is no id."""
    plain = text.strip().replace("-", "").lower()
    return plain if len(plain) == 32 and not plain.strip("0123456789abcdef") else None


ROWS = sa.text(
    "SELECT i.id, i.created_at, i.workflow_id, w.name, i.model, i.status, i.recalled_at,"
    f" substr(c.output, 1, {BEGINNING}) AS beginning FROM item i JOIN workflow w ON w.id = i.workflow_id"
    " LEFT JOIN item_content c ON c.item_id = i.id WHERE i.id IN :ids"
).bindparams(sa.bindparam("ids", expanding=True, type_=Id()))
SAID = sa.text(
    f"SELECT v.item_id, v.reviewer, v.reasons FROM review v WHERE v.item_id IN :ids AND {NOT_UNDONE}"
    " ORDER BY v.created_at, v.id"
).bindparams(sa.bindparam("ids", expanding=True, type_=Id()))


def rows(session: Session, by: Actor, ids: Sequence[str]) -> list[Row]:
    """Return items as a list shows them, in the order of their ids; what this person may not see is left out."""
    if not ids:
        return []
    connection = session.connection()
    said: dict[str, list[Any]] = {}
    for item_id, reviewer, reasons in connection.execute(SAID, {"ids": list(ids)}):
        said.setdefault(item_id, []).append((reviewer, orjson.loads(reasons)))
    found = {}
    for row in connection.execute(ROWS, {"ids": list(ids)}):
        if by.may(Role.REVIEWER, row.workflow_id):
            reviews = said.get(row.id, [])
            found[row.id] = Row(
                row.id, row.created_at, row.name, row.model, Status(row.status), row.recalled_at is not None,
                list(dict.fromkeys(name for name, _ in reviews)),
                list(dict.fromkeys(reason for _, reasons in reviews for reason in reasons)), row.beginning,
            )  # fmt: skip
    return [found[one] for one in ids if one in found]


_LATELY = "SELECT {what} FROM {table} WHERE workflow_id = :workflow ORDER BY {order} LIMIT :most"
MODELS = sa.text(
    f"SELECT DISTINCT model FROM ({_LATELY.format(what='model', table='item', order='created_at DESC, id DESC')}) AS i"
)
REVIEWS = sa.text(_LATELY.format(what="reviewer, reasons", table="review", order="id DESC"))
REASONS = sa.text("SELECT name FROM reason WHERE workflow_id = :workflow")


def choices(session: Session, by: Actor) -> Choices:
    """Return what can be asked for; of models, reviewers and reasons those that came up lately."""
    connection = session.connection()
    flows = workflows_of(session, by)
    models: set[str] = set()
    reviewers: set[str] = set()
    reasons: set[str] = set()
    for workflow in flows:
        bound = {"workflow": workflow, "most": NEWEST_FOR_CHOICES}
        models |= set(connection.execute(MODELS, bound).scalars())
        reasons |= set(connection.execute(REASONS, {"workflow": workflow}).scalars())
        for reviewer, given in connection.execute(REVIEWS, bound):
            reviewers.add(reviewer)
            reasons |= set(orjson.loads(given))
    return Choices(flows, sorted(models), sorted(reviewers), sorted(reasons))
