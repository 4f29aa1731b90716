"""What the owner of a workflow agrees: its name, its times, its reasons, and what is sent instead of a rejected output.

The audit log keeps numbers as they are, and of a text its hash.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from neuro_review import access, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import check_text
from neuro_review.errors import ConflictError, InvalidError
from neuro_review.workflows import Workflow

MOST_REASONS, LONGEST_REASON, LONGEST_FALLBACK = 50, 100, 10_000
LONGEST_GRACE = 86_400  # seconds
UNITS = {"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
"""In what a deadline is given, in milliseconds."""
LONGEST_DEADLINE = 366 * UNITS["days"]
MEANWHILE = (
    "Somebody else changed this meanwhile. Nothing was saved, and what you typed stands below."
    " Open this page in another tab to see theirs; save again to put yours in its place."
)


@dataclass(frozen=True)
class Terms:
    """What the owner of a workflow agrees, as people give it."""

    name: str
    grace_seconds: int = 5
    """How long a verdict can be undone before it leaves."""
    deadline: int | None = None
    """How long an item may wait, in `unit`; none is no deadline."""
    unit: str = "hours"
    fallback: str = ""
    """What an application may send when an output was rejected or lapsed; empty is none."""
    lapse: int | None = None
    """How long an item waits for an owner after its deadline before it lapses, in `lapse_unit`; none is not at all."""
    lapse_unit: str = "hours"

    @property
    def deadline_words(self) -> str:
        """Return the deadline as a person says it."""
        if self.deadline is None:
            return "no deadline"
        return f"due in {self.deadline} {self.unit if self.deadline != 1 else self.unit.removesuffix('s')}"


def terms(flow: Workflow) -> Terms:
    """Return what a workflow has agreed, as people give it."""
    return Terms(flow.name, flow.grace_ms // 1000, *_in_units(flow.sla_ms), flow.fallback or "",
                 *_in_units(flow.lapse_ms or None))  # fmt: skip


def _in_units(ms: int | None) -> tuple[int | None, str]:
    """Return a time as a person gives it: a number, and the largest unit that it is a whole number of."""
    if ms is None:
        return None, "hours"
    unit = next((unit for unit in reversed(UNITS) if ms % UNITS[unit] == 0), "minutes")
    return -(-ms // UNITS[unit]), unit


def create(
    session: Session, by: Actor, agreed: Terms, *, owner_id: int, reasons: Sequence[str], rubric: str = ""
) -> Workflow:  # fmt: skip
    """Add a workflow with all that its owner has agreed.

    Raises:
        NotAllowedError: not an admin, or the owner's account is disabled.
        ConflictError: there is one of this name.
        InvalidError: something of it cannot be used.
    """
    by = access.settled(session, by)
    access.actor(session, owner_id)
    flow = workflows.add(session, by, agreed.name, owner_id=owner_id)
    if owner_id != by.person_id:
        access.end_sessions(session, [owner_id])
    change(session, by, flow.id, agreed)
    set_reasons(session, by, flow.id, reasons)
    workflows.write_rubric(session, by, flow.id, rubric)
    return workflows.by_id(session, flow.id)


def change(session: Session, by: Actor, workflow_id: int, agreed: Terms, *, after: Terms | None = None) -> None:
    """Change what a workflow has agreed; grace holds from the next verdict on, a deadline for items that come in later.

    `after` is what was read before this was written.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: another one has this name, or somebody else has changed it meanwhile.
        InvalidError: something of it cannot be used.
    """
    flow = workflows.take(session, by, workflow_id)
    if after is not None and after != terms(flow):
        raise ConflictError(MEANWHILE)
    name = flow.name if " ".join(agreed.name.split()) == flow.name else workflows.free_name(session, agreed.name)
    fallback = agreed.fallback.strip() or None
    check_text(fallback or "", "fallback")
    if len(fallback or "") > LONGEST_FALLBACK:
        raise InvalidError(f"A fallback has at most {LONGEST_FALLBACK:,} characters. Shorten it.", "fallback")
    new = {
        "name": name, "grace_ms": _grace(agreed), "sla_ms": _deadline(agreed), "lapse_ms": _lapse(agreed),
        "fallback": fallback,
    }  # fmt: skip
    changed = {column: value for column, value in new.items() if value != getattr(flow, column)}
    if not changed:
        return
    session.connection().execute(
        sa.text("UPDATE workflow SET name = :name, grace_ms = :grace_ms, sla_ms = :sla_ms, lapse_ms = :lapse_ms,"
                " fallback = :fallback WHERE id = :id"),
        {**new, "id": workflow_id},
    )  # fmt: skip
    facts = {column: _hash(value) if isinstance(value, str) else value for column, value in changed.items()}
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, facts)


def _grace(agreed: Terms) -> int:
    if not 0 <= agreed.grace_seconds <= LONGEST_GRACE:
        raise InvalidError(f"The time to undo is 0 to {LONGEST_GRACE:,} seconds.", "grace")
    return agreed.grace_seconds * 1000


def _deadline(agreed: Terms) -> int | None:
    if agreed.deadline is None:
        return None
    if agreed.unit not in UNITS or not 0 < agreed.deadline * UNITS[agreed.unit] <= LONGEST_DEADLINE:
        raise InvalidError("A deadline is 1 minute to 366 days. Leave it empty for none.", "deadline")
    return agreed.deadline * UNITS[agreed.unit]


def _lapse(agreed: Terms) -> int | None:
    if agreed.lapse is None:
        return None
    if agreed.deadline is None:
        raise InvalidError("Without a deadline nothing lapses. Give a deadline, or leave both empty.", "lapse")
    if agreed.lapse_unit not in UNITS or not 0 < agreed.lapse * UNITS[agreed.lapse_unit] <= LONGEST_DEADLINE:
        raise InvalidError("The time for an owner is 1 minute to 366 days. Leave it empty for none.", "lapse")
    return agreed.lapse * UNITS[agreed.lapse_unit]


def _hash(text: str) -> str:
    """Return what the audit log keeps of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def set_reasons(
    session: Session, by: Actor, workflow_id: int, names: Sequence[str], *, after: Sequence[str] | None = None
) -> None:
    """Put a list of reasons in force, in this order; one that is left out is retired, and stays in past verdicts.

    `after` is the list that was read before this one was written.

    Raises:
        NotAllowedError: not an owner of the workflow.
        ConflictError: somebody else has changed the list meanwhile.
        InvalidError: the list is empty or too long, or a reason cannot be used.
    """
    workflows.take(session, by, workflow_id)
    wanted, in_force = _reasons(names), workflows.reasons(session, workflow_id)
    if after is not None and list(after) != in_force:
        raise ConflictError(MEANWHILE)
    if wanted == in_force:
        return
    connection = session.connection()
    retire = sa.text(
        "UPDATE reason SET retired_at = :at WHERE workflow_id = :id AND retired_at IS NULL AND name = :name"
    )
    for name in set(in_force) - set(wanted):
        connection.execute(retire, {"at": now(), "id": workflow_id, "name": name})
    put = sa.text(
        "INSERT INTO reason (workflow_id, name, position) VALUES (:id, :name, :position)"
        " ON CONFLICT (workflow_id, name) DO UPDATE SET position = excluded.position, retired_at = NULL"
    )
    for position, name in enumerate(wanted, 1):
        connection.execute(put, {"id": workflow_id, "name": name, "position": position})
    facts: dict[str, Any] = {"reasons": [_hash(name) for name in wanted]}
    record(session, f"workflow/{workflow_id}", by.audit_name, Action.WORKFLOW_CHANGED, facts)


def _reasons(names: Sequence[str]) -> list[str]:
    """Return a list of reasons as it is stored: without empty lines and space around."""
    wanted = [clean for name in names if (clean := " ".join(name.split()))]
    if not 0 < len(wanted) <= MOST_REASONS:
        raise InvalidError(f"A workflow has 1 to {MOST_REASONS} reasons: a rejection needs one.", "reasons")
    seen: set[str] = set()
    for name in wanted:
        check_text(name, "A reason")
        if len(name) > LONGEST_REASON:
            raise InvalidError(
                f"A reason has at most {LONGEST_REASON} characters. Put more into the rubric.", "reasons"
            )
        if name.casefold() in seen:
            raise InvalidError(f"The reason “{name}” stands there twice. Remove one.", "reasons")
        seen.add(name.casefold())
    return wanted
