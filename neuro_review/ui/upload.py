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


@dataclass(frozen=True)
class Chosen:
    """What the form says at this moment."""

    fields: Fields
    model: str | None
    workflow_id: int | None
    new_workflow: str | None


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
    fields, model = _mapping(kept, sample)
    missing = columns.missing(fields, model)
    trial = columns.tried(sample, fields, model)
    _preview(kept, trial)
    for sentence in missing:
        st.info(sentence)
    workflow_id, new_workflow = _workflow(kept, by, places)
    chosen = Chosen(fields, model, workflow_id, new_workflow)
    usable = bool(trial.items) and not missing and (workflow_id is not None or bool(new_workflow))
    st.button(
        f"Import {many}", key=f"import_{kept.job_id}", type="primary", disabled=not usable, on_click=_import,
        args=(kept, chosen),
    )  # fmt: skip


def _mapping(kept: Kept, sample: Sample) -> tuple[Fields, str | None]:
    """Draw which column is which, and return what was chosen."""
    st.caption("Which column is which? Only what is chosen here comes in.")
    guess = columns.guessed(sample)
    with _grid():
        chosen = _choices(kept, sample, guess, FIRST)
        model = st.text_input("Model of rows that name none", key=f"model_{kept.job_id}", max_chars=500)
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
        also = st.multiselect("Keep as metadata", left, key=f"metadata_{kept.job_id}")
    fields = columns.mapped(chosen, also)
    return fields, model.strip() or None


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


def _workflow(kept: Kept, by: Actor, places: list[Workflow]) -> tuple[int | None, str | None]:
    """Draw into which workflow it goes, and return its id, or the name of one to be made."""
    names = {flow.id: flow.name for flow in places} | ({NEW: "A new workflow"} if by.may(Role.ADMIN) else {})
    only = 0 if len(names) == 1 else None
    chosen = st.selectbox(
        "Workflow", list(names), index=only, format_func=lambda one: names[one], key=f"workflow_{kept.job_id}",
        placeholder="choose where it goes",
    )  # fmt: skip
    if chosen != NEW:
        return chosen, None
    name = st.text_input("Name of the new workflow", key=f"new_{kept.job_id}", max_chars=100)
    return None, name.strip() or None


def _import(kept: Kept, chosen: Chosen) -> None:
    with ui.act() as session:
        asking.ask_import(
            session, kept.job_id, ui.person(), file=kept.name, fields=chosen.fields, model=chosen.model,
            workflow_id=chosen.workflow_id, new_workflow=chosen.new_workflow,
        )  # fmt: skip
    if ui.REFUSAL not in st.session_state:
        del st.session_state[KEPT]
        st.session_state[TURN] += 1  # an uploader of another name is empty, and the file leaves the memory
