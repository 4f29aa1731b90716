"""What applications hand in: many at once, each on the word of a key, each held or refused by itself.

In three steps, as intake itself: `entries` says where keys lead, `ready` checks and hashes one submission outside of
any transaction, `hold` looks at the keys once more and stores, in one.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.driver import driver
from neuro_review import intake
from neuro_review.errors import RACED, ConflictError, NeuroReviewError, NotAllowedError, UnknownKeyError
from neuro_review.gate import views
from neuro_review.intake import Door, Outcome, Output, Prepared, Stored
from neuro_review.sources import NO_KEY, Caller
from neuro_review.workflows import Workflow

READS_ONLY = "This key can only read what became of outputs. Ask an owner of the workflow for one that can submit."
NO_OWNER = "Nobody answers for this workflow yet, so it takes nothing. An admin names an owner on Workflows."


@dataclass(frozen=True)
class Entry:
    """Where a key leads."""

    caller: Caller
    flow: Workflow
    has_owner: bool

    @functools.cached_property
    def door(self) -> Door:
        """The door to come in by."""
        return Door(self.flow, self.caller.source_id, f"source:{self.caller.source_id}")

    def check(self) -> None:
        """Let pass only where something can be submitted.

        Raises:
            NotAllowedError: the key can only read.
            ConflictError: the workflow is put away, or nobody answers for it.
        """
        if not self.caller.can_submit:
            raise NotAllowedError(READS_ONLY)
        if self.flow.archived_at is not None:
            raise ConflictError(f"The workflow “{self.flow.name}” is put away. An owner brings it back on Workflows.")
        if not self.has_owner:
            raise ConflictError(NO_OWNER)


_ENTRIES = (
    "SELECT k.key_hash, s.id, s.name, k.workflow_id, k.can_submit, k.can_read,"
    " EXISTS (SELECT 1 FROM role_grant g JOIN person p ON p.id = g.person_id WHERE g.role = 'owner'"
    " AND (g.workflow_id = w.id OR g.workflow_id IS NULL) AND p.disabled_at IS NULL),"
    " w.name, w.grace_ms, w.sla_ms, w.panel_rate, w.rubric_version, w.policy_version, w.fallback, w.archived_at"
    " FROM source_key k JOIN source s ON s.id = k.source_id"
    " JOIN workflow w ON w.id = k.workflow_id WHERE k.revoked_at IS NULL AND s.disabled_at IS NULL AND k.key_hash "
)
ENTRIES = {True: _ENTRIES + "IN (SELECT value FROM json_each(?))", False: _ENTRIES + "= ANY(%s)"}
"""Whether it is for SQLite, and how it is said there."""


def entries(session: Session, keys: Iterable[str]) -> dict[str, Entry]:
    """Return where keys lead, by their hashes; one that is unknown or was revoked is left out."""
    to = driver(session)
    found = to.run(ENTRIES[to.is_sqlite], (to.listed(sorted(keys)),))
    return {row[0]: _entry(*row[1:]) for row in found.fetchall()}


@functools.lru_cache(maxsize=1024)
def _entry(
    source_id: int, source: str, flow_id: int, can_submit: bool, can_read: bool, has_owner: bool, *flow: Any
) -> Entry:
    """Return where a key leads, by what the database says; made once for as long as it says the same."""
    caller = Caller(source_id, source, flow_id, bool(can_submit), bool(can_read))
    return Entry(caller, Workflow(flow_id, *flow), bool(has_owner))


def entry(found: dict[str, Entry], key: str) -> Entry:
    """Return where a key leads, out of what was found.

    Raises:
        UnknownKeyError: nowhere.
        NotAllowedError: it can only read.
        ConflictError: the workflow takes nothing at present.
    """
    if key not in found:
        raise UnknownKeyError(NO_KEY)
    found[key].check()
    return found[key]


def ready(entry: Entry, workflow: str, given: Output) -> Prepared:
    """Check, salt and hash one submission.

    Raises:
        NotAllowedError: the key is for another workflow.
        InvalidError, TooLargeError: what `intake.prepare` raises.
    """
    if workflow != entry.flow.name:
        # Whoever holds the key may ask for its workflow anyway.
        raise NotAllowedError(
            f"This key is for the workflow “{entry.flow.name}”. Name that one, or use the key of another."
        )
    return intake.prepare(entry.door, given)


@dataclass(frozen=True, slots=True)
class Ready:
    """One checked submission, and the key that it came with."""

    key: str
    entry: Entry
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one submission that was taken: the item, and whether it is new."""

    item: dict[str, Any]
    is_new: bool


def hold(session: Session, batch: Sequence[Ready]) -> list[Answer | NeuroReviewError]:
    """Hold each of a batch that is not there yet; returns for each, in order, what became of it, or why not."""
    now_good = entries(session, {one.key for one in batch})
    outcomes: dict[int, Answer | NeuroReviewError] = {}
    doors: dict[tuple[int, int], list[int]] = {}
    for place, one in enumerate(batch):
        try:
            entry(now_good, one.key)
        except NeuroReviewError as error:
            outcomes[place] = error
        else:
            doors.setdefault((one.entry.caller.source_id, one.entry.flow.id), []).append(place)
    for places in doors.values():
        outcomes |= zip(places, _through_one_door(session, [batch[place] for place in places]), strict=True)
    return [outcomes[place] for place in range(len(batch))]


def _through_one_door(session: Session, batch: list[Ready]) -> list[Answer | NeuroReviewError]:
    door = batch[0].entry.door
    try:
        with driver(session).savepoint():
            stored: list[Stored | None] = list(intake.store(session, door, [one.prepared for one in batch]))
    except sa.exc.IntegrityError:
        # One of them was stored by another process in this moment, or breaks a rule: the others are not to suffer.
        stored = [_alone(session, door, one) for one in batch]
    there = [found.item_id for found in stored if found is not None and found.outcome is Outcome.DUPLICATE]
    seen = views.views(session, batch[0].entry.caller, there) if there else {}
    return [_answer(one, found, seen) for one, found in zip(batch, stored, strict=True)]


def _alone(session: Session, door: Door, one: Ready) -> Stored | None:
    try:
        with driver(session).savepoint():
            return intake.store(session, door, [one.prepared])[0]
    except sa.exc.IntegrityError:
        return None


def _answer(one: Ready, found: Stored | None, seen: dict[str, dict[str, Any]]) -> Answer | NeuroReviewError:
    if found is None:
        return ConflictError(RACED)
    if found.outcome is Outcome.CONFLICT:
        return ConflictError(found.why)
    if found.outcome is Outcome.STORED:
        return Answer(views.just_held(one.entry.flow, one.prepared), is_new=True)
    return Answer(seen[found.item_id], is_new=False)
