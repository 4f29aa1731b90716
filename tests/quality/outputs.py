"""Outputs put straight into the counts: a year of them in a moment."""

from typing import Any

from db.clock import DAY, now
from db.engine import Database
from neuro_review import rollups, workflows
from neuro_review.rollups import counting
from neuro_review.rollups.counting import Facts, Said

TODAY = now() // DAY


def counted(db: Database, flow: int, days: dict[int, tuple[int, int]], model: str = "m", **more: Any) -> None:
    """Count outputs all reviewed: by how many days ago, how many and how many of them bad."""
    tally = counting.empty()
    with db.writing() as session:
        source = workflows.source_id(session, "tests")
    for ago, (many, bad) in days.items():
        at = (TODAY - ago) * DAY + 1
        for n in range(many):
            label = "reject" if n < bad else "approve"
            said = [Said(f"r{n}", "Bo", "gate", label, '["Tone"]' if n < bad else "[]", 8000, None, at)]
            facts = Facts(
                flow, "gate", model, at, "all", 1.0, False, "approved", 2000, 900, None, None, source, None, None,
                label, at + 60_000_000 if n >= bad else None, None, said,
            )  # fmt: skip
            counting.count(tally, facts._replace(**more))
    with db.writing() as session:
        rollups.write(session, tally)
