"""What is nearly there already is found: as surely as by comparing with everything, and with few comparisons."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro_review.eval_sets import known
from neuro_review.eval_sets.known import Known
from neuro_review.likeness import near

WORD = st.sampled_from(["a", "bb", "ccc", "the", "return", "refund", "shoes", "7", "42"])
TEXT = st.lists(WORD, max_size=24)
# Where, how many words go, and what comes instead.
CHANGE = st.tuples(st.integers(0, 200), st.integers(0, 4), st.lists(WORD | st.just("new"), max_size=4))


def changed(words: list[str], changes: list[tuple[int, int, list[str]]]) -> list[str]:
    words = list(words)
    for place, gone, instead in changes:
        at = place % (len(words) + 1)
        words[at : at + gone] = instead
    return words


def finds_as_by_comparing_all(texts: list[str], other: str) -> None:
    there = Known()
    for text in texts:
        there.add(text)

    found = there.nearest(other)

    assert (found is not None) == any(near(text, other) for text in texts)
    assert found is None or near(texts[found], other)


@given(st.lists(TEXT.map(" ".join), max_size=12), TEXT.map(" ".join))
def test_what_is_near_a_short_text_is_always_found(texts: list[str], other: str) -> None:
    finds_as_by_comparing_all(texts, other)


@given(TEXT, st.integers(1, 9), st.lists(st.lists(CHANGE, max_size=9), min_size=1, max_size=6), st.randoms())
def test_what_is_near_a_longer_text_is_always_found(
    words: list[str], times: int, versions: list[list[tuple[int, int, list[str]]]], dice: random.Random
) -> None:
    longer = [word for _ in range(times) for word in dice.sample(words, len(words))]
    texts = [" ".join(changed(longer, changes)) for changes in versions]

    finds_as_by_comparing_all(texts, " ".join(longer))


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 63, 64, 100, 127, 128, 700, 1_100, 1_300])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_a_text_is_found_up_to_the_last_word_that_may_be_another(length: int, step: int) -> None:
    words = [f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(length)]
    for spoiled in {max(0, length // 10 + step), max(0, length // 5 + step)}:
        spread = {n * length // spoiled for n in range(spoiled)}
        other = ["other" if n in spread else word for n, word in enumerate(words)]
        fewer = [word for n, word in enumerate(words) if n not in spread]
        for one in (other, fewer):
            finds_as_by_comparing_all([" ".join(words)], " ".join(one))
            finds_as_by_comparing_all([" ".join(one)], " ".join(words))


def looked_at(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> int:
    """Take texts in as an eval set does, and return how many of the pairs were compared word by word."""
    compared: list[str] = []
    monkeypatch.setattr(known, "near", lambda one, other: compared.append(one) or near(one, other))
    there = Known()
    for text in texts:
        if there.nearest(text) is None:
            there.add(text)
    return len(compared)


def test_texts_that_share_their_instructions_are_hardly_ever_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = "You are the assistant of a shop that sells instruments and answers in one short polite sentence"
    texts = [f"{shared} alpha{chr(97 + n % 26)} beta{chr(97 + n // 26)} delta epsilon" for n in range(300)]

    assert looked_at(monkeypatch, texts) < 3 * 300  # each has its like: it is found, and not many are tried before
    assert looked_at(monkeypatch, [f"{texts[0]} {'again ' * n}" for n in range(0, 300, 10)]) < 30


@pytest.mark.parametrize("vocabulary", [20, 300, 5_000])
def test_long_texts_of_the_same_words_are_hardly_ever_compared(
    monkeypatch: pytest.MonkeyPatch, vocabulary: int
) -> None:
    dice = random.Random(1)
    named = [f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(vocabulary)]
    texts = [" ".join(dice.choices(named, k=600)) for _ in range(120)]

    assert looked_at(monkeypatch, texts) < 120  # of 7,140 pairs
