"""Alarms told outside the app: to the owners by e-mail, and to one address by a signed webhook, where there are any."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import orjson
import sqlalchemy as sa
from sqlmodel import Session
from standardwebhooks import Webhook

from db.clock import MINUTE, SECOND, iso, now
from db.engine import Database
from neuro_review import mail, outbound
from neuro_review.errors import NeuroReviewError, UnavailableError
from neuro_review.quality import drift
from neuro_review.quality.drift import Alarm
from neuro_review.settings import settings

LOG = logging.getLogger("neuro_review.alarms")
TRIES = 8
THE_ADDRESS = "the address for alarms"
_reached: set[tuple[int, int, str]] = set()
"""Who was told of which alarm by this process: another try is for the others alone."""
CLAIM = sa.text(
    "UPDATE alarm SET attempts = attempts + 1, next_at = :next WHERE id = :id AND told_at IS NULL AND next_at <= :now"
)
TOLD = sa.text("UPDATE alarm SET told_at = :at WHERE id = :id")
ATTEMPTS = sa.text("SELECT attempts FROM alarm WHERE id = :id")
OWNERS = sa.text(
    "SELECT DISTINCT p.email FROM role_grant g JOIN person p ON p.id = g.person_id WHERE g.role = 'owner'"
    " AND (g.workflow_id = :flow OR g.workflow_id IS NULL) AND p.disabled_at IS NULL ORDER BY p.email"
)


@dataclass(frozen=True)
class Told:
    """An alarm that is to be told, and to whom."""

    alarm: Alarm
    owners: list[str]
    last_try: bool


def is_due(session: Session) -> bool:
    """Tell whether an alarm is to be told."""
    return session.connection().execute(drift.UNTOLD, {"now": now(), "most": 1}).first() is not None


def claim(session: Session, most: int = 8) -> list[Told]:
    """Take the alarms that are to be told now; whoever takes them, nobody else does until the next try."""
    connection, at, taken = session.connection(), now(), []
    for row in connection.execute(drift.UNTOLD, {"now": at, "most": most}).all():
        tries = int(connection.execute(ATTEMPTS, {"id": row.id}).scalar_one())
        later = at + min(60 * MINUTE, MINUTE * 2**tries)
        if connection.execute(CLAIM, {"next": later, "id": row.id, "now": at}).rowcount == 1:
            owners = [one.email for one in connection.execute(OWNERS, {"flow": row.workflow_id})]
            taken.append(Told(drift.alarm_of(row), owners, tries + 1 >= TRIES))
    return taken


def tell_some(database: Database) -> int:
    """Tell the alarms that are due; nothing waits inside a transaction. Returns how many were told."""
    with database.reading() as session:
        if not is_due(session):
            return 0
    with database.writing() as session:
        taken = claim(session)
    told = 0
    for one in taken:
        try:
            tell(one)
        except Exception as error:  # whatever it is: one that cannot be told keeps no other, and is not tried for ever
            says = error if isinstance(error, NeuroReviewError) else type(error).__name__
            LOG.warning("An alarm could not be told outside the app: %s", says)
            if not one.last_try:
                continue
        with database.writing() as session:
            session.connection().execute(TOLD, {"at": now(), "id": one.alarm.id})
        told += 1
    return told


def tell(one: Told) -> None:
    """Send an alarm to everybody who is to hear of it outside the app.

    Raises:
        NeuroReviewError: somebody could not be told.
    """
    alarm, failed = one.alarm, []
    ways: dict[str, Callable[[], None]] = {}
    if mail.is_on():
        ways = {owner: partial(_mail, owner, alarm) for owner in one.owners}
    if settings().alarm_url:
        ways[THE_ADDRESS] = partial(_post, alarm)
    for who, way in ways.items():
        if (alarm.id, alarm.seen_at, who) in _reached:
            continue
        try:
            way()
        except NeuroReviewError as error:  # a mail server that is down keeps no webhook, and one person no other
            failed.append(str(error))
        else:
            _reached.add((alarm.id, alarm.seen_at, who))
    if failed:
        raise UnavailableError(" ".join(dict.fromkeys(failed)))


def _mail(owner: str, alarm: Alarm) -> None:
    subject = f"Neuro Review: {alarm.model} in {alarm.workflow} is worse than its target"
    mail.send([owner], subject, f"{alarm.sentence}\n")


def _post(alarm: Alarm) -> None:
    body = orjson.dumps({
        "type": "quality.alarm", "alarm": alarm.id, "workflow": alarm.workflow, "model": alarm.model,
        "target": alarm.target, "labels": alarm.labels, "bad": alarm.bad, "since": alarm.since.isoformat(),
        "seen_at": iso(alarm.seen_at), "sentence": alarm.sentence,
    })  # fmt: skip
    reply = outbound.post(settings().alarm_url or "", body, signed(f"alarm_{alarm.id}", body))
    if not 200 <= reply.status < 300:
        raise UnavailableError(f"The address for alarms answered {reply.status}.")


def signed(message_id: str, body: bytes) -> dict[str, str]:
    """Return the headers of a message as Standard Webhooks has them; the id is the same at every try."""
    at = now() // SECOND
    signature = Webhook(settings().alarm_secret or "").sign(message_id, datetime.fromtimestamp(at, UTC), body.decode())
    return {
        "Content-Type": "application/json", "Webhook-Id": message_id, "Webhook-Timestamp": str(at),
        "Webhook-Signature": signature,
    }  # fmt: skip
