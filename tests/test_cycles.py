"""Long work without looking for cycles all the time."""

import gc

from neuro_review.cycles import OFTEN_ENOUGH, few_looks


def test_who_ends_first_of_two_that_overlap_leaves_the_other_its_quiet_and_the_last_puts_things_back() -> None:
    before = gc.get_threshold()
    one, other = few_looks(), few_looks()

    with one:
        other.__enter__()
        assert gc.get_threshold()[0] == max(before[0], OFTEN_ENOUGH)
    assert gc.get_threshold()[0] == max(before[0], OFTEN_ENOUGH)
    other.__exit__(None, None, None)

    assert gc.get_threshold() == before
