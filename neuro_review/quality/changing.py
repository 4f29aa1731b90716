"""Whether a model got worse: one stretch of days against the one before, by a test that may be looked at every day.

Two 95 % intervals that do not overlap prove nothing to somebody who looks every morning: in sixty looks one of them
excludes the truth in about every third case. So the word “worse” is said by confidence sequences, which hold at all
looks at once (Howard et al. 2021), each at 97.5 %, over labels that are a fair draw of the outputs.
"""

from dataclasses import dataclass
from datetime import date

from sqlmodel import Session

from db.tables import Role
from neuro_review.access import Actor
from neuro_review.quality import reading
from neuro_review.quality.estimates import Basis, Cells, Estimate, estimate
from neuro_review.quality.periods import Per, Window
from neuro_review.rollups.counting import PANEL
from neuro_review.stats.sequences import confidence_sequence

EACH = 0.975
"""The confidence of each of the two, so that both hold together with 95 %."""


@dataclass(frozen=True)
class Changed:
    """A model in a stretch of days and in the one before."""

    model: str
    now: Estimate
    before: Estimate
    difference: float | None
    """Of the rates; None unless both have enough labels."""
    clear: int
    """1 where it is worse, -1 where it is better, 0 where chance alone could be it."""


def changes(session: Session, by: Actor, workflow_id: int, *, now: Window, before: Window) -> list[Changed]:
    """Return how each model that had outputs in the first stretch stands against the second, the models in order.

    Raises:
        NotAllowedError: not an owner of the workflow.
    """
    by.require(Role.OWNER, workflow_id)
    new, old = (reading.counts(session, workflow_id, Per.ALL, window) for window in (now, before))
    return [
        _changed(key[0], new[key].cells, old[key].cells if key in old else {}) for key in sorted(new) if new[key].items
    ]


def _changed(model: str, new: Cells, old: Cells) -> Changed:
    now, before = estimate(new), estimate(old)
    if not (now.enough and before.enough) or now.rate is None or before.rate is None:
        return Changed(model, now, before, None, 0)
    (_, new_low, new_high), (_, old_low, old_high) = (
        confidence_sequence(*_fair(cells, one), EACH) for cells, one in ((new, now), (old, before))
    )
    clear = 1 if new_low > old_high else -1 if new_high < old_low else 0
    return Changed(model, now, before, now.rate - before.rate, clear)


def _fair(cells: Cells, of: Estimate) -> tuple[int, int]:
    """Return how many labels are a fair draw, and how many of them are bad: all of them, or the audit panel's."""
    draw = [one for (_, how), one in cells.items() if of.basis is Basis.ALL or how == PANEL]
    return sum(one.bad for one in draw), sum(one.labels for one in draw)


def stretch(last: date, days: int) -> tuple[Window, Window]:
    """Return the days up to the last one, and as many before them."""
    number = Window.of(last, last).first
    return Window(number - days + 1, number), Window(number - 2 * days + 1, number - days)
