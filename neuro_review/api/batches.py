"""Many submits of one caller: each row is held or refused by itself, and none sinks the others."""

from typing import Any

from db.engine import Database
from neuro_review.api import forms
from neuro_review.api.answers import explained
from neuro_review.api.committer import MOST_AT_ONCE, Asked, Entries, Outcome, commit
from neuro_review.errors import NeuroReviewError
from neuro_review.gate import entering


def submit(database: Database, entries: Entries, key: str, body: bytes) -> list[dict[str, Any]]:
    """Hold the rows of a batch and return what became of each, in order.

    It is stored in short transactions: where the connection breaks in between, what was stored stays, and sending the
    batch again stores the rest, if its rows bring an `external_id`.

    Raises:
        UnknownKeyError, NotAllowedError, ConflictError: nothing can be submitted with this key.
        InvalidError: the body is no list, or too long a one.
    """
    entering.entry(entries.of({key}), key)
    asked: dict[int, Asked] = {}
    outcomes: dict[int, Outcome] = {}
    for place, row in enumerate(forms.batch(forms.parsed(body))):
        try:
            asked[place] = Asked(key, forms.handed(row))
        except NeuroReviewError as error:
            outcomes[place] = error
    places = list(asked)
    for start in range(0, len(places), MOST_AT_ONCE):
        some = places[start : start + MOST_AT_ONCE]
        outcomes |= zip(some, commit(database, entries, [asked[place] for place in some]), strict=True)
    return [_row(outcomes[place]) for place in range(len(outcomes))]


def _row(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        status, said = explained(outcome)
        return {"status": status, "error": said}
    return {"status": 201 if outcome.is_new else 200, "item": outcome.item}
