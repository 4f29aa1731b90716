"""People: who works here, in which roles; invite somebody, change a role, disable an account."""

import streamlit as st

from neuro_review import invitations, people, phrases, ui, workflows
from neuro_review.invitations import Link
from neuro_review.people import Member
from neuro_review.ui import once
from neuro_review.ui.copying import copyable
from neuro_review.ui.teams import teams_section
from neuro_review.words import Role

TITLE = "People"
person = ui.open_page(TITLE, needs=Role.ADMIN)
EVERYWHERE = 0


def _open(person_id: int) -> None:
    st.query_params["person"] = str(person_id)


def _close() -> None:
    st.query_params.clear()


def _where(key: str) -> int | None:
    return st.session_state[key] or None


def _show(name: str, link: Link) -> None:
    once.keep(TITLE, (name, once.address(f"/auth/invitation?code={link.code}")))


def _invite() -> None:
    name, email, role = (st.session_state[key] for key in ("name", "email", "role"))
    with ui.act() as session:
        link = invitations.invite(session, ui.person(), name, email, Role(role), workflow_id=_where("where"))
        _open(link.person_id)
        _show(name, link)


def _renew(person_id: int, name: str) -> None:
    with ui.act() as session:
        _show(name, invitations.renew(session, ui.person(), person_id))


def _give(person_id: int) -> None:
    role, workflow_id = Role(st.session_state[f"role_{person_id}"]), _where(f"where_{person_id}")
    with ui.act() as session:
        people.give_role(session, ui.person(), person_id, role, workflow_id)


def _take(grant_id: int) -> None:
    with ui.act() as session:
        people.take_role(session, ui.person(), grant_id)


def _disable(person_id: int) -> None:
    once.put_away()
    with ui.act() as session:
        people.disable(session, ui.person(), person_id)


def _enable(person_id: int) -> None:
    with ui.act() as session:
        people.enable(session, ui.person(), person_id)


def role_fields(suffix: str = "") -> None:
    """Draw the choice of a role and of where it holds."""
    with ui.read() as session:
        flows = {EVERYWHERE: "Every workflow"} | {flow.id: flow.name for flow in workflows.every(session)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Role", list(people.ROLES), format_func=people.ROLES.__getitem__, key=f"role{suffix}", width=180)
        st.selectbox("Where", list(flows), format_func=flows.__getitem__, key=f"where{suffix}", width=280)
    st.caption(
        "A reviewer decides. An owner also sets the workflow up and takes labels out. An exporter only takes labels"
        " out. An admin may do everything, everywhere."
    )


def everybody() -> None:
    """Draw everybody, and the form to invite somebody."""
    with st.expander("Invite somebody"), st.form("invite"):
        st.text_input("Name", max_chars=100, key="name")
        st.text_input("E-mail, with which they sign in", max_chars=254, key="email")
        role_fields()
        st.form_submit_button("Make the invitation", type="primary", on_click=_invite)
    with ui.read() as session:
        members = people.everybody(session, person)
    st.header("Everybody")
    for one in members:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row_{one.id}"):
            st.button(ui.md_escape(one.name), key=f"open_{one.id}", type="tertiary", on_click=_open, args=(one.id,))
            ui.plain(one.email)
            st.space("stretch")
            ui.plain(one.roles or "no role")
            st.text(f"seen {phrases.ago(one.seen_at)} ago" if one.seen_at else "never seen", width="content")
            if one.state == "in use":
                st.badge(one.state, color="green")
            else:
                st.badge(one.state, color="gray" if one.in_use else "orange")


def new_link() -> None:
    """Show the link that was just made."""
    made = once.kept(TITLE)
    if made is None:
        return
    name, link = made
    with st.container(border=True, key="link"):
        ui.plain(f"Send this link to {name}. It works once, for 7 days, and is shown only now.")
        copyable(link, "Copy the link", "link")
        st.button("I have it", key="put_away", on_click=once.put_away)


def one_of_them(person_id: int) -> None:
    """Draw one person with all that can be changed."""
    st.button("Everybody", key="back", on_click=_close)
    with ui.read() as session:
        one = people.member(session, person, person_id)
    st.header(ui.md_escape(one.name))
    ui.plain(one.email)
    st.caption(f"{one.state} · {f'seen {phrases.ago(one.seen_at)} ago' if one.seen_at else 'never seen'}")
    with st.container(border=True):
        st.header("Roles")
        if not one.grants:
            st.text("No role: this person sees nothing.")
        for grant in one.grants:
            with st.container(horizontal=True, vertical_alignment="center"):
                ui.plain(grant.words)
                with st.popover(ui.md_escape(f"Take away: {grant.words}")):
                    st.text("It ends at once: this person is signed out, and what they hold goes back to the queue.")
                    st.button("Take it away", key=f"take_{grant.id}", on_click=_take, args=(grant.id,))
        if one.in_use:
            with st.form(f"give_{person_id}"):
                role_fields(f"_{person_id}")
                st.caption("This person is signed out and signs in again with the new role.")
                st.form_submit_button("Give the role", on_click=_give, args=(person_id,))
    account(one)


def account(one: Member) -> None:
    """Draw what can be done to an account as a whole."""
    if not one.in_use:
        st.text("Disabled: this person cannot sign in. Past verdicts stand.")
        st.button("Enable again", key="enable", on_click=_enable, args=(one.id,))
        return
    with st.container(horizontal=True):
        if one.id != person.person_id:
            with st.popover("Reset the password …" if one.has_password else "New link …"):
                st.text("You get a link with which a new password is chosen. Until then nobody can sign in as this"
                        " person: the password, every earlier link and every session end.")  # fmt: skip
                st.button("Make a new link", key="renew", on_click=_renew, args=(one.id, one.name))
        with st.popover("Disable …"):
            st.text("This person is signed out at once. What they hold goes back to the queue; past verdicts stand.")
            st.button("Disable this account", key="disable", on_click=_disable, args=(one.id,))


st.title(TITLE)
new_link()
named = st.query_params.get("person", "")
if named.isdecimal() and len(named) < 16:
    one_of_them(int(named))
else:
    everybody()
    teams_section()
