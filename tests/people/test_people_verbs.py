"""Who works here: roles given and taken, accounts closed and opened, and never nobody who answers."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from db.clock import now
from db.engine import Database
from db.tables import Role
from neuro_review import invitations, people, queue, sessions, workflows
from neuro_review.access import Actor
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from tests.conftest import OPERATOR, Clock, Team
from tests.helpers import make_item

AddPerson = Callable[..., Actor]
AtOnce = Callable[[Any, Any], str]


def sign_in(db: Database, person: Actor) -> str:
    """Open a session of a person and return its id."""
    with db.writing() as session:
        return sessions.session_id(sessions.sign_in(session, sessions.look_up(session, person.email)))


def is_signed_in(db: Database, session_id: str) -> bool:
    with db.reading() as session:
        return sessions.person_of(session, session_id) is not None


def of(person: Actor) -> int:
    assert person.person_id is not None
    return person.person_id


def roles(db: Database, person: Actor) -> str:
    with db.reading() as session:
        return people.member(session, OPERATOR, of(person)).roles


def grant_of(db: Database, person: Actor) -> int:
    with db.reading() as session:
        (grant,) = people.member(session, OPERATOR, of(person)).grants
    return grant.id


CHANGES = {
    "everybody": lambda s, t, by: people.everybody(s, by),
    "member": lambda s, t, by: people.member(s, by, of(t.cy)),
    "give": lambda s, t, by: people.give_role(s, by, of(t.cy), Role.REVIEWER, t.other.id),
    "take": lambda s, t, by: people.take_role(s, by, people.member(s, OPERATOR, of(t.cy)).grants[0].id),
    "disable": lambda s, t, by: people.disable(s, by, of(t.cy)),
    "enable": lambda s, t, by: people.enable(s, by, of(t.cy)),
    "password": lambda s, t, by: people.set_password(s, by, of(t.cy), "hash"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_an_admin_changes_people(db: Database, team: Team, change: str) -> None:
    with pytest.raises(NotAllowedError), db.writing() as session:
        CHANGES[change](session, team, team.bo)

    with db.writing() as session:
        CHANGES[change](session, team, team.ada)


def test_an_owner_names_others_for_their_own_workflow_and_nowhere_else(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.give_role(session, team.olu, of(team.bo), Role.OWNER, team.support.id)
    assert roles(db, team.bo) == "owner of support, reviewer of support"

    for role, workflow_id in ((Role.OWNER, team.other.id), (Role.OWNER, None), (Role.ADMIN, None)):
        with pytest.raises(NotAllowedError, match="Only an admin"), db.writing() as session:
            people.give_role(session, team.olu, of(team.bo), role, workflow_id)


def test_an_admin_of_a_single_workflow_is_refused(db: Database, team: Team) -> None:
    with pytest.raises(InvalidError, match="one everywhere"), db.writing() as session:
        people.give_role(session, team.ada, of(team.bo), Role.ADMIN, team.support.id)


def test_a_new_role_is_said_in_words_audited_and_needs_a_new_sign_in(
    db: Database, team: Team, audited: Callable[[str], list[dict[str, Any]]]
) -> None:
    session_id = sign_in(db, team.bo)

    with db.writing() as session:
        people.give_role(session, team.ada, of(team.bo), Role.EXPORT)

    assert roles(db, team.bo) == "exporter of every workflow, reviewer of support"
    assert audited(f"person/{of(team.bo)}")[-1] == {"granted": "export", "workflow": None}
    assert not is_signed_in(db, session_id)


def test_a_role_that_is_there_already_changes_nothing(db: Database, team: Team) -> None:
    session_id = sign_in(db, team.bo)

    with db.writing() as session:
        people.give_role(session, team.ada, of(team.bo), Role.REVIEWER, team.support.id)

    assert is_signed_in(db, session_id)


def test_a_role_that_was_taken_is_gone_at_once_and_what_was_held_is_back(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        queue.claim(session, team.bo, [team.support.id])
    session_id, grant_id = sign_in(db, team.bo), grant_of(db, team.bo)

    with db.writing() as session:
        people.take_role(session, team.ada, grant_id)

    assert roles(db, team.bo) == ""
    assert not is_signed_in(db, session_id)
    with db.writing() as session:
        assert [lease.item_id for lease in queue.claim(session, team.cy, [team.support.id])] == [item_id]
        assert session.connection().execute(sa.text("SELECT count(*) FROM item_pass")).scalar() == 0
    with pytest.raises(NotFoundError, match="already"), db.writing() as session:
        people.take_role(session, team.ada, grant_id)


def test_the_last_admin_and_the_last_owner_stay(db: Database, team: Team) -> None:
    for person, says in ((team.ada, "last admin"), (team.olu, "“support” would have no owner")):
        with pytest.raises(ConflictError, match=says), db.writing() as session:
            people.take_role(session, team.ada, grant_of(db, person))
        with pytest.raises(ConflictError, match=says), db.writing() as session:
            people.disable(session, team.ada, of(person))

    assert (roles(db, team.ada), roles(db, team.olu)) == ("admin", "owner of support")


def test_who_was_only_invited_is_no_other_admin_until_a_password_is_chosen(db: Database, team: Team) -> None:
    with db.writing() as session:
        link = invitations.invite(session, team.ada, "Zed", "zed@example.com", Role.ADMIN)

    with pytest.raises(ConflictError, match="last admin"), db.writing() as session:
        people.disable(session, team.ada, of(team.ada))

    with db.writing() as session:
        invitations.accept(session, link.code, "a hash")
        people.disable(session, team.ada, of(team.ada))


def test_with_a_successor_an_owner_may_go(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.give_role(session, team.ada, of(team.bo), Role.OWNER, team.support.id)
        people.disable(session, team.ada, of(team.olu))

    with db.reading() as session:
        assert [owner.name for owner in people.owners(session)[team.support.id]] == ["Bo"]


def test_a_disabled_successor_is_none(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.give_role(session, team.ada, of(team.bo), Role.OWNER, team.support.id)
        people.disable(session, team.ada, of(team.bo))

    with pytest.raises(ConflictError, match="no owner"), db.writing() as session:
        people.disable(session, team.ada, of(team.olu))


def test_an_owner_of_every_workflow_is_a_successor_and_is_not_let_go_as_the_last(
    db: Database, team: Team, add_person: AddPerson
) -> None:
    pam = add_person("Pam", Role.OWNER)
    with db.writing() as session:
        people.take_role(session, team.ada, grant_of(db, team.olu))

    with pytest.raises(ConflictError, match="would have no owner"), db.writing() as session:
        people.take_role(session, team.ada, grant_of(db, pam))


def test_an_owner_by_two_roles_may_lose_one_of_them(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.give_role(session, team.ada, of(team.olu), Role.OWNER)
        first = people.member(session, team.ada, of(team.olu)).grants[0]
        people.give_role(session, team.ada, of(team.bo), Role.OWNER, team.other.id)
        people.take_role(session, team.ada, first.id)

    assert "owner" in roles(db, team.olu)


def test_a_workflow_that_was_put_away_needs_no_owner(db: Database, team: Team) -> None:
    with db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)
        people.disable(session, team.ada, of(team.olu))

    with db.reading() as session:
        assert people.owners(session) == {}


def test_a_disabled_person_is_signed_out_and_what_they_held_is_back_at_once(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        (lease,) = queue.claim(session, team.bo, [team.support.id])
    session_id = sign_in(db, team.bo)

    with db.writing() as session:
        people.disable(session, team.ada, of(team.bo))

    assert not is_signed_in(db, session_id)
    with db.writing() as session:
        assert queue.renew(session, team.bo, [(lease.item_id, lease.lease_n)]) == []
        assert [one.item_id for one in queue.claim(session, team.cy, [team.support.id])] == [item_id]


def test_what_was_assigned_to_somebody_who_is_disabled_comes_to_the_others(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        queue.assign(session, item_id, team.olu, person_id=of(team.bo))
        assert queue.claim(session, team.cy, [team.support.id]) == []

    with db.writing() as session:
        people.disable(session, team.ada, of(team.bo))

    with db.writing() as session:
        assert [one.item_id for one in queue.claim(session, team.cy, [team.support.id])] == [item_id]


def test_an_account_that_is_enabled_again_has_its_roles_and_no_old_session(
    db: Database, team: Team, audited: Callable[[str], list[dict[str, Any]]]
) -> None:
    session_id = sign_in(db, team.bo)

    with db.writing() as session:
        people.disable(session, team.ada, of(team.bo))
        people.enable(session, team.ada, of(team.bo))
        people.enable(session, team.ada, of(team.bo))

    assert roles(db, team.bo) == "reviewer of support"
    assert not is_signed_in(db, session_id)
    changes = [one for one in audited(f"person/{of(team.bo)}") if "disabled" in one]
    assert changes == [{"disabled": True}, {"disabled": False}]


def test_two_admins_who_disable_each_other_leave_one(
    db: Database, team: Team, add_person: AddPerson, at_once: AtOnce
) -> None:
    bea = add_person("Bea", Role.ADMIN)

    said = at_once(
        lambda session: people.disable(session, team.ada, of(bea)),
        lambda session: people.disable(session, bea, of(team.ada)),
    )

    assert "disabled" in said
    with db.reading() as session:
        assert [one.name for one in people.everybody(session, team.ada) if one.in_use and one.roles == "admin"] == [
            "Ada"
        ]


def test_two_admins_who_lay_down_the_role_at_once_leave_one(
    db: Database, team: Team, add_person: AddPerson, at_once: AtOnce
) -> None:
    bea = add_person("Bea", Role.ADMIN)
    grants = grant_of(db, team.ada), grant_of(db, bea)

    said = at_once(
        lambda session: people.take_role(session, team.ada, grants[0]),
        lambda session: people.take_role(session, bea, grants[1]),
    )

    assert said == "This is the last admin. Add another one first."


def test_two_owners_who_are_removed_at_once_leave_one(
    db: Database, team: Team, add_person: AddPerson, at_once: AtOnce
) -> None:
    pam = add_person("Pam", Role.OWNER, team.support.id)
    grants = grant_of(db, team.olu), grant_of(db, pam)

    said = at_once(
        lambda session: people.take_role(session, team.ada, grants[0]),
        lambda session: people.take_role(session, OPERATOR, grants[1]),
    )

    assert "“support” would have no owner" in said
    with db.reading() as session:
        assert [owner.name for owner in people.owners(session)[team.support.id]] == ["Pam"]


def test_a_role_that_ends_in_this_moment_gives_no_power_any_more(
    db: Database, team: Team, add_person: AddPerson, at_once: AtOnce
) -> None:
    bea = add_person("Bea", Role.ADMIN)
    grant_id = grant_of(db, bea)

    said = at_once(
        lambda session: people.take_role(session, team.ada, grant_id),
        lambda session: people.give_role(session, bea, of(team.bo), Role.ADMIN),
    )

    assert "Only an admin" in said
    assert roles(db, team.bo) == "reviewer of support"


def test_everybody_is_listed_by_name_with_when_they_were_last_seen(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    at = now()
    sign_in(db, team.cy)

    with db.reading() as session:
        listed = people.everybody(session, team.ada)

    assert [one.name for one in listed] == ["Ada", "Bo", "Cy", "Eve", "Olu"]
    seen = {one.name: one.seen_at for one in listed}
    assert seen["Bo"] is None
    assert seen["Cy"] is not None
    assert seen["Cy"] >= at


def test_who_can_be_named_as_an_owner_is_in_use_and_shown_to_owners_alone(db: Database, team: Team) -> None:
    with db.writing() as session:
        people.disable(session, team.ada, of(team.cy))

    with db.reading() as session:
        named = people.names(session, team.olu)
        with pytest.raises(NotAllowedError):
            people.names(session, team.bo)

    assert list(named.values())[:2] == ["Ada (ada@example.com)", "Bo (bo@example.com)"]
    assert of(team.cy) not in named
