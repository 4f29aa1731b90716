"""Tools that read our exports and cannot share our environment, in a folder of their own beside it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import filelock

from tests.engines import skip_or_fail

WANTED = Path(__file__).resolve().parent.parent / "consumers.txt"
SECONDS = 300


def folder() -> Path:
    """Return the folder that has them; it is made once for each list of versions, and needs the package index then."""
    name = hashlib.sha256(WANTED.read_bytes()).hexdigest()[:12]
    place = Path(sys.prefix) / f"consumers-{name}"
    if not os.access(sys.prefix, os.W_OK):
        skip_or_fail(f"{sys.prefix} cannot be written: inspect_ai, langsmith and braintrust have no place.")
    with filelock.FileLock(f"{place}.lock"):
        if not (place / "whole").exists():
            words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--upgrade"]
            made = subprocess.run(
                [*words, "--target", str(place), "-r", str(WANTED)], capture_output=True, text=True, timeout=SECONDS,
                check=False,
            )  # fmt: skip
            if made.returncode:
                skip_or_fail(f"inspect_ai, langsmith and braintrust cannot be installed: {made.stderr[-500:]}")
            (place / "whole").touch()
    return place


def run(code: str, *words: str | Path, at: Path) -> str:
    """Run a program that finds them, in a folder, and return what it printed."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(at), "PYTHONPATH": str(folder()), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], cwd=at, env=clean, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3_000:]
    return done.stdout
