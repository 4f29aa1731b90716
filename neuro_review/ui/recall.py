"""Recall a release, with a reason and with what should have been said."""

import streamlit as st

from neuro_review import decisions, ui
from neuro_review.decisions import Opinion
from neuro_review.stories.story import Story
from neuro_review.words import Verdict

CHOICES = {
    Verdict.REJECT: "Nothing: it should have been rejected",
    Verdict.CORRECT: "Another text",
    Verdict.APPROVE: "The same: the text was right, it is recalled for another reason",
}


def recall_form(story: Story) -> None:
    """Draw the way to a recall for who may recall the item; nothing for others."""
    if not story.recallable:
        return
    item_id, source = story.item_id, " ".join(story.source.split())
    if not st.session_state.get(_of("recalling", item_id)):
        st.button("Recall…", key=_of("recall_begin", item_id), on_click=_begin, args=(item_id,))
        return
    with st.container(border=True, key="recall"):
        st.header("Recall this release")
        st.text(f"The application {source} is told at once not to use it any more. A recall cannot be undone.")
        st.text_area("Why is it recalled? (needed; kept with the item)", key=_of("recall_reason", item_id), height=90)
        verdict = st.radio(
            "What should have been sent?", list(CHOICES), format_func=CHOICES.__getitem__,
            key=_of("recall_verdict", item_id),
        )  # fmt: skip
        if verdict is Verdict.CORRECT:
            st.text_area(
                "The text that should have been sent", value=story.sent or story.output or "",
                key=_of("recall_text", item_id), height=240,
            )  # fmt: skip
        if verdict is not Verdict.APPROVE:
            needed = "needed" if verdict is Verdict.REJECT else "if you like"
            st.multiselect(f"Reasons ({needed})", story.reasons, key=_of("recall_reasons", item_id))
        st.checkbox("I want the application to be told now", key=_of("recall_sure", item_id))
        with st.container(horizontal=True):
            st.button("Recall it", key=_of("recall_now", item_id), type="primary", on_click=_recall, args=(item_id,))
            st.button("Keep it", key=_of("recall_not", item_id), on_click=_leave, args=(item_id,))


def _of(name: str, item_id: str) -> str:
    """Name a field for one item alone: a press that was on its way never reaches another."""
    return f"{name}_{item_id}"


def _typed(name: str, item_id: str) -> str:
    return str(st.session_state.get(_of(name, item_id)) or "")


def _begin(item_id: str) -> None:
    st.session_state[_of("recalling", item_id)] = True


def _leave(item_id: str) -> None:
    st.session_state.pop(_of("recalling", item_id), None)


def _recall(item_id: str) -> None:
    if not st.session_state.get(_of("recall_sure", item_id)):
        return ui.refuse("Nothing was recalled. Tick that the application is to be told, then press again.")
    verdict = Verdict(st.session_state[_of("recall_verdict", item_id)])
    opinion = Opinion(
        verdict, _typed("recall_text", item_id) if verdict is Verdict.CORRECT else None,
        () if verdict is Verdict.APPROVE else tuple(st.session_state.get(_of("recall_reasons", item_id)) or ()),
    )  # fmt: skip
    with ui.act() as session:
        decisions.recall(session, item_id, ui.person(), reason=_typed("recall_reason", item_id), opinion=opinion)
        ui.hint("Recalled. The application is told: its feed says so from now on.")
    return None
