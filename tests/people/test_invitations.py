"""Invitations: a link that lets one person in once, for a week, and nobody who reads the database."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import DAY, HOUR
from db.engine import Database
from db.tables import LinkFor, Role
from neuro_review import access, invitations, people, sessions
from neuro_review.access import Actor
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.invitations import Link
from tests.conftest import Clock, Team

HASH = "argon2 of a password"


def invite(db: Database, team: Team, email: str = "di@example.com") -> Link:
    with db.writing() as session:
        return invitations.invite(session, team.ada, "Di", email, Role.REVIEWER, workflow_id=team.support.id)


def accept(db: Database, link: Link, password_hash: str = HASH) -> Actor | None:
    """Use a link and return whose session came of it."""
    with db.writing() as session:
        token = invitations.accept(session, link.code, password_hash)
    with db.reading() as session:
        return sessions.person_of(session, sessions.session_id(token))


def state(db: Database, team: Team, person_id: int) -> str:
    with db.reading() as session:
        return people.member(session, team.ada, person_id).state


def test_an_invited_person_chooses_a_password_and_has_the_role_and_no_other(db: Database, team: Team) -> None:
    link = invite(db, team)
    assert state(db, team, link.person_id) == "invited, link good for 7 d"

    di = accept(db, link)

    assert di is not None
    assert (di.email, di.grants) == ("di@example.com", frozenset({("reviewer", team.support.id)}))
    assert state(db, team, link.person_id) == "in use"
    with db.reading() as session:
        assert sessions.look_up(session, "di@example.com").password_hash == HASH


def test_only_an_admin_invites_or_makes_a_new_link(db: Database, team: Team) -> None:
    for by in (team.olu, team.bo):
        with pytest.raises(NotAllowedError), db.writing() as session:
            invitations.invite(session, by, "Di", "di@example.com", Role.REVIEWER)
        with pytest.raises(NotAllowedError), db.writing() as session:
            invitations.renew(session, by, team.cy.person_id or 0)


def test_the_code_is_in_no_table(db: Database, team: Team) -> None:
    link = invite(db, team)
    raw = db.engine.raw_connection()

    with db.reading() as session:
        rows = session.connection().execute(sa.text("SELECT * FROM invitation")).all()
        audit = session.connection().execute(sa.text("SELECT body FROM audit")).all()
    raw.close()

    assert len(link.code) >= 43
    assert link.code not in str(rows) + str(audit)
    assert link.code not in repr(link)


def test_a_link_works_once(db: Database, team: Team) -> None:
    link = invite(db, team)
    accept(db, link)

    with db.reading() as session, pytest.raises(NotFoundError, match="was used"):
        invitations.opened(session, link.code)
    with pytest.raises(NotFoundError, match="was used"):
        accept(db, link, "another")
    with db.reading() as session:
        assert sessions.look_up(session, "di@example.com").password_hash == HASH


def test_of_two_who_use_a_link_at_once_one_gets_in(
    db: Database, team: Team, at_once: Callable[[Any, Any], str]
) -> None:
    link = invite(db, team)

    said = at_once(
        lambda session: invitations.accept(session, link.code, "first"),
        lambda session: invitations.accept(session, link.code, "second"),
    )

    assert said == invitations.GONE
    with db.reading() as session:
        assert sessions.look_up(session, "di@example.com").password_hash == "first"


def test_looking_at_a_link_does_not_use_it_up(db: Database, team: Team) -> None:
    link = invite(db, team)

    for _ in range(3):
        with db.reading() as session:
            invited = invitations.opened(session, link.code)

    assert (invited.name, invited.email, invited.purpose) == ("Di", "di@example.com", LinkFor.INVITE)
    assert accept(db, link) is not None


def test_a_link_runs_out_after_a_week(db: Database, team: Team, moved_clock: Clock) -> None:
    link = invite(db, team)

    moved_clock.forward(7 * DAY - HOUR)
    with db.reading() as session:
        invitations.opened(session, link.code)
    moved_clock.forward(2 * HOUR)

    with pytest.raises(NotFoundError, match="has run out"):
        accept(db, link)
    assert state(db, team, link.person_id) == "no password yet"


def test_a_link_of_a_disabled_account_is_dead_also_after_it_was_enabled(db: Database, team: Team) -> None:
    link = invite(db, team)
    with db.writing() as session:
        people.disable(session, team.ada, link.person_id)
    with pytest.raises(NotFoundError):
        accept(db, link)

    with db.writing() as session:
        people.enable(session, team.ada, link.person_id)

    with pytest.raises(NotFoundError):
        accept(db, link)


def test_an_account_that_is_disabled_in_this_moment_lets_nobody_in(
    db: Database, team: Team, at_once: Callable[[Any, Any], str]
) -> None:
    link = invite(db, team)

    said = at_once(
        lambda session: people.disable(session, team.ada, link.person_id),
        lambda session: invitations.accept(session, link.code, HASH),
    )

    assert said == invitations.GONE
    with db.reading() as session:
        assert sessions.look_up(session, "di@example.com").password_hash is None


@pytest.mark.parametrize("code", ["", "x", "\0", "\ud800", "x" * 5000])
def test_a_code_that_is_none_opens_nothing(db: Database, team: Team, code: str) -> None:
    with db.reading() as session, pytest.raises(NotFoundError):
        invitations.opened(session, code)
    with db.writing() as session, pytest.raises(NotFoundError):
        invitations.accept(session, code, HASH)


def test_a_reset_ends_the_password_the_sessions_and_the_links_before(
    db: Database, team: Team, audited: Callable[[str], list[dict[str, Any]]]
) -> None:
    first = invite(db, team)
    with db.writing() as session:
        token = invitations.accept(session, first.code, HASH)
        second = invitations.renew(session, team.ada, first.person_id)
        third = invitations.renew(session, team.ada, first.person_id)

    with db.reading() as session:
        assert sessions.person_of(session, sessions.session_id(token)) is None
        assert sessions.look_up(session, "di@example.com").password_hash is None
        with pytest.raises(NotFoundError):
            invitations.opened(session, second.code)
    assert accept(db, third, "new") is not None
    facts = audited(f"person/{first.person_id}")
    assert [one["link"] for one in facts if "link" in one] == ["invite", "reset", "invite"]
    assert facts[-2:] == [{"password": "chosen"}, {}]


def test_who_uses_a_link_ends_the_session_the_browser_had(db: Database, team: Team) -> None:
    link = invite(db, team)
    with db.writing() as session:
        before = sessions.session_id(sessions.sign_in(session, sessions.look_up(session, team.bo.email)))

    with db.writing() as session:
        invitations.accept(session, link.code, HASH, instead_of=before)

    with db.reading() as session:
        assert sessions.person_of(session, before) is None


def test_nobody_resets_their_own_password_and_a_disabled_account_gets_no_link(db: Database, team: Team) -> None:
    with pytest.raises(ConflictError, match="sign you out"), db.writing() as session:
        invitations.renew(session, team.ada, team.ada.person_id or 0)
    with db.writing() as session:
        people.disable(session, team.ada, team.bo.person_id or 0)
    with pytest.raises(ConflictError, match="Enable it first"), db.writing() as session:
        invitations.renew(session, team.ada, team.bo.person_id or 0)


@pytest.mark.parametrize(
    ("name", "email", "role", "error", "says"),
    [
        ("", "di@example.com", Role.REVIEWER, InvalidError, "1 to 100"),
        ("a\0b", "di@example.com", Role.REVIEWER, InvalidError, "NUL"),
        ("Di", "nothing", Role.REVIEWER, InvalidError, "not an e-mail"),
        ("Di", "BO@example.com", Role.REVIEWER, ConflictError, "here already"),
        ("Di", "di@example.com", Role.ADMIN, InvalidError, "one everywhere"),
    ],
)
def test_an_invitation_that_cannot_be_is_refused_and_leaves_nothing(
    db: Database, team: Team, name: str, email: str, role: Role, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says), db.writing() as session:
        invitations.invite(session, team.ada, name, email, role, workflow_id=team.support.id)

    with db.reading() as session:
        assert len(people.everybody(session, team.ada)) == 5
        assert session.connection().execute(sa.text("SELECT count(*) FROM invitation")).scalar() == 0


def test_an_invited_person_without_a_password_cannot_sign_in(db: Database, team: Team) -> None:
    invite(db, team)

    with db.reading() as session:
        credentials = sessions.look_up(session, "di@example.com")

    assert not sessions.matches(credentials, "")
    assert access.clean_email("DI@example.com") == "di@example.com"
