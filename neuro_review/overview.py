"""What waits, workflow by workflow, for the person who looks."""

from dataclasses import dataclass

from sqlmodel import Session

from db.tables import Role
from neuro_review import queue, workflows
from neuro_review.access import Actor
from neuro_review.queue import Waiting


@dataclass(frozen=True)
class Row:
    """One workflow and what waits in it."""

    id: int
    name: str
    waiting: Waiting


def workflows_of(session: Session, by: Actor) -> list[Row]:
    """Return the workflows that this person may review, by name, with what waits in each."""
    return [
        Row(flow.id, flow.name, queue.waiting(session, flow.id))
        for flow in workflows.every(session)
        if by.may(Role.REVIEWER, flow.id)
    ]
