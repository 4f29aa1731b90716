"""All candidates of a run against one: each difference, and what it is worth among so many."""

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs.comparing import REAL, Among
from neuro_review.eval_runs.gates import MOST_MISSING
from neuro_review.eval_runs.rows import Run
from neuro_review.ui import tables
from neuro_review.ui.evals import figures
from neuro_review.ui.tables import Cell

# What it shows stands first, where a narrow screen has it too.
HEAD = ("Candidate", "What it shows", "Bad cases, difference", "95 % interval", "p, corrected", "Cases")
SMALLEST = 0.001
WHY = (
    "Of several candidates one looks better or worse by chance alone. So each p is corrected for all of them (Holm),"
    " and below {limit:g} the difference is called real, unless more than {missing} of the cases have no outcome"
    " for both: they may be the hard ones. The intervals are of each candidate alone, not corrected."
)


def draw(run: Run, by: Actor, old: str, refs: dict[str, str], scorer: str | None) -> None:
    """Draw the other candidates of a run against one; `refs` says how each candidate is shown."""
    others = {ref: name for ref, name in refs.items() if ref.startswith(run.id) and ref != old}
    found = figures.several(run, by, old, tuple(others), scorer)
    each = [_row(name, one) for name, one in zip(others.values(), found, strict=True)]
    with st.container(border=True, gap="xsmall", key="among"):
        ui.plain(f"Each candidate of this run against {refs[old]}:")
        tables.table("Each candidate against the same one", HEAD, each, right=(2, 3, 4, 5))
        st.caption(WHY.format(limit=REAL, missing=f"{MOST_MISSING * 100:g}{phrases.THIN}%"))


def _row(name: str, one: Among) -> list[Cell]:
    if one.comparison.difference is None:
        unknown = tables.quiet("no shared case")
        return [name, tables.quiet("not shown yet"), unknown, unknown, unknown, _cases(one)]
    rate, low, high = one.comparison.difference
    return [
        name, _shown(one, rate), phrases.points(rate), tables.quiet(phrases.points_between(low, high)),
        _chance(one.corrected), _cases(one),
    ]  # fmt: skip


def _chance(p: float) -> str:
    return f"below {SMALLEST}" if p < SMALLEST else f"{p:.3g}"


def _cases(one: Among) -> str:
    return f"{one.comparison.cases:,} of {one.comparison.of:,}"


def _shown(one: Among, rate: float) -> Cell:
    found = one.comparison
    if found.of - found.cases > MOST_MISSING * found.of:
        return tables.quiet("too many without an outcome")
    if not one.is_real:
        return tables.quiet("not shown yet")
    return f"a real difference: {'more' if rate > 0 else 'fewer'} bad cases"
