"""Deliveries: where applications are told what became of their outputs, and whether they hear it."""

import streamlit as st

from neuro_review import phrases, ui, workflows
from neuro_review.deliveries import endpoints, health
from neuro_review.deliveries.health import Health
from neuro_review.ui import once, sent
from neuro_review.ui.copying import copyable
from neuro_review.ui.links import link
from neuro_review.words import Role

TITLE = "Deliveries"
ALL = 0
person = ui.open_page(TITLE, needs=Role.OWNER)


def _add() -> None:
    flow, application = st.session_state["workflow"], st.session_state.get("application", ALL)
    with ui.act() as session:
        made = endpoints.add(session, ui.person(), flow, st.session_state["url"], source_id=application or None)
        once.keep(TITLE, made)


def _rotate(endpoint_id: int) -> None:
    with ui.act() as session:
        once.keep(TITLE, endpoints.rotate(session, ui.person(), endpoint_id))


def _end_overlap(endpoint_id: int) -> None:
    with ui.act() as session:
        endpoints.end_overlap(session, ui.person(), endpoint_id)
        ui.hint("Messages are signed with the new secret only.")


def _readdress(endpoint_id: int) -> None:
    with ui.act() as session:
        endpoints.readdress(session, ui.person(), endpoint_id, st.session_state[f"url_{endpoint_id}"])
        ui.hint("Saved. What waits goes to this address.")


def _pause(endpoint_id: int) -> None:
    with ui.act() as session:
        endpoints.pause(session, ui.person(), endpoint_id)


def _resume(endpoint_id: int) -> None:
    with ui.act() as session:
        endpoints.resume(session, ui.person(), endpoint_id)


def _remove(endpoint_id: int) -> None:
    with ui.act() as session:
        endpoints.remove(session, ui.person(), endpoint_id)
        ui.hint("The endpoint is removed.")


def _replay(endpoint_id: int, seq: int | None = None) -> None:
    with ui.act() as session:
        replayed = endpoints.replay(session, ui.person(), endpoint_id, seq)
        ui.hint(f"{phrases.count(replayed, 'message')} will be sent again.")


def _send_waiting(endpoint_id: int) -> None:
    with ui.act() as session:
        sent = endpoints.send_waiting(session, ui.person(), endpoint_id)
        ui.hint(f"{phrases.count(sent, 'message')} will be sent now.")


def _test(endpoint_id: int) -> None:
    """Send a test; nobody waits in a transaction for what is outside."""
    endpoint = None
    with ui.act() as session:
        endpoint = endpoints.find(session, ui.person(), endpoint_id)
    if endpoint is None:
        return
    tested = endpoints.send_test(endpoint)
    with ui.act() as session:
        endpoints.note_test(session, ui.person(), endpoint, tested)
        ui.hint(tested.sentence)
    if not tested.arrived:
        ui.refuse(f"The test did not arrive. {tested.sentence}")


def new_secret() -> None:
    """Show the secret that was just made."""
    made = once.kept(TITLE)
    if made is None:
        return
    with st.container(border=True, key="new_secret"):
        ui.plain(f"The secret of {made.url} for {made.workflow}. Copy it now: it is shown only this once.")
        copyable(made.secret, "Copy the secret", "secret")
        st.text("The receiver verifies each message with it, by any library of Standard Webhooks.")
        st.button("I have it", key="put_away", on_click=once.put_away)


def endpoint_box(one: Health) -> None:
    """Draw one endpoint: how it does, what can be done, and what was sent."""
    with st.container(border=True, key=f"endpoint_{one.id}"):
        st.header(ui.md_escape(one.address))
        whose = f"outputs of {one.application}" if one.application else "all outputs"
        ui.plain(f"{one.workflow}: {whose}")
        how_it_does(one)
        actions(one)
        with ui.read() as session:
            given_up = health.dead(session, person, one)
            latest = health.recent(session, person, one)
        if one.dead:
            dead_letters(one, given_up)
        with st.expander("Latest messages"):
            sent.table(latest, f"sent_{one.id}")


def how_it_does(one: Health) -> None:
    """Draw whether messages arrive."""
    if one.paused_at is not None:
        why = "it answered that nobody is there any more" if one.paused_for == "gone" else "on request"
        st.badge(f"paused {phrases.ago(one.paused_at)} ago, {why}", color="orange")
    with st.container(horizontal=True):
        arrived = f"last arrived: {phrases.ago(one.arrived_at)} ago" if one.arrived_at is not None else "no message yet"
        st.text(arrived, width="content")
        if one.tested_at is not None:
            st.text(f"a test arrived {phrases.ago(one.tested_at)} ago", width="content")
        since = f", the oldest for {phrases.ago(one.waiting_since)}" if one.waiting_since is not None else ""
        st.text(f"{one.waiting:,} waiting{since}", width="content")
        st.text(f"{one.failing:,} tried in vain", width="content")
        st.text(f"{one.dead:,} given up", width="content")
    if one.error:
        ui.plain(f"The last try: {one.error}")
    if one.both_until is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text("Messages carry the signatures of the new secret and the one before.", width="content")
            st.button("End that now", key=f"overlap_{one.id}", on_click=_end_overlap, args=(one.id,))


def actions(one: Health) -> None:
    """Draw what can be done with an endpoint."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Send a test", key=f"test_{one.id}", on_click=_test, args=(one.id,))
        if one.paused_at is None:
            st.button("Pause", key=f"pause_{one.id}", on_click=_pause, args=(one.id,))
            if one.failing:
                st.button("Send what waits now", key=f"now_{one.id}", on_click=_send_waiting, args=(one.id,))
        else:
            st.button("Resume", key=f"resume_{one.id}", on_click=_resume, args=(one.id,))
        with st.popover("New secret …"):
            st.text("The receiver gets a day to change over: until then messages carry both signatures.")
            st.button("Make a new secret", key=f"rotate_{one.id}", on_click=_rotate, args=(one.id,))
        with st.popover("Change the address …"):
            st.text_input("Address", one.url, key=f"url_{one.id}")
            st.button("Save the address", key=f"save_{one.id}", on_click=_readdress, args=(one.id,))
        with st.popover("Remove …"):
            st.text("It is told nothing any more, also not what waits. Everything stays in the feed.")
            st.button("Remove this endpoint", key=f"remove_{one.id}", on_click=_remove, args=(one.id,))


def dead_letters(one: Health, given_up: list[health.Sent]) -> None:
    """Draw what was given up, with the way to send it again."""
    with st.expander(f"{phrases.count(one.dead, 'message')} given up", expanded=True):
        st.button("Send all of them again", key=f"replay_{one.id}", on_click=_replay, args=(one.id,))
        for message in given_up:
            with st.container(horizontal=True, vertical_alignment="center", key=f"row_{one.id}_{message.seq}"):
                if not link("pages/history.py", ui.md_escape(message.external_id), id=message.item_id):
                    st.text(message.external_id, width="content")
                st.text(f"{message.event} · {phrases.count(message.attempts, 'try', 'tries')}", width="content")
                ui.plain(message.error or "")
                st.button("Send again", key=f"replay_{one.id}_{message.seq}", on_click=_replay,
                          args=(one.id, message.seq))  # fmt: skip
        if one.dead > len(given_up):
            st.caption(f"The latest {len(given_up)} of {one.dead:,}.")


def add_form(flows: dict[int, str]) -> None:
    """Draw the form for another endpoint."""
    flow = st.selectbox("Workflow", list(flows), format_func=flows.__getitem__, key="workflow")
    with ui.read() as session:
        applications = {ALL: "all of them"} | endpoints.applications(session, person, flow)
    st.selectbox("Application whose outputs it is told of", list(applications),
                 format_func=applications.__getitem__, key="application")  # fmt: skip
    st.text_input("Address", key="url", placeholder="https://example.com/hooks/reviews")
    st.caption("It is told of everything that happens from now on. What was before is in the feed.")
    st.button("Add it and make a secret", type="primary", key="add", on_click=_add)


st.title(TITLE)
with ui.read() as session:
    mine = health.mine(session, person)
    flows = {flow.id: flow.name for flow in workflows.owned(session, person) if flow.archived_at is None}
new_secret()
if not mine:
    st.text("No endpoint yet. Applications can read the feed; with an endpoint they are told at once.")
for one in mine:
    endpoint_box(one)
if flows:
    with st.expander("Add an endpoint", expanded=not mine):
        add_form(flows)
else:
    st.text("There is no workflow yet. Add one on Workflows first.")
