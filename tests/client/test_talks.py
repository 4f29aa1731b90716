"""When something is sent again, how long the pauses are, and what is said in the end: no server, no real time."""

import inspect
import itertools
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from neuro_review.client import AsyncReviewGate, GateError, RefusedError, ReviewGate, UnreachableError, talks
from neuro_review.client.talks import FIRST_PAUSE, LONGEST_PAUSE, Nap, Send, Talk, asked

KEY = {"source": "shop", "workflow": "support", "can_submit": True, "can_read": True}
REFUSAL = {"error": {"code": "c", "message": "No.", "field": "f"}}
BUSY = {"error": {"code": "unavailable", "message": "More outputs come in than can be stored."}}


class Time:
    """A clock that only naps move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(talks.time, "monotonic", clock.monotonic)
    return clock


def talk(talk: Talk, clock: Time, heard: Iterator[httpx.Response | httpx.RequestError]) -> object:
    """Go through a talk and return its end."""
    try:
        step = next(talk)
        while True:
            if isinstance(step, Nap):
                clock.naps.append(step.seconds)
                clock.now += step.seconds
                step = talk.send(None)
            else:
                step = talk.send(next(heard))
    except StopIteration as end:
        return end.value


def status(code: int, headers: dict[str, str] | None = None, body: object = BUSY) -> httpx.Response:
    return httpx.Response(code, headers=headers, json=body)


def away() -> httpx.RequestError:
    return httpx.ConnectError("refused")


SEND = Send("GET", "key")


def test_what_may_pass_is_asked_again_with_growing_pauses(clock: Time) -> None:
    heard = [away(), status(502), status(429), httpx.ReadTimeout("slow"), status(200, body=KEY)]

    assert talk(asked(SEND, 60), clock, iter(heard)) == (KEY, True)
    assert len(clock.naps) == 4
    for n, nap in enumerate(clock.naps):
        assert FIRST_PAUSE * 2**n * 0.5 <= nap <= FIRST_PAUSE * 2**n


def test_two_callers_do_not_come_back_at_the_same_moment(clock: Time) -> None:
    for _ in range(20):
        talk(asked(SEND, 60), clock, iter([away(), status(200, body=KEY)]))

    assert len(set(clock.naps)) > 10


def test_the_pauses_have_an_upper_bound_and_the_patience_an_end(clock: Time) -> None:
    with pytest.raises(UnreachableError, match="The gate does not answer \\(ConnectError\\)"):
        talk(asked(SEND, 120), clock, (away() for _ in itertools.count()))

    assert max(clock.naps) <= LONGEST_PAUSE
    assert 120 - LONGEST_PAUSE <= clock.now <= 120


@pytest.mark.parametrize(("said", "least"), [("7", 7.0), ("Fri, 01 Jan 2100 00:00:00 GMT", None), ("soon", 0.0)])
def test_it_waits_as_long_as_the_gate_asks_for(clock: Time, said: str, least: float | None) -> None:
    heard = [status(429, {"Retry-After": said}), status(200, body=KEY)]
    if least is None:  # a century is more than the patience
        with pytest.raises(UnreachableError, match="More outputs come in than can be stored"):
            talk(asked(SEND, 60), clock, iter(heard))
        assert clock.naps == []
        return
    talk(asked(SEND, 60), clock, iter(heard))
    assert least < clock.naps[0] <= least + FIRST_PAUSE


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 413, 415, 422])
def test_a_refusal_is_never_asked_again(clock: Time, code: int) -> None:
    with pytest.raises(RefusedError) as refused:
        talk(
            asked(SEND, 60), clock, iter([status(code, body={"error": {"code": "c", "message": "No.", "field": "f"}})])
        )

    assert (refused.value.status, refused.value.code, refused.value.field) == (code, "c", "f")
    assert str(refused.value) == "No. (c, field f)"


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>"), httpx.Response(404, text="nginx"), httpx.Response(307), status(200)]
)
def test_another_servers_answer_says_to_check_the_address(clock: Time, answer: httpx.Response) -> None:
    with pytest.raises(GateError, match=r"is no gate\. Check the URL"):
        talk(talks.Talks(5).key(), clock, iter([answer]))


@pytest.mark.parametrize("url", ["", "localhost:8501", "ftp://gate", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(GateError, match="no address of a gate"):
        ReviewGate(url, "nr_k")


@pytest.mark.parametrize("key", ["", "  ", "nr_ü", "a\nb"])
def test_a_key_that_is_none_is_refused_at_once(key: str) -> None:
    with pytest.raises(GateError, match="This is no key"):
        ReviewGate("http://gate", key)


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"])
def test_what_json_does_not_have_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(GateError):
        talks.written({"metadata": value})


def test_neither_the_key_nor_a_text_is_shown() -> None:
    gate = ReviewGate("http://gate", "nr_MARKER")
    send = Send("POST", "items", b"MARKER")

    assert "MARKER" not in f"{gate!r}{vars(gate)}{send!r}{gate._http.headers!r}"


def test_both_gates_have_the_same_names_and_arguments() -> None:
    def names(gate: type) -> dict[str, list[str]]:
        listed = {name: one for name, one in vars(gate).items() if not name.startswith("_") and callable(one)}
        return {name: list(inspect.signature(one).parameters) for name, one in listed.items()}

    assert names(ReviewGate) == names(AsyncReviewGate)


def test_importing_the_client_brings_in_httpx_and_nothing_heavy() -> None:
    heavy = "sqlalchemy sqlmodel streamlit pydantic pandas litellm fastapi starlette orjson db neuro_review.errors"
    code = f"import sys, neuro_review.client; print([n for n in '{heavy}'.split() if n in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
