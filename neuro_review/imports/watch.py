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
TAKEN = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
"""What a file must be called; a note beside the data is no data."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0

Stamp = tuple[int, int]


@dataclass
class Folder:
    """A folder under watch."""

    path: Path
    seen: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    """What a file looked like, and since when."""
    taken: dict[str, Stamp] = field(default_factory=dict)
    ignored: dict[str, bool] = field(default_factory=dict)
    """Files of other kinds, and whether that was said."""
    pauses: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Files that failed for a while: how long to wait, and until when."""

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
            if self.taken.get(name) == stamp or time.monotonic() < self.pauses.get(name, (0.0, 0.0))[1]:
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
        self.pauses = {name: one for name, one in self.pauses.items() if name in present}
        return [self.path / name for _, name in sorted(found)]

    def strangers(self) -> list[Path]:
        """Return the files that are not taken because of what they are called, each once."""
        fresh = sorted(name for name, said in self.ignored.items() if not said)
        self.ignored.update(dict.fromkeys(fresh, True))
        return [self.path / name for name in fresh]

    def again(self, path: Path) -> float:
        """Take a file once more after a pause, longer each time, and return how long it is."""
        pause = min(LONGEST_PAUSE, 2 * self.pauses.get(path.name, (FIRST_PAUSE / 2, 0.0))[0])
        self.pauses[path.name] = (pause, time.monotonic() + pause)
        self.taken.pop(path.name, None)
        return pause

    def done(self, path: Path) -> None:
        """Forget that a file failed before."""
        self.pauses.pop(path.name, None)

    def _present(self) -> dict[str, Stamp]:
        present, ignored = {}, {}
        try:
            for one in self.path.iterdir():
                if one.name.startswith(".") or one.name.endswith(UNFINISHED) or not one.is_file():
                    continue
                if not one.name.lower().endswith(TAKEN):
                    ignored[one.name] = self.ignored.get(one.name, False)
                    continue
                there = one.stat()
                present[one.name] = (there.st_size, there.st_mtime_ns)
        except FileNotFoundError as error:
            if self.path.is_dir():  # a file went away while we looked; the next look finds the others
                return present
            raise UnavailableError(f"The folder {self.path} is gone. Make it again and start again.") from error
        except OSError as error:
            raise UnavailableError(f"The folder {self.path} cannot be read: {error.strerror}.") from error
        self.ignored = ignored
        return present
