"""Judges on screen: how far each agrees with the reviewers, and whether that is enough for a gate."""

import streamlit as st

from neuro_review import phrases, ui
from neuro_review.access import Actor
from neuro_review.eval_runs import judges
from neuro_review.eval_runs.judges import FEWEST, FEWEST_BAD, Agreement, Card
from neuro_review.stats.proportions import Interval
from neuro_review.ui import tables
from neuro_review.ui.tables import Cell

HEAD = ("Outputs of", "Both judged", "Bad", "No verdict", "Finds what is bad", "Passes what is good", "Kappa")
HINT = (
    f"A judge is held against the reviewers on the outputs that they reviewed: at least {FEWEST}, {FEWEST_BAD} of them"
    " bad. No gate rests on one that is unfit. Its record expires after 30 days, and with another rubric or prompt."
    " The shares and kappa have 95 % intervals."
)


def draw(by: Actor, flows: dict[int, str]) -> None:
    """Draw the judges of the workflows that this person owns; nothing where there is none."""
    with ui.read() as session:
        found = [(flow, name, card) for flow, name in flows.items() for card in judges.cards(session, by, flow)]
    if not found:
        return
    st.header("Judges")
    st.caption(HINT)
    for flow, name, card in found:
        _card(flow, name, card)


def _card(flow: int, workflow: str, card: Card) -> None:
    word = "fit" if card.fit else "expired" if card.expired else "unfit"
    with st.container(border=True, gap="xsmall", key=f"judge_{flow}_{card.hash[:16]}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(word, color="green" if card.fit else "orange")
            ui.plain(tables.short(card.model))
            ui.plain(f"in {tables.short(workflow)}")
            if card.last_at is not None:
                st.space("stretch")
                st.text(f"last held against the reviewers {phrases.ago(card.last_at)} ago", width="content")
        ui.plain(card.why_not or f"It agrees with the reviewers about as far as they do (kappa {card.people:.2f}).")
        if card.all.outputs:
            each = [_row(one) for one in ((card.all, *card.models) if len(card.models) > 1 else (card.all,))]
            tables.table("Agreement with the reviewers", HEAD, each, right=(1, 2, 3, 4, 5, 6))


def _row(one: Agreement) -> list[Cell]:
    return [
        one.model or "all models", f"{one.outputs:,}", f"{one.bad:,}", f"{one.unparsed:,}", _share(one.sensitivity),
        _share(one.specificity), _kappa(one.kappa),
    ]  # fmt: skip


def _share(found: Interval | None) -> Cell:
    if found is None:
        return tables.quiet(phrases.UNKNOWN)
    return tables.together(phrases.percent(found.rate), tables.quiet(phrases.between(found.low, found.high)))


def _kappa(found: Interval | None) -> Cell:
    if found is None:
        return tables.quiet(phrases.UNKNOWN)
    return tables.together(f"{found.rate:.2f}", tables.quiet(f"{found.low:.2f} to {found.high:.2f}"))
