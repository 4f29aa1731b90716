"""The form of an export: which reviews, in which format, how many they are now, and the first of them."""

from dataclasses import dataclass

import streamlit as st

from db.clock import SECOND, new_id, now
from db.tables import JobKind, Verdict
from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.exports import preview
from neuro_review.exports.columns import COLUMNS
from neuro_review.exports.foreseen import Foreseen, foresee
from neuro_review.exports.formats import Format
from neuro_review.exports.lines import A_LINE, MEANS, Left
from neuro_review.exports.preview import Preview
from neuro_review.exports.rows import Filter
from neuro_review.jobs import asking
from neuro_review.phrases import are
from neuro_review.ui.jobs import FORMATS
from neuro_review.workflows import Workflow

NEXT = "_export_next"
SEEN = "_export_seen"
FORESEEN = "_export_foreseen"
COUNTED_FOR = 10 * SECOND
"""So long the same question is not asked again; where counting takes seconds, twenty times as long as that."""
SHOWN = ("verdict", "reviewer", "model", "output", "final_text", "reasons", "external_id", "created_at", "reviewed_at")
HINTS: dict[Format, str] = {
    Format.JSONL: "Every text as it is, one review a line.",
    Format.CSV: "Safe to open in a spreadsheet: what could be a formula gets an apostrophe in front.",
    Format.PARQUET: "Typed columns, compressed; the smallest file.",
} | A_LINE
WHOLE = " What is not a label, or cannot be used there, is left out and counted."
HELD_OUT = " So is whatever a held-out eval set of the workflow holds, or nearly holds."


@dataclass(frozen=True)
class Asked:
    """What the form says at this moment."""

    job_id: str
    workflow_id: int
    form: Format
    choice: Filter


@dataclass(frozen=True)
class _Seen:
    """What was counted last, and until when that will do."""

    workflow_id: int
    choice: Filter
    until: int
    preview: Preview


@dataclass(frozen=True)
class _Foreseen:
    """What of it another tool can use, and until when that will do."""

    workflow_id: int
    form: Format
    choice: Filter
    until: int
    found: Foreseen


def places() -> list[Workflow]:
    """Return the workflows that this person may export."""
    with ui.read() as session:
        return asking.places(session, ui.person(), JobKind.EXPORT)


def form(by: Actor, flows: list[Workflow]) -> tuple[Asked, Preview]:
    """Draw what can be chosen, and return it with what it would hold."""
    names = {flow.id: flow.name for flow in flows}
    first, second = st.columns([2, 1])
    flow_id = first.selectbox("Workflow", list(names), format_func=lambda one: names[one], key="export_workflow")
    form = second.selectbox("Format", list(FORMATS), format_func=lambda one: FORMATS[one], key="export_format")
    st.caption(HINTS[form] + ("" if form.is_table else WHOLE) + (HELD_OUT if form.trains else ""))
    choice = _filter(by, flow_id)
    return Asked(st.session_state.setdefault(NEXT, new_id()), flow_id, form, choice), _counted(by, flow_id, choice)


def _filter(by: Actor, flow_id: int) -> Filter:
    with ui.read() as session:
        known = preview.names(session, flow_id, by)
    with st.grid(5, min_column_width=150):
        since = st.date_input("From day (UTC)", None, key="export_since", format="YYYY-MM-DD")
        until = st.date_input("To day (UTC)", None, key="export_until", format="YYYY-MM-DD")
        verdict = st.selectbox("Verdict", list(Verdict), index=None, placeholder="any", key="export_verdict")
        model = st.selectbox(
            "Model", known.models, index=None, placeholder="any", accept_new_options=True,
            key=f"export_model_{flow_id}",
        )  # fmt: skip
        reviewer = st.selectbox(
            "Reviewer", known.reviewers, index=None, placeholder="any", accept_new_options=True,
            key=f"export_reviewer_{flow_id}",
        )  # fmt: skip
    st.caption("Days go by when the item was submitted, both days included.")
    return preview.filter_of(since, until, model, verdict, reviewer)


def _counted(by: Actor, flow_id: int, choice: Filter) -> Preview:
    seen: _Seen | None = st.session_state.get(SEEN)
    if seen and (seen.workflow_id, seen.choice) == (flow_id, choice) and now() < seen.until:
        return seen.preview
    asked_at = now()
    with st.spinner("Counting…"), ui.read() as session:
        found = preview.look(session, flow_id, by, choice)
    st.session_state[SEEN] = _Seen(flow_id, choice, _good_until(asked_at), found)
    return found


def _good_until(asked_at: int) -> int:
    return now() + max(COUNTED_FOR, 20 * (now() - asked_at))


def usable(asked: Asked, found: Preview) -> Foreseen | None:
    """Return how much of it another tool can use; None in the formats that hold every review."""
    if asked.form.is_table or not found.rows:
        return None
    seen: _Foreseen | None = st.session_state.get(FORESEEN)
    of = (asked.workflow_id, asked.form, asked.choice)
    if seen and (seen.workflow_id, seen.form, seen.choice) == of and now() < seen.until:
        return seen.found
    asked_at = now()
    with st.spinner("Looking what can be used…"), ui.read_in_steps():
        usable = foresee(ui.database(), ui.person(), *of)
    st.session_state[FORESEEN] = _Foreseen(*of, _good_until(asked_at), usable)
    return usable


def count(found: Preview, choice: Filter) -> None:
    """Draw how many reviews it would hold, and how many come later."""
    if found.rows:
        later = f"; {found.in_grace:,} more {are(found.in_grace)} still in their grace" if found.in_grace else ""
        st.text(f"{phrases.count(found.rows, 'review')}{later}.")
    elif found.in_grace:
        st.text(f"Nothing yet: {phrases.count(found.in_grace, 'review')} {are(found.in_grace)} still in their grace.")
    elif choice == Filter():
        st.text("There is no review in this workflow yet. Each verdict becomes a row here once it cannot be undone.")
    else:
        st.text("No review matches. Take a filter away.")


def lines(found: Foreseen) -> None:
    """Draw how many lines the file will have, and why the rest is left out."""
    amount = phrases.count(found.lines, "line")
    if not found.reviews:
        said = "How many lines that makes in this format is counted when the file is made."
    elif not found.is_whole:
        said = f"The first {phrases.count(found.reviews, 'review')} make {amount} in this format; the rest is counted"
        said += " when the file is made."
    elif not found.lines:
        said = "None of them can be used in this format. Choose another, or take a filter away."
    else:
        left = sum(found.left_out.values())
        said = f"{amount} in this format" + (f"; {left:,} {are(left)} left out." if left else ".")
    if not found.keeps_out:
        said += " What is held out will be left out as well, and is too much to be compared here."
    st.text(said)
    if found.left_out:
        whys = (f"{many:,} left out: {MEANS[Left(why)]}" for why, many in found.left_out.most_common())
        st.caption("  \n".join(whys))


def button(asked: Asked, found: Preview, usable: Foreseen | None) -> None:
    """Draw the button with what the file will hold, which cannot be pressed where that is nothing."""
    what, many = "review", found.rows
    if usable is not None and usable.is_exact:
        what, many = "line", usable.lines
    nothing = not found.rows or (usable is not None and usable.is_whole and not usable.lines)
    st.button(
        f"Export {phrases.count(many, what)}", key="start", type="primary", disabled=nothing, on_click=start,
        args=(asked,),
    )  # fmt: skip


def first_rows(found: Preview) -> None:
    """Draw the first rows of the file, the columns that say the most."""
    if found.rows:
        st.caption(f"The first rows; {len(SHOWN)} of {len(COLUMNS)} columns")
        st.dataframe({name: found.first[name] for name in SHOWN}, hide_index=True, key="export_rows")


def start(asked: Asked) -> None:
    """Ask for the export; the next one is another."""
    with ui.act() as session:
        asking.ask_export(
            session, asked.job_id, ui.person(), workflow_id=asked.workflow_id, form=asked.form, choice=asked.choice
        )
    if ui.REFUSAL not in st.session_state:
        st.session_state.pop(NEXT, None)
