"""One case of a run on screen: what was asked and wanted, what was answered, and what each scorer says of it."""

from collections.abc import Sequence

import streamlit as st

from neuro_review import ui
from neuro_review.eval_runs.rows import Answer
from neuro_review.eval_sets import choosing
from neuro_review.eval_sets.rows import Case
from neuro_review.ui import links, tables
from neuro_review.ui.evals.texts import labelled
from neuro_review.ui.marked import difference
from neuro_review.ui.tables import Cell


def head(case: Case, word: str, colour: str) -> None:
    """Draw which case it is, what became of it in one word, and the way to the output that it was made of."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(word, color=colour)  # type: ignore[arg-type]
        st.text(f"Case {case.position:,}", width="content")
        st.space("stretch")
        links.link("pages/history.py", "The output in History", id=case.item_id)


def asked(case: Case) -> None:
    """Draw what was asked, and what reviewers want or never want to hear."""
    labelled("Prompt", case.prompt and choosing.said(case.prompt, is_chat=case.prompt_is_chat))
    if case.target is None:
        labelled("Never to be said like this", case.output)
    else:
        labelled("What reviewers want", case.target)


def against(what: str, text: str | None, other: str | None, of_the_other: str) -> None:
    """Draw a text with what differs from another one marked, or whole where there is no other or it is too long."""
    marked = None if text is None or other is None else difference(other, text)
    if marked is None:
        labelled(what, text)
        return
    st.caption(f"{what}, and how it differs from {of_the_other}")
    st.html(marked)


def scores(of: str, answers: Sequence[tuple[str, Answer]]) -> None:
    """Draw what each scorer says of answers, each of which has a name; `of` tells the table from others on the page."""
    each: list[list[Cell]] = [
        [what, scorer, _passed(passed), "" if value is None or value in (0, 1) else f"{value:.2f}"]
        for what, one in answers
        for scorer, value, passed, _ in one.scores
    ]
    if each:
        tables.table(f"What the scorers say of {of}", ("Answer", "Scorer", "Says", "Value"), each)
    for what, one in answers:
        for scorer, _, _, why in one.scores:
            if why:
                st.caption(ui.md_escape(f"Why the {scorer} says so of the {what}"))
                ui.plain(why)


def _passed(passed: bool | None) -> Cell:
    if passed is None:
        return tables.quiet("no verdict")
    return "passed" if passed else tables.loud("failed")


def label(case: Case) -> None:
    """Draw whose verdict the case was made of."""
    reasons = f" for {', '.join(case.reasons)}" if case.reasons else ""
    st.caption(ui.md_escape(f"The label: {case.reviewer} said {case.verdict}{reasons} of what {case.model} wrote."))
