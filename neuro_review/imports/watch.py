"""A folder that files arrive in: which of them are whole and have not been taken yet.

Nothing is kept on disk: after a restart every file is read again, and adds nothing, because its rows are there.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

from db.clock import SECOND, now
from neuro_review.errors import InvalidError, UnavailableError
from neuro_review.imports.rejects import SUFFIX

STANDS_STILL = 2.0
"""A file whose size and time have not changed for so many seconds is taken to be whole."""
UNFINISHED = (".part", ".tmp", ".crdownload", SUFFIX)

Stamp = tuple[int, int]


@dataclass
class Folder:
    """A folder under watch."""

    path: Path
    seen: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    """What a file looked like, and since when."""
    taken: dict[str, Stamp] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise InvalidError(f"{self.path} is no folder. Name the folder that files arrive in.")

    def arrived(self) -> list[Path]:
        """Return the files that are whole and new or changed, the oldest first, and count them as taken.

        Raises:
            UnavailableError: the folder cannot be read any more.
        """
        found = []
        present = self._present()
        for name, stamp in present.items():
            if self.taken.get(name) == stamp:
                continue
            before, since = self.seen.get(name, (None, 0.0))
            if before != stamp:
                since = time.monotonic()
                self.seen[name] = (stamp, since)
            # One that was renamed into the folder has been whole for longer than it has been here.
            if now() - stamp[1] // 1000 >= STANDS_STILL * SECOND or time.monotonic() - since >= STANDS_STILL:
                found.append((stamp[1], name))
                self.taken[name] = stamp
        self.seen = {name: one for name, one in self.seen.items() if name in present}
        self.taken = {name: one for name, one in self.taken.items() if name in present}
        return [self.path / name for _, name in sorted(found)]

    def _present(self) -> dict[str, Stamp]:
        present = {}
        try:
            for one in self.path.iterdir():
                if one.name.startswith(".") or one.name.endswith(UNFINISHED) or not one.is_file():
                    continue
                there = one.stat()
                present[one.name] = (there.st_size, there.st_mtime_ns)
        except FileNotFoundError as error:
            if self.path.is_dir():  # a file went away while we looked; the next look finds the others
                return present
            raise UnavailableError(f"The folder {self.path} is gone. Make it again and start again.") from error
        except OSError as error:
            raise UnavailableError(f"The folder {self.path} cannot be read: {error.strerror}.") from error
        return present
