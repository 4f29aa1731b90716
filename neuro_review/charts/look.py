"""Colours for a light and a dark page, which people with any colour vision can tell apart."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """The colours of a page."""

    ground: str
    series: tuple[str, ...]
    """One for each model; the first is the accent, which a chart of one series has to itself."""
    quiet: str
    """Words that explain."""
    grey: str
    """What rests on too few labels."""
    target: str
    """The quality target."""


LIGHT = Look(
    ground="#ffffff", series=("#0f766e", "#c2570c", "#6a4fd8", "#1c3d8f", "#3f8fd2", "#5c3d00"),
    quiet="#566273", grey="#a3adb8", target="#b3261e",
)  # fmt: skip
DARK = Look(
    ground="#0f1620", series=("#2dd4bf", "#f59e4b", "#a78bfa", "#e11d74", "#fde047", "#e6edf3"),
    quiet="#9fb0c0", grey="#5d6b7a", target="#ffb4ab",
)  # fmt: skip
MOST_SERIES = len(LIGHT.series)
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
"""The second way to tell series apart, where colours are not seen or not printed."""
