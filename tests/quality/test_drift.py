"""An owner is told when a model has become worse than its target, once, with what to do; and the counts are checked."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from standardwebhooks import Webhook

from db.clock import DAY, SECOND
from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import decisions, mail, outbound, overview, releases, settings
from neuro_review.__main__ import main
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import InvalidError, NotAllowedError, UnavailableError
from neuro_review.overview.alerts import alerts
from neuro_review.quality import drift, keeping, telling
from neuro_review.workflows import measured
from tests.conftest import Clock, Team
from tests.helpers import claim_one, make_item
from tests.quality.test_rollups import door, hold

BAD = Opinion(Verdict.REJECT, reasons=["Tone"])
GOOD = Opinion(Verdict.APPROVE)


def leave(db: Database, team: Team, clock: Clock, opinions: list[Opinion], *, panel: bool = True) -> None:
    """Let outputs leave with these verdicts, and settle."""
    for opinion in opinions:
        with db.writing() as session:
            make_item(session, team.support.id, panel=panel)
            lease = claim_one(session, team.bo, team.support)
            decisions.decide(session, lease.item_id, team.bo, lease.lease_n, opinion)
    clock.forward(6 * SECOND)
    with db.writing() as session:
        releases.release_due(session, most=500)
    clock.forward(drift.SETTLED + SECOND)


def target(db: Database, team: Team, share: float | None = 0.05) -> None:
    with db.writing() as session:
        measured.set_quality_target(session, team.olu, team.support.id, share)


def fold(db: Database) -> None:
    while keeping.watch_some(db):
        pass


def stand(db: Database, team: Team) -> list[drift.DriftState]:
    with db.reading() as session:
        return drift.states(session, team.olu, team.support.id)


def raised(db: Database, team: Team, **more: Any) -> list[drift.Alarm]:
    with db.reading() as session:
        return drift.alarms(session, team.olu, team.support.id, **more)


def test_labels_of_the_panel_are_watched_once_each(db: Database, team: Team, moved_clock: Clock) -> None:
    target(db, team)
    leave(db, team, moved_clock, [GOOD, BAD, GOOD])
    leave(db, team, moved_clock, [BAD] * 3, panel=False)

    fold(db)
    fold(db)

    (state,) = stand(db, team)
    assert (state.model, state.labels, state.bad, state.alarm) == ("m", 3, 1, False)
    assert state.sentence == "No sign that it is above its target: 1 of 3 audited outputs bad, target 5.0%."


def test_without_a_target_nothing_is_watched(db: Database, team: Team, moved_clock: Clock) -> None:
    leave(db, team, moved_clock, [BAD] * 3)

    fold(db)

    assert stand(db, team) == []


def test_a_worse_model_raises_one_alarm_that_stands_until_somebody_has_seen_it(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    target(db, team)
    leave(db, team, moved_clock, [GOOD] * 5 + [BAD] * 8)
    fold(db)

    (alarm,) = raised(db, team)
    leave(db, team, moved_clock, [BAD] * 8)
    fold(db)

    assert len(raised(db, team)) == 1
    assert f"{alarm.bad} of the last {alarm.labels} audited outputs were bad" in alarm.sentence
    assert alarm.bad >= 5
    with db.reading() as session:
        rows = overview.workflows_of(session, team.olu)
        said = [one.sentence for one in alerts(session, team.olu, rows, overview.owned(session, rows))]
    assert alarm.sentence in said
    with db.writing() as session, pytest.raises(NotAllowedError):
        drift.acknowledge(session, team.bo, alarm.id)
    with db.writing() as session:
        drift.acknowledge(session, team.olu, alarm.id)
    assert raised(db, team) == []
    assert [one.acknowledged_by for one in raised(db, team, open_only=False)] == ["Olu"]
    leave(db, team, moved_clock, [BAD] * 8)
    fold(db)
    assert len(raised(db, team)) == 1


def test_another_target_begins_anew(db: Database, team: Team, moved_clock: Clock) -> None:
    target(db, team)
    leave(db, team, moved_clock, [BAD])
    fold(db)

    target(db, team, 0.2)

    assert stand(db, team) == []


# --- told outside the app --------------------------------------------------------------------------------------------


class _Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as a mail needs; what comes in is kept."""

    kept: ClassVar[list[str]] = []
    offers: ClassVar[list[bytes]] = []
    """What it says that it can."""
    heard: ClassVar[list[bytes]] = []
    refuses: ClassVar[bytes] = b""
    """An address to which it takes nothing."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            self.heard.append(word)
            if word == b"EHLO":
                lines = [b"here", *self.offers]
                self.wfile.writelines(b"250-%b\r\n" % one for one in lines[:-1])
                self.wfile.write(b"250 %b\r\n" % lines[-1])
                continue
            if word == b"STARTTLS" or (self.refuses and self.refuses in line and word == b"RCPT"):
                self.wfile.write(b"454 not now\r\n")
                continue
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                for part in self.rfile:
                    if part == b".\r\n":
                        break
                    lines.append(part.decode())
                self.kept.append("".join(lines))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    _Mailbox.kept, _Mailbox.heard, _Mailbox.offers, _Mailbox.refuses = [], [], [], b""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NEURO_REVIEW_SMTP_URL", f"smtp://127.0.0.1:{server.server_address[1]}")
        settings.settings.cache_clear()
        yield _Mailbox.kept
        server.shutdown()


SECRET = "whsec_" + "a" * 32


def an_alarm(db: Database, team: Team, clock: Clock) -> None:
    target(db, team)
    leave(db, team, clock, [BAD] * 8)
    fold(db)


def test_owners_are_told_of_an_alarm_by_mail_once(
    db: Database, team: Team, moved_clock: Clock, mailbox: list[str]
) -> None:
    an_alarm(db, team, moved_clock)

    told = telling.tell_some(db), telling.tell_some(db)

    assert told == (1, 0)
    (message,) = mailbox
    assert "To: olu@example.com" in message
    assert "worse than its target" in message


@pytest.mark.parametrize("offers", [[b"STARTTLS", b"AUTH PLAIN LOGIN"], [b"AUTH PLAIN LOGIN"]])
def test_the_password_of_the_mail_server_is_never_sent_in_the_clear(
    mailbox: list[str], monkeypatch: pytest.MonkeyPatch, offers: list[bytes]
) -> None:
    _Mailbox.offers = offers
    address = settings.settings().smtp_url or ""
    monkeypatch.setenv("NEURO_REVIEW_SMTP_URL", address.replace("smtp://", "smtp://u:p@"))
    settings.settings.cache_clear()

    with pytest.raises(UnavailableError):
        mail.send(["olu@example.com"], "s", "t")

    assert b"AUTH" not in _Mailbox.heard
    assert (b"STARTTLS" in _Mailbox.heard) is (len(offers) == 2)
    assert mailbox == []


def test_who_cannot_be_told_keeps_no_other_from_being_told_and_nobody_is_told_twice(
    db: Database, team: Team, moved_clock: Clock, mailbox: list[str], monkeypatch: pytest.MonkeyPatch,
    add_person: Callable[..., Actor],
) -> None:  # fmt: skip
    add_person("Ann", Role.OWNER, team.support.id)
    monkeypatch.setenv("NEURO_REVIEW_ALARM_URL", "https://example.com/alarms")
    monkeypatch.setenv("NEURO_REVIEW_ALARM_SECRET", SECRET)
    settings.settings.cache_clear()
    posted: list[str] = []

    def post(url: str, body: bytes, headers: dict[str, str]) -> outbound.Reply:
        posted.append(url)
        return outbound.Reply(204, 1, b"")

    monkeypatch.setattr(telling.outbound, "post", post)
    _Mailbox.refuses = b"ann@example.com"
    an_alarm(db, team, moved_clock)

    first = telling.tell_some(db)
    _Mailbox.refuses = b""
    moved_clock.forward(120 * SECOND)
    again = telling.tell_some(db)

    assert (first, again, len(posted)) == (0, 1, 1)
    assert ["To: olu@example.com" in one for one in mailbox] == [True, False]


def test_an_alarm_is_posted_signed_and_again_until_it_arrives(
    db: Database, team: Team, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_ALARM_URL", "https://example.com/alarms")
    monkeypatch.setenv("NEURO_REVIEW_ALARM_SECRET", SECRET)
    settings.settings.cache_clear()
    came: list[tuple[bytes, dict[str, str]]] = []

    def post(url: str, body: bytes, headers: dict[str, str]) -> outbound.Reply:
        came.append((body, headers))
        return outbound.Reply(503 if len(came) == 1 else 204, 1, b"")

    monkeypatch.setattr(telling.outbound, "post", post)
    an_alarm(db, team, moved_clock)

    first, at_once = telling.tell_some(db), telling.tell_some(db)
    moved_clock.forward(120 * SECOND)
    again = telling.tell_some(db)

    assert (first, at_once, again, len(came)) == (0, 0, 1, 2)
    body, headers = came[1]
    assert headers["Webhook-Id"] == came[0][1]["Webhook-Id"]
    message = json.loads(body)
    assert (message["type"], message["workflow"], message["model"]) == ("quality.alarm", "support", "m")
    signed = {name.lower(): value for name, value in came[0][1].items()}
    assert Webhook(SECRET).sign(signed["webhook-id"], _at(signed), came[0][0].decode()) == signed["webhook-signature"]


def _at(headers: dict[str, str]) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)


def test_an_address_for_alarms_needs_a_secret_to_sign_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_ALARM_URL", "https://example.com/alarms")
    settings.settings.cache_clear()

    with pytest.raises(InvalidError, match="NEURO_REVIEW_ALARM_SECRET"):
        settings.settings()


# --- the counts are checked ------------------------------------------------------------------------------------------


def test_a_planted_difference_is_found_at_night_and_shown_to_an_admin(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    hold(db, door(db, team.support))
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollup_label SET n = n + 3")
    moved_clock.forward(2 * DAY)

    keeping.check_last_night(db)

    with db.reading() as session:
        kept = session.connection().execute(sa.text("SELECT differences, first FROM count_check")).one()
        rows = overview.workflows_of(session, team.ada)
        said = [one.sentence for one in alerts(session, team.ada, rows, {})]
    assert kept.differences == 1
    assert kept.first == ("1 count is not what the rows say; the first in rollup_label: [4] kept, [1] counted.")
    assert any(kept.first in one for one in said)


def test_check_counts_finds_and_repairs(db: Database, url: str, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    hold(db, door(db, team.support), end_user="u")
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollup_day SET items = 0")
        connection.exec_driver_sql("DELETE FROM rollup_user")

    wrong = CliRunner().invoke(main, ["check-counts", "--json"])
    repaired = CliRunner().invoke(main, ["check-counts", "--repair", "--workflow", "support"])
    right = CliRunner().invoke(main, ["check-counts"])

    assert (wrong.exit_code, json.loads(wrong.stdout)["differences"]) == (1, 2)
    assert repaired.exit_code == 0
    assert (right.exit_code, right.stdout) == (0, "Every count is what the rows say.\n")
