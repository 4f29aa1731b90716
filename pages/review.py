"""Review: read what a model wrote, and approve, correct or reject it with one key."""

import streamlit as st

from neuro_review import desk, phrases, ui
from neuro_review.desk import Card, Desk
from neuro_review.queue import Lease
from neuro_review.words import Verdict

# No workflow has this number; the selector would show None as no choice at all.
ALL = 0
ROLES = {"user": "Customer", "system": "Instructions", "assistant": "Earlier answer"}

ui.open_page("Review")
if "desk" not in st.session_state:
    st.session_state["desk"] = desk.sit_down(ui.tab(), ui.browser(), ui.is_open)
on_desk: Desk = st.session_state["desk"]


def _decide(lease: Lease, verdict: Verdict) -> None:
    if on_desk.too_early() or on_desk.correcting is not (verdict is Verdict.CORRECT):
        return ui.ignored()
    if verdict is Verdict.REJECT and not on_desk.reasons:
        return ui.hint("A rejection needs a reason: press its number, then X.")
    text = st.session_state.get(_field(lease)) if verdict is Verdict.CORRECT else None
    had_reasons = bool(on_desk.reasons)
    with ui.act(on_desk) as session:
        decided = desk.decide(session, on_desk, ui.person(), lease, verdict, text)
        if decided.verdict is not verdict:
            ui.hint("The correction equals the output, so it was approved.")
        elif had_reasons and verdict is Verdict.APPROVE:
            ui.hint("Reasons were left out of the approval.")
    return None


def _save(lease: Lease) -> None:
    _decide(lease, Verdict.CORRECT)
    if on_desk.correcting:  # it was refused
        _keep(lease)


def _skip(lease: Lease) -> None:
    if on_desk.too_early() or on_desk.correcting:
        return ui.ignored()
    with ui.act(on_desk) as session:
        desk.skip(session, on_desk, ui.person(), lease)
    return None


def _undo() -> None:
    with ui.act(on_desk) as session:
        if desk.undo(session, on_desk, ui.person()):
            ui.hint("Your correction is a draft again: E shows it.")


def _correct() -> None:
    on_desk.correct(True)


def _put_off(lease: Lease) -> None:
    with ui.act(on_desk) as session:
        if desk.put_off(session, on_desk, ui.person(), lease, st.session_state.get(_field(lease))):
            ui.hint("Kept as a draft: E shows it again.")


def _keep(lease: Lease) -> None:
    with ui.act(on_desk) as session:
        desk.keep(session, on_desk, ui.person(), lease, st.session_state[_field(lease)])


def _pause(lease: Lease) -> None:
    _keep(lease)
    # Not the field itself: somebody is typing in it.
    ui.draw("pulse")


def _reason(name: str) -> None:
    on_desk.toggle(name)


def _choose() -> None:
    with ui.act(on_desk) as session:
        desk.choose(session, on_desk, ui.person(), st.session_state["workflow"] or None)
    ui.draw("work", "pulse")


def _follow_link() -> None:
    """Work on the workflow that a link named, once: the desk knows it from then on, and the selector shows the desk."""
    named = st.query_params.pop("workflow", "")
    if named.isdecimal() and int(named) != on_desk.workflow_id:
        with ui.act(on_desk) as session:
            desk.choose(session, on_desk, ui.person(), int(named))


def _go_on() -> None:
    with ui.act(on_desk) as session:
        desk.take_next(session, on_desk, ui.person())


def _name(lease: Lease) -> str:
    return f"{lease.item_id}_{lease.lease_n}"


def _of(name: str, lease: Lease) -> str:
    """Name a button or a field for one item alone: a press that was on its way never reaches the next one."""
    return f"{name}_{_name(lease)}"


def _field(lease: Lease) -> str:
    return _of("text", lease)


@st.fragment(run_every="30s", key="pulse")
def pulse() -> None:
    """Keep what lies on the desk, give it back when nobody is there, and count what waits."""
    if on_desk.idle():
        # The desk first: where nothing can be written, the leases run out by themselves.
        leases = on_desk.leave()
        with ui.act(touch=False) as session:
            desk.hand_back(session, leases, ui.person())
        ui.draw_unattended()
    if on_desk.should_renew():
        with ui.act(touch=False) as session:
            desk.renew(session, on_desk, ui.person())
    with ui.read() as session:
        waiting = desk.waiting(session, on_desk, ui.person())
        flows = {ALL: "All my workflows"} | {flow.id: flow.name for flow in desk.mine(session, ui.person())}
    # The desk is the truth: a page change, a restart or a refusal would leave the widget with a choice of its own.
    st.session_state["workflow"] = on_desk.workflow_id or ALL
    with st.container(horizontal=True, vertical_alignment="center"):
        st.selectbox(
            "Workflow", list(flows), format_func=flows.__getitem__, key="workflow", on_change=_choose,
            label_visibility="collapsed", width=260,
        )  # fmt: skip
        if on_desk.current is None and waiting.held:
            st.text(f"{waiting.held:,} held", width="content")  # else the bar says it, which follows each verdict
        if waiting.due:
            st.badge(f"{waiting.due:,} due within the hour", color="orange")
        if waiting.oldest_at is not None:
            st.text(f"oldest {phrases.ago(waiting.oldest_at)}", width="content")


@st.fragment(key="work")
def work() -> None:
    """Draw the item on the desk, or what to do when there is none."""
    with ui.read() as session:
        still_here = desk.holds(session, on_desk, ui.person())
    if not still_here and not on_desk.away:
        _go_on()
    lease = on_desk.current
    if lease is None:
        ui.notices()
        nobody_there() if on_desk.away else nothing_waits()
        ui.keys("", "", undo=on_desk.undo_left())
        return
    with ui.read() as session:
        card = desk.card(session, lease.item_id, ui.person())
        today = desk.today(session, ui.person())
        held = desk.waiting(session, on_desk, ui.person()).held
    left, right = st.columns([7, 3], gap="medium")
    with left:
        conversation(card)
        answer(card, lease)
    with right:
        beside(card, lease)
    with st.container(key="foot"):
        ui.notices()
        bar(lease, today, held)
    if on_desk.correcting:
        ui.keys(_name(lease), "", _field(lease))
    else:
        ui.keys(_name(lease), "AEXS" + "123456789"[: len(card.reasons)], undo=on_desk.undo_left())
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
        facts = ["Answer", ui.md_escape(card.model)]
        if card.latency_ms is not None:
            facts.append(phrases.milliseconds(card.latency_ms))
        if card.cost_micro is not None:
            facts.append(ui.md_escape(phrases.money(card.cost_micro)))
        st.caption(" · ".join(facts))
        if on_desk.correcting:
            # What was typed goes along with the key that ends it: of two requests at the same time Streamlit may
            # answer both and draw only one.
            st.text_area(
                "Corrected answer", value=card.draft or card.output, key=_field(lease), on_change="ignore",
                height=ui.lines_high(card.output), label_visibility="collapsed",
            )  # fmt: skip
            # Out of sight; the browser presses it in each pause of typing.
            st.button("Keep", key=_of("keep", lease), on_click=_pause, args=(lease,))
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
        st.caption("Reasons (click)" if on_desk.correcting else "Reasons (press the number)")
        for number, reason in enumerate(card.reasons[:9], 1):
            st.button(
                ui.md_escape(reason), key=f"reason_{number}", on_click=_reason, args=(reason,), width="stretch",
                shortcut=None if on_desk.correcting else str(number),
                type="primary" if reason in on_desk.reasons else "tertiary",
            )  # fmt: skip
        if card.rubric:
            st.caption(f"Rubric v{card.rubric_version}")
            ui.plain(card.rubric)


def bar(lease: Lease, today: int, held: int) -> None:
    """Draw the keys and what they do, and how far one has come."""
    with st.container(horizontal=True, key="bar", vertical_alignment="center"):
        if on_desk.correcting:
            st.button("Save and next", key=_of("save", lease), shortcut="Mod+Enter", type="primary", on_click=_save,
                      args=(lease,))  # fmt: skip
            st.button("Cancel", key=_of("cancel", lease), shortcut="Esc", on_click=_put_off, args=(lease,))
            return
        st.button("Approve", key=_of("approve", lease), shortcut="A", type="primary", on_click=_decide,
                  args=(lease, Verdict.APPROVE))  # fmt: skip
        st.button("Correct", key=_of("correct", lease), shortcut="E", on_click=_correct)
        st.button("Reject", key=_of("reject", lease), shortcut="X", on_click=_decide, args=(lease, Verdict.REJECT))
        st.button("Skip", key=_of("skip", lease), shortcut="S", on_click=_skip, args=(lease,))
        undo_button()
        st.space("stretch")
        st.text(f"{phrases.count(today, 'verdict')} today · {held:,} held", width="content")


def undo_button() -> None:
    """Draw the way back from the last verdict, while there is one; the browser counts the seconds down."""
    st.button("Undo", key="undo", shortcut="U", disabled=not on_desk.undo_left(), on_click=_undo)


def nothing_waits() -> None:
    """Say that nothing is left for this reviewer, and what comes next."""
    with ui.read() as session:
        held = desk.waiting(session, on_desk, ui.person()).held
    with st.container(border=True, key="empty"):
        st.subheader("Nothing waits for you")
        if held:
            st.text(f"{held:,} held: skipped by you, or in others’ hands.")
        st.text("New outputs appear here as applications hand them in. What you skipped comes back after a day.")
        with st.container(horizontal=True):
            st.button("Look again", key="again", type="primary", shortcut="Enter", on_click=_go_on)
            undo_button()


def nobody_there() -> None:
    """Say that the desk was cleared, and wait for a person."""
    with st.container(border=True, key="away"):
        st.subheader("You were away, so your items went back")
        st.text("What you typed is kept as a draft.")
        with st.container(horizontal=True):
            st.button("Go on", key="go_on", type="primary", shortcut="Enter", on_click=_go_on)
            undo_button()


_follow_link()
pulse()
work()
