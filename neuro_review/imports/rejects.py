"""The rows that were set aside, each with its reason, in a file beside the one they came from.

It is written under a name of its own and takes the other's place at the end: two imports at once do not write into one
file, and a link that somebody put there leads nowhere.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

import orjson

from neuro_review.errors import InvalidError, UnavailableError
from neuro_review.imports.batches import Rejected

SUFFIX = ".rejected.jsonl"


class Rejects:
    """A file that is made with the first row written to it, and not before."""

    def __init__(self, source: Path | None, given: Path | None = None) -> None:
        """Choose where it will lie: as given, else beside the source, else in the current folder.

        Raises:
            InvalidError: the file to be imported, or what is no plain file, lies there.
        """
        beside = Path(f"{source or 'stdin'}{SUFFIX}")
        self._places = [given] if given else [beside, Path(beside.name)]
        if given and source and given.exists() and source.exists() and given.samefile(source):
            raise InvalidError(f"{given} is the file to be imported. Name another one for the rejected rows.")
        _check_place(self._places[0])
        self._ours = given is None
        self._file: IO[bytes] | None = None
        self._unfinished = Path()
        self.path: Path | None = None
        """Where it lies in the end, once there is one."""

    def write(self, rows: Iterable[Rejected]) -> None:
        """Write rows down.

        Raises:
            UnavailableError: the file cannot be written; nothing goes on without it.
        """
        try:
            for number, reason, row in rows:
                entry = {"line": number, "reason": reason, "row": orjson.Fragment(row)}
                self._open().write(orjson.dumps(entry) + b"\n")
            if self._file:
                self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def _open(self) -> IO[bytes]:
        while self._file is None:
            self.path = self._places.pop(0)
            _check_place(self.path)
            self._unfinished = self.path.with_name(f".{self.path.name[:200]}.{secrets.token_hex(4)}.tmp")
            try:
                self._file = open(self._unfinished, "xb")  # noqa: SIM115  (closed at the end)
            except OSError:
                if not self._places:
                    raise
        return self._file

    def _failed(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"The rejected rows cannot be written to {self.path or self._places[0]}: {os.strerror(error.errno or 0)}."
            " Name another file with --rejected."
        )

    def clear(self) -> None:
        """Take away what an earlier run left, now that nothing was rejected; a file named by hand stays."""
        if self._ours and self._file is None:
            with contextlib.suppress(OSError):
                self._places[0].unlink(missing_ok=True)

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name, also where the import was stopped: what it holds is set aside all the same."""
        if self._file is None or self.path is None:
            return
        try:
            self._file.close()
            _check_place(self.path)
            self._unfinished.replace(self.path)
        except (OSError, InvalidError) as failure:
            self.path = self._unfinished  # what was written is not lost, and the failure before this one counts more
            if kind is None:
                raise self._failed(failure) if isinstance(failure, OSError) else failure from failure


def _check_place(path: Path) -> None:
    """Let a place pass where nothing is, or a plain file that may be replaced."""
    with contextlib.suppress(OSError):  # who may not even look is told when it is written
        if not stat.S_ISREG(path.lstat().st_mode):
            raise InvalidError(
                f"{path} is no plain file and is not replaced. Move it away, or name another file with --rejected."
            )
