"""Who may ask for an import or an export, and what stands then."""

from collections.abc import Callable

import pytest

from db.clock import new_id
from db.engine import Database
from db.tables import JobKind, JobState, Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.exports.formats import Format
from neuro_review.exports.rows import Filter
from neuro_review.imports.fields import Fields
from neuro_review.jobs import asking, files, rows
from neuro_review.jobs.asking import MOST_OPEN
from tests.conftest import OPERATOR, Team
from tests.jobs.conftest import csv_of, find, value

Ask = Callable[..., str]
OUTPUT = Fields([("output", "answer"), ("model", "model")], only=True)


def test_a_workflow_is_not_put_away_while_an_import_into_it_is_under_way(
    db: Database, team: Team, ask_import: Ask
) -> None:
    ask_import(csv_of(3))

    with pytest.raises(ConflictError, match="An import into “support” is under way"), db.writing() as session:
        workflows.archive(session, team.olu, team.support.id)


def test_an_import_that_was_asked_for_waits_and_is_found_again_by_its_owner_alone(
    db: Database, team: Team, ask_import: Ask
) -> None:
    job_id = ask_import(csv_of(3))

    with db.reading() as session:
        (job,) = rows.mine(session, team.olu, JobKind.IMPORT)
        assert rows.one(session, job_id, team.olu) == job
        assert rows.mine(session, team.ada, JobKind.IMPORT) == []
        assert rows.mine(session, team.olu, JobKind.EXPORT) == []
        for stranger in (team.ada, team.bo, OPERATOR):
            with pytest.raises(NotFoundError):
                rows.one(session, job_id, stranger)
    assert (job.id, job.state, job.workflow, job.asked["file"]) == (job_id, JobState.WAITING, "support", "outputs.csv")
    assert value(db, "SELECT actor FROM audit WHERE stream = :s", s=f"job/{job_id}") == team.olu.audit_name


def test_only_an_owner_of_the_workflow_or_an_admin_imports_into_it(
    db: Database, team: Team, ask_import: Ask, add_person: Callable[..., Actor]
) -> None:
    exporter = add_person("Exa", Role.EXPORT, team.support.id)
    for by in (team.bo, team.eve, exporter):
        with pytest.raises(NotAllowedError):
            ask_import(csv_of(1), by)
    with pytest.raises(NotAllowedError):
        ask_import(csv_of(1), team.olu, workflow_id=team.other.id)

    ask_import(csv_of(1), team.olu)
    ask_import(csv_of(1), team.ada)

    assert value(db, "SELECT count(*) FROM job") == 2


def test_an_admin_names_a_workflow_that_is_made_and_owns_it(db: Database, team: Team, ask_import: Ask) -> None:
    with pytest.raises(NotAllowedError):
        ask_import(csv_of(1), team.olu, workflow_id=None, new_workflow="fresh")
    with pytest.raises(ConflictError):
        ask_import(csv_of(1), team.ada, workflow_id=None, new_workflow="support")

    job = find(db, ask_import(csv_of(1), team.ada, workflow_id=None, new_workflow="  fresh "))

    assert job.workflow == "fresh"
    grant = "SELECT role FROM role_grant WHERE workflow_id = :w AND person_id = :p"
    assert value(db, grant, w=job.workflow_id, p=team.ada.person_id) == "owner"


def test_only_who_may_export_asks_for_an_export(
    db: Database, team: Team, ask_export: Ask, add_person: Callable[..., Actor]
) -> None:
    for by in (team.bo, team.eve, OPERATOR):
        with pytest.raises(NotAllowedError):
            ask_export(by)

    job = find(db, ask_export(add_person("Exa", Role.EXPORT, team.support.id), Format.CSV, Filter(model="m")))

    assert job.asked["format"] == "csv"
    assert job.asked["filter"] == {
        "since": None, "until": None, "model": "m", "verdict": None, "reviewer": None, "held_out": None,
    }  # fmt: skip


def test_places_are_those_where_the_person_may(db: Database, team: Team) -> None:
    with db.reading() as session:
        found = {
            (by.name, kind): [flow.name for flow in asking.places(session, by, kind)]
            for by in (team.ada, team.olu, team.bo)
            for kind in JobKind
        }

    assert found == {
        ("Ada", "import"): ["other", "support"], ("Ada", "export"): ["other", "support"],
        ("Olu", "import"): ["support"], ("Olu", "export"): ["support"], ("Bo", "import"): [], ("Bo", "export"): [],
        ("Ada", "eval"): ["other", "support"], ("Olu", "eval"): ["support"], ("Bo", "eval"): [],
    }  # fmt: skip


def test_asking_twice_is_asking_once(db: Database, team: Team) -> None:
    job_id = new_id()
    files.keep(job_id, "a.csv", csv_of(1))
    for _ in range(2):
        with db.writing() as session:
            asking.ask_import(session, job_id, team.ada, file="a.csv", fields=OUTPUT, new_workflow="fresh")

    assert value(db, "SELECT count(*) FROM job") == 1
    assert value(db, "SELECT count(*) FROM audit WHERE stream LIKE 'job/%'") == 1


def test_nobody_has_more_than_a_few_jobs_under_way(team: Team, ask_export: Ask) -> None:
    for _ in range(MOST_OPEN):
        ask_export()

    with pytest.raises(ConflictError, match="under way"):
        ask_export()
    ask_export(team.ada)


def test_what_cannot_work_is_refused_before_anything_is_made(db: Database, team: Team, ask_import: Ask) -> None:
    with pytest.raises(InvalidError, match="output"):
        ask_import(csv_of(1), fields=Fields([("model", "model")], only=True))
    with pytest.raises(InvalidError, match="model"):
        ask_import(csv_of(1), fields=Fields([("output", "answer")], only=True))
    with pytest.raises(InvalidError, match="NUL"):
        ask_import(csv_of(1), fields=Fields([("output", "answer")], only=True), model="m\0")
    with db.writing() as session, pytest.raises(NotFoundError, match="Upload it again"):
        asking.ask_import(session, new_id(), team.olu, file="a.csv", fields=OUTPUT, workflow_id=team.support.id)
    with db.writing() as session, pytest.raises(InvalidError, match="last day"):
        choice = Filter(since=2, until=1)
        asking.ask_export(session, new_id(), team.olu, workflow_id=team.support.id, form=Format.CSV, choice=choice)
    with db.writing() as session, pytest.raises(NotFoundError):
        asking.ask_export(session, "../../x", team.olu, workflow_id=team.support.id, form=Format.CSV, choice=Filter())

    assert value(db, "SELECT count(*) FROM job") == 0
    with db.reading() as session:
        assert len(workflows.every(session)) == 2
