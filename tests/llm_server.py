"""A language model that says what a test wants, behind OpenAI's HTTP interface: usage, latency, streams, failures.

with language_model(lambda asked: "Yes.") as llm:      # or a fixed text
    llm.latency = 0.2                                   # seconds before each answer
    llm.fail(429, 2, retry_after=1)                     # the next two requests fail
    openai.OpenAI(base_url=llm.url, api_key="k").chat.completions.create(model="m", messages=[…])
    llm.requests                                        # the bodies that were sent, in order
"""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.serving import serving

Answer = str | Callable[[dict[str, Any]], str | dict[str, Any]]
"""A text; or what makes one, or a whole message (with `tool_calls`, say), out of the request's body."""


@dataclass
class LanguageModel:
    """What the model says and does; a test may change it at any time."""

    answer: Answer
    latency: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """The API keys that came with them."""
    tells_usage: bool = True
    """Whether it says how many tokens a call took."""
    tokens: int | None = None
    """What it says instead of how many a call took, where that is not true."""
    most_at_once: int = 0
    url: str = ""
    _failures: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    _at_once: int = 0

    def fail(self, status: int, times: int = 1, retry_after: float | None = None) -> None:
        """Let the next requests fail."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._failures += [(status, headers)] * times

    async def complete(self, request: Request) -> Response:
        """Answer `POST /v1/chat/completions`."""
        asked = await request.json()
        self.requests.append(asked)
        self.keys.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self._at_once -= 1
        if self._failures:
            status, headers = self._failures.popleft()
            error = {"message": f"failed with {status}, as the test wants", "type": "test", "code": str(status)}
            return JSONResponse({"error": error}, status, headers)
        said = self.answer(asked) if callable(self.answer) else self.answer
        message = {"role": "assistant"} | (said if isinstance(said, dict) else {"content": said})
        whole = {
            "id": f"chatcmpl-{len(self.requests)}", "created": int(time.time()), "model": asked["model"],
            "usage": usage(asked, message),
        }  # fmt: skip
        if self.tokens is not None:
            whole["usage"] = dict.fromkeys(whole["usage"], self.tokens)
        if asked.get("stream"):
            return StreamingResponse(_stream(whole, message, asked), media_type="text/event-stream")
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        whole |= {"object": "chat.completion", "choices": [choice]}
        return JSONResponse({name: part for name, part in whole.items() if name != "usage" or self.tells_usage})


def usage(asked: dict[str, Any], message: dict[str, Any]) -> dict[str, int]:
    """Return the tokens of a call: one a word."""
    prompt = sum(len(str(one.get("content", "")).split()) for one in asked["messages"])
    completion = len(str(message.get("content") or "").split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _stream(whole: dict[str, Any], message: dict[str, Any], asked: dict[str, Any]) -> AsyncIterator[str]:
    base = {key: value for key, value in whole.items() if key != "usage"} | {"object": "chat.completion.chunk"}
    words = [f"{word} " for word in message["content"].split(" ")]
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words[:-1])]
    for delta in [*deltas, {"content": words[-1][:-1]}]:
        yield _event(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        await asyncio.sleep(0)
    yield _event(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield _event(base | {"choices": [], "usage": whole["usage"]})
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


@contextlib.contextmanager
def language_model(answer: Answer = "Yes, within 30 days.") -> Iterator[LanguageModel]:
    """Serve a model for the time of the block; `url` is its base URL."""
    model = LanguageModel(answer)

    async def models(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "tests"}]})

    routes = [Route("/v1/chat/completions", model.complete, methods=["POST"]), Route("/v1/models", models)]
    with serving(Starlette(routes=routes)) as url:
        model.url = f"{url}/v1"
        yield model
