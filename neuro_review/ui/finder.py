"""What somebody looks for on History, and how far they have come: the fields, the list and its pages."""

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.errors import InvalidError
from neuro_review.stories import search
from neuro_review.stories.search import Choices, Place, Row
from neuro_review.stories.wanted import Wanted
from neuro_review.ui.times import clock_time
from neuro_review.words import Label, Status, Verdict

# No workflow has this number; a selector would show None as no choice at all.
ALL = 0
FIELDS = (
    "text", "name", "workflow", "statuses", "verdict", "reviewer", "model", "reason", "first_day", "last_day", "labels",
)  # fmt: skip
MORE = FIELDS[3:]
HEIGHT = 430  # pixels: the list scrolls, so that the story below it is near
# What an item is recognised by stands first, so that it is in sight on a narrow screen too.
COLUMNS = {
    "When": 125, "Status": 85, "Beginning of the output": 330, "Model": 95, "Workflow": 95, "Reviewer": 130,
    "Reasons": 140,
}  # fmt: skip


@dataclass
class Leaf:
    """One page of the list."""

    ids: list[str] = field(default_factory=list)
    looked: int = 0
    after: Place | None = None
    """Where its first look began."""
    stopped: Place | None = None
    """Where the next look goes on; None where nothing is left."""
    to_look: bool = True
    """It is not filled yet, or is to be looked further for."""


@dataclass
class Finder:
    """What one tab looks for."""

    wanted: Wanted = field(default_factory=Wanted)
    choices: Choices | None = None
    leaves: list[Leaf] = field(default_factory=lambda: [Leaf()])
    """The pages gone through, the one on screen last."""
    number: int = 0
    """Counts the lists shown, so that a selection never passes to another list."""

    @property
    def leaf(self) -> Leaf:
        """Return the page on screen."""
        return self.leaves[-1]

    def ask(self, wanted: Wanted) -> None:
        """Look for something else."""
        self.wanted, self.leaves, self.number = wanted, [Leaf()], self.number + 1

    def further(self) -> None:
        """Look further for this page."""
        self.leaf.to_look = True

    def older(self) -> None:
        """Turn to the page of what is older."""
        self.leaves, self.number = [*self.leaves, Leaf(after=self.leaf.stopped)], self.number + 1

    def newer(self) -> None:
        """Turn back to the page before."""
        self.leaves, self.number = self.leaves[:-1] or self.leaves, self.number + 1

    def look(self) -> None:
        """Fill the page on screen where it is not filled yet."""
        leaf = self.leaf
        if not leaf.to_look:
            return
        with ui.read() as session:
            most = search.PAGE - len(leaf.ids)
            found = search.look(session, ui.person(), self.wanted, leaf.stopped or leaf.after, most=most)
        self.leaves[-1] = Leaf(
            [*leaf.ids, *found.ids], leaf.looked + found.looked, leaf.after, found.stopped, to_look=False
        )


def finder() -> Finder:
    """Return what this tab looks for; who comes to the page anew finds their question again, and looks anew."""
    mine: Finder = st.session_state.setdefault("finder", Finder())
    if _key("text") not in st.session_state:
        with ui.read() as session:
            mine.choices = search.choices(session, ui.person())
        mine.ask(mine.wanted)
        _fill(mine)
    return mine


def begin(wanted: Wanted) -> None:
    """Let the next visit to History begin with this question: for a page that sends somebody there."""
    st.session_state["finder"] = Finder(wanted)


def ask(mine: Finder, query: dict[str, Any]) -> None:
    """Look for what a saved view holds, or with nothing for everything; the fields show it."""
    try:
        mine.ask(Wanted.read(query))
    except InvalidError as error:
        ui.refuse(str(error))
    _fill(mine)


def _key(name: str) -> str:
    return f"find_{name}"


def _fill(mine: Finder) -> None:
    """Write what is asked for into the fields."""
    for name in FIELDS:
        st.session_state[_key(name)] = getattr(mine.wanted, name)
    for name in ("text", "name"):
        st.session_state[_key(name)] = getattr(mine.wanted, name) or ""
    flows = mine.choices.workflows if mine.choices else {}
    st.session_state[_key("workflow")] = mine.wanted.workflow if mine.wanted.workflow in flows else ALL
    for name in ("statuses", "labels"):
        st.session_state[_key(name)] = list(getattr(mine.wanted, name))


def _read(mine: Finder) -> None:
    said = {name: st.session_state.get(_key(name)) or None for name in FIELDS}
    said |= {name: said[name] or () for name in ("statuses", "labels")}
    mine.ask(Wanted.read(said))


def fields(mine: Finder) -> None:
    """Draw what can be asked for."""
    choices = mine.choices or Choices({}, [], [], [])
    flows = {ALL: "All my workflows"} | choices.workflows
    with st.container(key="find"):
        first, second, third = st.columns([4, 3, 3])
        asked: dict[str, Any] = {"on_change": _read, "args": (mine,)}
        first.text_input("Text in prompt, output or correction", key=_key("text"), placeholder="Any", **asked)
        second.text_input("Id, or the application’s own id", key=_key("name"), placeholder="Any", **asked)
        third.selectbox("Workflow", list(flows), format_func=flows.__getitem__, key=_key("workflow"), **asked)
        more = sum(bool(getattr(mine.wanted, name)) for name in MORE)
        with st.expander(f"More filters · {more} on" if more else "More filters", expanded=bool(more)):
            _more(choices, asked)


def _more(choices: Choices, asked: dict[str, Any]) -> None:
    first, second, third, fourth = st.columns(4)
    first.multiselect(
        "Status", list(Status), format_func=str.capitalize, key=_key("statuses"), placeholder="Any", **asked
    )
    second.selectbox(
        "Verdict", list(Verdict), format_func=str.capitalize, index=None, key=_key("verdict"), placeholder="Any",
        **asked,
    )  # fmt: skip
    named: dict[str, Any] = {"index": None, "accept_new_options": True, "placeholder": "Any", **asked}
    third.selectbox("Reviewer", choices.reviewers, key=_key("reviewer"), **named)
    fourth.selectbox("Model", choices.models, key=_key("model"), **named)
    # A row of its own, so that they stand in this order where they stand below each other.
    first, second, third, fourth = st.columns(4)
    first.selectbox("Reason", choices.reasons, key=_key("reason"), **named)
    second.date_input("From (UTC day)", value=None, key=_key("first_day"), format="YYYY-MM-DD", **asked)
    third.date_input("To (UTC day)", value=None, key=_key("last_day"), format="YYYY-MM-DD", **asked)
    fourth.multiselect(
        "Label, all reviews together", list(Label), format_func=str.capitalize, key=_key("labels"), placeholder="Any",
        **asked,
    )  # fmt: skip


def found(mine: Finder) -> list[Row]:
    """Draw the list, and return the rows that are chosen in it."""
    leaf = mine.leaf
    with ui.read() as session:
        rows = search.rows(session, ui.person(), leaf.ids)
    if not rows:
        _nothing(mine, leaf)
        return []
    shown = [_shown(row) for row in rows]
    # A column in which no row says anything takes the place of those that do.
    order = [name for name in COLUMNS if any(line[name] for line in shown)]
    st.caption(
        "Tick a row to read its story; tick several that are held to work on them together."
        " By keyboard: arrow keys, then Shift and Space."
    )
    event: Any = st.dataframe(
        shown, hide_index=True, height=min(HEIGHT, 35 * len(rows) + 40), on_select="rerun", column_order=order,
        selection_mode="multi-row", key=f"found_{mine.number}",
        column_config={name: st.column_config.TextColumn(width=width) for name, width in COLUMNS.items()},
    )  # fmt: skip
    _turn(mine, leaf)
    return [rows[number] for number in event.selection.rows if number < len(rows)]


def _shown(row: Row) -> dict[str, str]:
    status = f"{row.status.capitalize()}, recalled" if row.recalled else row.status.capitalize()
    beginning = "(erased)" if row.beginning is None else " ".join(row.beginning.split())
    texts = (clock_time(row.created_at, seconds=False), status, beginning, row.model, row.workflow,
             ", ".join(row.reviewers), ", ".join(row.reasons))  # fmt: skip
    return dict(zip(COLUMNS, texts, strict=True))


def _nothing(mine: Finder, leaf: Leaf) -> None:
    with st.container(border=True, key="nothing"):
        if leaf.stopped is not None:
            st.header("Nothing matches so far")
        elif mine.wanted == Wanted() and len(mine.leaves) == 1:
            st.header("No outputs yet")
            st.text("As soon as an application hands something in, or a file is imported, it can be found here.")
            return
        else:
            st.header("Nothing matches")
        _turn(mine, leaf)
        st.button("Clear all filters", key="clear", on_click=ask, args=(mine, {}))


def _turn(mine: Finder, leaf: Leaf) -> None:
    """Draw how far the look came, and the ways on."""
    with st.container(horizontal=True, vertical_alignment="center", key="turn"):
        to_come = leaf.stopped is not None and len(leaf.ids) < search.PAGE
        st.text(f"{_place(mine, leaf)}, newest first · {_looked(leaf, to_come)}", width="content")
        st.space("stretch")
        if len(mine.leaves) > 1:
            st.button("Newer", key="newer", on_click=mine.newer)
        if to_come:
            st.button("Look further", key="further", on_click=mine.further)
        elif leaf.stopped is not None:
            st.button("Older", key="older", on_click=mine.older)


def _place(mine: Finder, leaf: Leaf) -> str:
    """Say how many were found; where there are more pages, which of them are on screen."""
    if len(mine.leaves) == 1 and (leaf.stopped is None or len(leaf.ids) < search.PAGE):
        return f"{len(leaf.ids):,} found"
    before = sum(len(one.ids) for one in mine.leaves[:-1])
    return f"{before + 1:,} to {before + len(leaf.ids):,} of what was found" if leaf.ids else "nothing more found"


def _looked(leaf: Leaf, to_come: bool) -> str:
    looked = f"looked through {phrases.count(leaf.looked, 'output')}, back to "
    if leaf.stopped is None:
        return looked + "the first"
    return looked + clock_time(leaf.stopped.at, seconds=False) + ("; older ones not yet" if to_come else "")
