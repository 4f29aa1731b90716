"""The rows that were set aside, each with its reason, in a file beside the one they came from."""

import contextlib
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
        """Choose where it will lie: as given, else beside the source, else in the current folder."""
        beside = Path(f"{source or 'stdin'}{SUFFIX}")
        self._places = [given] if given else [beside, Path(beside.name)]
        if given and source and given.exists() and source.exists() and given.samefile(source):
            raise InvalidError(f"{given} is the file to be imported. Name another one for the rejected rows.")
        self._ours = given is None
        self._file: IO[bytes] | None = None
        self.path: Path | None = None
        """Where it lies, once there is one."""

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
            raise UnavailableError(
                f"The rejected rows cannot be written to {self.path or self._places[0]}: {error.strerror}."
                " Name another file with --rejected."
            ) from error

    def _open(self) -> IO[bytes]:
        while self._file is None:
            self.path = self._places.pop(0)
            try:
                self._file = open(self.path, "wb")  # noqa: SIM115  (closed at the end)
            except OSError:
                if not self._places:
                    raise
        return self._file

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
        if self._file is not None:
            self._file.close()
