"""How far reviewers agree on what is bad, where two of them saw the same output."""

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from db.tables import Role
from neuro_review.access import Actor
from neuro_review.quality.reading import definition
from neuro_review.rollups.counting import short
from neuro_review.stats import agreement
from neuro_review.stats.proportions import Interval

FEWEST = 50
"""Outputs seen by both below which nothing is said: kappa jumps about."""
NEWEST = 50_000
"""So many reviews are looked through, the newest first."""
REVIEWS = sa.text(
    "SELECT v.item_id, v.reviewer, v.verdict, v.reasons FROM review v WHERE v.workflow_id = :flow"
    " AND v.purpose <> 'adjudication' AND NOT EXISTS (SELECT 1 FROM decision d JOIN retraction x"
    " ON x.decision_id = d.id WHERE d.review_id = v.id) ORDER BY v.id DESC LIMIT :most"
)


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on the outputs that both saw; bad or not."""

    one: str
    other: str
    items: int
    raw: Interval | None
    """None, as all of them, below fifty outputs."""
    kappa: Interval | None
    ac1: Interval | None
    needed: int
    """How many more outputs it takes."""


def agreements(session: Session, by: Actor, workflow_id: int) -> list[Agreement]:
    """Return how far each two reviewers agree, those with most in common first.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    is_bad = definition(session, workflow_id)
    said: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in session.connection().execute(REVIEWS, {"flow": workflow_id, "most": NEWEST}):
        said[row.item_id].setdefault(row.reviewer, is_bad(row.verdict, short(row.reasons)))
    together: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for reviews in said.values():
        names = sorted(reviews)
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                together[one, other].append((_word(reviews[one]), _word(reviews[other])))
    pairs = sorted(together.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [_agreement(one, other, ratings) for (one, other), ratings in pairs]


def _word(bad: bool) -> str:
    return "bad" if bad else "good"


def _agreement(one: str, other: str, ratings: list[tuple[str, str]]) -> Agreement:
    if len(ratings) < FEWEST:
        return Agreement(one, other, len(ratings), None, None, None, FEWEST - len(ratings))
    rows = agreement.table(ratings)
    return Agreement(
        one, other, len(ratings), agreement.raw(rows), agreement.cohen_kappa(rows), agreement.gwet_ac1(rows), 0
    )
