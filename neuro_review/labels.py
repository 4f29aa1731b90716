"""Labels: which reviews count, and which of them gives its item the label."""

from collections.abc import Iterable
from typing import Any

from db.tables import Label, Purpose

# The item waits as a whole while its decision can be undone. A verdict of the gate counts only as the decision that
# stands: undone, it is none any more. To be put beside review v, item i and its decision g.
LEFT_GRACE = (
    "v.created_at <= :as_of AND (g.id IS NULL OR g.final_at <= :as_of)"
    f" AND (v.purpose IN ('{Purpose.HISTORY}', '{Purpose.ADJUDICATION}', '{Purpose.SECOND}') OR g.review_id = v.id)"
    " AND NOT EXISTS (SELECT 1 FROM retraction x WHERE x.decision_id = g.id)"
)


def label_givers(votes: Iterable[Any]) -> set[str]:
    """Return the reviews that give their items the labels, one an item; of (item, review, purpose, verdict, at, label).

    The latest adjudication, else the gate's decision, else the earliest of those that agree; none where they do not.
    """
    best: dict[str, tuple[tuple[Any, ...], str]] = {}
    for item, review, purpose, verdict, at, label in votes:
        if label == Label.DISPUTED or verdict != label:
            continue
        settles = purpose == Purpose.ADJUDICATION
        decides = purpose in (Purpose.GATE, Purpose.GOLD, Purpose.CANDIDATE)
        turn = -1 if settles else 1
        place = (not settles, not decides, turn * at, turn * int(review, 16))
        if item not in best or place < best[item][0]:
            best[item] = (place, review)
    return {review for _, review in best.values()}
