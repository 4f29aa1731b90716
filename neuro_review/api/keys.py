"""Where keys lead, kept for a second: a submit, and a batch, would else ask the database twice."""

import time
from collections.abc import Callable

from db.engine import Database, explained
from neuro_review.gate import entering
from neuro_review.gate.entering import Entry

KNOWN_FOR = 1.0  # seconds, however the clock of the machine is put


class Entries:
    """Where keys lead, asked of the database once a second at most; storing asks again, so nothing revoked stores."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Entry]] = {}

    def of(self, keys: set[str]) -> dict[str, Entry]:
        """Return where these keys lead.

        Raises:
            DatabaseUnusableError: the database does not answer.
        """
        known, unknown = self.known(keys)
        if unknown:
            with explained(), self._database().reading() as session:
                found = entering.entries(session, unknown)
            known |= found
            at = time.monotonic()
            # A new dict each time: several threads ask, and none changes what another reads.
            self._known = self._known | {key: (at, entry) for key, entry in found.items()}
        return known

    def known(self, keys: set[str]) -> tuple[dict[str, Entry], set[str]]:
        """Return where these keys lead, as far as it was asked of late, and the keys to be asked for."""
        oldest = time.monotonic() - KNOWN_FOR
        if any(at < oldest for at, _ in self._known.values()):
            self._known = {key: pair for key, pair in self._known.items() if pair[0] >= oldest}
        there = self._known
        found = {key: there[key][1] for key in keys if key in there}
        return found, keys - found.keys()
