"""How each call is made, tried again and read, for the sync and the async gate alike.

A talk is a generator: it yields what is to be sent, or how long to nap, and is told what was heard. So there is one
place that says when something is sent again, and it is tested once.
"""

import itertools
import json
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Required, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from neuro_review.client.answers import Feed, InUse, Item, Key
from neuro_review.client.errors import GateError, RefusedError, UnreachableError

T = TypeVar("T")
ANSWER_WITHIN = 10.0  # seconds
LONGEST_POLL = 25.0  # seconds; what stands in between often cuts a line that is silent for 30
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0  # seconds
TOO_EARLY = 0.5  # seconds; a poll that ends so long before its time is not asked again at once
ROWS_AT_ONCE, BYTES_AT_ONCE = 1000, 1 << 20
PASSING = frozenset({408, 425, 429}) | frozenset(range(500, 600))
"""Statuses that may be others in a moment."""
HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
NO_GATE = "What answers at this address is no gate. Check the URL: it is the one that reviewers open."


class Row(TypedDict, total=False):
    """One output to be reviewed."""

    model: Required[str]
    output: Required[str]
    workflow: str
    """Where it is left out, the one that the key was made for."""
    prompt: str | Sequence[Mapping[str, Any]] | None
    external_id: str | None
    """Your own id: the same one with the same content is the same item. Left out, one is made for this call."""
    context: Any
    metadata: Mapping[str, Any] | None
    parameters: Mapping[str, Any] | None
    cost_usd: float | None
    latency_ms: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    priority: int | None
    prompt_version: str | None
    trace_url: str | None
    end_user: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """A request to be made."""

    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    within: float = ANSWER_WITHIN


@dataclass(frozen=True, slots=True)
class Nap:
    """Some seconds of doing nothing."""

    seconds: float


Heard = httpx.Response | httpx.RequestError | None
Talk = Generator[Send | Nap, Heard, T]


def asked(send: Send, patience: float) -> Talk[tuple[Any, bool]]:
    """Ask until there is an answer; returns it, and whether it was asked more than once.

    Raises:
        RefusedError: the gate said no.
        UnreachableError: it did not answer, or was too busy, for as long as the patience lasts.
    """
    begun = time.monotonic()
    for tries in itertools.count():
        heard = yield send
        if isinstance(heard, httpx.Response) and heard.is_success:
            return _json(heard), tries > 0
        pause = _pause(tries, heard)
        if not _may_pass(heard) or time.monotonic() + pause - begun > patience:
            raise _failure(heard)
        yield Nap(pause)
    raise AssertionError("endless")


class Talks:
    """The calls of one application."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.workflow: str | None = None
        """What the key was made for, once it was asked."""

    def key(self) -> Talk[Key]:
        """Ask what the key can do."""
        said, _ = yield from asked(Send("GET", "key"), self.patience)
        key = _read(Key.read, said)
        self.workflow = key.workflow
        return key

    def submit(self, row: Mapping[str, Any]) -> Talk[Item]:
        """Hand one output in."""
        body = written((yield from self._complete(row)))
        said, _ = yield from asked(Send("POST", "items", body), self.patience)
        return _read(Item.read, said)

    def submit_many(self, rows: Iterable[Mapping[str, Any]]) -> Talk[list[Item | RefusedError]]:
        """Hand many outputs in; each is held or refused by itself."""
        bodies = []
        for row in rows:
            bodies.append(written((yield from self._complete(row))))
        outcomes: dict[int, Item | RefusedError] = {}
        begun, tries, waiting = time.monotonic(), 0, deque(_batches(bodies))
        while waiting:
            places = waiting.popleft()
            again = yield from self._hand_in(places, bodies, outcomes)
            if len(again) == len(places) > 1 and all(_is_about_the_body(outcomes.get(place)) for place in again):
                waiting.extendleft([again[len(again) // 2 :], again[: len(again) // 2]])
            elif again and time.monotonic() + (pause := _pause(tries)) - begun <= self.patience:
                tries += 1
                yield Nap(pause)
                waiting.append(again)
        return [outcomes[place] for place in range(len(bodies))]

    def _hand_in(
        self, places: list[int], bodies: list[bytes], outcomes: dict[int, Item | RefusedError]
    ) -> Talk[list[int]]:
        """Hand some rows in, note what became of each, and return those that may fare better another time."""
        send = Send("POST", "items/batch", b"[" + b",".join(bodies[place] for place in places) + b"]")
        try:
            said, _ = yield from asked(send, self.patience)
        except RefusedError as error:
            if not _is_about_the_body(error):
                raise
            # One row of it can be too large, or hold what the gate cannot read: the halves tell which.
            outcomes |= dict.fromkeys(places, error)
            return places if len(places) > 1 else []
        found = _read(lambda rows: [_outcome(row) for row in rows], said)
        if len(found) != len(places):
            raise GateError(NO_GATE)
        outcomes |= zip(places, found, strict=True)
        return [place for place in places if _status(outcomes[place]) in PASSING]

    def get(self, item_id: str) -> Talk[Item]:
        """Ask what became of an output."""
        said, _ = yield from asked(Send("GET", _path(item_id)), self.patience)
        return _read(Item.read, said)

    def wait(self, item_id: str, timeout: float | None) -> Talk[Item]:
        """Ask what became of an output until it has become something, or the time is over."""
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            begun = time.monotonic()
            left = max(0.0, until - begun)
            poll = min(LONGEST_POLL, left)
            send = Send("GET", _path(item_id), query={"wait": f"{poll:.3f}"}, within=ANSWER_WITHIN + poll)
            said, _ = yield from asked(send, left)
            item = _read(Item.read, said)
            at = time.monotonic()
            if item.final or at >= until:
                return item
            if at - begun < poll - TOO_EARLY:  # the gate is ending, or something in between does not wait
                yield Nap(min(TOO_EARLY, until - at))

    def withdraw(self, item_id: str) -> Talk[Item]:
        """Take an output back while it is held."""
        try:
            said, _ = yield from asked(Send("POST", f"{_path(item_id)}/withdraw"), self.patience)
        except RefusedError as error:
            if error.status != 409:
                raise
            item = yield from self.get(item_id)
            if item.status != "withdrawn":
                raise
            return item  # it was taken back before, and the answer was lost
        return _read(Item.read, said)

    def releases(self, after: str | None, limit: int) -> Talk[Feed]:
        """Read a page of what became of everything."""
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        said, _ = yield from asked(Send("GET", "releases", query=query), self.patience)
        return _read(Feed.read, said)

    def model_in_use(self, workflow: str, within: float) -> Talk[InUse]:
        """Ask which model a workflow's applications are to call."""
        said, _ = yield from asked(Send("GET", f"workflows/{quote(workflow, safe='')}", within=within), self.patience)
        return _read(InUse.read, said)

    def _complete(self, row: Mapping[str, Any]) -> Talk[dict[str, Any]]:
        """Return a row with a workflow and a name, so that sending it again never holds it twice."""
        given = {name: value for name, value in row.items() if value is not None}
        if "workflow" not in given:
            given["workflow"] = self.workflow or (yield from self.key()).workflow
        return {"external_id": uuid.uuid4().hex} | given


def written(row: Mapping[str, Any]) -> bytes:
    """Return a row as JSON.

    Raises:
        GateError: it holds what JSON does not have.
    """
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise GateError("A text holds half of a surrogate pair, which is no character. Send valid Unicode.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise GateError(f"The output cannot be written as JSON: {error}. Hand in texts and finite numbers.") from error


def _batches(bodies: list[bytes]) -> Iterator[list[int]]:
    """Yield the places of rows that go together."""
    places: list[int] = []
    size = 0
    for place, body in enumerate(bodies):
        if places and (len(places) == ROWS_AT_ONCE or size + len(body) > BYTES_AT_ONCE):
            yield places
            places, size = [], 0
        places.append(place)
        size += len(body)
    if places:
        yield places


def _outcome(row: Mapping[str, Any]) -> Item | RefusedError:
    if "item" in row:
        return Item.read(row["item"])
    error = row["error"]
    return RefusedError(row["status"], error["code"], error["message"], error.get("field"))


def _status(outcome: Item | RefusedError | None) -> int:
    return outcome.status if isinstance(outcome, RefusedError) else 200


def _is_about_the_body(outcome: Item | RefusedError | None) -> bool:
    return isinstance(outcome, RefusedError) and (
        outcome.status == 413 or (outcome.status in (400, 422) and outcome.code != "no_gate")
    )


def _path(item_id: str) -> str:
    return f"items/{quote(item_id, safe='')}"


def _may_pass(heard: Heard) -> bool:
    if isinstance(heard, httpx.Response):
        return heard.status_code in PASSING
    return not isinstance(heard, HOPELESS)


def _pause(tries: int, heard: Heard = None) -> float:
    """Return how long to wait: longer each time, never two callers alike, and never shorter than the gate asks for."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 10))
    return _asked_for(heard) + pause * random.uniform(0.5, 1)


def _asked_for(heard: Heard) -> float:
    """Return the seconds of `Retry-After`, which is a number or a date."""
    said: str = heard.headers.get("retry-after", "") if isinstance(heard, httpx.Response) else ""
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise GateError(NO_GATE) from error


def _read(read: Callable[[Any], T], said: Any) -> T:
    try:
        return read(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GateError(NO_GATE) from error


def _failure(heard: Heard) -> GateError:
    """Return what to raise for what was heard."""
    if not isinstance(heard, httpx.Response):
        kind = type(heard).__name__
        if isinstance(heard, HOPELESS):
            return GateError(f"The gate cannot be asked like this ({kind}). Check the URL and the key.")
        return UnreachableError(
            f"The gate does not answer ({kind}). Check that it runs and the URL is right; try again."
        )
    try:
        error = heard.json()["error"]
        refusal = RefusedError(heard.status_code, error["code"], error["message"], error.get("field"))
    except (ValueError, KeyError, TypeError, AttributeError):
        refusal = RefusedError(heard.status_code, "no_gate", f"It answers with status {heard.status_code}. {NO_GATE}")
    if heard.status_code in PASSING:
        return UnreachableError(f"The gate was asked again and again, and says: {refusal}")
    return refusal
