"""That the charts do not lie and the alarm is neither late nor false, in a short form; at length by the bench."""

import statistics

import pytest

from tests.bench.coverage import coverage, detection


def test_intervals_of_risk_routed_labels_hold_the_truth_and_naive_ones_do_not(request: pytest.FixtureRequest) -> None:
    times = 400 if request.config.getoption("--long") else 100

    found = coverage(times, seed=20_261_125, cells=9)

    assert statistics.mean(one.ours for one in found) >= 0.93
    # A cell of 95 % falls below this in one of thousands of runs.
    assert min(one.ours for one in found) >= 0.85
    assert statistics.mean(one.naive for one in found) <= 0.35
    assert abs(statistics.mean(one.bias for one in found)) <= 0.01


def test_a_jump_above_the_target_is_seen_within_sixty_audited_labels(request: pytest.FixtureRequest) -> None:
    times = 400 if request.config.getoption("--long") else 60

    seen = detection(times, seed=7)

    assert seen.delay <= 60
    assert seen.false <= 0.10
