"""The models of a run as they are named in its form: each with how it is reached, called and paid."""

from collections.abc import Iterator
from typing import Any

import orjson
import streamlit as st

from neuro_review import llm, phrases, ui
from neuro_review.errors import InvalidError
from neuro_review.eval_runs import asking as evals
from neuro_review.eval_runs.asking import MOST_CANDIDATES, RECORDED
from neuro_review.llm import Way
from neuro_review.settings import settings

ROWS = "run_rows"
FIRST_ROWS = 2
ITSELF = "by its name"
HINT = (
    "A model is named as LiteLLM names it, like openai/gpt-4o. Its key is read from the environment of the server, such"
    " as OPENAI_API_KEY; a model of your own is reached at an endpoint that the operator has named in"
    ' NEURO_REVIEW_ENDPOINTS. A parameter can also be a system message: {"system": "Answer briefly."}.'
)
BROKEN = '“{}” is no JSON object. Write parameters like {{"temperature": 0}}.'


def form() -> None:
    """Draw a row for each model."""
    for number in range(st.session_state.setdefault(ROWS, FIRST_ROWS)):
        with st.container(border=True, gap="xsmall", key=f"candidate_{number}"):
            _row(str(number), f"Candidate {number + 1}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Another candidate", key="run_another", icon=":material/add:", on_click=_another,
            disabled=st.session_state[ROWS] >= MOST_CANDIDATES - 1,
        )  # fmt: skip
        st.checkbox("Also the reviewed outputs (no call)", key="run_recorded", help=(
            "They are the candidate recorded. Its outcome is what the reviewers said, and a judge is held against that."
        ))  # fmt: skip
    st.caption(ui.md_escape(HINT))


def judge() -> None:
    """Draw what names the model that judges."""
    with st.container(border=True, gap="xsmall", key="candidate_judge"):
        _row("judge", "Model that judges", parameters=False)
        st.caption(
            "A gate rests on it once it agrees with the reviewers: add the reviewed outputs to hold it against them."
        )


def _another() -> None:
    st.session_state[ROWS] += 1


def _row(name: str, label: str, *, parameters: bool = True) -> None:
    endpoints = [ITSELF, *sorted(settings().endpoints)]
    with st.grid(3 if parameters else 2, min_column_width=210):
        model = st.text_input(label, key=f"run_model_{name}", max_chars=500, placeholder="openai/gpt-4o")
        st.selectbox("Reached", endpoints, key=f"run_endpoint_{name}")
        if parameters:
            st.text_input("Parameters (JSON)", key=f"run_parameters_{name}", placeholder='{"temperature": 0}')
    if model.strip() in ("", RECORDED):
        return
    variable = evals.unset_key(st.session_state[f"run_endpoint_{name}"])
    if variable and settings().worker:
        st.caption(ui.md_escape(f"The environment of this server has no {variable}, which is to hold the key."))
    price = llm.listed_price(model.strip())
    if price is not None:
        read, written = (phrases.dollars(one * 1_000_000) for one in price)
        st.caption(ui.md_escape(f"By LiteLLM’s price list: {read} in and {written} out for a million tokens."))
        return
    st.caption("No price list knows it; without a price its cost stays unknown. US dollars for a million tokens:")
    with st.grid(2, min_column_width=160):
        st.number_input("In", 0.0, None, None, 0.1, key=f"run_in_{name}", placeholder="unknown")
        st.number_input("Out", 0.0, None, None, 0.1, key=f"run_out_{name}", placeholder="unknown")


def named(kept: Any) -> Iterator[Way]:
    """Yield the candidates that are named in the form.

    Raises:
        InvalidError: a name or parameters cannot be used.
    """
    if kept.get("run_recorded"):
        yield Way(RECORDED)
    for number in range(kept.get(ROWS, 0)):
        model = kept.get(f"run_model_{number}", "").strip()
        if model == RECORDED:
            yield Way(RECORDED)
        elif model:
            yield way(kept, str(number), read_parameters(kept.get(f"run_parameters_{number}", "")))


def way(kept: Any, name: str, parameters: dict[str, Any]) -> Way:
    """Return one model that is named in the form.

    Raises:
        InvalidError: its name or its parameters cannot be used, or one price is missing.
    """
    model, endpoint = kept[f"run_model_{name}"].strip(), kept.get(f"run_endpoint_{name}", ITSELF)
    price = None
    if llm.listed_price(model) is None:
        price = _price(model, kept.get(f"run_in_{name}"), kept.get(f"run_out_{name}"))
    return evals.way(model, endpoint=None if endpoint == ITSELF else endpoint, parameters=parameters, price=price)


def _price(model: str, read: float | None, written: float | None) -> tuple[float, float] | None:
    if read is None and written is None:
        return None
    if read is None or written is None:
        raise InvalidError(f"Name both prices of {model}, in and out, or none.", "price")
    return read, written


def read_parameters(text: str) -> dict[str, Any]:
    """Return parameters as they were typed.

    Raises:
        InvalidError: they are no JSON object.
    """
    try:
        read = orjson.loads(text.strip() or "{}")
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        raise InvalidError(BROKEN.format(text.strip()), "parameters")
    return read
