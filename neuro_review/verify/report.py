"""What does not fit: the earliest findings, and how many there are."""

import heapq
from dataclasses import dataclass, field

MOST_KEPT = 1_000


@dataclass(frozen=True)
class Broken:
    """An event that does not fit."""

    stream: str
    seq: int
    at: int
    what: str

    @property
    def place(self) -> tuple[int, str, int]:
        """Return what the findings are ordered by."""
        return self.at, self.stream, self.seq


@dataclass
class Report:
    """What was found."""

    events: int = 0
    found: int = 0
    """How many do not fit."""
    broken: list[Broken] = field(default_factory=list)
    """The earliest of them, at least `MOST_KEPT` where there are that many."""
    last_seal: str | None = None
    """The hash of the last seal."""

    def add(self, stream: str, seq: int, at: int, what: str) -> None:
        """Note one that does not fit; of very many the earliest are kept."""
        self.found += 1
        self.broken.append(Broken(stream, seq, at, what))
        if len(self.broken) > 2 * MOST_KEPT:
            self.broken = heapq.nsmallest(MOST_KEPT, self.broken, key=lambda one: one.place)

    @property
    def first(self) -> Broken | None:
        """Return the earliest event that does not fit."""
        return min(self.broken, key=lambda one: one.place) if self.broken else None
