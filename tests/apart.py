"""Packages that tests want and that cannot share our environment, in folders of their own beside it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import filelock

from tests.engines import skip_or_fail

CONSUMERS = Path(__file__).resolve().parent / "consumers.txt"
SECONDS = 300


def folder(wanted: Path) -> Path:
    """Return the folder of a list of packages; it is made once for each, and needs the package index then."""
    place = Path(sys.prefix) / f"{wanted.stem}-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    if not os.access(sys.prefix, os.W_OK):
        skip_or_fail(f"{sys.prefix} cannot be written: what {wanted.name} lists has no place.")
    with filelock.FileLock(f"{place}.lock"):
        if not (place / "whole").exists():
            words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--upgrade"]
            made = subprocess.run(
                [*words, "--target", str(place), "-r", str(wanted)], capture_output=True, text=True, timeout=SECONDS,
                check=False,
            )  # fmt: skip
            if made.returncode:
                skip_or_fail(f"What {wanted.name} lists cannot be installed: {made.stderr[-500:]}")
            (place / "whole").touch()
    return place


def run(code: str, *words: str | Path, at: Path) -> str:
    """Run a program that finds the packages of consumers.txt, in a folder, and return what it printed."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(at), "PYTHONPATH": str(folder(CONSUMERS)), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], cwd=at, env=clean, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3_000:]
    return done.stdout
