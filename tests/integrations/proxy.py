"""LiteLLM's real proxy as a process of its own, with the README's guardrail, between a model and a gate."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa

from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, settings, sources, workflows
from tests.client.conftest import Served, later, until
from tests.client.test_readme import example
from tests.conftest import OPERATOR, Team
from tests.integrations.test_callback import MODE
from tests.llm_server import LanguageModel

SECRET = "sk-a-master-key-of-the-tests-0123456789"
ASK = [{"role": "user", "content": "May I return it?"}]
RAW = "Yes, within 30 days."
START = 300  # seconds; half a minute on a quiet machine
MODELS = """
model_list:
  - model_name: support-bot
    litellm_params: {{model: openai/gpt-4o, api_base: "{url}", api_key: k}}
  - model_name: bridged
    litellm_params: {{model: llamafile/m, api_base: "{url}", api_key: k}}
router_settings: {{disable_cooldowns: true, num_retries: 0}}
general_settings: {{master_key: os.environ/LITELLM_MASTER_KEY}}
"""


@dataclass
class Proxy:
    """A running proxy, and what it stands between."""

    url: str
    llm: LanguageModel
    served: Served
    log: Path

    def client(self) -> openai.OpenAI:
        """Open the client that applications use."""
        return openai.OpenAI(base_url=self.url, api_key=SECRET, max_retries=0, timeout=120)

    def ask(self, **more: Any) -> Any:
        """Ask as an application does; returns the answer with its headers."""
        with self.client() as client:
            return client.chat.completions.with_raw_response.create(model="support-bot", messages=ASK, **more)

    def decide_when_asked_for(self, verdict: Verdict, text: str | None = None) -> threading.Thread:
        """Decide what waits as soon as somebody waits for it."""
        return later(lambda: until(self.served.somebody_waits) and self.served.decide(verdict, text))

    def item(self, item_id: str) -> dict[str, Any]:
        """Return a stored item with its texts."""
        query = "SELECT * FROM item i JOIN item_content c ON c.item_id = i.id WHERE i.id = :id"
        with self.served.db.reading() as session:
            return dict(session.connection().execute(sa.text(query), {"id": item_id}).mappings().one())


@contextlib.contextmanager
def gate_of_its_own(folder: Path, template: Path) -> Iterator[Served]:
    """Serve a gate that lives longer than one test."""
    shutil.copyfile(template, folder / "nr.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURO_REVIEW_FOLDER", str(folder / "house"))
        patch.setenv("NEURO_REVIEW_SECRET", "a secret of the tests, long enough to count")
        settings.settings.cache_clear()
        db = Database(f"sqlite:///{folder / 'nr.db'}")
        with db.writing() as session:
            support, other = (workflows.add(session, OPERATOR, name) for name in ("support", "other"))
            people = {}
            for name, role in (("ada", Role.ADMIN), ("olu", Role.OWNER), ("bo", Role.REVIEWER)):
                email = f"{name}@example.com"
                person = access.add_person(session, OPERATOR, name, email, role, password_hash=None)
                people[name] = access.actor(session, person)
            session.connection().execute(sa.text("UPDATE workflow SET grace_ms = 0, fallback = 'We will call you.'"))
            key = sources.add(session, people["olu"], "proxy", support.id).key
        team = Team(**people, cy=people["bo"], eve=people["bo"], support=support, other=other)
        served = Served(db, team, key)
        served.start()
    yield served
    served.stop()
    db.dispose()


@contextlib.contextmanager
def proxy_before(llm: LanguageModel, served: Served, folder: Path, installed: Path) -> Iterator[Proxy]:
    """Start `litellm --config` and give it once it answers."""
    guardrail = example("From LiteLLM's proxy", "yaml")
    (folder / "config.yaml").write_text(MODELS.format(url=llm.url) + guardrail)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(installed), "LITELLM_MASTER_KEY": SECRET,
        "NEURO_REVIEW_URL": served.url, "NEURO_REVIEW_KEY": served.key, "DISABLE_ADMIN_UI": "True", "NO_DOCS": "True",
        **MODE,
    }  # fmt: skip
    command = [Path(sys.executable).parent / "litellm", "--config", "config.yaml", "--port", str(port)]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=folder, env=clean, stdout=log, stderr=log, start_new_session=True
        )
    proxy = Proxy(f"http://127.0.0.1:{port}", llm, served, folder / "log")
    try:
        deadline = time.monotonic() + START
        while not _answers(proxy.url):
            assert running.poll() is None and time.monotonic() < deadline, proxy.log.read_text()[-5000:]
            time.sleep(0.1)
        yield proxy
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/liveliness", timeout=5).status_code == 200
    return False
