"""Numbers for a scraper, in Prometheus' text format: how the gate does, and never a name.

What waits is read from the database when it is asked for. What happened is counted from the audit log since this
process started, each time from where the last count ended; every replica counts all of it: take the largest, not the
sum.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from db.clock import SECOND, now
from neuro_review import queue, workflows

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds

Sample = tuple[dict[str, str], float]


class Histogram:
    """How long something took, as counts up to each bound."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, seconds: float) -> None:
        """Count one."""
        with self._lock:
            self._counts[bisect_left(BUCKETS, seconds)] += 1
            self._sum += seconds

    def lines(self, name: str, says: str) -> list[str]:
        """Return it as text."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        found, so_far = [f"# HELP {name} {says}", f"# TYPE {name} histogram"], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
            so_far += count
            found.append(f'{name}_bucket{{le="{bound}"}} {so_far}')
        return [*found, f"{name}_sum {total}", f"{name}_count {so_far}"]


LAST = {
    "sqlite": sa.text("SELECT 0 AS xid, coalesce(max(position), 0) AS position FROM audit"),
    "postgresql": sa.text(
        "SELECT xid, position FROM audit WHERE xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        " ORDER BY xid DESC, position DESC LIMIT 1"
    ),
}
_COUNTED = (
    " WHERE (xid, position) > (:xid, :position) AND (xid, position) <= (:to_xid, :to_position) GROUP BY action, status"
)
HAPPENED = {
    "sqlite": sa.text(f"SELECT action, json_extract(body, '$.status') AS status, count(*) AS n FROM audit{_COUNTED}"),
    "postgresql": sa.text(
        f"SELECT action, CAST(body AS json)->>'status' AS status, count(*) AS n FROM audit{_COUNTED}"
    ),
}


class Happened:
    """What happened since this process started, as the audit log says."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._at: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def count(self, session: Session) -> Counter[tuple[str, str]]:
        """Go on counting, and return how often each action came, with the status that a decision gave."""
        connection = session.connection()
        dialect = connection.dialect.name
        with self._lock:
            last = connection.execute(LAST[dialect]).first()
            to = (last.xid, last.position) if last else (0, 0)
            if self._at is None:
                self._at = to
            bound = {"xid": self._at[0], "position": self._at[1], "to_xid": to[0], "to_position": to[1]}
            for row in connection.execute(HAPPENED[dialect], bound):
                self._counts[row.action, row.status or ""] += row.n
            self._at = max(self._at, to)
            return Counter(self._counts)


@dataclass(frozen=True)
class _Metric:
    name: str
    kind: str
    says: str
    samples: Iterable[Sample]

    def lines(self) -> list[str]:
        name = f"neuro_review_{self.name}"
        found = [f"# HELP {name} {self.says}", f"# TYPE {name} {self.kind}"]
        for labels, value in self.samples:
            inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
            found.append(f"{name}{'{' + inside + '}' if inside else ''} {value}")
        return found


MESSAGES = sa.text(
    "SELECT w.id, (SELECT count(*) FROM delivery d WHERE d.endpoint_id = e.id AND d.delivered_at IS NULL"
    " AND d.dead_at IS NULL) AS waiting, (SELECT min(d.created_at) FROM delivery d WHERE d.endpoint_id = e.id"
    " AND d.delivered_at IS NULL AND d.dead_at IS NULL) AS since, (SELECT count(*) FROM delivery d WHERE"
    " d.endpoint_id = e.id AND d.dead_at IS NOT NULL) AS dead FROM endpoint e JOIN workflow w ON w.id = e.workflow_id"
    " WHERE e.removed_at IS NULL"
)
HOUSE = sa.text(
    "SELECT (SELECT count(*) FROM item WHERE status = 'held' AND lease_by IS NOT NULL AND lease_until >= :now)"
    " AS leases, (SELECT count(*) FROM item WHERE leaves_at IS NOT NULL) AS leaving,"
    " (SELECT max(seen_at) FROM worker_beat) AS beat, (SELECT count(*) FROM worker_beat WHERE seen_at > :alive)"
    " AS workers"
)
ALIVE_FOR = 30 * SECOND


class Metrics:
    """What one process tells a scraper."""

    def __init__(self) -> None:
        self.submits = Histogram()
        self._happened = Happened()

    def text(self, session: Session, errors: int) -> str:
        """Return all numbers as text."""
        at = now()
        metrics = [*_waiting(session, at), *_messages(session, at), *_house(session, at, errors)]
        metrics += self._counted(session)
        lines = [line for metric in metrics for line in metric.lines()]
        lines += self.submits.lines("neuro_review_submit_seconds", "From a submit over HTTP to its answer.")
        return "\n".join(lines) + "\n"

    def _counted(self, session: Session) -> list[_Metric]:
        counts = self._happened.count(session)
        statuses = ("approved", "corrected", "rejected", "lapsed", "withdrawn")
        decided = [({"status": one}, float(counts["item.decided", one])) for one in statuses]
        # What leaves is released, or its application is told that nothing will be.
        left, recalled = counts["item.released", ""], counts["item.recalled", ""]
        return [
            _Metric("submitted_total", "counter", "Outputs held since the start.",
                    [({}, counts["item.submitted", ""])]),
            _Metric("decisions_total", "counter", "Decisions since the start, undone ones too.", decided),
            _Metric("undone_total", "counter", "Verdicts taken back since the start.",
                    [({}, counts["item.undone", ""])]),
            _Metric("left_total", "counter", "Outputs whose application was told since the start.", [({}, left)]),
            _Metric("recalls_total", "counter", "Releases recalled since the start.", [({}, recalled)]),
        ]  # fmt: skip


def _waiting(session: Session, at: int) -> list[_Metric]:
    found = {flow.id: queue.waiting(session, flow.id) for flow in workflows.every(session)}

    def each(value: Any) -> list[Sample]:
        return [({"workflow": str(number)}, value(one)) for number, one in found.items()]

    return [
        _Metric("held", "gauge", "Outputs that wait for a verdict.", each(lambda one: one.held)),
        _Metric("due", "gauge", "Of these, due within the hour or overdue.", each(lambda one: one.due)),
        _Metric("escalated", "gauge", "Of these, in their owner's list.", each(lambda one: one.escalated)),
        _Metric("oldest_held_seconds", "gauge", "How long the first in line has waited.",
                each(lambda one: (at - one.oldest_at) / SECOND if one.oldest_at is not None else 0)),
    ]  # fmt: skip


def _messages(session: Session, at: int) -> list[_Metric]:
    waiting: Counter[str] = Counter()
    dead: Counter[str] = Counter()
    oldest: dict[str, float] = {}
    for row in session.connection().execute(MESSAGES):
        flow = str(row.id)
        waiting[flow] += row.waiting
        dead[flow] += row.dead
        since = (at - row.since) / SECOND if row.since is not None else 0.0
        oldest[flow] = max(oldest.get(flow, 0.0), since)

    def each(values: dict[str, Any]) -> list[Sample]:
        return [({"workflow": flow}, value) for flow, value in values.items()]

    return [
        _Metric("messages_waiting", "gauge", "Messages on their way to an endpoint.", each(waiting)),
        _Metric("messages_dead", "gauge", "Messages that were given up.", each(dead)),
        _Metric("oldest_message_seconds", "gauge", "How long the oldest message waits.", each(oldest)),
    ]


def _house(session: Session, at: int, errors: int) -> list[_Metric]:
    row = session.connection().execute(HOUSE, {"now": at, "alive": at - ALIVE_FOR}).one()
    beat: list[Sample] = [({}, (at - row.beat) / SECOND)] if row.beat is not None else []
    return [
        _Metric("leases", "gauge", "Outputs in somebody's hands.", [({}, row.leases)]),
        _Metric("leaving", "gauge", "Decided outputs that have not left yet.", [({}, row.leaving)]),
        _Metric("workers", "gauge", "Background workers that live.", [({}, row.workers)]),
        _Metric("worker_seen_seconds", "gauge", "How long ago a worker said that it lives.", beat),
        _Metric("database_errors_total", "counter", "Failures of the database in this process.", [({}, errors)]),
    ]
