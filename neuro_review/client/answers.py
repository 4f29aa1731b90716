"""What the gate answers, as frozen objects; what a later version adds is ignored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Status = Literal["held", "approved", "corrected", "rejected", "lapsed", "withdrawn", "recorded"]
Verdict = Literal["approve", "correct", "reject"]
EventType = Literal["released", "rejected", "lapsed", "withdrawn", "recalled"]


@dataclass(frozen=True, slots=True)
class Release:
    """The permission to send: its id, used once, and the hash of the text that was reviewed."""

    id: str
    text_hash: str


@dataclass(frozen=True, slots=True)
class Item:
    """One output and what became of it."""

    id: str
    external_id: str
    workflow: str
    model: str
    status: Status
    final: bool
    """Whether it has left review: what became of it can no longer be undone."""
    verdict: Verdict | None
    released: bool
    """Whether `output` may be sent."""
    output: str | None
    """The text that may be sent; None until then, and where none may be."""
    fallback: str | None
    """What the workflow's owner wants sent instead, where it was refused or nobody decided in time."""
    reasons: tuple[str, ...]
    release: Release | None
    recalled: bool
    created_at: datetime
    due_at: datetime | None
    decided_at: datetime | None
    released_at: datetime | None

    @property
    def to_send(self) -> str | None:
        """The text for the customer: what was released, else the fallback; None where there is neither (yet)."""
        return self.output if self.released else self.fallback

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Item":
        """Return an item out of the gate's JSON."""
        release = said["release"]
        return cls(
            id=said["id"],
            external_id=said["external_id"],
            workflow=said["workflow"],
            model=said["model"],
            status=said["status"],
            final=said["final"],
            verdict=said["verdict"],
            released=said["released"],
            output=said["output"],
            fallback=said["fallback"],
            reasons=tuple(said["reasons"]),
            release=Release(release["id"], release["text_hash"]) if release else None,
            recalled=said["recalled"],
            created_at=datetime.fromisoformat(said["created_at"]),
            due_at=_instant(said["due_at"]),
            decided_at=_instant(said["decided_at"]),
            released_at=_instant(said["released_at"]),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that became of an item, and the item as it is now."""

    cursor: str
    """Where to go on after this one."""
    type: EventType
    item: Item


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of what became of items, in order; iterating gives its events."""

    events: tuple[Event, ...]
    next: str | None
    """Where to go on; with nothing new the place that was given."""

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Feed":
        """Return a page out of the gate's JSON."""
        events = (Event(one["cursor"], one["type"], Item.read(one["item"])) for one in said["events"])
        return cls(tuple(events), said["next"])


@dataclass(frozen=True, slots=True)
class Key:
    """What a key can do."""

    source: str
    workflow: str
    can_submit: bool
    can_read: bool

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Key":
        """Return what the gate said of a key."""
        return cls(said["source"], said["workflow"], said["can_submit"], said["can_read"])


@dataclass(frozen=True, slots=True)
class Canary:
    """A candidate that gets a share of a workflow's calls."""

    model: str
    parameters: Mapping[str, Any]
    share: float


@dataclass(frozen=True, slots=True)
class InUse:
    """The model that the applications of a workflow are to call."""

    workflow: str
    version: int
    """Counts the changes; 0 while nothing was named."""
    model: str | None
    """As LiteLLM names it; None while nothing was named."""
    parameters: Mapping[str, Any]
    canary: Canary | None

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "InUse":
        """Return what is in use out of the gate's JSON."""
        canary, model = said["canary"], said["model"]
        return cls(
            workflow=str(said["workflow"]),
            version=int(said["version"]),
            model=None if model is None else str(model),
            parameters=dict(said["parameters"]),
            canary=None if canary is None else _canary(canary),
        )


def _canary(said: Mapping[str, Any]) -> Canary:
    return Canary(str(said["model"]), dict(said["parameters"]), float(said["share"]))


def _instant(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
