"""The answers of one candidate: those that are bad, good or without an outcome, each with what the scorers say."""

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.eval_runs import rows
from neuro_review.eval_runs.results import Result
from neuro_review.eval_runs.rows import Run
from neuro_review.eval_sets import rows as sets
from neuro_review.ui import tables
from neuro_review.ui.evals import cases

KINDS: dict[str, tuple[bool | None, str]] = {
    "bad": (True, "red"), "good": (False, "green"), "without an outcome": (None, "gray")
}  # fmt: skip


def draw(run: Run, found: list[Result]) -> None:
    """Draw what can be chosen, and one case with the answer to it."""
    st.header("Answers")
    shown = tables.distinct(run.models)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox("Answers of", run.models, format_func=shown.__getitem__, key=f"answers_of_{run.id}",
                             width=300)  # fmt: skip
        of = found[run.models.index(model)]
        kind = st.selectbox("That are", list(KINDS), key=f"answers_kind_{run.id}", width=220)
        known, colour = KINDS[kind]
        positions = of.positions[known]
        if positions:
            position = st.selectbox(
                f"One of {phrases.count(len(positions), 'case')}", positions, format_func=lambda one: f"case {one:,}",
                key=f"answers_case_{run.id}_{kind}_{run.models.index(model)}", width=200,
            )  # fmt: skip
    if not positions:
        st.text("None.")
        return
    _case(run, model, position, kind, colour)


def _case(run: Run, model: str, position: int, word: str, colour: str) -> None:
    with ui.read() as session:
        (case,) = sets.cases(session, run.version_id, after=position - 1, most=1)
        found = [one for one in rows.answers(session, run.id, case.id) if one.model == model]
    with st.container(border=True, gap="xsmall", key="answer"):
        cases.head(case, word, colour)
        cases.asked(case)
        named = [(f"answer {one.repeat + 1} of {run.repeats}" if run.repeats > 1 else "answer", one) for one in found]
        for what, one in named:
            if one.error is not None:
                ui.plain(f"The {what} failed: {tables.short(one.error)}")
            else:
                wanted = "what reviewers want" if case.target is not None else "that"
                cases.against(f"The {what}", one.output, case.output if case.target is None else case.target, wanted)
        if not found:
            st.text("It was not asked yet.")
        cases.scores("the answer", named)
        cases.label(case)
