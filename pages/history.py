"""History: find any output again, and read its whole story."""

import streamlit as st

from neuro_review import ui, views
from neuro_review.errors import NotFoundError
from neuro_review.stories.story import Story, tell
from neuro_review.ui import finder
from neuro_review.ui import story as screen
from neuro_review.ui.bulk import bulk_actions
from neuro_review.words import Role, Status

PAGE = "history"

person = ui.open_page("History", needs=Role.REVIEWER)


def _save() -> None:
    with ui.act() as session:
        query = mine.wanted.model_dump(mode="json", exclude_defaults=True)
        views.save(session, ui.person(), PAGE, st.session_state["view_name"], query)
        ui.hint("The view is saved: choose it under Saved views.")


def _load(view: views.View) -> None:
    finder.ask(mine, view.query)


def _delete(view_id: int) -> None:
    with ui.act() as session:
        views.delete(session, ui.person(), view_id)


def _story(item_id: str) -> Story | None:
    with ui.read() as session:
        try:
            return tell(session, item_id, ui.person())
        except NotFoundError as error:
            st.error(ui.md_escape(str(error)))
            return None


def saved_views() -> None:
    """Draw the views this person has saved, and the way to save what is asked for now."""
    with ui.read() as session:
        kept = views.mine(session, ui.person(), PAGE)
    with st.popover("Saved views", icon=":material/bookmark:"):
        for view in kept:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(ui.md_escape(view.name), key=f"view_{view.id}", on_click=_load, args=(view,), type="tertiary")
                st.space("stretch")
                st.button("Delete", key=f"delete_{view.id}", on_click=_delete, args=(view.id,))
        if not kept:
            st.text("None yet. Set the filters, then save them here; only you see your views.")
        st.text_input("Name of the filters as they are now", key="view_name", max_chars=views.LONGEST_NAME)
        st.button("Save", key="save_view", on_click=_save)


asked_for = st.query_params.get("id")
if asked_for is not None:
    st.title("History")
    # A link to this very page would leave the id in the address.
    st.button("All outputs", key="all", icon=":material/arrow_back:", on_click=st.query_params.clear)
    told = _story(asked_for)
    if told is not None:
        bulk_actions([told.item_id])
        screen.draw(told)
    st.stop()

mine = finder.finder()
with st.container(horizontal=True, vertical_alignment="center"):
    st.title("History")
    st.space("stretch")
    st.button("Look again", key="again", on_click=mine.ask, args=(mine.wanted,))
    saved_views()
finder.fields(mine)
mine.look()
chosen = finder.found(mine)
several = len(chosen) > 1
bulk_actions([row.item_id for row in chosen] if any(row.status is Status.HELD for row in chosen) else [])
if several:
    st.text(f"{len(chosen)} chosen. Choose one alone to read its story.")
elif chosen:
    told = _story(chosen[0].item_id)
    if told is not None:
        screen.draw(told)
