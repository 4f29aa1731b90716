"""A frame in, an Altair chart out: nothing here reads a database or knows a page.

What goes in are plain rows that already hold what is to be said; what comes out says it the same way everywhere: an
axis has its unit, an estimate its interval, what rests on too few labels is grey, and days are UTC. A name that
somebody gave is data in a chart, never a part of its program.

    look      colours for a light and a dark page, which people with any colour vision can tell apart
    parts     the pieces that charts share: axes, marks of changes, the line of a target
    trend     a rate over time by model, with intervals
    spans     how long something took, what waited and what was paid, over time
    means     what applications report, over time
    beside    models side by side: a rate with its interval, and cost against quality
"""

from neuro_review.charts.beside import Standing, front, side_by_side
from neuro_review.charts.look import DARK, LIGHT, MOST_SERIES, Look
from neuro_review.charts.means import Mean, means
from neuro_review.charts.parts import Change, Frame, spec
from neuro_review.charts.spans import Part, Span, amounts, durations
from neuro_review.charts.trend import PICKED, Point, trend

__all__ = [
    "DARK",
    "LIGHT",
    "MOST_SERIES",
    "PICKED",
    "Change",
    "Frame",
    "Look",
    "Mean",
    "Part",
    "Point",
    "Span",
    "Standing",
    "amounts",
    "durations",
    "front",
    "means",
    "side_by_side",
    "spec",
    "trend",
]
