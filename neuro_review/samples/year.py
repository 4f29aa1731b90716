"""A year of labels for the demo: three fictitious models, one of which becomes worse after a change of its prompt.

Made up here, the same for everybody on the same day, and recorded as labels of the past in a workflow of their own:
nothing of it is ever queued or released. For a throw-away database: it is written in one go.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session

from db.clock import DAY, HOUR, SECOND, now
from db.tables import Origin, Role, Verdict
from neuro_review import access, history, intake, workflows
from neuro_review.access import Actor
from neuro_review.history import PastReview
from neuro_review.intake import Prepared, Submission
from neuro_review.workflows import measured

NAME = "Sample: a year of shop support"
DAYS, A_DAY = 364, 8
TARGET, RATE = 0.10, 32_000_000
TURN = 70
"""So many days ago the prompt of one model was changed, and its answers became worse."""
ASKED = (
    "May I return this?",
    "Where is my order?",
    "Can I still change the address?",
    "Is this kettle dishwasher safe?",
)
SAID = (
    "Yes, within 30 days of delivery, as long as it is unused.",
    "It left our warehouse this morning.",
    "Yes, until it is packed. I have changed it for you.",
    "The lid is; the body is better washed by hand.",
)
BETTER = (
    "Yes, within 14 days of delivery, as long as it is unused.",
    "It leaves our warehouse tomorrow.",
    "Only until noon of the day you ordered. Please write to us before then.",
    "No part of it is.",
)
REASONS = ("Wrong fact or number", "Invented policy", "Unsafe promise", "Tone", "Needless refusal")


@dataclass(frozen=True)
class _Model:
    """A model that does not exist."""

    name: str
    bad: float
    worse: float
    """The rate after the turn."""
    cost: float
    latency: int
    prompts: tuple[str, str]
    """The versions of its prompt before and after the turn."""


MODELS = (
    _Model("larch-small-2", 0.085, 0.08, 0.0003, 620, ("v4", "v4")),
    _Model("larch-large-2", 0.035, 0.035, 0.0041, 2_300, ("v4", "v5")),
    _Model("fennel-9b", 0.06, 0.19, 0.0009, 880, ("v7", "v8")),
)


def load_year(session: Session, by: Actor) -> int:
    """Record a year of labels, owned by who loads it; returns how many outputs there are."""
    flow = workflows.add(session, by, NAME)
    if by.person_id is not None:
        access.grant(session, by.audit_name, by.person_id, Role.OWNER, flow.id)
        by = access.actor(session, by.person_id)
    measured.set_quality_target(session, by, flow.id, TARGET)
    measured.set_reviewer_rate(session, by, flow.id, RATE)
    door = intake.Door(flow, workflows.source_id(session, workflows.SAMPLE_SOURCE), by.audit_name, Origin.HISTORY)
    rows = list(_rows(door))
    history.store(session, door, rows)
    return len({one.external_id for one, _ in rows})


def _rows(door: intake.Door) -> Iterator[tuple[Prepared, PastReview]]:
    chance, today = random.Random(2026), now() // DAY
    for ago in range(DAYS, 0, -1):
        for n in range(A_DAY):
            model = MODELS[chance.choices(range(3), (5, 2, 3))[0]]
            at = ((today - ago) * DAY + chance.randrange(7, 20) * HOUR) // SECOND
            kind = chance.randrange(len(ASKED))
            given = Submission(
                model=model.name, prompt=ASKED[kind], output=SAID[kind], external_id=f"year-{ago}-{n}", created_at=at,
                cost_usd=model.cost * chance.uniform(0.6, 1.5), prompt_version=model.prompts[ago <= TURN],
                latency_ms=round(model.latency * chance.lognormvariate(0, 0.4)),
                prompt_tokens=chance.randrange(200, 900),
                completion_tokens=chance.randrange(20, 90),
                end_user=f"customer-{chance.randrange(900)}",
            )  # fmt: skip
            bad = chance.random() < (model.worse if ago <= TURN else model.bad)
            prepared = intake.prepare(door, given)
            yield prepared, _review(chance, "ada@example.com", kind, at, bad=bad)
            if chance.random() < 0.15:  # a second pair of eyes, which seldom disagrees
                yield prepared, _review(chance, "bo@example.com", kind, at, bad=bad is (chance.random() > 0.04))


def _review(chance: random.Random, reviewer: str, kind: int, at: int, *, bad: bool) -> PastReview:
    common = {"reviewer": reviewer, "decided_at": at + chance.randrange(60, 9_000)}
    if not bad:
        return PastReview.model_validate({"verdict": Verdict.APPROVE, **common})
    reasons = [chance.choices(REASONS, (4, 3, 2, 2, 1))[0]]
    if chance.random() < 0.6:
        return PastReview.model_validate(
            {"verdict": Verdict.CORRECT, "correction": BETTER[kind], "reasons": reasons, **common}
        )
    return PastReview.model_validate({"verdict": Verdict.REJECT, "reasons": reasons, **common})
