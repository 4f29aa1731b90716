"""Workflows: what each has agreed, who answers for it, and what its reviewers go by."""

from typing import TypeVar

import streamlit as st

from neuro_review import people, phrases, queue, ui, workflows
from neuro_review.words import Role
from neuro_review.workflows import Workflow, agreed
from neuro_review.workflows.agreed import Terms

person = ui.open_page("Workflows", needs=Role.OWNER)
NEW = 0
Read = TypeVar("Read")


def _open(workflow_id: int) -> None:
    st.query_params["workflow"] = str(workflow_id)


def _close() -> None:
    st.query_params.clear()


def _typed(workflow_id: int) -> Terms:
    names = ("name", "grace", "deadline", "unit", "fallback", "lapse", "lapse_unit")
    return Terms(*(st.session_state[f"{name}_{workflow_id}"] for name in names))


def _create() -> None:
    with ui.act() as session:
        flow = agreed.create(
            session, ui.person(), _typed(NEW), owner_id=st.session_state["owner"],
            reasons=st.session_state["reasons_0"].splitlines(), rubric=st.session_state["rubric_0"],
        )  # fmt: skip
        _open(flow.id)
        ui.hint(f"“{flow.name}” is there.")


def _as_read(what: str, field: str, in_force: Read) -> Read:
    """Return what a form was filled with at first, and keep what its reader knows of: both may be outdated by now.

    Other values to begin with would make the fields other ones, without what was typed.
    """
    if field not in st.session_state:
        st.session_state[what] = st.session_state[f"first_{what}"] = in_force
    st.session_state.setdefault(what, in_force)
    first: Read = st.session_state[f"first_{what}"]
    return first


def _change(workflow_id: int) -> None:
    after = st.session_state.pop(f"agreed_{workflow_id}")
    with ui.act() as session:
        agreed.change(session, ui.person(), workflow_id, _typed(workflow_id), after=after)
        ui.hint("Saved.")


def _set_reasons(workflow_id: int) -> None:
    names = st.session_state[f"reasons_{workflow_id}"].splitlines()
    after = st.session_state.pop(f"in_force_{workflow_id}")
    with ui.act() as session:
        agreed.set_reasons(session, ui.person(), workflow_id, names, after=after)
        ui.hint("The reasons are saved.")


def _write_rubric(workflow_id: int, after: int) -> None:
    text = st.session_state[f"rubric_{workflow_id}_{after}"]
    with ui.act() as session:
        version = workflows.write_rubric(session, ui.person(), workflow_id, text, after=after)
        ui.hint(f"Version {version} of the rubric is in force.")


def _add_owner(workflow_id: int) -> None:
    chosen = st.session_state[f"owner_{workflow_id}"]
    if chosen is None:
        ui.refuse("Choose the person first, then press again.")
        return
    with ui.act() as session:
        people.give_role(session, ui.person(), chosen, Role.OWNER, workflow_id)


def _remove_owner(grant_id: int) -> None:
    with ui.act() as session:
        people.take_role(session, ui.person(), grant_id)


def _archive(workflow_id: int) -> None:
    with ui.act() as session:
        workflows.archive(session, ui.person(), workflow_id)


def _bring_back(workflow_id: int) -> None:
    with ui.act() as session:
        workflows.bring_back(session, ui.person(), workflow_id)


def fields(workflow_id: int, terms: Terms) -> None:
    """Draw what a workflow agrees, ready to be changed."""
    st.text_input("Name", terms.name, max_chars=100, key=f"name_{workflow_id}")
    st.number_input("Time to undo a verdict (seconds)", 0, agreed.LONGEST_GRACE, terms.grace_seconds, 1,
                    key=f"grace_{workflow_id}", width=230)  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Deadline of an output", 1, None, terms.deadline, 1, key=f"deadline_{workflow_id}",
                        placeholder="none", width=200)  # fmt: skip
        st.selectbox("Unit of the deadline", list(agreed.UNITS), list(agreed.UNITS).index(terms.unit),
                     key=f"unit_{workflow_id}", width=170)  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Then it waits for an owner", 1, None, terms.lapse, 1, key=f"lapse_{workflow_id}",
                        placeholder="not at all", width=200)  # fmt: skip
        st.selectbox("Unit of that time", list(agreed.UNITS), list(agreed.UNITS).index(terms.lapse_unit),
                     key=f"lapse_unit_{workflow_id}", width=170)  # fmt: skip
    st.caption(
        "With a deadline, outputs due within the hour are reviewed first. At the deadline an output goes to an owner"
        " for the time given, or lapses at once. What lapses is never released: a missed deadline is no approval."
    )
    st.text_area(
        "Text to send instead of a rejected or lapsed output (optional)", terms.fallback, key=f"fallback_{workflow_id}",
        height=80, max_chars=agreed.LONGEST_FALLBACK,
    )  # fmt: skip


def reasons_field(workflow_id: int, reasons: list[str]) -> None:
    """Draw the list of reasons, ready to be changed."""
    st.text_area("Reasons for a verdict, one a line", "\n".join(reasons), key=f"reasons_{workflow_id}", height=190)
    st.caption("In this order; the first nine have a key. A reason left out is retired: past verdicts keep it.")


def all_of_them() -> None:
    """Draw every workflow with what waits in it, and the form for another one."""
    with ui.read() as session:
        flows = workflows.owned(session, person)
        held = {flow.id: queue.waiting(session, flow.id).held for flow in flows}
        owners = people.owners(session)
    for flow in flows:
        terms = agreed.terms(flow)
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row_{flow.id}"):
            st.button(ui.md_escape(flow.name), key=f"open_{flow.id}", type="tertiary", on_click=_open, args=(flow.id,))
            st.space("stretch")
            if flow.archived_at is not None:
                st.badge("put away", color="gray")
                continue
            if flow.id not in owners:
                st.badge("no owner", color="orange")
            else:
                ui.plain(", ".join(owner.name for owner in owners[flow.id]))
            st.text(f"{held[flow.id]:,} held", width="content")
            st.text(f"{terms.grace_seconds:,} s to undo", width="content")
            st.text(terms.deadline_words, width="content")
    if person.may(Role.ADMIN):
        with st.expander("Add a workflow", expanded=not flows):
            another_one()
    elif not flows:
        st.header("No workflow yet")
        st.text("Ask an admin to name you as the owner of one.")


def another_one() -> None:
    """Draw the form for a new workflow."""
    with ui.read() as session:
        names = people.names(session, person)
    with st.form("create"):
        fields(NEW, Terms(""))
        mine = list(names).index(person.person_id) if person.person_id in names else 0
        st.selectbox("Owner, who answers for it", list(names), mine, format_func=names.__getitem__, key="owner")
        reasons_field(NEW, list(workflows.FIRST_REASONS))
        st.text_area("Rubric: what reviewers go by (optional)", key="rubric_0", max_chars=workflows.LONGEST_RUBRIC)
        st.form_submit_button("Add the workflow", type="primary", on_click=_create)


def one_of_them(workflow_id: int) -> None:
    """Draw one workflow with all that can be changed."""
    st.button("All workflows", key="back", on_click=_close)
    with ui.read() as session:
        flow = workflows.by_id(session, workflow_id)
        versions = workflows.rubrics(session, person, workflow_id)
        reasons = workflows.reasons(session, workflow_id)
        held = queue.waiting(session, workflow_id).held
    st.header(ui.md_escape(flow.name))
    if flow.archived_at is not None:
        st.text(f"Put away {phrases.ago(flow.archived_at)} ago: it is offered nowhere, and everything in it is kept.")
        st.button("Bring it back", key="bring_back", on_click=_bring_back, args=(workflow_id,))
        return
    st.caption(f"{held:,} held")
    left, right = st.columns(2, gap="medium")
    with left:
        with st.form(f"terms_{workflow_id}"):
            st.header("Terms")
            fields(workflow_id, _as_read(f"agreed_{workflow_id}", f"name_{workflow_id}", agreed.terms(flow)))
            st.caption(
                "Applications and imports go by the name: after a change they must use the new one. The time to undo"
                " holds from the next verdict on, a deadline for outputs that come in later."
            )
            st.form_submit_button("Save", on_click=_change, args=(workflow_id,))
        owners_of(workflow_id)
    with right:
        with st.form(f"reasons_form_{workflow_id}"):
            st.header("Reasons")
            reasons_field(workflow_id, _as_read(f"in_force_{workflow_id}", f"reasons_{workflow_id}", reasons))
            st.form_submit_button("Save the reasons", on_click=_set_reasons, args=(workflow_id,))
        rubric_of(flow, versions)
    put_away(flow, held)


def owners_of(workflow_id: int) -> None:
    """Draw who answers for a workflow."""
    with ui.read() as session:
        owners = people.owners(session).get(workflow_id, [])
        names = people.names(session, person)
    with st.container(border=True):
        st.header("Owners")
        if not owners:
            st.text("Nobody answers for this workflow. Name an owner.")
        for owner in owners:
            with st.container(horizontal=True, vertical_alignment="center"):
                ui.plain(owner.name)
                if owner.everywhere:
                    st.caption("owner of every workflow")
                    continue
                with st.popover(ui.md_escape(f"Remove {owner.name}")):
                    st.text("The role ends at once, and this person is signed out.")
                    st.button("Remove", key=f"remove_{owner.grant_id}", on_click=_remove_owner, args=(owner.grant_id,))
        others = [one for one in names if one not in {owner.person_id for owner in owners}]
        if others:
            st.selectbox("Name another owner", others, index=None, placeholder="choose a person",
                         format_func=names.__getitem__, key=f"owner_{workflow_id}")  # fmt: skip
            st.button("Add the owner", key="add_owner", on_click=_add_owner, args=(workflow_id,))


def rubric_of(flow: Workflow, versions: list[workflows.Rubric]) -> None:
    """Draw the rubric in force, ready to be written anew, and those before it."""
    with st.form(f"rubric_form_{flow.id}"):
        st.header("Rubric")
        st.text_area(
            "What reviewers go by", versions[0].text if versions else "", height=190,
            key=f"rubric_{flow.id}_{flow.rubric_version}", max_chars=workflows.LONGEST_RUBRIC,
        )  # fmt: skip
        st.caption(f"Version {flow.rubric_version} is in force." if versions else "None is written yet.")
        st.form_submit_button("Save as the next version", on_click=_write_rubric, args=(flow.id, flow.rubric_version))
    if versions[1:]:
        with st.expander("Earlier versions"):
            by_version = {one.version: one for one in versions[1:]}
            chosen = by_version[st.selectbox("Version", list(by_version), key=f"version_{flow.id}")]
            st.caption(f"Written {phrases.ago(chosen.written_at)} ago by {ui.md_escape(chosen.written_by)}")
            ui.plain(chosen.text)


def put_away(flow: Workflow, held: int) -> None:
    """Draw the way to put a workflow away, or why it cannot be yet."""
    if held:
        st.caption("To put this workflow away, review what is held first.")
        return
    with st.popover("Put it away …"):
        st.text("It is offered nowhere any more. Everything in it is kept, and it can be brought back.")
        st.button("Put it away", key="archive", on_click=_archive, args=(flow.id,))


st.title("Workflows")
named = st.query_params.get("workflow", "")
if named.isdecimal() and len(named) < 16:
    one_of_them(int(named))
else:
    all_of_them()
