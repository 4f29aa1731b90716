"""Review: read what a model wrote, and approve, correct or reject it with one key."""

import streamlit as st

from neuro_review import desk, phrases, ui
from neuro_review.desk import Card, Desk
from neuro_review.queue import Lease
from neuro_review.words import Verdict

EVERYTHING = "All my workflows"
ROLES = {"user": "Customer", "system": "Instructions", "assistant": "Earlier answer"}

ui.open_page("Review")
on_desk: Desk = st.session_state.setdefault("desk", Desk())


def _decide(lease: Lease, verdict: Verdict) -> None:
    if on_desk.too_early() or on_desk.correcting is not (verdict is Verdict.CORRECT):
        return ui.ignored()
    if verdict is Verdict.REJECT and not on_desk.reasons:
        return ui.hint("A rejection needs a reason: press its number, then X.")
    text = st.session_state.get(_field(lease)) if verdict is Verdict.CORRECT else None
    with ui.act() as session:
        decided = desk.decide(session, on_desk, ui.person(), lease, verdict, text)
        if decided.verdict is not verdict:
            ui.hint("The correction equals the output, so it was approved.")
    return None


def _skip(lease: Lease) -> None:
    if on_desk.too_early() or on_desk.correcting:
        return ui.ignored()
    with ui.act() as session:
        desk.skip(session, on_desk, ui.person(), lease)
    return None


def _undo() -> None:
    with ui.act() as session:
        desk.undo(session, on_desk, ui.person())


def _correct(on: bool) -> None:
    on_desk.correct(on)


def _keep(lease: Lease) -> None:
    with ui.act() as session:
        desk.keep(session, on_desk, ui.person(), lease, st.session_state[_field(lease)])


def _reason(name: str) -> None:
    on_desk.toggle(name)


def _choose() -> None:
    with ui.act() as session:
        desk.choose(session, on_desk, ui.person(), st.session_state["workflow"])


def _go_on() -> None:
    with ui.act() as session:
        desk.take_next(session, on_desk, ui.person())


def _name(lease: Lease) -> str:
    return f"{lease.item_id}_{lease.lease_n}"


def _of(name: str, lease: Lease) -> str:
    """Name a button or a field for one item alone: a press that was on its way never reaches the next one."""
    return f"{name}_{_name(lease)}"


def _live(letters: str, reasons: int) -> str:
    """Return the keys that do something now."""
    return letters + "123456789"[:reasons] + ("U" if on_desk.seconds_to_undo() else "")


def _field(lease: Lease) -> str:
    return _of("text", lease)


@st.fragment(run_every="30s")
def pulse() -> None:
    """Keep what lies on the desk, give it back when nobody is there, and count what waits."""
    if on_desk.current and on_desk.idle():
        with ui.act() as session:
            desk.clear(session, on_desk, ui.person())
        st.rerun()
    if on_desk.current:
        with ui.act() as session:
            desk.renew(session, on_desk, ui.person())
    with ui.read() as session:
        waiting = desk.waiting(session, on_desk, ui.person())
        flows = {None: EVERYTHING} | {flow.id: flow.name for flow in desk.mine(session, ui.person())}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.selectbox(
            "Workflow", list(flows), format_func=flows.__getitem__, key="workflow", on_change=_choose,
            label_visibility="collapsed", width=260,
        )  # fmt: skip
        st.text(f"{waiting.held:,} held", width="content")
        if waiting.due:
            st.badge(f"{waiting.due:,} due within the hour", color="orange")
        if waiting.oldest_at is not None:
            st.text(f"oldest {phrases.ago(waiting.oldest_at)}", width="content")


@st.fragment
def work() -> None:
    """Draw the item on the desk, or what to do when there is none."""
    with ui.read() as session:
        still_here = desk.holds(session, on_desk, ui.person())
    if not still_here:
        _go_on()
    lease = on_desk.current
    if lease is None:
        ui.notices()
        nothing_waits()
        ui.keys("", _live("", 0))
        return
    with ui.read() as session:
        card = desk.card(session, lease.item_id, ui.person())
        today = desk.today(session, ui.person())
    left, right = st.columns([7, 3], gap="medium")
    with left:
        conversation(card)
        answer(card, lease)
    with right:
        beside(card, lease)
    with st.container(key="foot"):
        ui.notices()
        bar(lease, today)
    if on_desk.correcting:
        ui.keys(_name(lease), "", _field(lease))
    else:
        ui.keys(_name(lease), _live("AEXS", len(card.reasons)))
    on_desk.painted(lease)


def conversation(card: Card) -> None:
    """Draw what the customer asked and what the model was given."""
    with st.container(border=True, key="conversation"):
        if not card.turns:
            st.caption("No prompt was submitted.")
        for turn in card.turns:
            st.caption(ROLES.get(turn.role, ui.md_escape(turn.role)))
            ui.plain(turn.text)
        if card.context:
            with st.expander("Context the model was given", expanded=len(card.context) <= 600):
                ui.plain(card.context)


def answer(card: Card, lease: Lease) -> None:
    """Draw the output, or the field in which it is corrected."""
    with st.container(border=True, key="answer"):
        facts = f"{card.model} · {phrases.milliseconds(card.latency_ms)} · {phrases.money(card.cost_micro)}"
        st.caption(f"Answer · {ui.md_escape(facts)}")
        if on_desk.correcting:
            st.text_area(
                "Corrected answer", value=card.draft or card.output, key=_field(lease), on_change=_keep, args=(lease,),
                height=ui.lines_high(card.output), label_visibility="collapsed",
            )  # fmt: skip
        else:
            ui.plain(card.output)


def beside(card: Card, lease: Lease) -> None:
    """Draw why it comes now, the reasons and the rubric."""
    with st.container(border=True, key="beside"):
        st.caption("Why now")
        ui.plain(lease.why.capitalize() + (" · sample" if card.is_sample else ""))
        if card.due_at is not None:
            st.caption(f"Due {phrases.left(card.due_at)}")
        st.caption(f"{ui.md_escape(card.workflow)} · waiting {phrases.ago(card.created_at)}")
        st.caption("Reasons (press the number)")
        for number, reason in enumerate(card.reasons[:9], 1):
            st.button(
                ui.md_escape(reason), key=f"reason_{number}", on_click=_reason, args=(reason,), width="stretch",
                shortcut=None if on_desk.correcting else str(number),
                type="primary" if reason in on_desk.reasons else "tertiary",
            )  # fmt: skip
        if card.rubric:
            st.caption(f"Rubric v{card.rubric_version}")
            ui.plain(card.rubric)


def bar(lease: Lease, today: int) -> None:
    """Draw the keys and what they do."""
    with st.container(horizontal=True, key="bar", vertical_alignment="center"):
        if on_desk.correcting:
            st.button("Save and next", key=_of("save", lease), shortcut="Mod+Enter", type="primary", on_click=_decide,
                      args=(lease, Verdict.CORRECT))  # fmt: skip
            st.button("Cancel", key=_of("cancel", lease), shortcut="Esc", on_click=_correct, args=(False,))
            return
        st.button("Approve", key=_of("approve", lease), shortcut="A", type="primary", on_click=_decide,
                  args=(lease, Verdict.APPROVE))  # fmt: skip
        st.button("Correct", key=_of("correct", lease), shortcut="E", on_click=_correct, args=(True,))
        st.button("Reject", key=_of("reject", lease), shortcut="X", on_click=_decide, args=(lease, Verdict.REJECT))
        st.button("Skip", key=_of("skip", lease), shortcut="S", on_click=_skip, args=(lease,))
        undo_button()
        st.space("stretch")
        st.text(f"{phrases.count(today, 'verdict')} today", width="content")


def undo_button() -> None:
    """Draw the way back from the last verdict, while there is one."""
    seconds = on_desk.seconds_to_undo()
    label = f"Undo ({seconds} s left)" if seconds else "Undo"
    st.button(label, key="undo", shortcut="U", disabled=not seconds, on_click=_undo)


def nothing_waits() -> None:
    """Say that the queue is empty, or that the desk was cleared, and what comes next."""
    with st.container(border=True, key="empty"):
        st.subheader("Nothing waits for you")
        st.text("New outputs appear here as applications hand them in. What you skipped comes back after a day.")
        with st.container(horizontal=True):
            st.button("Look again", key="again", type="primary", shortcut="Enter", on_click=_go_on)
            undo_button()


pulse()
work()
