"""Everything as a table: on the screen, and as a file that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import streamlit as st

from neuro_review.exports.cells import escape_cell
from neuro_review.ui.quality.asking import View
from neuro_review.ui.quality.figures import Slice

UNIT = 1_000_000
Line = dict[str, str | int | float | None]


def lines(slices: Sequence[Slice]) -> list[Line]:
    """Return each model's periods as the rows of a table."""
    return [
        {
            "model": one.model, "period": one.key, "first day (UTC)": one.first.isoformat(), "outputs": one.items,
            "labels": one.labels, "bad labels": one.bad,
            "bad rate": _shown(one, one.estimate.rate), "low": _shown(one, one.estimate.low),
            "high": _shown(one, one.estimate.high), "more labels needed": one.estimate.needed,
            "rests on": str(one.estimate.basis), "labels used": one.estimate.used, "approved": one.approve,
            "corrected": one.correct, "rejected": one.reject, "disputed": one.disputed, "still held": one.open,
            "never seen": one.unseen, "released": one.released,
            "cost of an output, $": None if one.mean_cost is None else round(one.mean_cost / UNIT, 6),
            "to release p50, s": _seconds(one.release_half), "to release p95, s": _seconds(one.release_most),
        }
        for one in slices
    ]  # fmt: skip


def _shown(one: Slice, value: float | None) -> float | None:
    return round(value, 4) if value is not None and one.estimate.enough else None


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 1)


def as_csv(rows: Sequence[Line]) -> bytes:
    """Return rows as a file: no cell of it is a formula, and a spreadsheet knows that it is UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _cell(value: Any) -> Any:
    return escape_cell(value) if isinstance(value, str) else value


def draw(rows: Sequence[Line], view: View, page: str) -> None:
    """Draw the table, and the way to take it along."""
    st.dataframe(list(rows), hide_index=True, key=f"{page}_numbers", height=min(420, 35 * len(rows) + 40))
    st.download_button(
        "Download as CSV", lambda: as_csv(rows), f"{page}-{view.workflow_id}-{view.first}-{view.last}.csv", "text/csv",
        key=f"{page}_csv", on_click="ignore",
    )  # fmt: skip
