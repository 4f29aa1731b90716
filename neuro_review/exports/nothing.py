"""Why an export holds nothing: which filter matched no review, or that none has left its grace."""

from dataclasses import fields, replace

import sqlalchemy as sa

from db.clock import iso
from db.engine import Database, explained
from neuro_review.exports.rows import WHERE, Filter


def why_nothing(database: Database, workflow_id: int, choice: Filter) -> str:
    """Return the sentence for a person who got no row."""
    asked = [one.name for one in fields(choice) if getattr(choice, one.name) is not None]
    if not _matches(database, workflow_id, Filter()):
        return "there is no review yet."
    for name in asked:
        alone = replace(Filter(), **{name: getattr(choice, name)})
        if not _matches(database, workflow_id, alone):
            return f"no review matches {_option(choice, name)}."
    if len(asked) > 1 and not _matches(database, workflow_id, choice):
        return f"no review matches {' '.join(_option(choice, name) for name in asked)} together."
    that = f" that matches {' '.join(_option(choice, name) for name in asked)}" if asked else ""
    return f"no review{that} has left its grace yet."


def _option(choice: Filter, name: str) -> str:
    value = getattr(choice, name)
    if name == "held_out":
        return "--held-out"
    return f"--{name} {iso(value) if name in ('since', 'until') else value}"


def _matches(database: Database, workflow_id: int, choice: Filter) -> bool:
    chosen = {name: value for name in WHERE if (value := getattr(choice, name)) is not None}
    rules = "".join(f" AND {WHERE[name]}" for name in chosen)
    query = sa.text(
        f"SELECT 1 FROM review v JOIN item i ON i.id = v.item_id WHERE v.workflow_id = :workflow{rules} LIMIT 1"
    )
    with explained(), database.reading() as session:
        return session.connection().execute(query, {"workflow": workflow_id, **chosen}).first() is not None
