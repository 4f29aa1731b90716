"""The groups that outputs can be assigned to, as a section of the page about people."""

import streamlit as st

from neuro_review import phrases, teams, ui
from neuro_review.teams import Group


def teams_section() -> None:
    """Draw the groups with who is in them, and the form that adds one."""
    st.header("Groups")
    st.text("An output that is assigned to a group is offered to its members only.")
    with ui.read() as session:
        groups, people = teams.every(session), teams.people(session)
    labels = {one.id: one.label for one in people}
    if not groups:
        st.text("No group yet.")
    for group in groups:
        with st.container(border=True, key=f"team_{group.id}"):
            _group(group, labels)
    with (
        st.form("team_add", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Name of a new group", key="team_name", max_chars=100, width=320)
        st.form_submit_button("Add the group", on_click=_add)


def _group(group: Group, labels: dict[int, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        ui.plain(group.name)
        st.caption(phrases.count(len(group.members), "member"))
    with st.form(f"team_form_{group.id}", border=False):
        st.multiselect(
            "Members", list(labels), default=[one.id for one in group.members], format_func=labels.__getitem__,
            key=_members_key(group),
        )  # fmt: skip
        st.form_submit_button("Save members", on_click=_save, args=(group.id, _members_key(group)))


def _members_key(group: Group) -> str:
    """Return a name that changes with the members: who saved elsewhere is shown here, not overwritten."""
    return "team_members_" + "_".join(str(number) for number in (group.id, *(one.id for one in group.members)))


def _add() -> None:
    with ui.act() as session:
        teams.add(session, ui.person(), st.session_state["team_name"])


def _save(team_id: int, key: str) -> None:
    with ui.act() as session:
        teams.set_members(session, team_id, ui.person(), st.session_state[key])
