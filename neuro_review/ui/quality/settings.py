"""By what the owner measures the workflow: the quality target, an hour's cost, minor reasons, the one metric."""

import streamlit as st

from neuro_review import ui, workflows
from neuro_review.ui.quality import figures
from neuro_review.workflows import measured
from neuro_review.workflows.measured import Measured, Metric

MICRO = 1_000_000


def draw(workflow_id: int, now: Measured, reported: str) -> None:
    """Draw what is agreed, ready to be changed, and what else applications report."""
    with ui.read() as session:
        reasons = workflows.reasons(session, workflow_id)
    with st.expander("What this workflow is measured by", key=f"measured_{workflow_id}"):
        left, right = st.columns(2, gap="medium")
        with left, st.form(f"measure_{workflow_id}"):
            target = None if now.quality_target is None else now.quality_target * 100
            rate = None if now.reviewer_rate_micro is None else now.reviewer_rate_micro / MICRO
            st.number_input("Quality target: bad outputs of a model, at most (%)", 0.0, 100.0, target, 0.5,
                            key=f"target_{workflow_id}", placeholder="none")  # fmt: skip
            st.number_input("What an hour of review costs (US dollars)", 0.0, None, rate, 1.0,
                            key=f"rate_{workflow_id}", placeholder="unknown")  # fmt: skip
            st.multiselect("A correction for these reasons alone is not bad", reasons,
                           [one for one in now.minor_reasons if one in reasons], key=f"minor_{workflow_id}",
                           placeholder="every correction is bad")  # fmt: skip
            st.caption("What counts as bad moves every rate, of the past too, and is marked in the chart.")
            st.form_submit_button("Save", on_click=_save, args=(workflow_id, now))
        with right, st.form(f"metric_{workflow_id}"):
            metric = now.metric
            st.text_input("The one number this workflow is there to move", metric.name if metric else "",
                          key=f"metric_name_{workflow_id}", placeholder="resolution_minutes")  # fmt: skip
            st.text_input("Its unit", metric.unit if metric else "", key=f"metric_unit_{workflow_id}",
                          placeholder="min")  # fmt: skip
            st.number_input("What it was before", None, None, metric.baseline if metric else None,
                            key=f"metric_base_{workflow_id}", placeholder="42")  # fmt: skip
            st.number_input("The change that is wanted (%)", None, None, metric.target * 100 if metric else None, 1.0,
                            key=f"metric_target_{workflow_id}", placeholder="−20")  # fmt: skip
            st.caption("Applications report it with POST /api/v1/outcomes. Leave the name empty for none.")
            if reported and metric is None:
                ui.plain(f"They report in these four weeks: {reported}.")
            st.form_submit_button("Save the metric", on_click=_save_metric, args=(workflow_id,))


def _typed(name: str, workflow_id: int) -> float | None:
    value: float | None = st.session_state[f"{name}_{workflow_id}"]
    return value


def _save(workflow_id: int, before: Measured) -> None:
    target, rate = _typed("target", workflow_id), _typed("rate", workflow_id)
    minor = st.session_state[f"minor_{workflow_id}"]
    with ui.act() as session:
        by = ui.person()
        measured.set_quality_target(session, by, workflow_id, None if target is None else round(target / 100, 6))
        measured.set_reviewer_rate(session, by, workflow_id, None if rate is None else round(rate * MICRO))
        if set(minor) != set(before.minor_reasons):
            measured.set_minor_reasons(session, by, workflow_id, minor)
        ui.hint("Saved.")
    figures.newest.clear()


def _save_metric(workflow_id: int) -> None:
    name, unit = (st.session_state[f"metric_{part}_{workflow_id}"] for part in ("name", "unit"))
    base, target = _typed("metric_base", workflow_id), _typed("metric_target", workflow_id)
    with ui.act() as session:
        metric = Metric(name, unit, base or 0.0, (target or 0.0) / 100) if name.strip() else None
        measured.set_metric(session, ui.person(), workflow_id, metric)
        ui.hint("Saved.")
    figures.newest.clear()
