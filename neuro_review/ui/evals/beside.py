"""Two candidates on the same cases: the difference and what it rests on, by reason, and what the gate says."""

import streamlit as st

from neuro_review import models, phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs.asking import RECORDED
from neuro_review.eval_runs.comparing import Comparison, Side
from neuro_review.eval_runs.rows import Run
from neuro_review.ui import tables
from neuro_review.ui.evals import among, figures, flips, gate
from neuro_review.ui.tables import Cell
from neuro_review.words import Role

HEAD = ("Candidate", "Bad cases", "Failed", "Cost", "Latency p50", "p95")
ALL = "all scorers"


def draw(run: Run, by: Actor) -> None:
    """Draw what can be compared with the candidates of a run, and the two that are chosen beside each other."""
    st.header("Compare two candidates")
    found = figures.tried(run, by)
    if len(found) < 2:
        st.text("It takes two candidates that were tried on this version. Start another run on it, with another model.")
        return
    shown = tables.distinct(list(dict.fromkeys(name for _, name in found)))
    refs = {f"{one}/{name}": shown[name] + ("" if one == run.id else f" · run {one[:12]}") for one, name in found}
    own = [ref for ref in refs if ref.startswith(run.id)]
    with st.grid(3, min_column_width=210):
        old = st.selectbox("In use, or before", list(refs), _first(run, list(refs)), format_func=refs.__getitem__,
                           key=f"beside_old_{run.id}")  # fmt: skip
        rest = [ref for ref in own if ref != old] or [ref for ref in refs if ref != old]
        new = st.selectbox("Candidate", [ref for ref in refs if ref != old], _place(refs, old, rest[0]),
                           format_func=refs.__getitem__, key=f"beside_new_{run.id}_{old}")  # fmt: skip
        scorer = st.selectbox("By", [ALL, *run.scorers], key=f"beside_scorer_{run.id}")
    only = None if scorer == ALL else scorer
    compared = figures.compared(run, by, old, new, only)
    _difference(compared)
    if len(own) > 2:
        among.draw(run, by, old, refs, only)
    if by.may(Role.OWNER, run.workflow_id):
        gate.draw(run, by, old, new, only, compared)
    if not old.startswith(run.id):  # of its own candidates the reasons stand above already
        _reasons(compared)
    flips.draw(run, compared, old, new)


def _first(run: Run, refs: list[str]) -> int:
    """Return the place of what a candidate is held against first.

    That is the model in use, where it was tried here, or else what was reviewed; of the run itself, where it has two.
    """
    with ui.read() as session:
        use = models.in_use(session, run.workflow_id)
    named = [ref.partition("/")[2] for ref in refs]
    if use is not None and use.model in named:
        return named.index(use.model)
    own = named[: len(run.models)] if len(run.models) > 1 else named
    return own.index(RECORDED) if RECORDED in own else 0


def _place(refs: dict[str, str], without: str, wanted: str) -> int:
    return [ref for ref in refs if ref != without].index(wanted)


def _difference(found: Comparison) -> None:
    with st.container(border=True, gap="xsmall", key="difference"):
        if found.difference is None:
            st.text("There is no case of which both outcomes are known.")
        else:
            st.text(_said(found))
            st.text(
                f"Better on {found.wins:,}, worse on {found.losses:,}, alike on {found.ties:,}"
                f" of {phrases.count(found.cases, 'case')}."
            )
        if found.cases < found.of:
            st.text(
                f"{phrases.count(found.of - found.cases, 'case')} of {found.of:,} have no outcome for both, and count"
                " neither way."
            )
        sides = (("Before: ", found.baseline), ("Candidate: ", found.candidate))
        tables.table("The two beside each other", HEAD, [_side(*one) for one in sides], right=(1, 2, 3, 4, 5))


def _said(found: Comparison) -> str:
    assert found.difference is not None
    rate, low, high = found.difference
    bounds = f"95{phrases.THIN}% interval {phrases.points_between(low, high)}"
    if abs(rate) < 0.0005:
        return f"As many bad cases as before ({bounds})."
    certain = "" if low > 0 or high < 0 else " It may be chance."
    words = "more" if rate > 0 else "fewer"
    return f"{abs(rate) * 100:.1f} points {words} bad cases than before ({bounds}).{certain}"


def _side(what: str, one: Side) -> list[Cell]:
    return [
        tables.together(tables.quiet(what), one.model), f"{one.bad:,} of {one.known:,}", f"{one.errors:,}",
        *figures.costs(one),
    ]  # fmt: skip


def _reasons(found: Comparison) -> None:
    if not found.reasons:
        return
    each: list[list[Cell]] = [
        [one.name, f"{one.cases:,}", f"{one.baseline_bad:,}", f"{one.candidate_bad:,}"]
        for one in found.reasons[: figures.MOST_REASONS]
    ]
    head = ("Cases whose output was once bad for", "Cases", "Bad before", "Bad now")
    tables.table("The two by reason", head, each, right=(1, 2, 3))
