"""What a run would take, said before it is asked for: how many calls, and what is known of their cost."""

from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from neuro_review import llm
from neuro_review.eval_runs.asking import RECORDED, Asked
from neuro_review.eval_runs.judging import ASKED
from neuro_review.eval_sets.rows import Version
from neuro_review.llm import Way

CHARACTERS_A_TOKEN = 4
"""A rule of thumb for English; what it makes is called rough."""
LENGTH_OF_A_REASON = 200  # characters of a judge's answer
RUNS_LOOKED_AT = 3


@dataclass(frozen=True)
class Expected:
    """The calls of one model."""

    model: str
    calls: int
    micro: int | None
    """About what they cost together, in millionths of a dollar; None where no price is known."""
    measured: bool
    """By what an answer of it cost in this workflow before; else by its price and the length of the cases."""
    judges: bool


class Sizes(NamedTuple):
    """The characters of all cases of a version."""

    prompts: int
    contexts: int
    outputs: int
    targets: int


SIZES = sa.text(
    "SELECT COALESCE(sum(length(c.prompt)), 0) AS prompts, COALESCE(sum(length(c.context)), 0) AS contexts,"
    " COALESCE(sum(length(c.output)), 0) AS outputs, COALESCE(sum(length(c.target)), 0) AS targets"
    " FROM eval_case k JOIN eval_case_content c ON c.case_id = k.id WHERE k.version_id = :version"
)
NEWEST = sa.text(
    "SELECT c.run_id, c.position FROM eval_run r JOIN eval_candidate c ON c.run_id = r.id"
    " WHERE r.workflow_id = :workflow AND c.model = :model ORDER BY r.created_at DESC, r.id DESC LIMIT :most"
)
MEAN = sa.text("SELECT avg(cost_micro) FROM eval_result WHERE run_id = :run_id AND candidate = :position")


def sizes(session: Session, version: Version) -> Sizes:
    """Return how much the cases of a version say; it reads every text of them, so whoever asks again keeps it."""
    return Sizes(*session.connection().execute(SIZES, {"version": version.id}).one())


def expected(session: Session, version: Version, asked: Asked, known: Sizes | None = None) -> list[Expected]:
    """Return the calls that a run on a version would make, model by model; what fails is asked more than once.

    `known` are the sizes of the version, where they were read before.
    """
    size = known or sizes(session, version)
    answers, found = version.cases * asked.repeats, []
    for way in asked.candidates:
        if way.model == RECORDED:
            continue
        mean = None if way.price else _mean(session, version.workflow_id, way.model)
        said = len(str(way.parameters.get("system", "")))
        rough = _rough(way, (size.prompts + said * version.cases) * asked.repeats, size.outputs * asked.repeats)
        micro = rough if mean is None else round(mean * answers)
        found.append(Expected(way.model, answers, micro, mean is not None, judges=False))
    if asked.judge is not None:
        found.append(_judge(asked.judge, answers, size, asked))
    return found


def _judge(judge: Way, answers: int, size: Sizes, asked: Asked) -> Expected:
    times = asked.repeats * len(asked.candidates)
    read = sum(size) * times
    calls = answers * len(asked.candidates)
    micro = _rough(judge, read + len(ASKED) * calls, LENGTH_OF_A_REASON * calls)
    return Expected(judge.model, calls, micro, measured=False, judges=True)


def _mean(session: Session, workflow_id: int, model: str) -> float | None:
    connection = session.connection()
    for row in connection.execute(NEWEST, {"workflow": workflow_id, "model": model, "most": RUNS_LOOKED_AT}).all():
        mean = connection.execute(MEAN, dict(row._mapping)).scalar()
        if mean is not None:
            return float(mean)
    return None


def _rough(way: Way, read: int, written: int) -> int | None:
    price = way.price or llm.listed_price(way.model)
    if price is None:
        return None
    return round((read * price[0] + written * price[1]) / CHARACTERS_A_TOKEN)
