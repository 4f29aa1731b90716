"""Good, bad or missing: what is known of each answer of a candidate.

Reviewers come first, where they judged the answer itself; then what the scorers say. An answer is bad where one of them
fails it, good where all that have something to say pass it, and missing where there is none, or a judge did not say.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.clock import EVER, now
from db.tables import Label
from neuro_review.access import Actor
from neuro_review.errors import InvalidError, NotFoundError
from neuro_review.eval_runs.asking import RECORDED
from neuro_review.eval_sets import rows as sets
from neuro_review.quality.reading import definition
from neuro_review.rollups.counting import short

SHORTEST_PREFIX = 6


@dataclass(frozen=True)
class Tried:
    """A candidate of a run."""

    run_id: str
    candidate: int
    model: str
    version_id: str
    workflow_id: int
    judge_hash: str | None


@dataclass
class Outcome:
    """What is known of a candidate's answers to one case."""

    position: int
    verdict: str
    reasons: list[str]
    bad: bool | None = None
    """None is missing."""
    said: list[bool] = field(default_factory=list)
    """Of each repeat that is known."""


@dataclass
class Outcomes:
    """What is known of all answers of a candidate."""

    cases: dict[str, Outcome] = field(default_factory=dict)
    errors: int = 0
    cost_micro: int = 0
    unknown_cost: int = 0
    """Answers of which nobody knows what they cost, or what their judge did."""
    latencies: list[int] = field(default_factory=list)
    reviewed: int = 0
    """Answers that reviewers judged."""
    judged: int = 0
    """Answers whose outcome rests on a judge."""


FIND = (
    "SELECT r.id AS run_id, c.position AS candidate, c.model, r.version_id, r.workflow_id, r.judge_hash"
    " FROM eval_run r JOIN eval_candidate c ON c.run_id = r.id"
)


def find(session: Session, by: Actor, ref: str, *, version: str | None = None) -> Tried:
    """Return the candidate that a text names: `RUN`, `RUN/MODEL` or, on a version, `MODEL` of the newest run there.

    A run is named by its id or the beginning of it.

    Raises:
        NotFoundError: there is none.
        InvalidError: several fit.
        NotAllowedError: this person may not see labels of its workflow.
    """
    version_id = sets.version(session, version, by).id if version else None
    found = _by_run(session, ref, version_id) or _by_model(session, ref, version_id)
    if not found:
        where = f" on {version}" if version else ""
        raise NotFoundError(
            f"There is no run or candidate “{ref}”{where}. Try it first: eval run NAME@VERSION --model M."
        )
    if len({(row.run_id, row.candidate) for row in found}) > 1:
        models = ", ".join(f"{row.run_id[:12]}/{row.model}" for row in found[:5])
        raise InvalidError(f"“{ref}” fits several candidates ({models}). Name one of them.")
    one = Tried(**found[0]._mapping)
    sets.version_by_id(session, one.version_id, by)
    return one


def _by_run(session: Session, ref: str, version_id: str | None) -> list[Any]:
    run, _, model = ref.partition("/")
    run = run.replace("-", "")
    if not SHORTEST_PREFIX <= len(run) <= 32 or run.strip("0123456789abcdef"):
        return []
    low, high = run.ljust(32, "0"), run.ljust(32, "f")
    query, bound = f"{FIND} WHERE r.id BETWEEN :low AND :high", {"low": low, "high": high}
    if version_id:
        query, bound["version"] = f"{query} AND r.version_id = :version", version_id
    if model:
        query, bound["model"] = f"{query} AND c.model = :model", model
    return list(session.connection().execute(sa.text(f"{query} ORDER BY r.id, c.position"), bound))


def _by_model(session: Session, ref: str, version_id: str | None) -> list[Any]:
    query, bound = f"{FIND} WHERE c.model = :model", {"model": ref}
    if version_id:
        query, bound["version"] = f"{query} AND r.version_id = :version", version_id
    newest = f"{query} ORDER BY r.ended_at IS NULL, r.created_at DESC, r.id DESC LIMIT 1"
    return list(session.connection().execute(sa.text(newest), bound))


CASES = sa.text("SELECT id, position, verdict, reasons FROM eval_case WHERE version_id = :version ORDER BY position")
RESULTS = sa.text(
    "SELECT r.id, r.case_id, r.error, r.tries, r.cost_micro, r.latency_ms, i.label, v.reasons AS said_reasons"
    " FROM eval_result r LEFT JOIN eval_review w ON w.result_id = r.id LEFT JOIN item i ON i.id = w.item_id"
    " LEFT JOIN decision d ON d.id = i.decision_id AND d.final_at <= :at LEFT JOIN review v ON v.id = d.review_id"
    " WHERE r.run_id = :run AND r.candidate = :candidate AND r.made_at <= :until"
)
SCORES = sa.text(
    "SELECT s.result_id, s.scorer, s.source, s.passed, s.cost_micro FROM eval_score s"
    " JOIN eval_result r ON r.id = s.result_id WHERE r.run_id = :run AND r.candidate = :candidate"
    " AND s.made_at <= :until"
)


def outcomes(session: Session, tried: Tried, *, scorer: str | None = None, at: int = EVER) -> Outcomes:
    """Return what is known of a candidate's answers, or was once, by all scorers of its run or by one of them."""
    connection, found = session.connection(), Outcomes()
    for case in connection.execute(CASES, {"version": tried.version_id}):
        found.cases[case.id] = Outcome(case.position, case.verdict, orjson.loads(case.reasons))
    is_bad = definition(session, tried.workflow_id, at=at)
    bound = {"run": tried.run_id, "candidate": tried.candidate, "until": at}
    scores: dict[str, list[Any]] = defaultdict(list)
    unknown = set()
    for score in connection.execute(SCORES, bound):
        found.cost_micro += score.cost_micro or 0
        if score.source == "judge" and score.cost_micro is None:
            unknown.add(score.result_id)
        if scorer is None or score.scorer == scorer:
            scores[score.result_id].append(score)
    for row in connection.execute(RESULTS, {**bound, "at": min(at, now())}):
        _count(found, row, is_unknown=row.id in unknown)
        bad = _bad(found, tried, row, scores.get(row.id, []), is_bad)
        if bad is not None:
            found.cases[row.case_id].said.append(bad)
    for one in found.cases.values():
        # A tie between repeats counts as bad: it went wrong as often as not.
        one.bad = 2 * sum(one.said) >= len(one.said) if one.said else None
    return found


def _count(found: Outcomes, row: Any, *, is_unknown: bool) -> None:
    if row.error is not None:
        found.errors += 1
        return
    found.cost_micro += row.cost_micro or 0
    found.unknown_cost += is_unknown or (row.tries > 0 and row.cost_micro is None)
    if row.latency_ms is not None:
        found.latencies.append(row.latency_ms)


def _bad(found: Outcomes, tried: Tried, row: Any, scores: list[Any], is_bad: Callable[[str, str], bool]) -> bool | None:
    if row.error is not None:
        return None
    if tried.model == RECORDED:
        case = found.cases[row.case_id]
        return is_bad(case.verdict, short(orjson.dumps(case.reasons).decode()))
    if row.label is not None and row.label != Label.DISPUTED and row.said_reasons is not None:
        found.reviewed += 1
        return is_bad(row.label, short(row.said_reasons))
    found.judged += any(score.source == "judge" for score in scores)
    said = [score.passed for score in scores]
    if any(one is not None and not one for one in said):
        return True
    return False if said and all(one is not None for one in said) else None
