"""A file of outputs, uploaded in the browser: which column is which, what would come in, and the import itself."""

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from db.clock import new_id
from db.tables import JobKind, Role
from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.errors import NeuroReviewError
from neuro_review.imports.fields import Fields
from neuro_review.jobs import asking, columns, files, looking
from neuro_review.jobs.columns import Sample, Trial
from neuro_review.ui import jobs
from neuro_review.workflows import Workflow

KEPT = "_upload"
TURN = "_upload_turn"
NEW = 0
"""Stands for a workflow that is still to be made."""
TYPES = [suffix.removeprefix(".") for suffix in files.SUFFIXES]
COMMAND = "python -m neuro_review import outputs.jsonl --workflow support --model my-model"
FIRST = {"output": "Output", "prompt": "Prompt", "model": "Model"}
MAIN = {"external_id": "External id", "context": "Context", "cost_usd": "Cost (USD)", "latency_ms": "Latency (ms)"}
PAST = {"verdict": "Verdict", "correction": "Correction", "reasons": "Reasons", "reviewer": "Reviewer",
        "decided_at": "Decided at", "adjudication": "Adjudication"}  # fmt: skip
MORE = {"prompt_tokens": "Prompt tokens", "completion_tokens": "Completion tokens", "created_at": "Created at",
        "end_user": "End user", "prompt_version": "Prompt version", "trace_url": "Trace URL", "priority": "Priority",
        "metadata": "Metadata", "parameters": "Parameters"}  # fmt: skip
LABELS = FIRST | MAIN | PAST | MORE
MOST_PROBLEMS = 5


@dataclass
class Kept:
    """The upload of this tab that was not imported yet."""

    file_id: str
    job_id: str
    name: str
    sample: Sample | None = None
    refused: str | None = None


def upload_form() -> None:
    """Draw the import of a file, for those who own a workflow, and how far their imports are."""
    by = ui.person()
    with ui.read() as session:
        places = asking.places(session, by, JobKind.IMPORT)
    if not places and not by.may(Role.ADMIN):
        return
    st.header("Import a file")
    turn = st.session_state.setdefault(TURN, 0)
    given = st.file_uploader("File of outputs, or of labels of the past", type=TYPES, key=f"upload_{turn}")
    kept = _kept(given)
    if kept is None:
        _how_large()
    elif kept.refused or kept.sample is None:
        st.error(ui.md_escape(kept.refused or ""))
    else:
        _form(kept, kept.sample, by, places)
    st.header("Your imports")
    jobs.imports()


def _how_large() -> None:
    most = st.get_option("server.maxUploadSize")
    st.caption(f"JSON lines, a JSON array, CSV or Parquet, up to {most} MB. What is larger comes in from a terminal:")
    st.code(COMMAND, language=None)


def _kept(given: object) -> Kept | None:
    """Keep the uploaded file on the server's disk, once, and look into it."""
    before: Kept | None = st.session_state.get(KEPT)
    if before is not None and (given is None or before.file_id != given.file_id):  # type: ignore[attr-defined]
        files.remove(before.job_id)
        before = st.session_state.pop(KEPT, None) and None
    if given is None or before is not None:
        return before
    name = files.shown_name(given.name)  # type: ignore[attr-defined]
    kept = Kept(given.file_id, new_id(), name)  # type: ignore[attr-defined]
    try:
        with given.getbuffer() as data, st.spinner("Reading the file…"):  # type: ignore[attr-defined]
            kept.sample = looking.look(files.keep(kept.job_id, name, data), name)
    except NeuroReviewError as error:
        kept.refused = str(error)
        files.remove(kept.job_id)
    st.session_state[KEPT] = kept
    return kept


def _form(kept: Kept, sample: Sample, by: Actor, places: list[Workflow]) -> None:
    many = f"{'' if sample.is_exact else 'about '}{phrases.count(sample.count, 'row')}"
    st.text(f"{sample.format} · {many}")
    with st.expander("The first rows, as the file has them"):
        st.dataframe(sample.table(), hide_index=True, key=f"raw_{kept.job_id}")
    _mapping(kept, sample)
    fields, model = _said(kept)
    missing = columns.missing(fields, model)
    trial = columns.tried(sample, fields, model)
    _preview(kept, trial)
    for sentence in missing:
        st.info(sentence)
    goes_somewhere = _workflow(kept, by, places)
    usable = bool(trial.items) and not missing and goes_somewhere
    st.button(
        f"Import {many}", key=f"import_{kept.job_id}", type="primary", disabled=not usable, on_click=_import,
        args=(kept,),
    )  # fmt: skip


def _said(kept: Kept) -> tuple[Fields, str | None]:
    """Return which column is which as the fields say at this moment, and the model of rows that name none."""
    said = {name: st.session_state.get(f"{name}_{kept.job_id}") for name in ("model", "metadata")}
    chosen = {target: st.session_state.get(f"map_{target}_{kept.job_id}") for target in LABELS}
    return columns.mapped(chosen, said["metadata"] or []), (said["model"] or "").strip() or None


def _mapping(kept: Kept, sample: Sample) -> None:
    """Draw which column is which."""
    st.caption("Which column is which? Only what is chosen here comes in.")
    guess = columns.guessed(sample)
    with _grid():
        chosen = _choices(kept, sample, guess, FIRST)
        st.text_input("Model of rows that name none", key=f"model_{kept.job_id}", max_chars=500)
        chosen |= _choices(kept, sample, guess, MAIN)
    past = st.expander("Labels of the past", expanded="verdict" in guess, key=f"past_{kept.job_id}")
    with past:
        st.caption("A row with a verdict (approve, correct, reject) is counted as a label, and not held for review.")
        with _grid():
            chosen |= _choices(kept, sample, guess, PAST)
    with st.expander("More fields", key=f"more_{kept.job_id}"):
        with _grid():
            chosen |= _choices(kept, sample, guess, MORE)
        left = columns.unused(sample, columns.mapped(chosen, []))
        st.multiselect("Keep as metadata", left, key=f"metadata_{kept.job_id}")


def _grid() -> DeltaGenerator:
    return st.grid(4)


def _choices(kept: Kept, sample: Sample, guess: dict[str, str], fields: dict[str, str]) -> dict[str, str | None]:
    chosen: dict[str, str | None] = {}
    for target, label in fields.items():
        seems = guess.get(target)
        chosen[target] = st.selectbox(
            label, sample.columns, index=sample.columns.index(seems) if seems else None,
            placeholder="not in the file", key=f"map_{target}_{kept.job_id}",
        )  # fmt: skip
    return chosen


def _preview(kept: Kept, trial: Trial) -> None:
    """Draw what the first rows would become, and what would be set aside."""
    if trial.items:
        st.caption("The first items, as they would come in")
        shown = {LABELS[name]: values for name, values in trial.items.items()}
        st.dataframe(shown, hide_index=True, key=f"items_{kept.job_id}")
    if not trial.problems:
        return
    of = "the only row" if trial.looked_at == 1 else f"{trial.bad:,} of the first {trial.looked_at:,} rows"
    st.warning(f"{of[:1].upper()}{of[1:]} would be set aside:")
    for problem in trial.problems[:MOST_PROBLEMS]:
        ui.plain(f"{phrases.count(problem.rows, 'row')}, the first in line {problem.line:,}: {problem.reason}")


def _workflow(kept: Kept, by: Actor, places: list[Workflow]) -> bool:
    """Draw into which workflow it goes, and return whether one is chosen."""
    names = {flow.id: flow.name for flow in places} | ({NEW: "A new workflow"} if by.may(Role.ADMIN) else {})
    only = 0 if len(names) == 1 else None
    chosen = st.selectbox(
        "Workflow", list(names), index=only, format_func=lambda one: names[one], key=f"workflow_{kept.job_id}",
        placeholder="choose where it goes",
    )  # fmt: skip
    if chosen == NEW:
        st.text_input("Name of the new workflow", key=f"new_{kept.job_id}", max_chars=100)
    return chosen is not None


def _import(kept: Kept) -> None:
    # Read here and not where the button was drawn: who goes from a field right to the button has just typed something.
    fields, model = _said(kept)
    workflow_id = st.session_state[f"workflow_{kept.job_id}"]
    new_workflow = (st.session_state.get(f"new_{kept.job_id}") or "").strip() if workflow_id == NEW else None
    if new_workflow == "":
        ui.refuse("The new workflow has no name yet. Name it, then press again.")
        return
    with ui.act() as session:
        asking.ask_import(
            session, kept.job_id, ui.person(), file=kept.name, fields=fields, model=model,
            workflow_id=None if workflow_id == NEW else workflow_id, new_workflow=new_workflow,
        )  # fmt: skip
    if ui.REFUSAL not in st.session_state:
        del st.session_state[KEPT]
        st.session_state[TURN] += 1  # an uploader of another name is empty, and the file leaves the memory
