"""Long work on screen: how far each job is, what came of it, and where its file lies."""

import streamlit as st

from db.clock import now
from db.tables import JobKind, JobState
from neuro_review import phrases, ui
from neuro_review.exports.formats import Format
from neuro_review.jobs import downloads, rows
from neuro_review.jobs.downloads import Part
from neuro_review.jobs.rows import Job
from neuro_review.settings import settings
from neuro_review.ui.links import link

LOOKED_AT_EVERY = 1.0  # seconds, while something is under way
LONG_WAIT = 20_000_000  # microseconds after which somebody must be told why nothing happens
FORMATS = {
    Format.JSONL: "JSON lines", Format.CSV: "CSV", Format.PARQUET: "Parquet", Format.SFT: "OpenAI fine-tuning",
    Format.DPO: "OpenAI preferences (DPO)", Format.TRL_SFT: "TRL SFT", Format.TRL_DPO: "TRL DPO",
    Format.TRL_KTO: "TRL KTO", Format.INSPECT: "Inspect", Format.PROMPTFOO: "promptfoo",
    Format.OPENAI_EVALS: "OpenAI Evals", Format.OPENAI_EVALS_API: "OpenAI Evals API", Format.LANGFUSE: "Langfuse",
    Format.LANGSMITH: "LangSmith", Format.BRAINTRUST: "Braintrust",
}  # fmt: skip
NO_WORKER = (
    "Nothing works on it: this app starts no background worker (NEURO_REVIEW_WORKER=false). Start one beside it:"
    " python -m neuro_review worker"
)
BUSY = "It waits for its turn: one import or export runs at a time."
BADGES = {JobState.WAITING: "gray", JobState.RUNNING: "blue", JobState.DONE: "green", JobState.FAILED: "red"}


def imports() -> None:
    """Draw what this person imported last, and how far it is."""
    _watched(JobKind.IMPORT)


def exports(eval_set: str | None = None) -> None:
    """Draw what this person exported last, how far it is, and its files; or of that only what is of an eval set."""
    _watched(JobKind.EXPORT, eval_set)


def _watched(kind: JobKind, eval_set: str | None = None) -> None:
    live = any(job.is_open for job in _mine(kind, eval_set))
    st.fragment(_list, run_every=LOOKED_AT_EVERY if live else None)(kind, live, eval_set)


def _mine(kind: JobKind, eval_set: str | None) -> list[Job]:
    with ui.read() as session:
        return rows.mine(session, ui.person(), kind, eval_set=eval_set)


def _list(kind: JobKind, was_live: bool, eval_set: str | None) -> None:
    found = _mine(kind, eval_set)
    if was_live and not any(job.is_open for job in found):
        st.session_state[ui.UNATTENDED] = True  # time has passed; it is no sign that somebody is there
        st.rerun()  # nothing is left to be watched
    if not found:
        st.caption("None yet. What you start is found here again, also after you left.")
    for job in found:
        with st.container(border=True, gap="xsmall", key=f"job_{job.id}"):
            _import(job) if kind is JobKind.IMPORT else _export(job)


def _import(job: Job) -> None:
    _head(job, job.asked["file"], f"into {job.workflow}")
    _state(job, f"{job.share:.0%} · {phrases.count(job.result.get('read', 0), 'row')} read")
    if job.state == JobState.DONE:
        st.text(summary(job.result))
        if job.result.get("held"):
            link("pages/review.py", "Review them", workflow=str(job.workflow_id))
    if job.result.get("resumed") and job.state == JobState.DONE:
        st.caption("It was interrupted and began again: what it had stored by then is counted as there already.")
    if job.result.get("rejected") and not job.is_open:
        _rejected(job)


def _rejected(job: Job) -> None:
    for aside in downloads.asides(job):
        ui.plain(f"Row {aside.line:,}: {aside.reason}")
    if job.is_expired:
        st.caption("The rows that were set aside were kept for 24 hours.")
    else:
        _link(f"Download the {phrases.count(job.result['rejected'], 'row')} set aside", job, Part.REJECTED)


def _export(job: Job) -> None:
    form = FORMATS[Format(job.asked["format"])]
    _head(job, job.asked.get("set") or job.workflow, form)
    _state(job, f"{job.share:.0%} · {job.done:,} of {job.total or 0:,} {_of(job)}s looked at")
    if job.state == JobState.DONE:
        _made(job)


def _of(job: Job) -> str:
    return "case" if job.asked.get("set") else "review"


def _made(job: Job) -> None:
    held = phrases.count(job.result["rows"], "review" if Format(job.asked["format"]).is_table else "line")
    if job.result.get("left_out"):
        held += f", {phrases.count(job.result['left_out'], _of(job))} left out"
    if job.is_expired:
        st.text(f"{held}. The file was kept for 24 hours and is gone; export again.")
        return
    st.text(f"{held} · {size(job.result['bytes'])} · kept for another {phrases.span(job.expires_at - now())}")
    with st.container(horizontal=True):
        _link("Download", job, Part.DATA)
        _link("Download the manifest", job, Part.MANIFEST)
    with st.expander("What the file holds", key=f"holds_{job.id}"):
        _manifest(job)


def _manifest(job: Job) -> None:
    facts = downloads.manifest(job)
    if facts is None:
        st.caption("The manifest is not on this machine.")
        return
    st.text(facts["row"])
    by_verdict = " · ".join(f"{count:,} {verdict}" for verdict, count in facts["rows_by_verdict"].items())
    st.text(f"{facts['rows']:,} rows: {by_verdict or 'none'}")
    st.text(facts["time_axis"])
    asked = " · ".join(f"{name}: {value}" for name, value in facts["filter"].items())
    ui.plain(f"Cases of: {facts['eval_set']}" if facts.get("eval_set") else f"Filter: {asked or 'none'}")
    st.caption("SHA-256 of the file")
    st.code(facts["sha256"], language=None)
    if "columns" in facts:
        columns = facts["columns"]
        st.dataframe(
            {"Column": [one["name"] for one in columns], "Holds": [one["holds"] for one in columns],
             "Means": [one["means"] for one in columns]},
            hide_index=True, height=260, column_config={"Means": st.column_config.TextColumn(width="large")},
        )  # fmt: skip
    for one in facts.get("left_out", {}).values():
        ui.plain(f"{one['reviews']:,} left out: {one['means']}")
    if facts.get("held_out_sets"):
        ui.plain(f"Held out: {', '.join(facts['held_out_sets'])}")


def _head(job: Job, name: str, more: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        ui.plain(name)
        ui.plain(more)
        st.space("stretch")
        st.badge(job.state, color=BADGES[job.state])  # type: ignore[arg-type]
        st.text(f"{phrases.ago(job.created_at)} ago", width="content")


def _state(job: Job, far: str) -> None:
    if job.state == JobState.FAILED:
        st.error(ui.md_escape(job.error or ""))
    elif job.is_interrupted:
        st.text("It was interrupted and begins again as soon as the background worker is back.")
        _why_it_waits(job.lease_until)
    elif job.state == JobState.RUNNING:
        st.progress(job.share, text=far)
    elif job.state == JobState.WAITING:
        st.text(BUSY)
        _why_it_waits(job.created_at)


def _why_it_waits(since: int) -> None:
    if not settings().worker:
        st.warning(ui.md_escape(NO_WORKER))
    elif now() - since > LONG_WAIT:
        st.caption("It waits for long. If nothing of yours or of others is running, look into the log of the server.")


def _link(label: str, job: Job, part: Part) -> None:
    # Not a download button: that would hold the whole file in the memory of the server.
    st.link_button(label, f"/files/{job.id}/{part}", key=f"{part}_{job.id}")


def summary(counts: dict[str, int]) -> str:
    """Return the counts of an import as a sentence."""
    parts = {
        "held for review": "held", "labels of the past": "history", "there already": "duplicates",
        "set aside": "rejected",
    }  # fmt: skip
    said = ", ".join(f"{counts[name]:,} {words}" for words, name in parts.items() if counts.get(name))
    return f"{phrases.count(counts.get('read', 0), 'row')} read: {said or 'nothing new'}."


def size(number: int) -> str:
    """Return a number of bytes in the unit that fits."""
    for unit, bytes_each in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if number >= bytes_each:
            return f"{number / bytes_each:,.1f} {unit}"
    return f"{number} B"
