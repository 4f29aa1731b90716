"""What Home shows, part by part."""

from collections.abc import Callable

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.overview import Escalated, Mine, Mix, Owned, Row, Working
from neuro_review.overview.alerts import Alert
from neuro_review.ui.links import link

STYLE = """
<style>
.st-key-mine { row-gap: .75rem; column-gap: 2.25rem; padding: .25rem 0 .5rem; }
.st-key-mine [data-testid="stMetric"] { min-width: 5.5rem; }
.st-key-mine [data-testid="stMetricValue"] { font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.st-key-mine [data-testid="stMetricLabel"] p { color: var(--quiet); }
.st-key-alerts, [class*="st-key-workflow_"] { gap: .45rem; }
[class*="st-key-head_"] { row-gap: .3rem; }
[class*="st-key-head_"] > :first-child [data-testid="stText"] { font-weight: 600; }
[class*="st-key-alert_"] { row-gap: .1rem; }
[class*="st-key-alert_"] a, [class*="st-key-one_"] a { padding: .1rem 0; text-decoration: underline; }
.st-key-mine [data-testid="stText"], [class*="st-key-working_"] [data-testid="stText"],
[class*="st-key-one_"] [data-testid="stText"] { font-size: .9rem; }
</style>
"""


def style() -> None:
    """Lay Home out."""
    st.html(STYLE)


def my_numbers(mine: Mine, owns: bool) -> None:
    """Draw what waits for who looks, and what they have done."""
    numbers = {"Held": f"{mine.held:,}", "Due within the hour": f"{mine.due:,}"}
    if mine.oldest_at is not None:
        numbers["Oldest waits"] = phrases.ago(mine.oldest_at)
    numbers["Assigned to you"] = f"{mine.assigned:,}"
    if owns:
        numbers["Escalated to you"] = f"{mine.escalated:,}"
    numbers["Your verdicts today"] = f"{mine.today:,}"
    numbers["Your verdicts this week"] = f"{mine.week:,}"
    with st.container(horizontal=True, key="mine"):
        for label, number in numbers.items():
            st.metric(label, number, width="content")
    st.caption("A day begins at midnight and a week on Monday, UTC.")


def next_step(mine: Mine) -> None:
    """Draw the one thing to do next."""
    if not mine.held:
        st.text("Nothing waits. New outputs appear here as applications hand them in.")
        return
    with st.container(key="go"):
        link("pages/review.py", "Review what waits")


def alerts(found: list[Alert]) -> None:
    """Draw what does not mend itself, each with its next step."""
    if not found:
        return
    st.header(f"Look at {phrases.count(len(found), 'thing')}")
    with st.container(border=True, key="alerts"):
        for number, alert in enumerate(found):
            with st.container(horizontal=True, vertical_alignment="center", key=f"alert_{number}"):
                ui.plain(alert.sentence)
                named = alert.page in ("pages/review.py", "pages/quality.py")
                query = {"workflow": str(alert.workflow_id)} if named else {}
                if alert.page:
                    link(alert.page, alert.link, **query)


def workflow(row: Row, owned: Owned | None, read_escalated: Callable[[int], list[Escalated]]) -> None:
    """Draw a workflow: what waits; for its owner also who works on it, what they said, and what was escalated."""
    with st.container(border=True, key=f"workflow_{row.id}"):
        with st.container(horizontal=True, vertical_alignment="center", key=f"head_{row.id}"):
            ui.plain(row.name)
            st.space("stretch")
            _waiting(row)
            if row.waiting.held:
                link("pages/review.py", "Review", workflow=str(row.id))
        if owned is not None:
            st.caption(_verdicts(owned))
            if owned.working:
                with st.container(key=f"working_{row.id}"):
                    ui.plain("Working now: " + "; ".join(map(_person, owned.working)))
            if row.waiting.escalated:
                with st.expander("Escalated to the owner", key=f"escalated_{row.id}"):
                    _escalated(row, read_escalated(row.id))


def _waiting(row: Row) -> None:
    waiting = row.waiting
    st.text(f"{waiting.held:,} held", width="content")
    if row.overdue:
        st.badge(f"{row.overdue:,} overdue", color="red")
    if waiting.due > row.overdue:
        st.badge(f"{waiting.due - row.overdue:,} due within the hour", color="orange")
    if waiting.escalated:
        st.badge(f"{waiting.escalated:,} escalated", color="red")
    if waiting.oldest_at is not None:
        st.text(f"oldest {phrases.ago(waiting.oldest_at)}", width="content")


def _verdicts(owned: Owned) -> str:
    if not owned.this_week.all and not owned.week_before.all:
        return "No verdict in the last 14 days"
    return f"Last 7 days: {_mix(owned.this_week)} · the 7 days before: {_mix(owned.week_before)}"


def _mix(mix: Mix) -> str:
    if not mix.all:
        return "no verdict"
    said = {"approved": mix.approve, "corrected": mix.correct, "rejected": mix.reject}
    each = ", ".join(f"{number:,} {word}" for word, number in said.items() if number)
    return f"{phrases.count(mix.all, 'verdict')} ({each})"


def _person(one: Working) -> str:
    last = f", last verdict {phrases.ago(one.verdict_at)} ago" if one.verdict_at is not None else ""
    return f"{one.name}, {phrases.count(one.items, 'item')} in hand{last}"


def _escalated(row: Row, found: list[Escalated]) -> None:
    for one in found:
        with st.container(horizontal=True, vertical_alignment="center", key=f"one_{one.item_id}"):
            by = f" by {one.by}" if one.by else ""
            ui.plain(f"{one.model} · {one.why or 'escalated'}{by} · {phrases.ago(one.at)} ago")
            st.space("stretch")
            link("pages/history.py", "Open", id=one.item_id)
    if len(found) < row.waiting.escalated:
        st.caption(f"{row.waiting.escalated - len(found):,} more; Review serves them one by one.")


def first_steps(may_upload: bool) -> None:
    """Say how outputs come in, where there is no workflow to review yet."""
    st.header("No outputs yet")
    if may_upload:
        with st.container(horizontal=True, vertical_alignment="center", key="go"):
            if link("pages/sources.py", "Upload a file of outputs"):
                st.text("or, at the command line:", width="content")
            else:
                st.text("Bring in what a model wrote, then review it:")
    else:
        st.text("None of your workflows is in use. An owner or an admin brings outputs in, for example with:")
    st.code("python -m neuro_review import outputs.jsonl --workflow support --model my-model", language=None)
