"""The whole story of one item on screen: what was asked and answered, said and done; every text of others inert."""

import json
from typing import Any, Literal

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.stories.story import Said, Story
from neuro_review.ui.copying import copyable
from neuro_review.ui.marked import difference
from neuro_review.ui.recall import recall_form
from neuro_review.ui.times import clock_time
from neuro_review.words import Status, Verdict

ROLES = {"user": "Customer", "system": "Instructions", "assistant": "Earlier answer", "tool": "Tool"}
SAID = {Verdict.APPROVE: "approved it", Verdict.CORRECT: "corrected it", Verdict.REJECT: "rejected it"}
WORDS = {
    Status.HELD: "Held", Status.APPROVED: "Approved", Status.CORRECTED: "Corrected", Status.REJECTED: "Rejected",
    Status.LAPSED: "Lapsed", Status.WITHDRAWN: "Withdrawn", Status.RECORDED: "Label of the past",
}  # fmt: skip
COLOURS: dict[Status, Literal["red", "orange", "blue"]] = {
    Status.REJECTED: "red", Status.LAPSED: "orange", Status.HELD: "blue",
}  # fmt: skip
ORIGINS = {"history": "a label of the past", "sample": "the sample queue"}
# What is longer is folded up, and what is far longer is shown without marks.
LONG = 4_000


STYLE = """
<style>
[class*="st-key-story_pair"] { flex-wrap: nowrap; }
[class*="st-key-story_pair"] > :first-child { flex: 0 0 5.5rem; }
[class*="st-key-story_pair"] > :last-child { flex: 1 1 0; min-width: 0; }
.st-key-story_facts [data-testid="stText"], .st-key-story_happened [data-testid="stText"] { font-size: .9rem; }
.st-key-story_facts, .st-key-story_happened { gap: .55rem; }
.st-key-story_answer [data-testid="stText"] { font-size: 1.06rem; line-height: 1.6; }
</style>
"""


def draw(story: Story) -> None:
    """Draw a story."""
    st.html(STYLE)
    with st.container(horizontal=True, vertical_alignment="center", key="story_head"):
        st.badge(WORDS[story.status], color=COLOURS.get(story.status, "green"))
        if story.recalled_at is not None:
            st.badge("Recalled", color="red")
        st.text(_standing(story), width="content")
    left, right = st.columns([7, 3], gap="medium")
    with left:
        _conversation(story)
        _answer(story)
        for said in story.said:
            _said(said, story.output)
        _recall(story)
    with right:
        _facts(story)
        _happened(story)


def _standing(story: Story) -> str:
    if story.recalled_at is not None:
        return f"Recalled {clock_time(story.recalled_at)}; it had left {clock_time(story.released_at or 0)}."
    if story.released_at is not None:
        return f"Released {clock_time(story.released_at)}; it may be sent."
    if story.leaves_at is not None:
        return f"Leaves {phrases.left(story.leaves_at)}; until then the verdict can be undone."
    if story.status is Status.HELD:
        return "Nobody has decided it yet."
    if story.status in (Status.RECORDED, Status.LAPSED, Status.WITHDRAWN):
        return "It was never released."
    return "It is not sent." if story.status is Status.REJECTED else "It is not sent: it came from no application."


def _conversation(story: Story) -> None:
    length = sum(len(turn.get("text") or "") for turn in story.turns)
    if story.turns:
        with st.expander("Conversation", expanded=length <= LONG, key="story_asked"):
            for turn in story.turns:
                st.caption(ROLES.get(turn["role"], ui.md_escape(turn["role"]) or "Message"))
                if turn.get("text") is not None:
                    ui.plain(turn["text"])
                if turn.get("data"):
                    st.code(_json(turn["data"]), language=None, wrap_lines=True)
    elif story.erased is None:
        st.caption("No prompt was submitted.")
    if story.context:
        with st.expander("Context the model was given", key="story_context"):
            ui.plain(story.context)
    if story.erased is not None:
        with st.container(border=True, key="story_erased"):
            st.caption("The texts of this item were erased. Why:")
            ui.plain(story.erased)


def _answer(story: Story) -> None:
    if story.output is not None:
        with st.container(border=True, key="story_answer"):
            st.caption(f"Answer · {ui.md_escape(story.model)}")
            ui.plain(story.output)


def _said(said: Said, output: str | None) -> None:
    words = [f"**{ui.md_escape(said.reviewer)}** {SAID[said.verdict]}", clock_time(said.at)]
    if said.handling_ms is not None:
        words.append(f"after {ui.md_escape(phrases.milliseconds(said.handling_ms))}")
    if said.rubric_version:
        words.append(f"rubric v{said.rubric_version}")
    if said.of_the_past:
        words.append("imported")
    if said.settles:
        words.append("settles the label")
    if said.undone_at is not None:
        words.append(f"taken back {clock_time(said.undone_at)}")
    with st.container(border=True):
        st.caption(" · ".join(words))
        if said.reasons:
            ui.plain("Reasons: " + ", ".join(said.reasons))
        if said.text is not None:
            _correction(said.text, output)
        elif said.verdict is Verdict.CORRECT:
            st.text("The corrected text was erased.")
        if said.note:
            st.caption("Note")
            ui.plain(said.note)


def _correction(text: str, output: str | None) -> None:
    shown = None if output is None else difference(output, text)
    if shown is None:
        st.caption("The corrected text")
        ui.plain(text)
    else:
        st.caption("The corrected text: what was added and what was struck out is marked")
        st.html(shown)


def _recall(story: Story) -> None:
    if story.recall_reason is not None:
        with st.container(border=True, key="story_recalled"):
            st.caption("Why it was recalled")
            ui.plain(story.recall_reason)
            told = f"; delivered {clock_time(story.told_at)}" if story.told_at is not None else ""
            st.text(f"The application is told: the message is out since {clock_time(story.recalled_at or 0)}{told}.")
    recall_form(story)


def _facts(story: Story) -> None:
    with st.container(border=True, key="story_facts"):
        for number, (name, value) in enumerate(_pairs(story)):
            with st.container(horizontal=True, gap="small", key=f"story_pair_{number}"):
                st.caption(name)
                ui.plain(value)
        if story.status is Status.HELD:
            st.caption("Metadata and risk are shown after the verdict, so that they sway nobody.")
        st.caption("Link to this story")
        copyable(link(story.item_id), "Copy the link", "story")


def link(item_id: str) -> str:
    """Return the address that opens a story; who follows it needs the role all the same."""
    return f"{st.context.url or '/history'}?id={item_id}"


def _pairs(story: Story) -> list[tuple[str, str]]:
    facts = dict(story.facts)
    pairs = [
        ("Workflow", story.workflow),
        ("Submitted", clock_time(facts.pop("created_at"))),
        ("By", story.source),
        *([("Its own id", story.external_id)] if story.external_id != story.item_id else []),
        ("Model", story.model),
    ]
    pairs += [(name, show(facts[column])) for column, name, show in SHOWN if column in facts]
    tokens = [
        f"{facts[column]:,} {way}" for column, way in (("prompt_tokens", "in"), ("completion_tokens", "out"))
        if column in facts
    ]  # fmt: skip
    if tokens:
        pairs.append(("Tokens", " · ".join(tokens)))
    if story.routing is not None:
        if story.routing.risk is not None:
            pairs.append(("Risk", f"{story.routing.risk:.0%} before review"))
        if story.routing.panel:
            pairs.append(("Audit panel", "drawn at random, always reviewed"))
        if story.routing.inclusion is not None and story.routing.inclusion < 1:
            pairs.append(("Seen with", f"probability {story.routing.inclusion:.3g}"))
    return [*pairs, ("Id", story.item_id)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


SHOWN = (
    ("prompt_version", "Prompt version", str),
    ("end_user", "End user", str),
    ("cost_micro", "Cost", phrases.money),
    ("latency_ms", "Latency", phrases.milliseconds),
    ("trace_url", "Trace", str),
    ("priority", "Priority", lambda value: f"{value} of 9"),
    ("due_at", "Due", clock_time),
    ("parameters", "Parameters", str),
    ("metadata", "Metadata", str),
    ("origin", "Came from", lambda value: ORIGINS.get(value, "")),
)


def _happened(story: Story) -> None:
    with st.container(border=True, key="story_happened"):
        st.caption("What happened")
        for one in story.happened:
            with st.container(gap=None):
                st.caption(clock_time(one.at))
                ui.plain(one.what)
