"""Two changes at the same time, and what the audit log says of them."""

import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from db.engine import Database
from neuro_review.errors import NeuroReviewError

Verb = Callable[[Session], Any]


@pytest.fixture
def at_once(url: str) -> Callable[[Verb, Verb], str]:
    """Call two verbs over connections of their own: the second comes before the first has committed."""

    def call(first: Verb, second: Verb) -> str:
        one, two, said = Database(url), Database(url), []

        def other() -> None:
            try:
                with two.writing() as session:
                    second(session)
            except NeuroReviewError as error:
                said.append(str(error))

        late = threading.Thread(target=other)
        with one.writing() as session:
            first(session)
            late.start()
            late.join(0.4)
            assert late.is_alive(), "the second did not wait for the first"
        late.join(10)
        one.dispose()
        two.dispose()
        return "".join(said)

    return call


@pytest.fixture
def audited(db: Database) -> Callable[[str], list[dict[str, Any]]]:
    """Return the facts that the audit log has of one thing, in order."""

    def read(stream: str) -> list[dict[str, Any]]:
        query = sa.text("SELECT body FROM audit WHERE stream = :stream ORDER BY seq")
        with db.reading() as session:
            return [orjson.loads(row.body) for row in session.connection().execute(query, {"stream": stream})]

    return read
