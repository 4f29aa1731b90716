"""All candidates of a run against one: each difference, and what it is worth among so many."""

import streamlit as st

from neuro_review import phrases
from neuro_review.access import Actor
from neuro_review.eval_runs.comparing import REAL, Among
from neuro_review.eval_runs.rows import Run
from neuro_review.ui import tables
from neuro_review.ui.evals import figures
from neuro_review.ui.tables import Cell

HEAD = ("Candidate", "Bad cases, difference", "95 % interval", "p, corrected", "What it shows")
SMALLEST = 0.001
WHY = (
    "Of several candidates one looks better or worse by chance alone. So each p is corrected for all of them (Holm),"
    " and below {limit:g} the difference is called real. The intervals are of each candidate alone, not corrected."
)


def draw(run: Run, by: Actor, old: str, others: dict[str, str], scorer: str | None) -> None:
    """Draw the other candidates of a run against one; `others` says how each of them is shown."""
    found = figures.several(run, by, old, tuple(others), scorer)
    each = [_row(name, one) for name, one in zip(others.values(), found, strict=True)]
    with st.container(border=True, gap="xsmall", key="among"):
        st.text("Each candidate of this run against the same one:")
        tables.table("Each candidate against the same one", HEAD, each, right=(1, 2, 3))
        st.caption(WHY.format(limit=REAL))


def _row(name: str, one: Among) -> list[Cell]:
    if one.comparison.difference is None:
        unknown = tables.quiet("no shared case")
        return [name, unknown, unknown, unknown, tables.quiet("not shown yet")]
    rate, low, high = one.comparison.difference
    return [
        name, phrases.points(rate), tables.quiet(figures.bounds(low, high)), _chance(one.corrected), _shown(one, rate)
    ]  # fmt: skip


def _chance(p: float) -> str:
    return f"below {SMALLEST}" if p < SMALLEST else f"{p:.3g}"


def _shown(one: Among, rate: float) -> Cell:
    if not one.is_real:
        return tables.quiet("not shown yet")
    return f"a real difference: {'more' if rate > 0 else 'fewer'} bad cases"
