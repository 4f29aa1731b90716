"""How near two texts are to each other, and what differs, word by word."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

NEAR = 0.9
# Between what two texts begin and end with alike, at most this many words are compared: it must be bounded, whoever
# wrote them.
MOST_WORDS = 1_000
WORDS = re.compile(r"\s+|\w+|[^\w\s]")
DIGITS = re.compile(r"\d+")


class Kind(StrEnum):
    """What became of a part of the first text in the second."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Part:
    """A stretch of text, and whether both have it."""

    kind: Kind
    text: str


def normal(text: str) -> str:
    """Return a text without what does not make another answer of it: case, white space, and which number it is."""
    return " ".join(DIGITS.sub("#", text.casefold()).split())


def words(text: str) -> list[str]:
    """Return the words of a text, without case and punctuation."""
    return re.findall(r"\w+", text.casefold())


def near(one: str, other: str) -> bool:
    """Tell whether two texts say nearly the same: equal but for case, white space and numbers, or 9 of 10 words."""
    left, right = normal(one).split(), normal(other).split()
    if left == right:
        return True
    before, after = _shared(left, right)
    total = len(left) + len(right)
    left, right = left[before : len(left) - after], right[before : len(right) - after]
    alike = before + after
    # First what is cheap, and never says too little.
    if 2 * (alike + min(len(left), len(right))) < NEAR * total:
        return False
    if max(len(left), len(right)) <= MOST_WORDS:
        alike += sum(block.size for block in SequenceMatcher(None, left, right).get_matching_blocks())
    return 2 * alike >= NEAR * total


def differences(one: str, other: str) -> list[Part]:
    """Return the second text with what is new in it, and what is gone from the first, in reading order."""
    left, right = WORDS.findall(one), WORDS.findall(other)
    before, after = _shared(left, right)
    middle, new = left[before : len(left) - after], right[before : len(right) - after]
    parts = [Part(Kind.SAME, "".join(left[:before]))]
    if max(len(middle), len(new)) <= MOST_WORDS:
        for word, i, j, k, m in SequenceMatcher(None, middle, new).get_opcodes():
            if word == "equal":
                parts.append(Part(Kind.SAME, "".join(middle[i:j])))
            else:
                parts += [Part(Kind.REMOVED, "".join(middle[i:j])), Part(Kind.ADDED, "".join(new[k:m]))]
    else:
        parts += [Part(Kind.REMOVED, "".join(middle)), Part(Kind.ADDED, "".join(new))]
    parts.append(Part(Kind.SAME, "".join(right[len(right) - after :])))
    return [part for part in parts if part.text]


def changed(one: str, other: str) -> int:
    """Return how much of a text is another in the second, in thousandths: 0 the same words, 1000 none of them.

    It is the bag distance (Bartolini, Ciaccia, Patella 2002): the words that one has and the other has not, whichever
    are more, of the words of the longer text. It is never above the edit distance by words, takes a time that grows
    with the texts and not with their product, and does not see that words only changed their places.
    """
    left, right = Counter(one.split()), Counter(other.split())
    longer = max(left.total(), right.total())
    if not longer:
        return 0
    return round(1000 * max((left - right).total(), (right - left).total()) / longer)


def _shared(left: list[str], right: list[str]) -> tuple[int, int]:
    """Return how many words both begin with, and how many of the rest both end with."""
    most = min(len(left), len(right))
    before = next((n for n in range(most) if left[n] != right[n]), most)
    most -= before
    after = next((n for n in range(most) if left[-1 - n] != right[-1 - n]), most)
    return before, after
