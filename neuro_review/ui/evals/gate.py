"""The gate on screen: asked with a margin, answered in one of three words, and what it said of these two before."""

import streamlit as st

from db.tables import GateOutcome
from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs import gates
from neuro_review.eval_runs.comparing import Comparison
from neuro_review.eval_runs.gates import Gate, Kept
from neuro_review.eval_runs.junit import junit, junit_of_kept
from neuro_review.eval_runs.outcomes import Tried
from neuro_review.eval_runs.rows import Run
from neuro_review.ui import links, tables
from neuro_review.ui.evals import figures, states
from neuro_review.ui.tables import Cell

SAID = "_gate"
WORDS: dict[GateOutcome, tuple[str, states.Colour]] = {
    GateOutcome.PASS: ("The candidate may take the place.", "green"),
    GateOutcome.BLOCK: ("The candidate is worse: it may not take the place.", "red"),
    GateOutcome.INCONCLUSIVE: ("There is not enough evidence to tell yet.", "orange"),
}
HEAD = ("Asked", "Answer", "Margin", "Difference, 90 % interval", "Cases", "By")
HINT = (
    "Pass: with 95 % confidence it is not worse by the margin. Block: it is shown to be worse. Inconclusive: neither is"
    " shown yet. Each answer is on record, since who asks often enough is let through by chance."
)


def draw(run: Run, by: Actor, old: str, new: str, scorer: str | None, compared: Comparison) -> None:
    """Draw the question, the answer, and what was answered before."""
    st.header("Gate")
    asked = (run.version, old, new, scorer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        margin = st.number_input("Worse by less than so many points is no worse", 0.1, 99.0, 3.0, 0.5, key="margin",
                                 width=310)  # fmt: skip
        st.button("Ask the gate", key="ask_gate", type="primary", on_click=_ask, args=asked)
    if compared.gate is not None and compared.gate.low <= 0 and compared.gate.high >= margin / 100:
        more = compared.more_cases_needed(margin / 100)
        st.caption(f"These cases do not tell yet: about {more:,} more would let most candidates pass that are as good.")
    st.caption(HINT)
    of, said = st.session_state.get(SAID, (None, None))
    if said is not None and of == asked:
        _answer(run, said)
    two = figures.find(by, old), figures.find(by, new)
    with ui.read() as session:
        before = gates.kept(session, *two)
    if before:
        tables.table("What the gate said of these two", HEAD, [_row(one) for one in before], right=(2, 3, 4))
        _as_xml(run, before, *two)
        if before[0].outcome is GateOutcome.PASS:
            with st.container(key="go"):
                links.link("pages/models.py", "Put it in use on Models", workflow=str(run.workflow_id))


def _ask(version: str, old: str, new: str, scorer: str | None) -> None:
    st.session_state.pop(SAID, None)
    margin = st.session_state["margin"] / 100
    with ui.act_in_steps():
        said = gates.ask_in_steps(
            ui.database(), ui.person(), version, baseline=old, candidate=new, margin=margin, scorer=scorer
        )
        st.session_state[SAID] = ((version, old, new, scorer), said)


def _answer(run: Run, said: Gate) -> None:
    words, colour = WORDS[said.outcome]
    with st.container(border=True, gap="xsmall", key="gate"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(str(said.outcome), color=colour)
            st.text(words)
        ui.plain(said.why)
        if said.asked_before >= gates.WORN_AFTER:
            st.caption(
                f"The gate was asked {said.asked_before:,} times on this version before, and may be learnt by heart."
                " Make one with new cases."
            )
        st.download_button("Download JUnit XML", junit(said, suite=run.version), "gate.xml", "application/xml",
                           key="junit", on_click="ignore")  # fmt: skip


def _as_xml(run: Run, before: list[Kept], old: Tried, new: Tried) -> None:
    def named(which: int) -> str:
        one = before[which]
        return f"{len(before) - which}. {one.outcome}, margin {one.margin * 100:g} points"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.selectbox(
            "Answer, the newest first", range(len(before)), format_func=named, key=f"kept_{before[0].id}", width=310
        )
        flips = figures.flips(old, new, before[which])
        data = junit_of_kept(
            before[which], suite=run.version, baseline=old.model, candidate=new.model, flips=flips
        )  # fmt: skip
        st.download_button("Download it as JUnit XML", data, "gate.xml", "application/xml", key="junit_of_kept",
                           on_click="ignore")  # fmt: skip


def _row(one: Kept) -> list[Cell]:
    difference: Cell = tables.quiet("too many cases without an outcome")
    if one.difference is not None and one.low is not None and one.high is not None:
        bounds = f"({phrases.points_between(one.low, one.high)})"
        difference = tables.together(phrases.points(one.difference), tables.quiet(bounds))
    by = "" if one.scorer is None else f" by {one.scorer}"
    return [
        f"{phrases.ago(one.at)} ago", tables.together(str(one.outcome), tables.quiet(by) if by else ""),
        f"{one.margin * 100:g} points", difference, f"{one.cases:,}", one.by,
    ]  # fmt: skip
