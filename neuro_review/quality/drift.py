"""Whether a model has become worse than its quality target, told before customers tell.

The labels of the audit panel are a fair draw from all outputs, in the order in which they left; an e-SR detector reads
them one by one, so that nobody has to choose when to look. In control it expects at least `THRESHOLD` labels between
two false alarms, whatever the rate below the target is. Only a rate above the target can be seen so: with a model that
is far better than its target, a fall to just below it is none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import DAY, SECOND, now
from db.tables import Role
from neuro_review import phrases
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.errors import NotAllowedError, NotFoundError
from neuro_review.quality.periods import as_date
from neuro_review.quality.reading import definition
from neuro_review.rollups.counting import short
from neuro_review.stats.sequences import Detector

THRESHOLD = 2_000.0
WATCH = THRESHOLD / 10
SETTLED = 10 * SECOND
"""Messages younger than this may still be overtaken by one with a lower number."""

CURSOR = sa.text("SELECT seq FROM watch_cursor WHERE id = 1")
LOCKED = sa.text("SELECT seq FROM watch_cursor WHERE id = 1 FOR UPDATE")
BEGIN = sa.text("INSERT INTO watch_cursor (id, seq) VALUES (1, 0) ON CONFLICT (id) DO NOTHING")
MOVE = sa.text("UPDATE watch_cursor SET seq = :seq WHERE id = 1")
LEFT = sa.text(
    "SELECT o.seq, o.workflow_id, o.created_at AS at, o.event, i.model, i.panel, i.label, v.reasons, w.quality_target"
    " FROM outbox o JOIN item i ON i.id = o.item_id JOIN workflow w ON w.id = o.workflow_id JOIN decision d"
    " ON d.id = o.decision_id LEFT JOIN review v ON v.id = d.review_id WHERE o.seq > :seq AND o.created_at < :settled"
    " ORDER BY o.seq LIMIT :most"
)
WATCHED = sa.text(
    "SELECT target, evidence, labels, bad, since, bad_since, since_at, started_at FROM watch"
    " WHERE workflow_id = :flow AND model = :model"
)
KEEP = sa.text(
    "INSERT INTO watch (workflow_id, model, target, evidence, labels, bad, since, bad_since, since_at, started_at)"
    " VALUES (:flow, :model, :target, :evidence, :labels, :bad, :since, :bad_since, :since_at, :started_at)"
    " ON CONFLICT (workflow_id, model) DO UPDATE SET target = excluded.target, evidence = excluded.evidence,"
    " labels = excluded.labels, bad = excluded.bad, since = excluded.since, bad_since = excluded.bad_since,"
    " since_at = excluded.since_at, started_at = excluded.started_at"
)
STANDS = sa.text("SELECT 1 FROM alarm WHERE workflow_id = :flow AND model = :model AND acknowledged_at IS NULL")
RAISE = sa.text(
    "INSERT INTO alarm (workflow_id, model, target, labels, bad, since_at, seen_at, attempts, next_at) VALUES (:flow,"
    " :model, :target, :labels, :bad, :since_at, :at, 0, :at)"
)
FORGET = sa.text("DELETE FROM watch WHERE workflow_id = :flow AND model = :model")


@dataclass
class _Watched:
    """The detector of a model, and since when its evidence speaks."""

    state: Detector
    since_at: int | None
    started_at: int


def waits(session: Session) -> bool:
    """Tell whether labels have left that were not watched yet."""
    seq = session.connection().execute(CURSOR).scalar() or 0
    return bool(session.connection().execute(LEFT, {"seq": seq, "settled": now() - SETTLED, "most": 1}).first())


def fold(session: Session, most: int = 256) -> int:
    """Read the labels that left since the last time, and raise what alarms they give; returns how many were read."""
    connection = session.connection()
    connection.execute(BEGIN)
    seq = connection.execute(LOCKED if connection.dialect.name == "postgresql" else CURSOR).scalar_one()
    rows = connection.execute(LEFT, {"seq": seq, "settled": now() - SETTLED, "most": most}).all()
    watched: dict[tuple[int, str], _Watched | None] = {}
    is_bad: dict[int, Callable[[str, str], bool]] = {}
    for row in rows:
        if not row.panel or row.quality_target is None or row.event not in ("released", "rejected") or not row.label:
            continue
        key = (row.workflow_id, row.model)
        if key not in watched:
            watched[key] = _watched(session, *key, row.quality_target, row.at)
        if row.workflow_id not in is_bad:
            is_bad[row.workflow_id] = definition(session, row.workflow_id)
        one = watched[key]
        if one is not None:
            watched[key] = _after(session, key, one, row, is_bad[row.workflow_id](row.label, short(row.reasons or "")))
    for (flow, model), kept in watched.items():
        if kept is not None:
            _keep(session, flow, model, kept)
    if rows:
        connection.execute(MOVE, {"seq": rows[-1].seq})
    return len(rows)


def _watched(session: Session, flow: int, model: str, target: float, at: int) -> _Watched | None:
    """Return the detector of a model; None while an alarm stands, for it would only say the same again."""
    connection, bound = session.connection(), {"flow": flow, "model": model}
    if connection.execute(STANDS, bound).first():
        return None
    row = connection.execute(WATCHED, bound).first()
    if row is None or row.target != target:
        return _Watched(Detector(target, THRESHOLD), None, at)
    evidence = tuple(orjson.loads(row.evidence))
    state = Detector(target, THRESHOLD, evidence, row.labels, row.bad, row.since, row.bad_since)
    return _Watched(state, row.since_at, row.started_at)


def _after(session: Session, key: tuple[int, str], one: _Watched, row: Any, bad: bool) -> _Watched | None:
    state = one.state.after(bad)
    since_at = None if state.since == 0 else row.at if state.since == 1 else one.since_at
    if not state.alarms:
        return _Watched(state, since_at, one.started_at)
    flow, model = key
    facts = {
        "flow": flow, "model": model, "target": state.target, "labels": state.since, "bad": state.bad_since,
        "since_at": since_at or row.at, "at": now(),
    }  # fmt: skip
    session.connection().execute(RAISE, facts)
    session.connection().execute(FORGET, {"flow": flow, "model": model})
    said = {"model": model, "labels": state.since, "bad": state.bad_since, "target": state.target}
    record(session, f"workflow/{flow}", "policy", Action.ALARM_RAISED, said)
    return None


def _keep(session: Session, flow: int, model: str, one: _Watched) -> None:
    state = one.state
    session.connection().execute(
        KEEP,
        {
            "flow": flow, "model": model, "target": state.target, "evidence": orjson.dumps(state.evidence).decode(),
            "labels": state.labels, "bad": state.bad, "since": state.since, "bad_since": state.bad_since,
            "since_at": one.since_at, "started_at": one.started_at,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class DriftState:
    """What the detector has seen of a model so far."""

    model: str
    target: float
    labels: int
    """Labels of the audit panel since it was started."""
    bad: int
    since: date | None
    """From which day on the evidence speaks; None where there is none."""
    level: float
    """How strong the evidence is, of `threshold`."""
    threshold: float
    watch: bool
    """A tenth of the way: worth a look."""
    alarm: bool
    sentence: str


STATES = sa.text(
    "SELECT model, target, evidence, labels, bad, since, bad_since, since_at FROM watch WHERE workflow_id = :flow"
    " ORDER BY model"
)


def states(session: Session, by: Actor, workflow_id: int) -> list[DriftState]:
    """Return how each model of a workflow stands against its target; those with an alarm that stands among them.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    found = []
    for alarm in alarms(session, by, workflow_id):
        found.append(
            DriftState(alarm.model, alarm.target, alarm.labels, alarm.bad, alarm.since, THRESHOLD, THRESHOLD, True,
                       True, alarm.sentence)
        )  # fmt: skip
    for row in session.connection().execute(STATES, {"flow": workflow_id}):
        state = Detector(row.target, THRESHOLD, tuple(orjson.loads(row.evidence)), row.labels, row.bad)
        since = None if row.since_at is None else as_date(row.since_at // DAY)
        found.append(
            DriftState(row.model, row.target, row.labels, row.bad, since, state.level, THRESHOLD,
                       state.level >= WATCH, False, _calm(row, state.level))
        )  # fmt: skip
    return sorted(found, key=lambda one: one.model)


def _calm(row: Any, level: float) -> str:
    against = f"target {row.target:.1%}"
    if level >= WATCH:
        return f"Worth a look: {row.bad_since:,} of the last {row.since:,} audited outputs bad, {against}."
    audited = phrases.count(row.labels, "audited output")
    return f"No sign that it is above its target: {row.bad:,} of {audited} bad, {against}."


@dataclass(frozen=True)
class Alarm:
    """A model was found worse than its target."""

    id: int
    workflow_id: int
    workflow: str
    model: str
    target: float
    labels: int
    """Audited outputs that the evidence speaks of."""
    bad: int
    since: date
    seen_at: int
    acknowledged_by: str | None
    """The name of who has seen it."""
    acknowledged_at: int | None

    @property
    def sentence(self) -> str:
        """Return what was seen, since when, on how many labels, and what to do."""
        return (
            f"{self.model} in “{self.workflow}” is worse than its target of {self.target * 100:.3g} %: {self.bad:,} of"
            f" the last {self.labels:,} audited outputs were bad, since {self.since.isoformat()} (UTC). If it were not,"
            f" this would be said at most once in {THRESHOLD:,.0f} audited outputs. Look at the"
            " reasons of its bad outputs and at what changed that day; go back to the version before or to another"
            " model. On the Quality page, say that you have seen it: the model is then watched anew."
        )


_ALARMS = (
    "SELECT a.id, a.workflow_id, w.name AS workflow, a.model, a.target, a.labels, a.bad, a.since_at, a.seen_at,"
    " p.name AS who, a.acknowledged_at FROM alarm a JOIN workflow w ON w.id = a.workflow_id"
    " LEFT JOIN person p ON p.id = a.acknowledged_by WHERE "
)
OPEN = sa.text(_ALARMS + "a.workflow_id = :flow AND a.acknowledged_at IS NULL ORDER BY a.seen_at DESC, a.id DESC")
EVER = sa.text(_ALARMS + "a.workflow_id = :flow ORDER BY a.seen_at DESC, a.id DESC LIMIT 200")
UNTOLD = sa.text(_ALARMS + "a.told_at IS NULL AND a.next_at <= :now ORDER BY a.id LIMIT :most")
ONE = sa.text("SELECT workflow_id, acknowledged_at FROM alarm WHERE id = :id")
SEEN = sa.text("UPDATE alarm SET acknowledged_by = :person, acknowledged_at = :at WHERE id = :id")


def alarm_of(row: Any) -> Alarm:
    """Return a row of the query as an alarm."""
    return Alarm(
        row.id, row.workflow_id, row.workflow, row.model, row.target, row.labels, row.bad,
        as_date(row.since_at // DAY), row.seen_at, row.who, row.acknowledged_at,
    )  # fmt: skip


def alarms(session: Session, by: Actor, workflow_id: int, *, open_only: bool = True) -> list[Alarm]:
    """Return the alarms of a workflow, the latest first: those that stand, or all.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    rows = session.connection().execute(OPEN if open_only else EVER, {"flow": workflow_id})
    return [alarm_of(row) for row in rows]


def acknowledge(session: Session, by: Actor, alarm_id: int) -> None:
    """Say that an alarm was seen: it no longer stands, and the model is watched from the next label on as if anew.

    Raises:
        NotFoundError: there is no such alarm.
        NotAllowedError: not an owner of the workflow, or nobody who is signed in.
    """
    row = session.connection().execute(ONE, {"id": alarm_id}).first()
    if row is None:
        raise NotFoundError("There is no such alarm.")
    by.require(Role.OWNER, row.workflow_id)
    if by.person_id is None:
        raise NotAllowedError("Only a signed-in person can say that they have seen an alarm.")
    if row.acknowledged_at is not None:
        return
    session.connection().execute(SEEN, {"person": by.person_id, "at": now(), "id": alarm_id})
    record(session, f"workflow/{row.workflow_id}", by.audit_name, Action.ALARM_SEEN, {"alarm": alarm_id})
