"""Saved views: found again by who saved them, and by nobody else."""

import pytest
import sqlalchemy as sa

from db.engine import Database
from neuro_review import views
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from tests.conftest import OPERATOR, Team

HOSTILE = "![x](https://evil.example/a.png) <b>'; DROP TABLE saved_view; --"


def test_a_view_comes_back_as_it_was_saved(db: Database, team: Team) -> None:
    query = {"text": HOSTILE, "statuses": ["held"], "first_day": "2026-06-01"}
    with db.writing() as session:
        view_id = views.save(session, team.bo, "history", f"  {HOSTILE}\n", query)

        assert views.mine(session, team.bo, "history") == [views.View(view_id, HOSTILE, query)]
        assert views.mine(session, team.bo, "quality") == []


def test_views_are_private(db: Database, team: Team) -> None:
    with db.writing() as session:
        view_id = views.save(session, team.bo, "history", "Mine", {})

        assert views.mine(session, team.ada, "history") == []
        with pytest.raises(NotFoundError):
            views.delete(session, team.ada, view_id)
        assert [view.id for view in views.mine(session, team.bo, "history")] == [view_id]


def test_a_name_saved_again_is_replaced_and_one_deleted_is_gone(db: Database, team: Team) -> None:
    with db.writing() as session:
        first = views.save(session, team.bo, "history", "Mine", {"text": "a"})
        views.save(session, team.cy, "history", "Mine", {"text": "of Cy"})
        again = views.save(session, team.bo, "history", "Mine", {"text": "b"})
        assert [(view.id, view.query) for view in views.mine(session, team.bo, "history")] == [(first, {"text": "b"})]
        assert again == first

        views.delete(session, team.bo, first)

        assert views.mine(session, team.bo, "history") == []
        assert len(views.mine(session, team.cy, "history")) == 1
        with pytest.raises(NotFoundError):
            views.delete(session, team.bo, first)


@pytest.mark.parametrize("name", ["", " \n", "x" * 81, "a\0b", "\ud800"])
def test_a_name_that_cannot_be_used_is_refused(db: Database, team: Team, name: str) -> None:
    with db.writing() as session, pytest.raises(InvalidError):
        views.save(session, team.bo, "history", name, {})


def test_there_is_an_end_to_them(db: Database, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST", 2)
    with db.writing() as session:
        for name in ("a", "b", "b"):
            views.save(session, team.bo, "history", name, {})
        with pytest.raises(ConflictError, match="Delete one"):
            views.save(session, team.bo, "history", "c", {})


def test_an_operator_at_the_command_line_has_none(db: Database, team: Team) -> None:
    with db.writing() as session, pytest.raises(NotAllowedError):
        views.save(session, OPERATOR, "history", "Mine", {})


def test_saving_and_deleting_are_recorded_without_what_was_looked_for(db: Database, team: Team) -> None:
    with db.writing() as session:
        views.delete(session, team.bo, views.save(session, team.bo, "history", "Marker", {"text": "marker"}))
        events = session.connection().execute(
            sa.text("SELECT action, body FROM audit WHERE action LIKE 'view.%' ORDER BY seq")
        ).all()  # fmt: skip

    assert [event.action for event in events] == ["view.saved", "view.deleted"]
    assert "arker" not in repr(events)
