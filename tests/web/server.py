"""The real thing: `streamlit run app.py` as a process of its own, with an empty home, and a browser's websocket."""

import contextlib
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

APP = Path(__file__).resolve().parent.parent.parent / "app.py"
PATIENCE = 60  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running app, on a terminal of its own, and everything that it wrote."""

    script = APP

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = ""
        (folder / "home").mkdir(parents=True, exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("NEURO_", "STREAMLIT_"))}
        clean |= {
            "HOME": str(folder / "home"),
            "DISPLAY": ":99",  # on a machine without a screen Streamlit is headless by itself
            "NEURO_REVIEW_FOLDER": str(folder / "house"),
            "NEURO_REVIEW_DATABASE_URL": f"sqlite:///{folder / 'nr.db'}",
            "NEURO_REVIEW_WORKER": "false",
            **environment,
        }
        self._environment, self.folder = clean, folder
        self._start()

    def _start(self) -> None:
        # A terminal, not a pipe: Streamlit asks for an e-mail address only where somebody could answer.
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "streamlit", "run", str(self.script), "--server.port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=self._environment, cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, terminal: int) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone with the process
            while chunk := os.read(terminal, 65536):
                self.output += chunk.decode(errors="replace").replace("\r\n", "\n")
        os.close(terminal)

    def wait_for(self, text: str) -> str:
        """Return what the server wrote, once it has written the text; fail if it ends or never does."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        return self.output

    @property
    def code(self) -> str:
        """The one-time code of the printed link."""
        found = re.search(r"setup\?code=(\S+)", self.wait_for("to create the first admin."))
        assert found
        return found[1]

    def client(self) -> httpx.Client:
        """Open a browser: it says where its forms come from."""
        return httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=20)

    def crash(self) -> None:
        """End as by a power cut."""
        self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def start_again(self) -> None:
        """Start anew after a crash, at the same address."""
        self._start()

    def wait_until_healthy(self, path: str = "/healthz") -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}{path}", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.terminate()
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join(5)
        return code

    @contextlib.contextmanager
    def tab(self, token: str | None, origin: str | None = None, **headers: str) -> Iterator["Tab"]:
        """Open the websocket of a tab."""
        if token:
            headers["Cookie"] = f"nr_session={token}"
        address = f"ws://127.0.0.1:{self.port}/_stcore/stream"
        with connect(
            address, origin=origin or self.url, additional_headers=headers, subprotocols=["streamlit"]
        ) as socket:
            yield Tab(socket)


class Tab:
    """What a browser's tab does over its websocket."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    def open(self, page: str) -> str:
        """Run a page and return all text that the server sent for it."""
        message = BackMsg()
        message.rerun_script.page_name = page
        self._socket.send(message.SerializeToString())
        seen = ""
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(self._socket.recv(timeout=PATIENCE))
            seen += str(answer)
            if answer.WhichOneof("type") == "script_finished" and answer.script_finished in {0, 1}:
                return seen
