"""The README's example of an application, run as it stands there, with nothing but what an application installs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from db.tables import Verdict
from neuro_review import settings
from tests.client.conftest import Served, later, until

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 120


def example(title: str, language: str = "python", number: int = 0) -> str:
    """Return a block of a section of the README."""
    section = (ROOT / "README.md").read_text().split(f"\n### {title}\n", 1)[1].split("\n### ")[0].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[number]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages that `pip install` takes from the checkout, and no others."""
    folder = tmp_path_factory.mktemp("installed")
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]:
        place = folder / Path(*package.split("."))
        place.mkdir(parents=True, exist_ok=True)
        for module in (ROOT / Path(*package.split("."))).glob("*.py"):
            shutil.copy(module, place)
    return folder


def run(code: str, installed: Path, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a program as an application runs it."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(installed), **environment}
    script = folder / "application.py"
    script.write_text(code)
    return subprocess.Popen(
        [sys.executable, "-P", str(script)], cwd=folder, env=clean, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def test_the_example_is_an_application_of_at_most_fifteen_lines() -> None:
    assert len(example("From Python").splitlines()) <= 15


def test_the_example_waits_for_a_reviewer_and_prints_what_they_wrote(
    served: Served, installed: Path, tmp_path: Path
) -> None:
    program = run(example("From Python"), installed, tmp_path, NEURO_REVIEW_URL=served.url, NEURO_REVIEW_KEY=served.key)
    later(lambda: until(served.somebody_waits) and served.decide(Verdict.CORRECT, "Yes, if they are unused."))
    said, errors = program.communicate(timeout=SECONDS)

    assert (said, errors) == ("corrected Yes, if they are unused.\n", "")


def test_the_variables_of_the_client_are_no_settings_of_the_server() -> None:
    assert {"url", "key"}.isdisjoint(settings.Settings.model_fields)
