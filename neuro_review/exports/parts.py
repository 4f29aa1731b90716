"""The parts of an export, in order: pages read and encoded here, or for a large workflow by helper processes.

Why processes: reading and encoding a row is Python's work and keeps the interpreter busy (measured: about 23 µs, of
which threads can share nothing). Two helpers double the speed, and the server that an export is asked of stays free.
A helper ends when its input does, so that none outlives the process that started it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import BinaryIO, cast

import orjson

from db.engine import Database
from neuro_review import beside
from neuro_review.errors import UnavailableError
from neuro_review.exports.formats import Format, encode
from neuro_review.exports.rows import END, PAGE_BYTES, START, Page, Question, page_end, read
from neuro_review.exports.selecting import Encoded, Selection, of_cases, of_page

FIRST_PAGE = 200
LARGEST_PAGE = 2_000
MANY = 100_000  # reviews; below, a helper costs more to start than it saves
MOST_HELPERS = 4
ASKED_AHEAD = 2
PIPE_BYTES = 1 << 20  # what any user may have; the usual 64 KiB make the two wait for each other all the time
STOPPED = "A helper process of the export stopped before it was done. Try again."


Encoder = Callable[[Page], Encoded]


@dataclass(frozen=True)
class Part:
    """An encoded page, and what is in it."""

    data: bytes
    rows: int
    verdicts: dict[str, int]
    models: dict[str, int]
    left_out: dict[str, int]
    """How many reviews are not in it, by why."""
    last: bool
    """It is the last of those between two ids."""


def encoder(database: Database, question: Question, form: Format) -> Encoder:
    """Return what makes bytes of a page; what it must know of the database it reads now, and only once."""
    if not form.is_table:
        selection = Selection(database, question, form)
        return lambda page: selection.encode(of_page(page))

    def table(page: Page) -> Encoded:
        if not page.rows:
            return Encoded()
        columns = page.columns
        return Encoded(encode(form, page), page.rows, Counter(columns["verdict"]), Counter(columns["model"]))

    return table


def make(database: Database, question: Question, encoded: Encoder, after: str, upto: str) -> Iterator[Part]:
    """Give the reviews after one id and up to another, encoded: in one part, or where the texts are long in several."""
    while True:
        page = read(database, question, after, upto)
        after, last = page.last, page.last >= upto
        yield _part(encoded(page), last)
        if last:
            return


def _part(done: Encoded, last: bool) -> Part:
    return Part(done.data, done.rows, dict(done.verdicts), dict(done.models), dict(done.left_out), last)


class Cutter:
    """Cuts a workflow into pages: each as many reviews as will fit, judging by the pages seen so far."""

    def __init__(self, database: Database, workflow_id: int) -> None:
        self.database = database
        self.workflow_id = workflow_id
        self.step = FIRST_PAGE

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        after = START
        while after != END:
            upto, scanned = page_end(self.database, self.workflow_id, after, self.step)
            yield after, upto, scanned
            after = upto

    def learn(self, part: Part) -> None:
        """Note how long the rows of a page are."""
        fitting = part.rows * PAGE_BYTES // len(part.data) if part.data else LARGEST_PAGE
        self.step = max(1, min(LARGEST_PAGE, fitting, 4 * self.step))


def helpers_for(reviews: int) -> int:
    """Return how many helpers an export of so many reviews is worth: none, or one a processor."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, MOST_HELPERS) if reviews >= MANY and processors > 1 else 0


def parts(database: Database, question: Question, form: Format, helpers: int) -> Iterator[tuple[Part, int]]:
    """Give the encoded pages in order, each with how many reviews it looked at.

    Raises:
        DatabaseUnusableError: the database is away or damaged.
        UnavailableError: a helper failed.
    """
    if question.version_id is not None:
        yield from _of_set(database, question, form, question.version_id)
        return
    cutter = Cutter(database, question.workflow_id)
    if helpers:
        found = _apart(cutter, question, form, helpers)
    else:
        found = here(cutter, question, encoder(database, question, form))
    for part, scanned in found:
        cutter.learn(part)
        yield part, scanned


def here(cutter: Cutter, question: Question, encoded: Encoder) -> Iterator[tuple[Part, int]]:
    """Give the encoded pages in order, made in this process; the cutter learns of each from who asked."""
    for after, upto, scanned in cutter:
        for part in make(cutter.database, question, encoded, after, upto):
            yield part, scanned if part.last else 0


def _of_set(database: Database, question: Question, form: Format, version_id: str) -> Iterator[tuple[Part, int]]:
    selection = Selection(database, question, form)
    for cases in of_cases(database, version_id):
        yield _part(selection.encode(cases), True), len(cases)


def _apart(cutter: Cutter, question: Question, form: Format, helpers: int) -> Iterator[tuple[Part, int]]:
    with contextlib.ExitStack() as stack:
        lanes = deque(stack.enter_context(Helper(cutter.database, question, form)) for _ in range(helpers))
        asked: deque[tuple[Helper, int]] = deque()
        for after, upto, scanned in cutter:
            lanes[0].ask(after, upto)
            asked.append((lanes[0], scanned))
            lanes.rotate(-1)
            if len(asked) == ASKED_AHEAD * helpers:
                yield from _answered(*asked.popleft())
        for helper, looked_at in asked:
            yield from _answered(helper, looked_at)


def _answered(helper: "Helper", scanned: int) -> Iterator[tuple[Part, int]]:
    last = False
    while not last:
        part = helper.answer()
        last = part.last
        yield part, scanned if last else 0


class Helper:
    """A process that reads and encodes pages: asked by lines, answering with a line and bytes."""

    def __init__(self, database: Database, question: Question, form: Format) -> None:
        self.pid, self.said, self.heard = (_forked if _may_fork(database) else _started)(database)
        self._say(orjson.dumps({"question": asdict(question), "format": form}))

    def ask(self, after: str, upto: str) -> None:
        """Ask for the page after one id and up to another."""
        self._say(f"{after} {upto}".encode())

    def answer(self) -> Part:
        """Return the next part of the page that was asked for the longest ago.

        Raises:
            UnavailableError: the helper failed.
        """
        line = self.heard.readline()
        if not line:
            raise UnavailableError(STOPPED)
        facts = orjson.loads(line)
        if "failed" in facts:
            raise UnavailableError(facts["failed"])
        length = facts.pop("bytes")
        data = self.heard.read(length)
        if len(data) < length:
            raise UnavailableError(STOPPED)
        return Part(data=data, **facts)

    def _say(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # its end shows in the answer
            self.said.write(line + b"\n")
            self.said.flush()

    def __enter__(self) -> "Helper":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGKILL)  # it only reads; what it was asked in vain need not be finished
        for pipe in (self.said, self.heard):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        os.waitpid(self.pid, 0)


Started = tuple[int, BinaryIO, BinaryIO]
"""A helper's process, what it is asked through, and what it answers through."""


def _started(database: Database) -> Started:
    process = subprocess.Popen(
        beside.command("neuro_review.exports.helper"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pipesize=PIPE_BYTES,
        # The address may hold a password: the environment is read by its owner alone, a command line by everybody.
        env=beside.surroundings(NEURO_REVIEW_DATABASE_URL=_url(database)),
    )
    process.returncode = 0  # whoever asked waits for it
    return process.pid, cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)


def _may_fork(database: Database) -> bool:
    """Tell whether a copy of this process will do, which is there at once; a new one takes a second to start.

    Not where other threads could hold locks in that moment, nor with SQLite, whose connections must not be copied.
    """
    return sys.platform == "linux" and not database.is_sqlite and threading.active_count() == 1


def _forked(database: Database) -> Started:
    import fcntl  # noqa: PLC0415  (Windows has none)

    from neuro_review.exports.helper import main  # noqa: PLC0415  (it imports this module)

    (asked, asking), (answers, answering) = os.pipe(), os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(asking)
            os.close(answers)
            # The connections stay the parent's: psycopg never closes one that another process opened.
            main(Database(_url(database)), os.fdopen(asked, "rb"), os.fdopen(answering, "wb"))
        finally:
            os._exit(0)
    os.close(asked)
    os.close(answering)
    return pid, os.fdopen(asking, "wb"), os.fdopen(answers, "rb")


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)
