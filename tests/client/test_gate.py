"""The client against a real server over each engine: what comes back, what is raised, and what outages do."""

import asyncio
import threading
import time
from datetime import UTC

import pytest

from db.tables import Verdict
from neuro_review import sources
from neuro_review.client import AsyncReviewGate, Item, RefusedError, ReviewGate
from tests.client.conftest import Served, later, until

ROW = {"model": "gpt-4o", "output": "Yes.", "prompt": "May I return it?"}


def test_a_correction_comes_back_to_who_waits_for_it(served: Served, gate: ReviewGate) -> None:
    held = gate.submit(workflow="support", external_id="4711", cost_usd=0.0042, latency_ms=812.4, **ROW)
    later(lambda: until(served.somebody_waits) and served.decide(Verdict.CORRECT, "Yes, within 30 days."))
    item = gate.wait(held.id, timeout=60)

    assert (held.status, held.final, held.output, held.to_send, held.external_id) == ("held", False, None, None, "4711")
    assert (item.status, item.final, item.verdict, item.released) == ("corrected", True, "correct", True)
    assert item.output == item.to_send == "Yes, within 30 days."
    assert item.release and item.release.id and item.created_at.tzinfo == UTC
    assert item == gate.get(held.id)


def test_a_rejection_gives_the_fallback_and_never_the_output(served: Served, gate: ReviewGate) -> None:
    held = gate.submit(**ROW)
    served.decide(Verdict.REJECT)
    item = gate.wait(held.id, timeout=5)

    assert (item.status, item.released, item.output, item.reasons) == ("rejected", False, None, ("Tone",))
    assert item.to_send == "We will call you."


def test_waiting_ends_with_its_time_and_returns_the_item_as_it_is(gate: ReviewGate) -> None:
    begun = time.monotonic()
    item = gate.wait(gate.submit(**ROW).id, timeout=0.4)

    assert (item.status, item.final) == ("held", False)
    assert 0.3 < time.monotonic() - begun < 20


def test_the_workflow_is_the_keys_unless_another_is_named(gate: ReviewGate) -> None:
    assert gate.submit(**ROW).workflow == "support"
    with pytest.raises(RefusedError) as refused:
        gate.submit(workflow="other", **ROW)

    assert (refused.value.status, refused.value.code) == (403, "not_allowed")


def test_a_refusal_is_a_sentence_with_code_and_field(gate: ReviewGate) -> None:
    with pytest.raises(RefusedError) as refused:
        gate.submit(model="m", output="")

    assert str(refused.value) == "output is empty. (invalid, field output)"
    assert (refused.value.status, refused.value.code, refused.value.field) == (422, "invalid", "output")


def test_many_are_handed_in_at_once_and_each_is_answered(served: Served, gate: ReviewGate) -> None:
    rows = [{**ROW, "external_id": f"e{n}", "workflow": "support"} for n in range(1203)]
    rows[7] = {**rows[7], "output": ""}
    outcomes = gate.submit_many(rows)

    refused = outcomes[7]
    assert isinstance(refused, RefusedError) and refused.field == "output"
    assert [one.external_id for one in outcomes if isinstance(one, Item)] == [
        row["external_id"] for n, row in enumerate(rows) if n != 7
    ]
    assert served.requests == ["POST /api/v1/items/batch"] * 2
    assert served.count() == 1202


def test_a_batch_over_the_limit_is_sent_in_parts(
    served: Served, gate: ReviewGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuro_review import settings

    monkeypatch.setenv("NEURO_REVIEW_MAX_BODY_BYTES", "20000")
    settings.settings.cache_clear()
    outcomes = gate.submit_many([{**ROW, "output": "x" * size} for size in (9000, 9000, 30_000, 9000)])

    assert [type(one) for one in outcomes] == [Item, Item, RefusedError, Item]
    assert isinstance(outcomes[2], RefusedError) and outcomes[2].code == "too_large"
    assert served.count() == 3


def test_a_lost_answer_never_holds_an_output_twice(served: Served, gate: ReviewGate) -> None:
    gate.key()
    served.lose = 2
    item = gate.submit(**ROW)
    served.lose = 1
    outcomes = gate.submit_many([ROW, ROW])
    served.lose = 1
    taken = gate.withdraw(item.id)

    assert served.requests.count("POST /api/v1/items") == 3
    assert [isinstance(one, Item) for one in outcomes] == [True, True]
    assert served.count() == 3
    assert taken.status == "withdrawn"


def test_what_was_decided_is_not_withdrawn(served: Served, gate: ReviewGate) -> None:
    item = gate.submit(**ROW)
    served.decide(Verdict.APPROVE)

    with pytest.raises(RefusedError) as refused:
        gate.withdraw(item.id)
    assert refused.value.code == "conflict"


def test_who_waits_does_not_notice_that_the_gate_restarts(served: Served, gate: ReviewGate) -> None:
    held = gate.submit(**ROW)
    found: list[Item] = []
    waiting = later(lambda: found.append(gate.wait(held.id, timeout=60)))
    until(served.somebody_waits)
    served.stop()
    served.decide(Verdict.APPROVE)
    time.sleep(0.3)  # it is away for a moment, so that the line is really tried in vain
    served.start()
    waiting.join(60)

    assert [(item.status, item.output) for item in found] == [("approved", "Yes.")]


def test_the_feed_tells_of_everything_in_order_and_goes_on_where_it_was_left(served: Served, gate: ReviewGate) -> None:
    ids = [gate.submit(**ROW, external_id=str(n)).id for n in range(3)]
    decided = [served.decide(verdict) for verdict in (Verdict.APPROVE, Verdict.REJECT)]
    first = gate.releases()
    gate.withdraw(next(iter(set(ids) - set(decided))))
    events = gate.follow(after=first.next)
    last = next(events)

    assert [(event.type, event.item.id) for event in first] == [("released", decided[0]), ("rejected", decided[1])]
    assert len(first) == 2 and first.next == first.events[-1].cursor
    assert (last.type, last.item.status) == ("withdrawn", "withdrawn")
    assert gate.releases(after=last.cursor).next == last.cursor


def test_it_says_what_a_key_can_do_and_refuses_one_that_is_none(served: Served, gate: ReviewGate) -> None:
    with served.db.writing() as session:
        reader = sources.add(session, served.team.olu, "eye", served.team.support.id, can_submit=False).key

    assert (gate.key().source, gate.key().can_submit, gate.key().can_read) == ("shop", True, True)
    with ReviewGate(served.url, reader) as reading:
        assert not reading.key().can_submit
    with ReviewGate(served.url, "nr_unknown") as stranger, pytest.raises(RefusedError) as refused:
        stranger.submit(**ROW, workflow="support")
    assert refused.value.code == "unknown_key"


def test_the_async_gate_does_the_same(served: Served) -> None:
    async def journey() -> None:
        async with AsyncReviewGate(served.url, served.key) as gate:
            held = await gate.submit(**ROW)
            waiting = asyncio.ensure_future(gate.wait(held.id, timeout=60))
            await asyncio.to_thread(until, served.somebody_waits)
            await asyncio.to_thread(served.decide, Verdict.CORRECT, "No.")
            item = await waiting
            assert (item.status, item.output) == ("corrected", "No.")
            assert await gate.get(held.id) == item
            assert [type(one) for one in await gate.submit_many([ROW, {**ROW, "output": ""}])] == [Item, RefusedError]
            event = await anext(gate.follow())
            assert (event, (await gate.key()).source) == ((await gate.releases()).events[0], "shop")
            with pytest.raises(RefusedError):
                await gate.withdraw(held.id)

    asyncio.run(journey())


def test_threads_share_one_gate(served: Served, gate: ReviewGate) -> None:
    threads = [threading.Thread(target=lambda: [gate.submit(**ROW) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert served.count() == 20
