"""A receiver of webhooks that behaves as told: it keeps what came, and verifies it as a stranger would."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Got:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


Answer = Callable[[BaseHTTPRequestHandler, Got], None]


def plain(status: int, headers: dict[str, str] | None = None, body: bytes = b"ok") -> Answer:
    """Answer with a status."""

    def answer(request: BaseHTTPRequestHandler, _got: Got) -> None:
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Answer one way after the other, and the last way from then on."""
    left = list(answers)
    lock = threading.Lock()

    def answer(request: BaseHTTPRequestHandler, got: Got) -> None:
        with lock:
            one = left.pop(0) if len(left) > 1 else left[0]
        one(request, got)

    return answer


def after(seconds: float, then: Answer) -> Answer:
    """Answer late."""

    def answer(request: BaseHTTPRequestHandler, got: Got) -> None:
        time.sleep(seconds)
        then(request, got)

    return answer


def cut(request: BaseHTTPRequestHandler, _got: Got) -> None:
    """Say that it went well, and break off in the middle of saying so."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"half")
    request.wfile.flush()
    request.close_connection = True


@dataclass
class Receiver:
    """A server on a port of this machine."""

    url: str
    answer: Answer = field(default_factory=lambda: plain(200))
    got: list[Got] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [one.event for one in self.got]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Return what came, once the specification's own library has found each to be signed with the secret."""
        return [Webhook(secret).verify(one.body, one.headers) for one in self.got]


@contextmanager
def receiver(answer: Answer | None = None, tls: Any = None) -> Iterator[Receiver]:
    """Run a receiver for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body, time.time())
            running.got.append(got)
            running.answer(self, got)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    running = Receiver(f"{scheme}://127.0.0.1:{server.server_address[1]}/hook")
    if answer is not None:
        running.answer = answer
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
