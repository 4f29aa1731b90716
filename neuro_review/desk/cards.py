"""The cards: what is shown of an item before the verdict, and of one's own work so far.

No risk, no machine hint, and not whether it is an audit: they anchor people.
"""

import hmac
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, now
from db.tables import Id, Origin, Role
from neuro_review import queue, workflows
from neuro_review.access import Actor
from neuro_review.queue import Lease
from neuro_review.settings import settings
from neuro_review.workflows import Workflow

MS = 1_000
RECENT = 10
BEGINNING = 80  # characters of an item decided before, so that it is recognised


def mine(session: Session, by: Actor) -> list[Workflow]:
    """Return the workflows this person reviews, by name."""
    return [flow for flow in workflows.every(session) if by.may(Role.REVIEWER, flow.id)]


CARDS = sa.text(
    "SELECT i.id, w.id AS workflow_id, w.name, w.rubric_version, i.model, i.origin, i.cost_micro, i.latency_ms,"
    " i.created_at, i.due_at, c.prompt, c.prompt_is_chat, c.context, c.output, d.text AS draft FROM item i"
    " JOIN workflow w ON w.id = i.workflow_id JOIN item_content c ON c.item_id = i.id"
    " LEFT JOIN draft d ON d.item_id = i.id AND d.person_id = :me WHERE i.id IN :ids"
).bindparams(sa.bindparam("ids", expanding=True, type_=Id()))


def cards(session: Session, leases: list[Lease], by: Actor) -> list[dict[str, Any]]:
    """Return what the screen shows of leased items, in their order: texts as they are, times in milliseconds.

    Raises:
        NotAllowedError: not a reviewer of one of their workflows.
    """
    if not leases:
        return []
    rows = session.connection().execute(CARDS, {"ids": [lease.item_id for lease in leases], "me": by.person_id})
    found = {row.id.replace("-", ""): row for row in rows}
    rules: dict[int, dict[str, Any]] = {}
    at, shown = now(), []
    for lease in leases:
        row = found[lease.item_id]
        by.require(Role.REVIEWER, row.workflow_id)
        if row.workflow_id not in rules:
            rules[row.workflow_id] = _rules(session, row)
        shown.append({**_facts(row), **rules[row.workflow_id], **_lease(lease, at)})
    return shown


def _rules(session: Session, row: Any) -> dict[str, Any]:
    return {
        "workflow": row.name, "reasons": workflows.reasons(session, row.workflow_id),
        "rubric": workflows.rubric(session, row.workflow_id), "rubric_version": row.rubric_version,
    }  # fmt: skip


def _facts(row: Any) -> dict[str, Any]:
    return {
        # Whose answer it is would weigh with who judges a candidate.
        "model": "" if row.origin == Origin.CANDIDATE else row.model,
        "turns": turns(row.prompt, is_chat=row.prompt_is_chat), "context": row.context or None,
        "output": row.output or "", "draft": row.draft, "sample": row.origin == Origin.SAMPLE,
        "cost": None if row.cost_micro is None else row.cost_micro / 1_000_000, "latency": row.latency_ms,
        "created": row.created_at // MS, "due": None if row.due_at is None else row.due_at // MS,
    }  # fmt: skip


def _lease(lease: Lease, at: int) -> dict[str, Any]:
    why = lease.why[:1].upper() + lease.why[1:]
    return {"item": lease.item_id, "lease": lease.lease_n, "why": why, "given": given(lease.item_id, lease.lease_n, at)}


def turns(prompt: str | None, *, is_chat: bool) -> list[dict[str, Any]]:
    """Return a conversation: who said what; what is no text (tool calls, parts) as JSON."""
    if prompt is None:
        return []
    if not is_chat:
        return [{"role": "user", "text": prompt}]
    said = []
    for message in orjson.loads(prompt):
        text = message.get("content")
        rest = {name: value for name, value in message.items() if name not in ("role", "content")}
        more = rest if isinstance(text, str) or text is None else {"content": text, **rest}
        said.append({
            "role": str(message.get("role", "")), "text": text if isinstance(text, str) else None, "data": more or None,
        })  # fmt: skip
    return said


def given(item_id: str, lease_n: int, at: int) -> str:
    """Return when an item was handed out, sealed, so that a browser cannot tell of a longer look than it had."""
    return f"{at}.{_seal(item_id, lease_n, str(at))}"


def given_at(item_id: str, lease_n: int, sealed: str | None) -> int | None:
    """Return the instant in a sealed stamp, or None where it was not made here for this lease."""
    at, _, seal = (sealed or "").partition(".")
    ours = at.isdecimal() and len(at) < 20 and hmac.compare_digest(_seal(item_id, lease_n, at).encode(), seal.encode())
    return int(at) if ours else None


def _seal(item_id: str, lease_n: int, at: str) -> str:
    return hmac.digest(settings().secret_bytes(), f"given {item_id} {lease_n} {at}".encode(), "sha256").hex()[:32]


TODAY = sa.text(
    "SELECT count(*) FROM review v WHERE v.person_id = :me AND v.created_at >= :since AND NOT EXISTS"
    " (SELECT 1 FROM decision d JOIN retraction x ON x.decision_id = d.id WHERE d.review_id = v.id)"
)
LAST = sa.text(
    "SELECT v.item_id, v.workflow_id, v.verdict, v.created_at, d.final_at, c.prompt, c.prompt_is_chat, c.output"
    " FROM review v JOIN decision d ON d.review_id = v.id JOIN item_content c ON c.item_id = v.item_id"
    " WHERE v.person_id = :me AND v.created_at >= :since"
    " AND NOT EXISTS (SELECT 1 FROM retraction x WHERE x.decision_id = d.id) ORDER BY v.created_at DESC LIMIT :most"
)


def today(session: Session, by: Actor) -> int:
    """Return how many verdicts this person gave since midnight, UTC; what was undone is none."""
    bound = {"me": by.person_id, "since": now() // DAY * DAY}
    return int(session.connection().execute(TODAY, bound).scalar_one())


def recent(session: Session, by: Actor) -> list[dict[str, Any]]:
    """Return what this person decided last, the latest first, and for how long it can still be undone."""
    at = now()
    rows = session.connection().execute(LAST, {"me": by.person_id, "since": at - DAY, "most": RECENT})
    return [
        {
            "item": row.item_id.replace("-", ""), "verdict": row.verdict, "ago": (at - row.created_at) // MS,
            "undo": max(0, row.final_at - at) // MS,
            "begins": begins(row.prompt, row.output, is_chat=row.prompt_is_chat),
        }
        for row in rows
        if by.may(Role.REVIEWER, row.workflow_id)  # a role that went takes what could be read with it
    ]  # fmt: skip


def begins(prompt: str | None, output: str | None, *, is_chat: bool) -> str:
    """Return the words by which an item is recognised: of what was asked, else of the output."""
    asked = [turn["text"] for turn in turns(prompt, is_chat=is_chat) if turn["role"] == "user" and turn["text"]]
    return " ".join((asked[-1] if asked else output or "")[: 4 * BEGINNING].split())[:BEGINNING]


@dataclass(frozen=True)
class Choice:
    """The workflows somebody works on: one, or all of theirs."""

    ids: list[int]
    chosen: int | None
    """None: all of them, also where the one that was asked for is no longer theirs."""


def chosen(flows: list[Workflow], wanted: int | None) -> Choice:
    """Return what to work on."""
    ids = [flow.id for flow in flows]
    return Choice([wanted], wanted) if wanted in ids and wanted is not None else Choice(ids, None)


def waiting(session: Session, workflow_ids: list[int]) -> dict[str, Any]:
    """Return what waits in these workflows together: held, due within the hour, and since when the oldest waits."""
    each = [queue.waiting(session, workflow_id) for workflow_id in workflow_ids]
    oldest = min((one.oldest_at for one in each if one.oldest_at is not None), default=None)
    return {
        "held": sum(one.held for one in each), "due": sum(one.due for one in each),
        "oldest": None if oldest is None else oldest // MS,
    }  # fmt: skip
