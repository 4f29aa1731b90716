"""What can be done with many outputs at once, below the list in which they were chosen."""

import time
from collections.abc import Callable

import streamlit as st
from sqlmodel import Session

from neuro_review import bulk, phrases, queue, ui, workflows
from neuro_review.bulk import Chosen, Done, Reading, Text
from neuro_review.ui.marked import marked
from neuro_review.words import Verdict

READING = "_bulk_reading"
SAID = "_bulk_said"
SAID_FOR = 60.0  # seconds
TOGETHER, ASSIGN, ESCALATE, PUT_BACK, PRIORITY = "Decide together", "Assign", "Escalate", "Put back", "Priority"
NOBODY = "nobody"
ROLES = {"user": "Customer", "system": "Instructions", "assistant": "Earlier answer"}


def bulk_actions(item_ids: list[str]) -> None:
    """Draw what can be done with these outputs, and for a while what came of the last step."""
    _say()
    if not item_ids:
        st.session_state.pop(READING, None)
        return
    with ui.read() as session:
        chosen = bulk.chosen(session, ui.person(), item_ids)
        reading = _reading(session, chosen)
    if len(item_ids) == 1 and not chosen.owns:
        return  # one alone is decided on Review, and only its owner orders it about
    with st.container(border=True, key="bulk"):
        if reading is not None:
            _read_through(reading)
        else:
            _choose(chosen, alone=len(item_ids) == 1)


def _reading(session: Session, chosen: Chosen) -> Reading | None:
    """Return the set that is being read, unless another selection was made since."""
    reading: Reading | None = st.session_state.get(READING)
    if reading is None:
        return None
    still_held = bulk.chosen(session, ui.person(), reading.asked).item_ids
    if set(still_held) == set(chosen.item_ids):
        return reading
    del st.session_state[READING]
    return None


def _say() -> None:
    sentence, at, last = st.session_state.get(SAID) or ("", 0.0, Done())
    if not sentence or time.monotonic() - at > SAID_FOR:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="bulk_said"):
        st.info(ui.md_escape(sentence))
        if last.can_be_undone():
            st.button("Undo all", key="bulk_undo", on_click=_undo, args=(last.done,))


def _tell(sentence: str, last: Done | None = None) -> None:
    st.session_state[SAID] = (sentence, time.monotonic(), last or Done())


def _choose(chosen: Chosen, *, alone: bool) -> None:
    count = len(chosen.item_ids)
    if not count:
        st.text("None of the chosen is held, so there is nothing to do with them here.")
        return
    if not alone:
        others = f"; {phrases.count(chosen.others, 'other is', 'others are')} not held" if chosen.others else ""
        st.text(f"{phrases.count(count, 'held output')} chosen{others}.")
    if count > bulk.MOST:
        st.text(f"At most {bulk.MOST} go at a time. Choose fewer.")
        return
    forms: dict[str, Callable[[Chosen], None]] = {} if alone else {TOGETHER: _together}
    if chosen.owns:
        forms |= {ASSIGN: _assign, ESCALATE: _escalate, PRIORITY: _prioritise}
        if chosen.escalated:
            forms[PUT_BACK] = _put_back
    label = "What to do with it" if alone else "What to do with them"
    # A key of its own: what stands first for one output must not be what is chosen for many.
    key = "bulk_what_alone" if alone else "bulk_what"
    wanted = st.segmented_control(label, list(forms), default=next(iter(forms)), key=key, required=True)
    forms.get(str(wanted), next(iter(forms.values())))(chosen)


def _together(chosen: Chosen) -> None:
    st.text("For outputs that read alike: you see each one, then give all of them one verdict.")
    st.button("Read them", key="bulk_begin", type="primary", on_click=_begin, args=(chosen.item_ids,))


def _assign(chosen: Chosen) -> None:
    with ui.read() as session:
        people, groups = bulk.recipients(session, chosen.workflow_ids)
    names = {f"person:{one.id}": one.label for one in people}
    names |= {f"team:{one.id}": f"Group {one.name}" for one in groups}
    names |= {NOBODY: "Nobody: back to everyone"}
    with st.form("bulk_assign", border=False):
        st.selectbox(
            "Assign to", list(names), index=None, format_func=names.__getitem__, key="bulk_to",
            placeholder="Somebody who may review it", width=420,
        )  # fmt: skip
        st.form_submit_button("Assign", type="primary", on_click=_do_assign, args=(chosen.item_ids,))


def _escalate(chosen: Chosen) -> None:
    with st.form("bulk_escalate", border=False):
        st.selectbox(
            "Why", queue.WHY_ESCALATE, format_func=str.capitalize, key="bulk_why", width=420,
        )  # fmt: skip
        st.form_submit_button("Escalate", type="primary", on_click=_do_escalate, args=(chosen.item_ids,))


def _put_back(chosen: Chosen) -> None:
    count = phrases.count(len(chosen.escalated), "escalated output")
    st.text(f"{count} can go back into the queue, for every reviewer.")
    st.button("Put back", key="bulk_back", type="primary", on_click=_do_put_back, args=(chosen.escalated,))


def _prioritise(chosen: Chosen) -> None:
    with st.form("bulk_priority", border=False):
        st.number_input(
            "Priority, 0 to 9 (9 comes first; a step is worth an hour of waiting)", 0, 9, 9, key="bulk_number",
            width=420,
        )  # fmt: skip
        st.form_submit_button("Set priority", type="primary", on_click=_do_prioritise, args=(chosen.item_ids,))


# --- what the buttons do ----------------------------------------------------------------------------------------------


def _do(past: str, verb: Callable[[Session], Done]) -> None:
    _tell("")
    came: list[Done] = []
    with ui.act() as session:
        came.append(verb(session))
    if came and ui.REFUSAL not in st.session_state:
        _tell(came[0].says(past))


def _do_assign(item_ids: list[str]) -> None:
    whom_chosen = st.session_state["bulk_to"]
    if whom_chosen is None:
        return ui.refuse("Nobody is chosen. Choose a person, a group, or nobody.")
    kind, _, number = str(whom_chosen).partition(":")
    whom = {f"{kind}_id": int(number)} if number else {}
    past = "assigned" if number else "given back to everyone"
    return _do(past, lambda session: bulk.assign(session, item_ids, ui.person(), **whom))


def _do_escalate(item_ids: list[str]) -> None:
    _do("escalated", lambda session: bulk.escalate(session, item_ids, ui.person(), st.session_state["bulk_why"]))


def _do_put_back(item_ids: list[str]) -> None:
    _do("put back", lambda session: bulk.put_back(session, item_ids, ui.person()))


def _do_prioritise(item_ids: list[str]) -> None:
    number = int(st.session_state["bulk_number"])
    _do(f"now of priority {number}", lambda session: bulk.prioritise(session, item_ids, ui.person(), number))


def _begin(item_ids: list[str]) -> None:
    _tell("")
    with ui.act() as session:
        st.session_state[READING] = bulk.begin(session, item_ids, ui.person())


def _decide(reading: Reading, verdict: Verdict) -> None:
    came = Done()
    reasons = tuple(st.session_state.get("bulk_reasons", ()))
    for part in reading.parts():
        with ui.act() as session:
            came += bulk.decide(session, reading, part, ui.person(), verdict, reasons)
        if ui.REFUSAL in st.session_state:
            break
    if ui.REFUSAL not in st.session_state or came.done:
        _tell(came.says("approved" if verdict is Verdict.APPROVE else "rejected"), came)
        st.session_state.pop(READING, None)


def _undo(item_ids: list[str]) -> None:
    _do("undone; they wait again", lambda session: bulk.undo(session, item_ids, ui.person()))


def _stop() -> None:
    st.session_state.pop(READING, None)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_through(reading: Reading) -> None:
    with ui.read() as session:
        text = bulk.text(session, reading, ui.person())
        reasons = workflows.reasons(session, reading.workflow_id)
    count = len(reading.item_ids)
    seen = f"Seen {len(reading.seen)} of {count}"
    if reading.differ:
        others = phrases.count(reading.differ, "other reads", "others read")
        seen += f"; {others} differently: decide them on Review"
    st.progress(len(reading.seen) / count if count else 0.0, text=seen)
    if text is not None:
        _one(reading, text)
    elif count:
        _verdict(reading, reasons)
    else:
        st.text("None of them is left to decide.")
        st.button("Close", key="bulk_stop", on_click=_stop)


def _one(reading: Reading, text: Text) -> None:
    for role, said in text.turns[-1:]:
        st.caption(ROLES.get(role, ui.md_escape(role)))
        ui.plain(said)
    if len(text.turns) > 1 or text.context:
        with st.expander("What came before, and the context", key=f"bulk_before_{text.item_id}"):
            for role, said in text.turns[:-1]:
                st.caption(ROLES.get(role, ui.md_escape(role)))
                ui.plain(said)
            if text.context:
                st.caption("Context")
                ui.plain(text.context)
    with st.container(border=True, key=f"bulk_text_{text.item_id}"):
        if text.differs is None:
            st.caption(f"Answer · {ui.md_escape(text.model)}")
            ui.plain(text.output)
        else:
            st.caption(f"Answer · {ui.md_escape(text.model)} · marked: what differs from the first one")
            st.html(marked(text.differs))
    with st.container(horizontal=True):
        st.button(
            "Seen, next", key=f"bulk_seen_{text.item_id}", type="primary", on_click=reading.go_on, args=(text.item_id,)
        )
        st.button("Leave out", key=f"bulk_out_{text.item_id}", on_click=reading.leave_out, args=(text.item_id,))
        st.button("Stop", key="bulk_stop", on_click=_stop)
    reading.paint()


def _verdict(reading: Reading, reasons: list[str]) -> None:
    every = phrases.count(len(reading.item_ids), "output")
    st.text(f"You have seen {every}. One verdict for all of them:")
    st.multiselect("Reasons (needed to reject)", reasons, key="bulk_reasons", width=560)
    with st.container(horizontal=True):
        st.button(f"Approve {every}", key="bulk_approve", type="primary", on_click=_decide,
                  args=(reading, Verdict.APPROVE))  # fmt: skip
        st.button(f"Reject {every}", key="bulk_reject", on_click=_decide, args=(reading, Verdict.REJECT))
        st.button("Look again", key="bulk_again", on_click=reading.look_again)
        st.button("Stop", key="bulk_stop", on_click=_stop)
