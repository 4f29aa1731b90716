"""The cases on which two candidates differ: word by word what the new one says against the one before."""

import streamlit as st

from neuro_review import ui
from neuro_review.eval_runs import rows
from neuro_review.eval_runs.comparing import Comparison, Flip
from neuro_review.eval_runs.rows import Answer, Run
from neuro_review.eval_sets import rows as sets
from neuro_review.ui.evals import cases
from neuro_review.ui.evals.texts import labelled


def draw(run: Run, found: Comparison, old: str, new: str) -> None:
    """Draw the list of these cases, the worse ones first, and one of them."""
    st.header("Cases on which they differ")
    if not found.flips:
        st.text("None.")
        return
    flips = sorted(found.flips, key=lambda one: (not one.worse, one.position))
    names = {one.position: f"case {one.position:,}, {'worse' if one.worse else 'better'} than before" for one in flips}
    chosen = st.selectbox(f"One of {len(flips):,}, the worse ones first", list(names), format_func=names.__getitem__,
                          key=f"flip_{old}_{new}", width=340)  # fmt: skip
    _flip(run, next(one for one in flips if one.position == chosen), old, new)


def _flip(run: Run, flip: Flip, old: str, new: str) -> None:
    with ui.read() as session:
        (case,) = sets.cases(session, run.version_id, after=flip.position - 1, most=1)
        before, after = (answers(rows.answers(session, ref.partition("/")[0], case.id), ref) for ref in (old, new))
    with st.container(border=True, gap="xsmall", key="flip"):
        cases.head(case, *(("worse", "red") if flip.worse else ("better", "green")))
        cases.asked(case)
        was, says = (found[0].output if found else None for found in (before, after))
        cases.against("What the candidate says", says, was, "what was said before")
        if says is None or was is None:
            labelled("What was said before", was)
        cases.scores("both", [*_named("answer before", before), *_named("answer of the candidate", after)])
        cases.label(case)


def _named(what: str, found: list[Answer]) -> list[tuple[str, Answer]]:
    if len(found) < 2:
        return [(what, one) for one in found]
    return [(f"{what}, {one.repeat + 1} of {len(found)}", one) for one in found]


def answers(found: list[Answer], ref: str) -> list[Answer]:
    """Return the answers of one candidate, named as RUN/MODEL, that did not fail."""
    model = ref.partition("/")[2]
    return [one for one in found if one.model == model and one.error is None]
