"""What one item adds to the counts: a plain function of what is known of it, so that a change is a subtraction.

Counted by the UTC day (or the week from Monday) in which the item was submitted; a label of the past by the day its
file says.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from db.clock import DAY
from db.tables import Purpose, Status

MOST_HANDLING = 300_000  # ms an item: who went for a coffee did not review meanwhile
LONGEST_REASONS = 120  # characters; a key of an index must stay short
SEVERAL = '["…"]'
"""What stands for a list of reasons that is longer than that."""
OPEN, UNSEEN = "open", "unseen"
PANEL, SURE, CHANCE = "panel", "sure", "chance"
LATENCY, RELEASE = "latency", "release"


def _bounds() -> list[int]:
    found = [1]
    while found[-1] < 10**13:
        found.append(max(found[-1] + 1, round(found[-1] * 1.1)))
    return found


BOUNDS = _bounds()
"""Where the buckets of a histogram begin: whole numbers, each a tenth after the one before."""


def bucket(value: int) -> int:
    """Return the bucket of a value: exact up to 14, then within a tenth."""
    return bisect_right(BOUNDS, value)


def middle(number: int) -> float:
    """Return the value that stands for a bucket: at most 5 % from any in it."""
    if number <= 0:
        return 0.0
    low = BOUNDS[number - 1]
    high = BOUNDS[number] - 1 if number < len(BOUNDS) else low
    return (low + high) / 2


def week_of(day: int) -> int:
    """Return the week of a day, both counted since 1970; weeks begin on Monday, as in ISO 8601."""
    return (day + 3) // 7


def user_hash(end_user: str) -> str:
    """Return by what the counts know an end user: enough to tell them apart, not to name them."""
    return hashlib.sha256(end_user.encode()).hexdigest()[:20]


class Said(NamedTuple):
    """One review of an item that was not undone."""

    review_id: str
    reviewer: str
    purpose: str
    verdict: str
    reasons: str
    handling_ms: int | None
    edited: int | None
    reviewed_at: int


class Facts(NamedTuple):
    """What the counts need to know of an item."""

    workflow_id: int
    origin: str
    model: str
    created_at: int
    stratum: str | None
    inclusion: float | None
    panel: bool
    status: str
    cost_micro: int | None
    latency_ms: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    source_id: int
    prompt_version: str | None
    end_user: str | None
    label: str | None
    released_at: int | None
    recalled_at: int | None
    said: Sequence[Said]


KEYS = {
    "rollup_label": "series_id day stratum cell label reasons",
    "rollup_day": "series_id day",
    "rollup_time": "series_id day kind bucket",
    "rollup_version": "series_id day prompt_version",
    "rollup_review": "workflow_id origin day reviewer verdict reasons",
    "rollup_source": "workflow_id origin week source_id",
    "rollup_user": "workflow_id origin week end_user",
}
"""The tables in the order in which they are written, so that no two writers wait for each other in a circle."""
SUMS = {
    "rollup_label": "n",
    "rollup_day": "items cost_micro cost_known prompt_tokens completion_tokens tokens_known released recalled"
    " handling_ms handled edits edited",
    "rollup_time": "n",
    "rollup_version": "n",
    "rollup_review": "n handling_ms handled",
    "rollup_source": "n released",
    "rollup_user": "n",
}
Key = tuple[object, ...]
Tally = dict[str, dict[Key, list[int]]]
"""By table, then by key, what to add; in place of a series' number stands (workflow, origin, model)."""


def empty() -> Tally:
    """Return a tally with nothing in it."""
    return {table: {} for table in KEYS}


def count(tally: Tally, facts: Facts, sign: int = 1) -> None:
    """Add an item to a tally, or with -1 take it away."""
    series = (facts.workflow_id, facts.origin, facts.model)
    day = facts.created_at // DAY
    label, reasons, edited = _label(facts)
    handling, handled = _handling(facts.said)
    tokens_known = facts.prompt_tokens is not None or facts.completion_tokens is not None
    released, recalled = facts.released_at is not None, facts.recalled_at is not None
    _add(tally["rollup_label"], (series, day, facts.stratum or "", cell(facts), label, reasons), sign)
    _add(
        tally["rollup_day"], (series, day), sign, sign * (facts.cost_micro or 0), sign * (facts.cost_micro is not None),
        sign * (facts.prompt_tokens or 0), sign * (facts.completion_tokens or 0), sign * tokens_known, sign * released,
        sign * recalled, sign * handling, sign * handled, sign * (edited is not None), sign * (edited or 0),
    )  # fmt: skip
    if facts.latency_ms is not None:
        _add(tally["rollup_time"], (series, day, LATENCY, bucket(facts.latency_ms)), sign)
    if facts.released_at is not None:
        waited = max(0, facts.released_at - facts.created_at) // 1000
        _add(tally["rollup_time"], (series, day, RELEASE, bucket(waited)), sign)
    if facts.prompt_version is not None:
        _add(tally["rollup_version"], (series, day, facts.prompt_version), sign)
    where = (facts.workflow_id, facts.origin)
    for one in facts.said:
        spent = one.handling_ms
        key = (*where, day, one.reviewer, one.verdict, short(one.reasons))
        _add(tally["rollup_review"], key, sign, sign * min(spent or 0, MOST_HANDLING), sign * (spent is not None))
    week = week_of(day)
    _add(tally["rollup_source"], (*where, week, facts.source_id), sign, sign * released)
    if facts.end_user is not None:
        _add(tally["rollup_user"], (*where, week, user_hash(facts.end_user)), sign)


def count_new(tally: Tally, items: Iterable[Facts]) -> None:
    """Add new items to a tally; what many of which no review speaks yet have in common is worked out once."""
    alike: dict[tuple[object, ...], list[Facts]] = {}
    for facts in items:
        if facts.said:  # a label of the past
            count(tally, facts)
            continue
        key = (
            facts.workflow_id, facts.origin, facts.model, facts.created_at // DAY, facts.stratum, facts.panel,
            facts.inclusion, facts.status, facts.label, facts.source_id, facts.prompt_version,
        )  # fmt: skip
        there = alike.get(key)
        if there is None:
            alike[key] = [facts]
        else:
            there.append(facts)
    for group in alike.values():
        _count_alike(tally, group)


def _count_alike(tally: Tally, group: list[Facts]) -> None:
    """Add items that differ in nothing but what is summed up."""
    one = group[0]
    plain = one._replace(cost_micro=None, latency_ms=None, prompt_tokens=None, completion_tokens=None, end_user=None)
    count(tally, plain, len(group))
    day = one.created_at // DAY
    series, user = (one.workflow_id, one.origin, one.model), (one.workflow_id, one.origin, week_of(day))
    costs = [facts.cost_micro for facts in group if facts.cost_micro is not None]
    tokens = [(facts.prompt_tokens, facts.completion_tokens) for facts in group]
    known = [pair for pair in tokens if pair != (None, None)]
    if costs or known:
        prompts, completions = (sum(pair[side] or 0 for pair in known) for side in (0, 1))
        _add(
            tally["rollup_day"], (series, day), 0, sum(costs), len(costs), prompts, completions, len(known),
            0, 0, 0, 0, 0, 0,
        )  # fmt: skip
    for facts in group:
        if facts.latency_ms is not None:
            _add(tally["rollup_time"], (series, day, LATENCY, bucket(facts.latency_ms)), 1)
        if facts.end_user is not None:
            _add(tally["rollup_user"], (*user, user_hash(facts.end_user)), 1)


def cell(facts: Facts) -> str:
    """Return how an item came to be seen: by the panel's coin, in any case, or by a chance that is none of ours."""
    if facts.panel:
        return PANEL
    return SURE if facts.inclusion is None or facts.inclusion >= 1 else CHANCE


def short(reasons: str) -> str:
    """Return a list of reasons as the counts keep it."""
    return reasons if len(reasons) <= LONGEST_REASONS else SEVERAL


def _label(facts: Facts) -> tuple[str, str, int | None]:
    """Return the label of an item, the reasons of the review that gives it, and how much that one changed."""
    if facts.label is None:
        return (OPEN if facts.status == Status.HELD else UNSEEN), "", None
    best = max((one for one in facts.said if one.verdict == facts.label), key=_weight, default=None)
    if best is None:
        return facts.label, "", None
    return facts.label, short(best.reasons), best.edited


def _weight(one: Said) -> tuple[int, int, str]:
    """Order reviews that say the same: what settles before what decides before a second opinion, the latest first."""
    return {Purpose.ADJUDICATION: 2, Purpose.SECOND: 0}.get(Purpose(one.purpose), 1), one.reviewed_at, one.review_id


def _handling(said: Sequence[Said]) -> tuple[int, bool]:
    known = [one.handling_ms for one in said if one.handling_ms is not None]
    return min(sum(known), MOST_HANDLING), bool(known)


def _add(table: dict[Key, list[int]], key: Key, *amounts: int) -> None:
    there = table.get(key)
    if there is None:
        table[key] = list(amounts)
    else:
        for place, amount in enumerate(amounts):
            there[place] += amount
