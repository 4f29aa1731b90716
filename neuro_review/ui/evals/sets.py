"""Eval sets on screen: every version, and one of them with its cases and where each came from."""

from typing import Any

import streamlit as st

from db.clock import is_id
from neuro_review import phrases, ui, workflows
from neuro_review.access import Actor
from neuro_review.eval_sets import choosing, making, rows
from neuro_review.eval_sets.rows import Case, Version
from neuro_review.ui import links, tables
from neuro_review.ui.evals import exporting
from neuro_review.ui.evals import making as making_form
from neuro_review.ui.evals.texts import ERASED, labelled
from neuro_review.ui.marked import difference
from neuro_review.words import Role

PAGE = 50  # cases in the table at a time
MOST_LINKS = 12


def open_version(version_id: str) -> None:
    """Show one version."""
    st.query_params["version"] = version_id


def everything(by: Actor) -> None:
    """Draw every version that this person may see, and the form for another one."""
    with ui.read() as session:
        found = rows.listed(session, by)
        flows = [one for one in workflows.every(session) if by.may(Role.OWNER, one.id)]
    if not found:
        st.header("No eval set yet")
        st.text(
            "An eval set is a frozen selection of labels, on which models are tried before they take each other’s"
            " place. Make the first one as soon as some outputs were reviewed."
        )
    for one in found:
        _line(one)
    if flows:
        with st.expander("Make an eval set", expanded=not found):
            making_form.form(by, flows)
    elif not found:
        st.caption("Only the owner of a workflow can make one.")


def _line(one: Version) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row_{one.id}"):
        st.button(
            ui.md_escape(tables.short(one.ref)), key=f"open_{one.id}", type="tertiary", on_click=open_version,
            args=(one.id,),
        )  # fmt: skip
        ui.plain(tables.short(one.workflow))
        st.space("stretch")
        if one.held_out:
            st.badge("held out", color="gray")
        st.badge("draft" if one.frozen_at is None else "frozen", color="orange" if one.frozen_at is None else "green")
        st.text(phrases.count(one.cases, "case"), width="content")
        st.text(f"{phrases.ago(one.made_at)} ago", width="content")


def one_version(version_id: str, by: Actor) -> None:
    """Draw one version with all that can be done with it."""
    st.button("All eval sets", key="back", icon=":material/arrow_back:", on_click=st.query_params.clear)
    if not is_id(version_id):
        ui.end_page("There is no such version.")
    with ui.read() as session:
        found = rows.version_by_id(session, version_id, by)
        counted = rows.counts(session, version_id)
        others = [one for one in rows.listed(session, by) if one.set_id == found.set_id and one.id != found.id]
    owns = by.may(Role.OWNER, found.workflow_id)
    st.header(ui.md_escape(tables.short(found.ref)))
    _facts(found, counted)
    if owns:
        _actions(found)
    if found.frozen_at is not None:
        links.link("pages/eval_runs.py", "Try models on it", on=found.id)
    _cases(found, owns=owns)
    if others:
        _difference(found, others)
    if found.frozen_at is not None:
        exporting.draw(found)


def _facts(found: Version, counted: dict[str, int]) -> None:
    verdicts = " · ".join(f"{many:,} {verdict}" for verdict, many in sorted(counted.items())) or "none"
    left = " · ".join(f"{many:,} {why.replace('_', ' ')}" for why, many in sorted(found.left_out.items())) or "none"
    asked = " · ".join(f"{name}: {_shown(value)}" for name, value in found.asked.items() if value) or "every label"
    state = "a draft; no run takes it before it is frozen" if found.is_whole else making.NOT_WHOLE
    if found.frozen_at is not None:
        state = f"frozen {phrases.ago(found.frozen_at)} ago; nothing of it changes any more"
    facts = [
        ("Workflow", found.workflow), ("State", state), ("Cases", f"{found.cases:,} ({verdicts})"),
        ("Became no case", left), ("Asked for", asked),
        ("Made", f"{phrases.ago(found.made_at)} ago by {found.made_by}"),
        ("Held out of training files", "yes" if found.held_out else "no"),
    ]  # fmt: skip
    with st.container(border=True, gap="xsmall", key="facts"):
        for what, said in facts:
            ui.plain(f"{what}: {said}")
        if found.content_hash:
            st.caption("SHA-256 of its content")
            st.code(found.content_hash, language=None)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _actions(found: Version) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if found.frozen_at is None:
            if found.is_whole:
                st.button("Freeze it", key="freeze", type="primary", on_click=_freeze, args=(found.id,))
            with st.popover("Discard it …"):
                st.text("The draft is gone then. The labels themselves stay.")
                st.button("Discard it", key="discard", on_click=_discard, args=(found.id,))
        word = "Let training files have its cases" if found.held_out else "Hold it out of training files"
        st.button(word, key="hold_out", on_click=_hold_out, args=(found.set_id, not found.held_out))


def _freeze(version_id: str) -> None:
    with ui.act() as session:
        making.freeze(session, version_id, ui.person())
        ui.hint("It is frozen: runs can take it now.")


def _discard(version_id: str) -> None:
    with ui.act_in_steps():
        making.discard(ui.database(), version_id, ui.person())
        ui.hint("The draft is gone.")
    if ui.REFUSAL not in st.session_state:
        st.query_params.clear()


def _hold_out(set_id: int, held_out: bool) -> None:
    with ui.act() as session:
        making.hold_out(session, set_id, ui.person(), held_out)


def _drop(case_id: str) -> None:
    with ui.act() as session:
        making.drop_case(session, case_id, ui.person())
        ui.hint("The case is out of the draft.")


def _cases(found: Version, *, owns: bool) -> None:
    st.header("Cases")
    asked = st.number_input("Case", 1, None, 1, 1, key=f"case_{found.id}", width=140)
    with ui.read() as session:
        after = (asked - 1) // PAGE * PAGE
        shown = rows.cases(session, found.id, after=after, most=PAGE)
    chosen = next((one for one in shown if one.position >= asked), shown[-1] if shown else None)
    if chosen is None:
        st.text("There is no case with this number or a later one.")
        return
    st.dataframe(
        {
            "Case": [one.position for one in shown], "Verdict": [one.verdict for one in shown],
            "Model": [one.model for one in shown], "Reviewer": [one.reviewer for one in shown],
            "Reasons": [", ".join(one.reasons) for one in shown],
            "Prompt": [tables.short(_prompt(one) or ERASED) for one in shown],
        },
        hide_index=True, height=245, key="cases",
    )  # fmt: skip
    _case(chosen, droppable=owns and found.frozen_at is None)


def _prompt(case: Case) -> str | None:
    return None if case.prompt is None else choosing.said(case.prompt, is_chat=case.prompt_is_chat)


def _case(case: Case, *, droppable: bool) -> None:
    with st.container(border=True, key="case"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"Case {case.position:,}", width="content")
            st.badge("must not" if case.kind == "must_not" else case.verdict, color="gray")
            st.space("stretch")
            links.link("pages/history.py", "The output in History", id=case.item_id)
            if droppable:
                st.button("Drop it", key=f"drop_{case.id}", on_click=_drop, args=(case.id,))
        reasons = f" for {', '.join(case.reasons)}" if case.reasons else ""
        rubric = f"rubric version {case.rubric_version}" if case.rubric_version else "no rubric was written then"
        ui.plain(f"{case.model} wrote it; {case.reviewer} said {case.verdict}{reasons}; {rubric}.")
        labelled("Prompt", _prompt(case))
        if case.context:
            labelled("Context", case.context)
        _output(case)
        st.caption(f"Review {case.review_id} · case hash {case.hash[:16]}")


def _output(case: Case) -> None:
    if case.kind == "must_not":
        labelled("Output, never to be said like this", case.output)
    elif case.verdict != "correct":
        labelled("Output, which is the target", case.output)
    elif case.output is None or case.target is None or (shown := difference(case.output, case.target)) is None:
        labelled("Output", case.output)
        labelled("What the reviewer made of it, which is the target", case.target)
    else:
        st.caption("Output, and what the reviewer made of it, which is the target")
        st.html(shown)


def _difference(found: Version, others: list[Version]) -> None:
    st.header("Against another version")
    by_id = {one.id: one for one in others}
    chosen = st.selectbox("Version", list(by_id), format_func=lambda one: f"version {by_id[one].number}",
                          key=f"against_{found.id}", width=200)  # fmt: skip
    with ui.read() as session:
        differs = rows.difference(session, chosen, found.id)
    st.text(
        f"Since version {by_id[chosen].number}: {len(differs.added):,} added, {len(differs.removed):,} removed,"
        f" {len(differs.changed):,} changed, {differs.same:,} the same."
    )
    for what, items in (("Added", differs.added), ("Removed", differs.removed), ("Changed", differs.changed)):
        if items:
            st.caption(what if len(items) <= MOST_LINKS else f"{what}, the first {MOST_LINKS}")
            with st.container(horizontal=True):
                for item in items[:MOST_LINKS]:
                    links.link("pages/history.py", item[-8:], id=item)
