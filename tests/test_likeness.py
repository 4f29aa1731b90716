"""What reads alike, and what differs: worked by hand, bounded, and nothing of either text is lost."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro_review import likeness
from neuro_review.likeness import Kind

TEN = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        (TEN, TEN, True),
        (TEN, TEN.upper() + "  \n", True),
        ("You get 5 back.", "You get 1234 back.", True),
        (TEN, TEN.replace("ten", "11"), True),  # 9 of 10 words: 18 of 20
        (TEN, TEN.replace("nine ten", "no more"), False),  # 8 of 10
        (TEN, TEN + " eleven", True),  # 20 of 21
        (TEN, TEN + " eleven twelve thirteen", False),  # 20 of 23 is under 0.9
        (TEN, " ".join(reversed(TEN.split())), False),
        ("", "", True),
        ("", TEN, False),
        ("Yes.", "No.", False),
    ],
)
def test_near_is_nine_words_of_ten_without_case_space_and_numbers(one: str, other: str, near: bool) -> None:
    assert likeness.near(one, other) is near
    assert likeness.near(other, one) is near


def test_each_number_and_each_space_that_differs_is_shown() -> None:
    parts = likeness.differences("Pay 5 euro  now", "pay 50 euro now")

    assert [(part.kind, part.text) for part in parts] == [
        (Kind.REMOVED, "Pay"), (Kind.ADDED, "pay"), (Kind.SAME, " "), (Kind.REMOVED, "5"), (Kind.ADDED, "50"),
        (Kind.SAME, " euro"), (Kind.REMOVED, "  "), (Kind.ADDED, " "), (Kind.SAME, "now"),
    ]  # fmt: skip


@given(st.text(), st.text())
def test_both_texts_can_be_read_from_what_differs(one: str, other: str) -> None:
    parts = likeness.differences(one, other)

    assert "".join(part.text for part in parts if part.kind is not Kind.ADDED) == one
    assert "".join(part.text for part in parts if part.kind is not Kind.REMOVED) == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a " * 250_000, "b " * 250_000),
        ("x" + " a b" * 60_000, "y" + " b a" * 60_000 + " z"),
        ("x " + "a " * 900 + "y", "z " + "a " * 900 + "w"),
    ],
)
def test_a_text_made_to_be_slow_to_compare_is_compared_in_part(
    one: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    class Watched(SequenceMatcher[str]):
        def __init__(self, junk: None, left: list[str], right: list[str]) -> None:
            compared.append(max(len(left), len(right)))
            super().__init__(junk, left, right)

    monkeypatch.setattr(likeness, "SequenceMatcher", Watched)
    likeness.near(one, other)
    parts = likeness.differences(one, other)

    assert "".join(part.text for part in parts if part.kind is not Kind.REMOVED) == other
    assert max(compared, default=0) <= likeness.MOST_WORDS
