"""Which model a workflow's applications are to call, as far as this one knows: asked for now and then, and kept.

The gate's absence is never the application's: what it said last goes on to hold, also after a restart. It is kept in a
small file that only this user can write, because it decides where prompts go.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import secrets
import stat
import threading
import time
from dataclasses import asdict
from pathlib import Path

from neuro_review.client import GateError, InUse, ReviewGate

LOG = logging.getLogger("neuro_review.integrations")
FRESH_FOR = 2.0  # seconds; a swap is followed within 5
AGAIN_AFTER = 3.0  # seconds, where the gate did not answer
ANSWER_WITHIN = 1.5  # seconds: so long, now and then, one call waits for a gate that hangs
FOLDER = "NEURO_REVIEW_CACHE"
MOST_KEPT = 1 << 20


class Following:
    """What is in use in one workflow. Threads share one."""

    def __init__(self, url: str, key: str, workflow: str) -> None:
        """Begin to follow; nothing is asked yet.

        Raises:
            GateError: the address or the key cannot be one.
        """
        self._url, self._key, self._workflow = url, key, workflow
        self._file = _file(url, key, workflow)
        self._known: InUse | None = None
        self._failed: GateError | None = None
        self._ask_at = 0.0
        self._start_anew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        """Begin with a line and a lock of one's own: a forked child must not share its parent's."""
        self._asking = threading.Lock()
        self._gate = ReviewGate(self._url, self._key, patience=0)

    @property
    def must_ask(self) -> bool:
        """Whether `look` may wait for the gate."""
        return time.monotonic() >= self._ask_at

    def look(self) -> InUse:
        """Return what is in use, as new as two seconds, or the last that is known.

        One caller asks; meanwhile the others go on with what is known.

        Raises:
            GateError: the gate never answered, or says no.
        """
        if self.must_ask and self._asking.acquire(blocking=self._known is None):
            try:
                if self.must_ask:
                    self._ask()
            finally:
                self._asking.release()
        if self._known is None:
            assert self._failed is not None
            raise self._failed.with_traceback(None)
        return self._known

    @property
    def _instead(self) -> str:
        if self._known is None or self._known.model is None:
            return "it never named one, so that the default of the call is used, if it has one"
        return "the last one it named is called"

    def _ask(self) -> None:
        try:
            told = self._gate.model_in_use(self._workflow, within=ANSWER_WITHIN)
        except GateError as error:
            self._known = self._known or _read(self._file)
            if self._failed is None:
                LOG.warning("The gate does not say which model is in use; %s: %s", self._instead, error)
            self._failed, self._ask_at = error, time.monotonic() + AGAIN_AFTER
            return
        changed, self._known = told != self._known, told
        self._failed, self._ask_at = None, time.monotonic() + FRESH_FOR
        if changed:
            _keep(self._file, told)


@functools.lru_cache(maxsize=1_000)
def following(url: str, key: str, workflow: str) -> Following:
    """Return what follows a workflow, the same one each time.

    Raises:
        GateError: the address or the key cannot be one.
    """
    return Following(url, key, workflow)


def _file(url: str, key: str, workflow: str) -> Path | None:
    """Return where the last answer is kept: in NEURO_REVIEW_CACHE, or the user's own cache; None for nowhere."""
    named = os.environ.get(FOLDER)
    if named == "":
        return None
    try:
        folder = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # nobody's home
        return None
    which = hashlib.sha256("\0".join((url, key, workflow)).encode()).hexdigest()
    return folder / "neuro-review" / f"{which[:32]}.json"


def _keep(file: Path | None, told: InUse) -> None:
    """Write an answer down; where that cannot be, a restart during an outage finds nothing, and no more."""
    if file is None:
        return
    beside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump(asdict(told), out)
        beside.replace(file)
    except (OSError, TypeError, ValueError) as error:
        LOG.info("Which model is in use is not kept for a restart: %s", type(error).__name__)
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _read(file: Path | None) -> InUse | None:
    """Return what was written down, if nobody else can have written it."""
    try:
        if file is None or not (_is_ours(file.parent) and _is_ours(file)):
            return None
        return InUse.read(json.loads(file.read_bytes()[:MOST_KEPT]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_ours(path: Path) -> bool:
    if not hasattr(os, "getuid"):  # Windows: a user's folder is the user's
        return True
    found = path.lstat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == os.getuid() and not others_write and not stat.S_ISLNK(found.st_mode)
