"""Whether one of many texts says nearly the same as one more, without holding it against each of them word by word.

Of each text two sketches are kept: of its words, and of its pairs of words side by side. A sketch is a row of bits, of
which each word flips one, so two sketches differ in no more bits than the texts differ in words; counting those takes
nanoseconds. Only what does not differ in too many is compared, by `likeness.near`, which alone decides. Where many
texts share nine words of ten in another order, each is still compared with all of them: that is slow.
"""

import numpy as np
from numpy.typing import NDArray

from neuro_review.likeness import NEAR, near, normal

Numbers = NDArray[np.uint64]
# How many words in a row a sketch is of, and how many bits it has for each word of the longest text on its shelf.
RUNS = ((1, 1), (2, 4))
ODD = np.uint64(0x9E3779B97F4A7C15)
FEWEST_BITS = 6  # as a power of 2: a number of 64 bits
ROOM = 16


class Known:
    """Texts that are there already, so that one more is held against the few that could be near it, not against all."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._shelves: dict[int, _Shelf] = {}

    def add(self, text: str) -> None:
        """Take a text in."""
        spread = _Spread(text)
        size = spread.words.bit_length()
        if size not in self._shelves:
            self._shelves[size] = _Shelf(size)
        self._shelves[size].add(len(self._texts), spread)
        self._texts.append(text)

    def nearest(self, text: str) -> int | None:
        """Return the number, counted from 0 in the order they were taken in, of a text that says nearly the same."""
        spread = _Spread(text)
        # What shares 9 words of 10 with it has at least 9/11 of its words, and at most 11/9.
        sizes = range((spread.words * 9 // 11).bit_length(), (spread.words * 11 // 9 + 1).bit_length() + 1)
        for size in sizes:
            for number in self._shelves[size].alike(spread) if size in self._shelves else ():
                if near(self._texts[number], text):
                    return int(number)
        return None


class _Spread:
    """The words of a text, and its pairs of words, as numbers that are spread evenly."""

    def __init__(self, text: str) -> None:
        words = normal(text).split()
        self.words = len(words)
        self._each = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
        self._runs: dict[int, Numbers] = {}

    def sketch(self, length: int, power: int) -> Numbers:
        """Return the sketch of so many words in a row, in 2 to this power bits."""
        if length not in self._runs:
            self._runs[length] = _told_apart(self._each if length == 1 else self._each[:-1] * ODD + self._each[1:])
        places = (self._runs[length] >> np.uint64(64 - power)).astype(np.int64)
        flipped = np.bincount(places, minlength=1 << power).astype(np.uint8) & 1
        return np.packbits(flipped).view(np.uint64)


def _told_apart(numbers: Numbers) -> Numbers:
    """Return numbers with each that comes again made another one, the same wherever it comes as often."""
    ordered = np.sort(numbers)
    place = np.arange(len(ordered), dtype=np.uint64)
    again = np.zeros(len(ordered), bool)
    again[1:] = ordered[1:] == ordered[:-1]
    return ordered ^ ((place - np.maximum.accumulate(np.where(again, np.uint64(0), place))) * ODD)


class _Shelf:
    """The sketches of texts of about one length, side by side."""

    def __init__(self, size: int) -> None:
        self._powers = [max(FEWEST_BITS, size + more.bit_length() - 1) for _, more in RUNS]
        self._many = 0
        self._numbers = np.zeros(ROOM, np.int64)
        self._words = np.zeros(ROOM, np.int64)
        self._sketches = [np.zeros((ROOM, (1 << power) // 64), np.uint64) for power in self._powers]

    def add(self, number: int, spread: _Spread) -> None:
        at = self._many
        if at == len(self._numbers):
            self._numbers, self._words = (np.concatenate([one, one]) for one in (self._numbers, self._words))
            self._sketches = [np.concatenate([one, one]) for one in self._sketches]
        self._numbers[at], self._words[at] = number, spread.words
        for which, power in enumerate(self._powers):
            self._sketches[which][at] = spread.sketch(RUNS[which][0], power)
        self._many += 1

    def alike(self, spread: _Spread) -> NDArray[np.int64]:
        """Return the numbers of the texts that may be near one."""
        words = self._words[: self._many]
        both = words + spread.words
        # So many words in one of the two texts alone are still near, by the same sum as in `near`; a word that is in
        # one alone breaks at most so many runs there, and one run less in the other.
        unlike = both - 2 * np.ceil(NEAR * both / 2).astype(np.int64)
        left = np.flatnonzero(np.abs(words - spread.words) <= unlike)
        for which, (length, _) in enumerate(RUNS):
            if not len(left):
                break
            mine = spread.sketch(length, self._powers[which])
            differ = np.bitwise_count(self._sketches[which][left] ^ mine).sum(axis=1, dtype=np.int64)
            left = left[differ <= (2 * length - 1) * unlike[left]]
        return self._numbers[left]
