"""Tables and figures that a screen reader reads as such, and in which text of others stays text."""

import html
from collections.abc import Sequence

import streamlit as st

from neuro_review.ui import TURNING


class Html(str):
    """Made here, of escaped text and numbers."""


Cell = str | Html
LONGEST = 60
MOST_BARS = 26
NARROW = 4
"""So many columns a telephone shows beside each other; of more each row becomes a list there."""
STYLE = """
<style>
.stApp { --line: light-dark(#d9e0e7, #2b3a4a); --accent: light-dark(#0f766e, #2dd4bf); }
.nr-table { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
.nr-table caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.nr-table th { text-align: left; font-weight: 400; color: var(--quiet); font-size: .82rem; vertical-align: bottom;
  padding: .25rem .9rem .35rem 0; }
.nr-table td, .nr-table tbody th { border-top: 1px solid var(--line); padding: .4rem .9rem .4rem 0; text-align: left;
  vertical-align: middle; }
.nr-table tbody th { color: inherit; font-size: inherit; overflow-wrap: anywhere; min-width: 7rem; }
.nr-table .nr-right { text-align: right; }
.nr-quiet { color: var(--quiet); white-space: nowrap; }
.nr-bad { color: var(--bad); }
.nr-tag { border: 1px solid currentColor; border-radius: .7rem; padding: .05rem .5rem; font-size: .8rem; }
.nr-tag, .nr-bad { white-space: nowrap; }
.nr-key { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .5rem; }
[class*="st-key-alarm_"]:has([data-testid="stText"]) { border-color: var(--bad); color: var(--bad);
  background: light-dark(#fdecea, #3a1714); }
.nr-scroll { overflow-x: auto; }
.stApp .nr-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5rem, 1fr)); gap: .75rem; margin: 0;
  padding: 0; }
.nr-cards > div { border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.nr-cards dt { color: var(--quiet); font-size: .82rem; }
.nr-cards dd { margin: 0; }
.nr-cards .nr-big { font-size: 1.5rem; font-weight: 600; line-height: 1.45; font-variant-numeric: tabular-nums; }
.nr-cards .nr-note { color: var(--quiet); font-size: .85rem; }
.nr-bar { display: inline-block; height: .55rem; border-radius: .2rem; background: var(--accent); }
.nr-spark { display: inline-flex; align-items: flex-end; gap: 1px; height: 22px; border-bottom: 1px solid var(--line); }
.nr-spark i { width: 4px; }
@media (max-width: 40rem) {
  .nr-wide, .nr-wide tbody, .nr-wide tbody tr, .nr-wide tbody th { display: block; }
  .nr-wide thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .nr-wide tbody tr { border-top: 1px solid var(--line); padding: .5rem 0; }
  .nr-wide tbody th, .nr-wide td { border: 0; padding: .1rem 0; }
  .nr-wide tbody th { font-weight: 600; }
  .nr-wide td { display: flow-root; text-align: right; overflow-wrap: anywhere; }
  .nr-wide td:empty { display: none; }
  .nr-wide td::before { content: attr(data-head); float: left; margin-right: 1rem; color: var(--quiet);
    font-size: .82rem; }
  .nr-wide .nr-quiet { white-space: normal; }
}
</style>
"""


def style() -> None:
    """Lay tables and figures out."""
    st.html(STYLE)


def short(text: str) -> str:
    """Return a name as it fits in one cell, without what would turn the words around it around."""
    one_line = TURNING.sub("\ufffd", " ".join(text.split()))
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 1] + "…"


def distinct(names: Sequence[str]) -> dict[str, str]:
    """Return each name as it is shown; two that would look the same get a number."""
    shown: dict[str, str] = {}
    for name in names:
        one, number = short(name) or "(no name)", 2
        while one in shown.values():
            one, number = f"{short(name)} ({number})", number + 1
        shown[name] = one
    return shown


def safe(text: str) -> Html:
    """Return text of others so that HTML shows it literally."""
    return Html(html.escape(short(text)))


def quiet(text: str) -> Html:
    """Return words that stand back."""
    return Html(f'<span class="nr-quiet">{html.escape(text)}</span>')


def loud(text: str) -> Html:
    """Return words that something is wrong."""
    return Html(f'<span class="nr-bad">{html.escape(text)}</span>')


def tag(text: str, *, bad: bool = False) -> Html:
    """Return a word with a line around it."""
    return Html(f'<span class="nr-tag {"nr-bad" if bad else "nr-quiet"}">{html.escape(text)}</span>')


def key(colour: str) -> Html:
    """Return a dot in the colour of a series."""
    return Html(f'<span class="nr-key" style="background:{html.escape(colour)}"></span>')


def bar(share: float) -> Html:
    """Return a bar as long as a share of the widest."""
    return Html(f'<span class="nr-bar" style="width:{max(0.0, min(1.0, share)) * 7:.2f}rem"></span>')


def together(*parts: Cell) -> Html:
    """Return parts one after the other; what is not made here is escaped."""
    return Html(" ".join(_cell(part) for part in parts if part))


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Sequence[int] = ()) -> None:
    """Draw a table: the first cell of a row names it, columns of numbers stand to the right.

    A wide one becomes a list on a narrow screen. What is laid out otherwise must be told its part in a table anew, or
    some browsers take it for loose text.
    """
    wide = len(head) > NARROW

    def part(role: str, place: int = -1) -> str:
        told = f' role="{role}"' if wide else ""
        named = f' data-head="{html.escape(head[place])}"' if wide and role == "cell" else ""
        return told + named + (' class="nr-right"' if place in right else "")

    row_ = f"<tr{part('row')}>"
    heads = "".join(f'<th scope="col"{part("columnheader", n)}>{html.escape(one)}</th>' for n, one in enumerate(head))
    body = "".join(
        row_
        + "".join(
            f'<th scope="row"{part("rowheader")}>{_cell(one)}</th>' if n == 0
            else f"<td{part('cell', n)}>{_cell(one)}</td>"
            for n, one in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )  # fmt: skip
    st.html(
        f'<div class="nr-scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}">'
        f'<table{part("table")} class="nr-table{" nr-wide" if wide else ""}">'
        f"<caption>{html.escape(caption)}</caption><thead{part('rowgroup')}>{row_}{heads}</tr></thead>"
        f"<tbody{part('rowgroup')}>{body}</tbody></table></div>"
    )


def cards(found: Sequence[tuple[str, str, Sequence[Cell]]]) -> None:
    """Draw figures side by side: what it is, the number, and what belongs to it."""
    each = "".join(
        f'<div><dt>{html.escape(what)}</dt><dd class="nr-big">{html.escape(number)}</dd>'
        + "".join(f'<dd class="nr-note">{_cell(note)}</dd>' for note in notes)
        + "</div>"
        for what, number, notes in found
    )
    st.html(f'<dl class="nr-cards">{each}</dl>')


def spark(values: Sequence[float | None], colour: str, top: float) -> Html:
    """Return bars as small as a word, one for each value; where one is missing there is a gap."""
    each = "".join(
        f'<i style="height:{_height(value, top):.1f}px;background:{colour}"></i>' if value is not None else "<i></i>"
        for value in values[-MOST_BARS:]
    )
    return Html(f'<span class="nr-spark" aria-hidden="true">{each}</span>')


def _height(value: float, top: float) -> float:
    return max(1.0, 22.0 * min(1.0, value / top)) if top else 1.0


def _cell(one: Cell) -> str:
    return one if isinstance(one, Html) else html.escape(short(one))
