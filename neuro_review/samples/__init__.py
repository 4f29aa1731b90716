"""The sample queue: sixty customer-support answers of our own writing, by three fictitious models with real faults.

They live in a workflow of their own and their items have the origin `sample`: queued and decided like any other, never
released. Nothing that was reviewed is ever deleted, so removing them withdraws what still waits and puts the workflow
away.
"""

from pathlib import Path

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import now
from db.tables import Origin, Role
from neuro_review import access, intake, releases, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record

FILE = Path(__file__).parent / "support.jsonl"
NAME = "Sample: shop support"
RUBRIC = (
    "Amounts, dates and deadlines must be in the context. No promise that the policy does not make. Nothing about "
    "another customer. Help where the context allows it. Warm and short."
)
# By the event, not by the items: among a million of them a sample would be looked for in vain.
IN_USE = sa.text(
    "SELECT w.id, w.name FROM workflow w WHERE w.archived_at IS NULL AND EXISTS (SELECT 1 FROM audit a"
    " WHERE a.stream = 'workflow/' || w.id AND a.action = 'sample.loaded')"
)
HELD = sa.text("SELECT id FROM item WHERE workflow_id = :workflow AND origin = 'sample' AND status = 'held'")


def loaded(session: Session) -> bool:
    """Tell whether a sample queue is in use."""
    return session.connection().execute(IN_USE).first() is not None


def load(session: Session, by: Actor) -> int:
    """Load the sample queue, whose owner is who loads it; returns how many outputs it holds, 0 where one is in use."""
    if loaded(session):
        return 0
    name, number = NAME, 1
    while workflows.find(session, name):
        number += 1
        name = f"{NAME} {number}"
    # Without an audit panel the first line comes first: the one a newcomer can judge in seconds.
    flow = workflows.add(session, by, name, panel_rate=0.0)
    workflows.write_rubric(session, by, flow.id, RUBRIC)
    if by.person_id is not None:
        access.grant(session, by.audit_name, by.person_id, Role.OWNER, flow.id)
    flow = workflows.by_id(session, flow.id)
    source_id = workflows.source_id(session, workflows.SAMPLE_SOURCE)
    door = intake.Door(flow, source_id, by.audit_name, Origin.SAMPLE)
    lines = FILE.read_bytes().splitlines()
    # A minute apart, so that the queue shows ages and the first line comes first.
    start = now() - len(lines) * 60_000_000
    batch = [
        intake.prepare(door, intake.Submission.model_validate(orjson.loads(line)), at=start + n * 60_000_000)
        for n, line in enumerate(lines)
    ]
    stored = intake.store(session, door, batch)
    record(session, f"workflow/{flow.id}", by.audit_name, Action.SAMPLE_LOADED, {"items": len(stored)})
    return len(stored)


def remove(session: Session, by: Actor) -> int:
    """Put the sample queue away: what still waits is withdrawn, the workflow archived. Returns how many waited."""
    waited = 0
    for flow in session.connection().execute(IN_USE).all():
        source_id = workflows.source_id(session, workflows.SAMPLE_SOURCE)
        for item in session.connection().execute(HELD, {"workflow": flow.id}).all():
            releases.withdraw(session, item.id, source_id)
            waited += 1
        workflows.archive(session, by, flow.id)
        record(session, f"workflow/{flow.id}", by.audit_name, Action.SAMPLE_REMOVED, {"waited": waited})
    return waited
