"""A provider of language models in a process of its own: every call takes so many milliseconds, and costs it little.

It prints its address, and lives until its input ends.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWER = "You can return it within 30 days, unused and in its box. We pay for the way back; bring the receipt along."
HEADERS = [(b"content-type", b"application/json")]


def app(seconds: float) -> Any:
    """Return the application: whatever it is asked, it waits and answers."""

    async def call(_scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = orjson.loads(body)
        await asyncio.sleep(seconds)
        choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 12, "completion_tokens": 24, "total_tokens": 36}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice]}
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": orjson.dumps(whole | {"usage": usage})})

    return call


@contextlib.contextmanager
def provider(milliseconds: int) -> Iterator[str]:
    """Let one run for the time of the block, and give its address."""
    words = [sys.executable, "-m", "tests.bench.provider", str(milliseconds)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


async def main(milliseconds: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(
                app(int(milliseconds) / 1000), lifespan="off", ws="none", log_level="error", access_log=False
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        print(f"http://127.0.0.1:{bound.getsockname()[1]}/v1", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        os._exit(0 if not serving.done() else 1)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))  # asyncio's own loop leaves Nagle on: an answer would wait 40 ms more
