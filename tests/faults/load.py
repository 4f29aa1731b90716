"""The load: several writers at once on one database, killed and started again, and all that they acknowledged."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from db.engine import Database
from db.tables import Role
from neuro_review import access, workflows
from tests.conftest import OPERATOR
from tests.faults.doors import DOORS
from tests.helpers import children_of

ROOT = Path(__file__).resolve().parent.parent.parent
GRACE = {"at once": 0, "soon": 200, "later": 1_000}  # milliseconds, by workflow
REVIEWERS = ("bo@example.com", "cy@example.com", "di@example.com")
SUBMITTER = "sam@example.com"
PATIENCE = 60  # seconds

Line = dict[str, Any]


def furnish(database: Database) -> None:
    """Put the people and the workflows in place; each workflow has another grace."""
    with database.writing() as session:
        for name, grace in GRACE.items():
            flow = workflows.add(session, OPERATOR, name)
            session.connection().execute(
                sa.text("UPDATE workflow SET grace_ms = :grace WHERE id = :id"), {"grace": grace, "id": flow.id}
            )
        for email in REVIEWERS:
            access.add_person(session, OPERATOR, email[:2], email, Role.REVIEWER, password_hash=None)
        access.add_person(session, OPERATOR, "Sam", SUBMITTER, Role.ADMIN, password_hash=None)


@dataclass
class Writer:
    """A writer that runs, or ran."""

    email: str
    pid: int


@dataclass
class Load:
    """Writers on one database, and what they acknowledged, in order."""

    url: str
    nursery: subprocess.Popen[bytes]
    pipe: int
    chance: random.Random
    options: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)
    writers: dict[str, Writer] = field(default_factory=dict)
    markers: int = 0
    port: int = 0
    """Where the API answers, if it runs."""

    def start(self, email: str) -> None:
        """Start one writer; the submitter goes on with the first output that it does not know to be stored."""
        arguments = [self.url, "--email", email, "--pipe", str(self.pipe), "--seed", str(self.chance.getrandbits(32))]
        if email in DOORS:
            arguments += ["--role", email, "--port", str(self.port)]
        elif email == SUBMITTER:
            self.catch_up()
            known = [line["first"] + line["rows"] for line in self.lines if line["did"] in ("submitted", "imported")]
            arguments += ["--role", "submitter", "--next", str(known[-1] if known else 0)]
        else:
            arguments += self.options
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(orjson.dumps(arguments) + b"\n")
        self.nursery.stdin.flush()
        self.writers[email] = Writer(email, int(self.nursery.stdout.readline()))

    def start_all(self) -> None:
        for email in (SUBMITTER, *REVIEWERS):
            self.start(email)

    def kill(self, *emails: str) -> None:
        """Kill writers as a power switch would, and wait until they are gone."""
        gone = [self.writers.pop(email) for email in emails]
        for writer in gone:
            self.refuse_failures()
            os.kill(writer.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{writer.pid}").exists() for writer in gone):
            assert time.monotonic() < deadline, "A killed writer does not go away."
            time.sleep(0.001)

    def kill_beside(self, email: str) -> bool:
        """Kill the processes that one has started beside itself; tell whether there were any."""
        there = children_of(self.writers[email].pid)
        for pid in there:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(there)

    def kill_all(self) -> None:
        self.kill(*self.writers)

    def catch_up(self) -> None:
        """Wait until everything that was written to the pipe has been read."""
        self.markers += 1
        marker = {"did": "marker", "number": self.markers}
        os.write(self.pipe, orjson.dumps(marker) + b"\n")
        deadline = time.monotonic() + PATIENCE
        while marker not in self.lines[-1_000:]:
            assert time.monotonic() < deadline, "The pipe is not read any more."
            time.sleep(0.001)
        self.refuse_failures()

    def refuse_failures(self) -> None:
        """Fail where a writer ended by itself."""
        failed = [line for line in self.lines[-1_000:] if line["did"] == "failed"]
        assert not failed, failed[0]["why"]

    def wait_for(self, *kinds: str, more: int = 1) -> None:
        """Wait until so many more of each kind were acknowledged."""
        wanted = {did: self.count(did) + more for did in kinds}
        deadline = time.monotonic() + PATIENCE
        while any(self.count(did) < number for did, number in wanted.items()):
            self.refuse_failures()
            assert time.monotonic() < deadline, f"Not everything happened: {wanted}."
            time.sleep(0.02)

    def count(self, did: str) -> int:
        return sum(line["did"] == did for line in list(self.lines))


@contextlib.contextmanager
def load(url: str, chance: random.Random, *options: str) -> Iterator[Load]:
    """Open the pipe and the nursery; at the end nothing that was started is left."""
    theirs, ours = os.pipe()
    folder = tempfile.mkdtemp(prefix="nr-load-")  # the dead leave their files behind
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.nursery"], env={**os.environ, "TMPDIR": folder},
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[ours],
    )  # fmt: skip
    running = Load(url, nursery, ours, chance, options)
    reader = threading.Thread(target=_follow, args=(theirs, running.lines), daemon=True)
    reader.start()
    try:
        yield running
    finally:
        for writer in running.writers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(writer.pid, signal.SIGKILL)
        nursery.communicate()
        os.close(ours)
        reader.join(PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _follow(pipe: int, lines: list[Line]) -> None:
    with os.fdopen(pipe, "rb") as stream:
        for line in stream:
            lines.append(orjson.loads(line))
