"""From a verdict to the application, and the Review screen while applications hand in: over the real app."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from db.tables import Role, Verdict
from neuro_review import access, decisions, queue, sources, workflows
from neuro_review.decisions import Opinion
from neuro_review.deliveries import endpoints
from tests.bench import gate, review
from tests.bench.figures import Table, load, percentile
from tests.browser.house import App
from tests.conftest import OPERATOR
from tests.deliveries.receiver import receiver

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = "127.0.0.0/8"
WITHIN, PATIENCE = 250.0, 30.0  # milliseconds; seconds
PER_SECOND, SENDERS = 90, 3
WARM = 3  # the first ones wait until the worker has started
UNCHANGED_SHARE, UNCHANGED_MS = 1.20, 5.0


def webhooks(engine: str, url: str, folder: Path, times: int) -> Table:
    """Measure from a verdict, without grace, until the receiver has the webhook; one verdict at a time."""
    took = []
    with receiver() as there, gate.running(url, folder, NEURO_REVIEW_OUTBOUND_NETWORKS=HERE) as target:
        app = target.app
        app.change("UPDATE workflow SET grace_ms = 0")
        with app.database.writing() as session:
            flow = workflows.by_name(session, "bench")
            endpoints.add(session, OPERATOR, flow.id, there.url)
            bo = access.actor(
                session,
                access.add_person(session, OPERATOR, "Bo", "bo@example.com", Role.REVIEWER, password_hash=None),
            )
        target.wrk("POST", "/api/v1/items", gate.bodies(1_000), 1, 3)
        assert target.stored() >= times + WARM
        for number in range(times + WARM):
            with app.database.writing() as session:
                (lease,) = queue.claim(session, bo, [flow.id], most=1)
            with app.database.writing() as session:
                decisions.decide(session, lease.item_id, bo, lease.lease_n, Opinion(Verdict.APPROVE))
            decided, deadline = time.time(), time.monotonic() + PATIENCE
            while len(there.got) <= number:
                assert time.monotonic() < deadline, "The webhook never came."
                time.sleep(0.0005)
            assert there.got[number].event["item"]["id"] == lease.item_id
            took.append((there.got[number].at - decided) * 1_000)
            time.sleep(0.013 * (number % 5))  # not in step with the worker's looks
    took = took[WARM:]
    late = percentile(took, 0.95)
    table = Table(
        f"{engine}: verdict stored (no grace) to webhook received (target p95 ≤ {WITHIN:.0f})",
        ("verdicts", "p50 ms", "p95 ms", "max ms", "load", "target"),
    )
    table.add(len(took), percentile(took, 0.5), late, max(took), load(), "reached" if late <= WITHIN else "MISSED")
    return table


@contextlib.contextmanager
def submitting(app: App, sent: list[float]) -> Iterator[None]:
    """Hand outputs in, 90 a second, into a workflow of their own, for the time of the block."""
    with app.database.writing() as session:
        owner = access.add_person(session, OPERATOR, "Olu", "olu@example.com", Role.OWNER, password_hash=None)
        flow = workflows.add(session, OPERATOR, "load", owner_id=owner)
        key = sources.add(session, OPERATOR, "load", flow.id).key
    texts = [text.replace('"workflow": "bench"', '"workflow": "load"') for text in gate.bodies(500)]
    stop, began = threading.Event(), time.monotonic()
    senders = [
        threading.Thread(target=_send, args=(app.url, key, texts, stop, began + n / PER_SECOND, sent))
        for n in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        stop.set()
        for sender in senders:
            sender.join()


def _send(url: str, key: str, texts: list[str], stop: threading.Event, due: float, sent: list[float]) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
        for text in itertools.cycle(texts):
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            assert http.post("/api/v1/items", content=text).status_code == 201
            sent.append(time.monotonic())
            due += SENDERS / PER_SECOND


def screen(
    engine: str, browser: "Browser", fresh: Callable[[], str], folder: Path, rows: int, keys: int
) -> list[Table]:
    """Measure the Review screen alone and while 90 outputs a second are handed in."""
    sent: list[float] = []
    sittings = []
    for name, beside in ((f"{engine}, alone", None), (f"{engine}, {PER_SECOND}/s", partial(submitting, sent=sent))):
        room = folder / f"sitting {len(sittings)}"
        room.mkdir(parents=True)
        sittings.append(review.sit(name, browser, fresh(), room, rows, keys, beside=beside))
    table = review.painted(max(1, keys // 2), sittings)
    before, under = (percentile(one.presses.last(max(1, keys // 2)).took, 0.95) for one in sittings)
    unchanged = under <= max(before * UNCHANGED_SHARE, before + UNCHANGED_MS)
    per_second = (len(sent) - 1) / (max(sent) - min(sent)) if len(sent) > 1 else 0.0
    table.notes.append(
        f"{len(sent):,} outputs handed in, {per_second:.0f}/s; p95 {before:.1f} -> {under:.1f} ms:"
        f" {'unchanged' if unchanged else 'CHANGED'} (within 20 % or 5 ms)"
    )
    return [table, review.worked(max(1, keys // 2), sittings)]
