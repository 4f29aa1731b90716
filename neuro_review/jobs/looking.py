"""The first look into an uploaded file, in a process of its own: what does not fit into it cannot take the house down.

A Parquet file of some kilobytes can unfold into gigabytes; the text formats never need more than the file itself.
"""

import contextlib
import pickle
import subprocess
import sys
from pathlib import Path

from neuro_review import beside
from neuro_review.errors import InvalidError
from neuro_review.jobs import columns
from neuro_review.jobs.columns import Sample

LONGEST = 20
"""Seconds that a look may take; 200 rows of 100 kB each take about one."""
MOST_MEMORY = 2 << 30
TOO_MUCH = (
    "{name} unfolds into more than can be shown here. Write it with smaller row groups, or as JSON lines,"
    " or import it from a terminal."
)


def look(path: Path, name: str) -> Sample:
    """Read the first rows of an uploaded file and count the others.

    Raises:
        InvalidError: it is nothing that can be read as rows, or too much for a look; the text names the file.
    """
    if path.suffix != ".parquet":
        return columns.look(path, name)
    command = beside.command("neuro_review.jobs.looking", str(path), name)
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, env=beside.surroundings(), timeout=LONGEST, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InvalidError(TOO_MUCH.format(name=name)) from error
    if done.returncode:
        raise InvalidError(TOO_MUCH.format(name=name))
    found = pickle.loads(done.stdout)
    if isinstance(found, InvalidError):
        raise found
    assert isinstance(found, Sample)
    return found


def main(path: str, name: str) -> None:
    """Look into a file and write what was found, for `look`."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  (not on every system)

        # What is written to, and not the address space, of which Arrow reserves plenty.
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    found: Sample | InvalidError
    try:
        found = columns.look(Path(path), name)
    except InvalidError as error:
        found = InvalidError(*error.args)
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
