"""The model in use: what applications are told to call, since when and why, what is on trial, and every change."""

from typing import Any

import streamlit as st

from neuro_review import models, phrases, ui
from neuro_review.access import Actor
from neuro_review.models import Use, grounds, traffic
from neuro_review.models.grounds import Tested
from neuro_review.models.traffic import Traffic
from neuro_review.ui import tables
from neuro_review.ui.models import changing, saying
from neuro_review.ui.quality.figures import KEPT, newest, place
from neuro_review.ui.tables import Cell
from neuro_review.ui.times import clock_time
from neuro_review.words import Role

ALIASES = (
    "So is what comes under a name that is not one of a model in use, until a day after the trial: it may be an alias"
    " of the candidate. Hand outputs in under the name that was asked for."
)
HEAD = ("Model in use", "Called", "On trial", "Why", "By", "When", "Version")
NONE_YET = (
    "Applications that ask which model to call are told of none yet, and call their own. Once one is named here,"
    " another takes its place with a click, and they follow without a restart."
)
MOST_SHOWN = 100


def draw(workflow_id: int, by: Actor) -> None:
    """Draw the model in use of a workflow; only its owners can change it."""
    with ui.read() as session:
        rows = models.history(session, by, workflow_id)
        gates = grounds.named(session, workflow_id)
    is_owner = by.may(Role.OWNER, workflow_id)
    if rows:
        _now(workflow_id, rows, gates, is_owner)
        if rows[0].canary_model is not None:
            _trial(workflow_id, rows[0], by, is_owner)
    else:
        st.header("No model is named yet")
        st.text(NONE_YET)
    if is_owner:
        changing.form(workflow_id, by, rows)
    elif rows:
        st.caption("Only an owner of the workflow can change it.")
    if rows:
        _past(rows, gates)


def _now(workflow_id: int, rows: list[Use], gates: dict[str, Tested], is_owner: bool) -> None:
    use, began, before = rows[0], models.came(rows), models.before(rows)
    with st.container(border=True, gap="xsmall", key="in_use"):
        st.header(f"In use: {ui.md_escape(tables.short(use.model))}")
        _called(use.parameters, "in_use")
        ui.plain(f"{_since(began)}, put there by {began.who}.")
        ui.plain(saying.why(began, gates))
        if is_owner and before is not None:
            _back(workflow_id, use, before)


def _since(use: Use) -> str:
    return f"Since {clock_time(use.at, seconds=False)} ({phrases.ago(use.at)})"


def _called(parameters: dict[str, Any], where: str) -> None:
    ui.plain(saying.called(parameters))
    if saying.is_cut(parameters):
        with st.expander("All parameters", key=f"all_{where}"):
            for name, value in sorted(parameters.items()):
                ui.plain(f"{name}: {value}")


def _back(workflow_id: int, use: Use, before: Use) -> None:
    other = tables.short(before.model) if before.model != use.model else "its parameters before"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            ui.md_escape(f"Go back to {other}"), key=f"back_{workflow_id}", icon=":material/undo:", on_click=_go_back,
            args=(workflow_id, use.seq),
        )  # fmt: skip
        st.caption(ui.md_escape(saying.called(before.parameters)))


def _go_back(workflow_id: int, after: int) -> None:
    with ui.act() as session:
        now = models.roll_back(session, workflow_id, ui.person(), after=after)
        ui.hint(changing.followed(now.model))


def _trial(workflow_id: int, use: Use, by: Actor, is_owner: bool) -> None:
    assert use.canary_model is not None and use.canary_share is not None
    with st.container(border=True, gap="xsmall", key="trial"):
        name = ui.md_escape(tables.short(use.canary_model))
        st.header(f"On trial: {name}, {changing.share(use.canary_share)}")
        _called(use.canary_parameters or {}, "trial")
        ui.plain(f"{_since(use)}, by {use.who}. “{saying.shortened(use.reason or '')}”")
        st.text(saying.came(use.canary_share, _came(place(), newest(place()), workflow_id, use, by)))
        st.text("All that it writes is reviewed: nothing of it is let go unseen, also not what comes late.")
        st.text(ALIASES)
        if is_owner:
            changing.end_of_trial(workflow_id, by, use)


@st.cache_data(ttl=KEPT, max_entries=32, show_spinner=False)
def _came(where: str, state: int, workflow_id: int, use: Use, _by: Actor) -> Traffic:
    with ui.read() as session:
        return traffic.since(session, _by, workflow_id, use)


def _past(rows: list[Use], gates: dict[str, Tested]) -> None:
    with st.expander(f"All changes ({len(rows)})", key="changes"):
        tables.table("Changes of the model in use", HEAD, [_row(one, gates) for one in rows[:MOST_SHOWN]], right=(6,))
        if len(rows) > MOST_SHOWN:
            st.caption(f"These are the newest {MOST_SHOWN}. The audit log has all of them.")


def _row(use: Use, gates: dict[str, Tested]) -> list[Cell]:
    trial: Cell = tables.quiet("none")
    if use.canary_model is not None and use.canary_share is not None:
        trial = tables.together(use.canary_model, tables.quiet(changing.share(use.canary_share)))
    gate = gates.get(use.gate_id or "")
    reason: Cell = use.reason or ""
    if gate is not None:
        reason = tables.together(f"passed the gate on {gate.version}", reason)
    return [
        use.model, saying.called(use.parameters), trial, reason, use.who,
        tables.quiet(clock_time(use.at, seconds=False)), f"{use.seq:,}",
    ]  # fmt: skip
