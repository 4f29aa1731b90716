"""Small makers for the floor below the door: an item put in place without intake, and a claim of one."""

import contextlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import new_id, now
from neuro_review import audit, queue, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action
from neuro_review.content import new_salt, parts_hash, prompt_hash, text_hash
from neuro_review.intake import BORN_WITH, FIXED
from neuro_review.workflows import Workflow

SOURCE = "tests"


def make_item(
    session: Session, workflow_id: int, *, origin: str = "gate", output: str = "The output.", prompt: str = "A prompt.",
    model: str = "m", external_id: str | None = None, source: str = SOURCE, created_at: int | None = None,
    priority: int = 5, panel: bool = False, due_at: int | None = None, **more: Any,
) -> str:  # fmt: skip
    """Put one item with its content and its first event in place and return its id; `more` sets any other column."""
    item_id, salt = new_id(), new_salt()
    source_id = workflows.source_id(session, source)
    at = now() if created_at is None else created_at
    content_hash = parts_hash(salt, [model, prompt, output, None, None, more.get("prompt_version")])
    columns: dict[str, Any] = {
        "id": item_id, "workflow_id": workflow_id, "source_id": source_id, "external_id": external_id or item_id,
        "origin": origin, "model": model, "created_at": at, "output_hash": text_hash(salt, output),
        "content_hash": content_hash, "prompt_hash": prompt_hash(prompt), "panel_u": 0.05 if panel else 0.5,
        "panel_rate": 0.1, "panel": panel, "routed_at": at, "stratum": "all", "inclusion": 1.0, "rubric_version": 0,
        "status": "recorded" if origin == "history" else "held", "priority": priority,
        "queue_band": 0 if panel else 1, "queue_at": queue.queue_at(at, priority), "due_at": due_at,
        "lease_until": 0, "lease_n": 0, "audit_seq": 1,
    } | more  # fmt: skip
    insert_rows(session, "item", " ".join(columns), [tuple(columns.values())])
    insert_rows(
        session, "item_content", "item_id salt prompt prompt_is_chat output", [(item_id, salt, prompt, False, output)]
    )
    born = parts_hash(salt, [columns.get(name) for name in FIXED + BORN_WITH])
    body = (
        f'{{"born":"{born}","content":"{content_hash}","origin":"{origin}","output":"{columns["output_hash"]}",'
        f'"source":{source_id},"workflow":{workflow_id}}}'
    )
    action = Action.ITEM_RECORDED if origin == "history" else Action.ITEM_SUBMITTED
    audit.record_first(session, [audit.first_event(item_id, at, f"source:{source_id}", action, body)])
    return item_id


def note_erasure(session: Session, item_id: str, actor: str = "person:1", reason: str = "asked") -> int:
    """Write the event and the row that let an item's texts go, and return when."""
    at = now()
    facts = {"reason": text_hash(item_id, reason)}
    seq = audit.record(session, item_id, actor, Action.ITEM_ERASED, facts, at)
    connection = session.connection()
    connection.execute(sa.text("UPDATE item SET audit_seq = :seq WHERE id = :id"), {"seq": seq, "id": item_id})
    insert_rows(session, "erasure", "item_id reason erased_by at", [(item_id, reason, actor, at)])
    return at


def claim_one(session: Session, actor: Actor, workflow: Workflow | int) -> queue.Lease:
    """Give a reviewer the next item of a workflow; something must wait."""
    workflow_id = workflow if isinstance(workflow, int) else workflow.id
    (lease,) = queue.claim(session, actor, [workflow_id], most=1)
    return lease


def children_of(pid: int) -> list[int]:
    """Return the processes that one has started, and that still are there."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it is gone already
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(file.parent.name))
    return found
