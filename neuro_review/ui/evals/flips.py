"""The cases on which two candidates differ: what was asked and wanted, and word by word what the new one says."""

import streamlit as st

from neuro_review import ui
from neuro_review.access import Actor
from neuro_review.eval_runs import rows
from neuro_review.eval_runs.comparing import Comparison, Flip
from neuro_review.eval_runs.rows import Answer, Run
from neuro_review.eval_sets import choosing
from neuro_review.eval_sets import rows as sets
from neuro_review.eval_sets.rows import Case
from neuro_review.ui import links, tables
from neuro_review.ui.evals.texts import labelled
from neuro_review.ui.marked import difference


def draw(run: Run, by: Actor, found: Comparison, old: str, new: str) -> None:
    """Draw the list of these cases, the worse ones first, and one of them."""
    st.header("Cases on which they differ")
    if not found.flips:
        st.text("None.")
        return
    flips = sorted(found.flips, key=lambda one: (not one.worse, one.position))
    names = {one.position: f"case {one.position:,}, {'worse' if one.worse else 'better'} than before" for one in flips}
    chosen = st.selectbox(f"One of {len(flips):,}, the worse ones first", list(names), format_func=names.__getitem__,
                          key=f"flip_{old}_{new}", width=340)  # fmt: skip
    _flip(run, by, next(one for one in flips if one.position == chosen), old, new)


def _flip(run: Run, by: Actor, flip: Flip, old: str, new: str) -> None:
    with ui.read() as session:
        (case,) = sets.cases(session, run.version_id, after=flip.position - 1, most=1)
        before, after = (_answers(rows.answers(session, ref.partition("/")[0], case.id), ref) for ref in (old, new))
    with st.container(border=True, gap="xsmall", key="flip"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("worse" if flip.worse else "better", color="red" if flip.worse else "green")
            st.text(f"Case {case.position:,}", width="content")
            st.space("stretch")
            links.link("pages/history.py", "The output in History", id=case.item_id)
        labelled("Prompt", case.prompt and choosing.said(case.prompt, is_chat=case.prompt_is_chat))
        if case.target is None:
            labelled("Never to be said like this", case.output)
        else:
            labelled("What reviewers want", case.target)
        _texts(_first(before), _first(after))
        for what, answers in (("Before", before), ("Candidate", after)):
            _scores(what, answers)
        _verdict(case)


def _answers(found: list[Answer], ref: str) -> list[Answer]:
    model = ref.partition("/")[2]
    return [one for one in found if one.model == model and one.error is None]


def _first(answers: list[Answer]) -> str | None:
    return answers[0].output if answers else None


def _texts(before: str | None, after: str | None) -> None:
    marked = None if before is None or after is None else difference(before, after)
    if marked is None:
        labelled("What was said before", before)
        labelled("What the candidate says", after)
        return
    st.caption("What the candidate says, and how it differs from what was said before")
    st.html(marked)


def _scores(what: str, answers: list[Answer]) -> None:
    for one in answers:
        which = f", answer {one.repeat + 1} of {len(answers)}" if len(answers) > 1 else ""
        said = [_score(*score) for score in one.scores]
        ui.plain(f"{what}{which}: {'; '.join(said) or 'no scorer had anything to say'}")


def _score(scorer: str, value: float | None, passed: bool | None, why: str | None) -> str:
    verdict = "no verdict" if passed is None else "passed" if passed else "failed"
    number = "" if value is None or value in (0, 1) else f" with {value:.2f}"
    return f"{scorer} {verdict}{number}" + (f" ({tables.short(why)})" if why else "")


def _verdict(case: Case) -> None:
    reasons = f" for {', '.join(case.reasons)}" if case.reasons else ""
    st.caption(ui.md_escape(f"The label: {case.reviewer} said {case.verdict}{reasons} of what {case.model} wrote."))
