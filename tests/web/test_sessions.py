"""Passwords, the first admin, and how long a session lives."""

import threading

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from db.clock import HOUR, MINUTE
from db.engine import Database
from neuro_review import access, sessions, worker
from neuro_review.access import Actor
from neuro_review.errors import ConflictError, InvalidError, NotSignedInError
from tests.conftest import Clock
from tests.web.conftest import PASSWORD


def signed_in(db: Database, password: str = PASSWORD) -> str:
    with db.writing() as session:
        credentials = sessions.look_up(session, "ada@example.com")
        assert sessions.matches(credentials, password)
        return sessions.sign_in(session, credentials)


def visit(db: Database, token: str) -> sessions.Visit | None:
    with db.reading() as session:
        return sessions.visit(session, sessions.session_id(token))


@pytest.mark.parametrize("password", ["nine char", "x" * 201, "ada@example.com", " ADA@Example.COM"[1:]])
def test_a_password_that_is_short_endless_or_the_address_is_refused(password: str) -> None:
    with pytest.raises(InvalidError, match="Choose another one") as refused:
        sessions.hash_password(password, "ada@example.com")

    assert refused.value.field == "password"


def test_a_password_needs_no_special_characters_and_may_be_in_any_script() -> None:
    for password in ("aaaaaaaaaa", "пароль пароль", "x" * 200):
        hashed = sessions.hash_password(password, "ada@example.com")

        assert sessions.matches(sessions.Credentials(1, hashed), password)
        assert "argon2id" in hashed


def test_a_password_composed_differently_by_another_system_is_the_same_password() -> None:
    hashed = sessions.hash_password("cafe\u0301 cafe\u0301 cafe\u0301", "a@b.c")

    assert sessions.matches(sessions.Credentials(1, hashed), "caf\u00e9 caf\u00e9 caf\u00e9")


def test_an_unknown_address_or_an_account_without_password_never_matches(db: Database, ada: Actor) -> None:
    with db.reading() as session:
        unknown = sessions.look_up(session, "eve@example.com")
        odd = sessions.look_up(session, "a\0@example.com")

    assert unknown == odd == sessions.Credentials()
    assert not sessions.matches(unknown, PASSWORD)
    assert not sessions.matches(sessions.Credentials(1, None), "")


def test_an_unknown_address_costs_as_many_hashes_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    known = sessions.Credentials(1, sessions.hash_password(PASSWORD, "a@b.c"))
    sessions._nobodys_hash()
    hashes: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            hashes.append(str(hash).split("$")[3])
            return super().verify(hash, password)

    monkeypatch.setattr(sessions, "HASHER", Counting())
    sessions.matches(known, "wrong wrong")
    sessions.matches(sessions.Credentials(), "wrong wrong")

    assert len(hashes) == 2
    assert hashes[0] == hashes[1]


def test_a_hash_of_weaker_parameters_is_made_anew_at_sign_in(
    db: Database, ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    with db.writing() as session:
        credentials = sessions.look_up(session, "ada@example.com")
        fresh = sessions.rehashed(credentials, PASSWORD)
        sessions.sign_in(session, credentials, new_hash=fresh)

    with db.reading() as session:
        stored = sessions.look_up(session, "ada@example.com")
    assert stored.password_hash == fresh
    assert sessions.matches(stored, PASSWORD)
    assert sessions.rehashed(stored, PASSWORD) is None


def test_a_session_shows_the_roles_of_this_moment_and_the_database_never_holds_its_token(
    db: Database, ada: Actor
) -> None:
    token = signed_in(db)

    found = visit(db, token)

    assert found is not None
    assert found.person == ada
    with db.reading() as session:
        row = session.connection().execute(sa.text("SELECT * FROM sign_in")).one()
    assert token not in str(tuple(row))


def test_each_sign_in_has_a_new_session_and_ends_the_one_this_browser_had(db: Database, ada: Actor) -> None:
    first = signed_in(db)
    with db.writing() as session:
        credentials = sessions.look_up(session, "ada@example.com")
        second = sessions.sign_in(session, credentials, instead_of=sessions.session_id(first))

    assert second != first
    assert visit(db, first) is None
    assert visit(db, second) is not None


def test_a_session_ends_two_hours_after_the_last_action(db: Database, ada: Actor, moved_clock: Clock) -> None:
    token = signed_in(db)
    moved_clock.forward(2 * HOUR - MINUTE)
    with db.writing() as session:
        sessions.touch(session, sessions.session_id(token))
    moved_clock.forward(2 * HOUR - MINUTE)
    assert visit(db, token) is not None

    moved_clock.forward(MINUTE)

    assert visit(db, token) is None


def test_a_session_ends_twelve_hours_after_sign_in_whatever_its_person_does(
    db: Database, ada: Actor, moved_clock: Clock
) -> None:
    token = signed_in(db)
    for _hour in range(11):
        moved_clock.forward(HOUR)
        with db.writing() as session:
            sessions.touch(session, sessions.session_id(token))
    assert visit(db, token) is not None

    moved_clock.forward(HOUR)

    assert visit(db, token) is None


def test_a_visit_asks_to_be_noted_at_most_once_a_minute(db: Database, ada: Actor, moved_clock: Clock) -> None:
    token = signed_in(db)
    fresh = visit(db, token)
    moved_clock.forward(MINUTE)
    later = visit(db, token)

    assert fresh is not None
    assert later is not None
    assert later.is_stale
    with db.writing() as session:
        sessions.touch(session, later.session_id)
    again = visit(db, token)
    assert again is not None
    assert not again.is_stale


def test_signing_out_ends_the_session_once_and_is_recorded_once(db: Database, ada: Actor) -> None:
    token = signed_in(db)

    with db.writing() as session:
        sessions.sign_out(session, sessions.session_id(token))
        sessions.sign_out(session, sessions.session_id(token))

    assert visit(db, token) is None
    with db.reading() as session:
        actions = session.connection().execute(
            sa.text("SELECT action FROM audit WHERE stream = :stream ORDER BY seq"),
            {"stream": f"person/{ada.person_id}"},
        )
        assert actions.scalars().all()[-2:] == ["person.signed_in", "person.signed_out"]


def test_a_disabled_person_loses_every_session_and_cannot_sign_in(db: Database, ada: Actor) -> None:
    token = signed_in(db)
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE person SET disabled_at = 1"))

    assert visit(db, token) is None
    with pytest.raises(NotSignedInError, match="disabled"):
        signed_in(db)


def test_a_changed_role_ends_the_sessions(db: Database, ada: Actor) -> None:
    token = signed_in(db)
    with db.writing() as session:
        access.end_sessions(session, [ada.person_id or 0])

    assert visit(db, token) is None


def test_a_password_changed_between_comparing_and_signing_in_is_refused(db: Database, ada: Actor) -> None:
    with db.reading() as session:
        credentials = sessions.look_up(session, "ada@example.com")
    with db.writing() as session:
        session.connection().execute(sa.text("UPDATE person SET password_hash = 'another'"))

    with pytest.raises(NotSignedInError, match="changed"), db.writing() as session:
        sessions.sign_in(session, credentials)


def test_a_second_set_up_is_refused(db: Database, ada: Actor) -> None:
    with pytest.raises(ConflictError, match="Sign in instead"), db.writing() as session:
        sessions.set_up(session, "Eve", "eve@example.com", "hash")


def test_of_many_set_ups_at_once_exactly_one_wins(db: Database) -> None:
    start = threading.Barrier(6)
    outcomes: list[str] = []

    def attempt(number: int) -> None:
        start.wait()
        try:
            with db.writing() as session:
                sessions.set_up(session, f"P {number}", f"p{number}@example.com", "hash")
            outcomes.append("made")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made"] + ["refused"] * 5
    with db.reading() as session:
        assert session.connection().execute(sa.text("SELECT count(*) FROM person")).scalar_one() == 1


def test_a_session_that_has_been_over_for_a_day_is_purged_and_one_that_lives_stays(
    db: Database, ada: Actor, moved_clock: Clock
) -> None:
    over, idle = signed_in(db), signed_in(db)
    with db.writing() as session:
        sessions.sign_out(session, sessions.session_id(over))
        assert sessions.purge(session) == 0
    moved_clock.forward(25 * HOUR)
    alive = signed_in(db)
    assert worker.sweep_some(db) == 1
    moved_clock.forward(MINUTE)
    assert visit(db, alive) is not None
    moved_clock.forward(90 * MINUTE)
    with db.writing() as session:
        sessions.touch(session, sessions.session_id(alive))
    assert worker.sweep_some(db) == 1
    with db.reading() as session:
        left = session.connection().execute(sa.text("SELECT token_hash FROM sign_in")).scalars().all()
    assert left == [sessions.session_id(alive)]
    assert visit(db, idle) is None
