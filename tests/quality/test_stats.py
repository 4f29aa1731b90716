"""The statistics, against numbers worked by hand or printed in the papers, and against scipy."""

import math
import random

import pytest

from neuro_review.stats import agreement, beta, paired, proportions, sequences, several
from neuro_review.stats.proportions import Stratum
from neuro_review.stats.sequences import Detector


def near(value: float, wanted: float, within: float = 5e-4) -> bool:
    return abs(value - wanted) <= within


@pytest.mark.parametrize("a", [0.5, 1, 3.5, 200.5])
@pytest.mark.parametrize("b", [0.5, 2, 97.5, 40_000.5, 900_000.5])
def test_the_beta_distribution_is_that_of_scipy(a: float, b: float) -> None:
    from scipy import special

    for share in (0.0005, 0.001, 0.025, 0.5, 0.975, 0.9999):
        value = beta.quantile(share, a, b)
        assert near(value, special.betaincinv(a, b, share), 1e-10)
        assert near(beta.below(value, a, b), share, 1e-9)


def test_also_the_outermost_values_of_a_beta_distribution_are_those_of_scipy() -> None:
    from scipy import special

    for share in (1e-6, 1e-4, 0.9999, 0.999999):
        for a, b in ((6.0, 3.0), (2.0, 4.0), (5.5, 4.5), (0.5, 40.5), (40.5, 0.5)):
            assert near(beta.quantile(share, a, b), special.betaincinv(a, b, share), 1e-10)


def test_the_normal_quantile_is_that_of_the_tables() -> None:
    assert near(proportions.normal_quantile(0.975), 1.959964, 1e-6)
    assert near(proportions.normal_quantile(0.5), 0, 1e-12)
    assert near(proportions.normal_quantile(0.001), -3.090232, 1e-6)


def test_wilson_is_as_newcombe_prints_it() -> None:
    # Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for bad, labels, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                   (1, 29, 0.0061, 0.1718)):  # fmt: skip
        found = proportions.wilson(bad, labels)
        assert near(found.low, low)
        assert near(found.high, high)


def test_clopper_pearson_is_as_newcombe_prints_it() -> None:
    # Newcombe 1998, table I, method 5.
    for bad, labels, low, high in ((81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0, 0.1684),
                                   (1, 29, 0.0009, 0.1776)):  # fmt: skip
        found = proportions.clopper_pearson(bad, labels)
        assert near(found.low, low)
        assert near(found.high, high)


def test_many_quantiles_at_once_are_those_of_scipy() -> None:
    from scipy import special

    chance = random.Random(20261130)
    asked = [(share, 0.0, 0.0) for share in (0.0, 1.0)] + [
        (share, bad + 0.5, labels - bad + 0.5)
        for labels in (1, 2, 5, 30, 300, 2_000, 19_000, 800_000)
        for bad in (0, labels, *(chance.randrange(labels + 1) for _ in range(20)))
        for share in (0.025, 0.5, 0.975)
    ]  # fmt: skip
    found = beta.quantiles(asked)

    assert found[:2] == [0, 1]
    for value, (share, a, b) in list(zip(found, asked, strict=True))[2:]:
        assert near(value, special.betaincinv(a, b, share), 1e-11)
        assert near(value, beta.quantile(share, a, b), 1e-11)
    assert beta.quantiles(asked[2:9]) == [beta.quantile(*one) for one in asked[2:9]]


def test_many_jeffreys_intervals_are_those_of_one() -> None:
    seen = [(bad, labels) for labels in range(1, 40, 3) for bad in range(labels + 1)]
    for one, (bad, labels) in zip(proportions.many_jeffreys(seen), seen, strict=True):
        alone = proportions.jeffreys(bad, labels)
        assert all(near(*pair, 1e-11) for pair in zip(one, alone, strict=True))


def test_jeffreys_reaches_the_ends_and_is_scipys_beta_between() -> None:
    from scipy import stats

    found = proportions.jeffreys(5, 100)

    assert proportions.jeffreys(0, 20).low == 0
    assert proportions.jeffreys(20, 20).high == 1
    assert near(found.low, stats.beta.ppf(0.025, 5.5, 95.5), 1e-9)
    assert near(found.high, stats.beta.ppf(0.975, 5.5, 95.5), 1e-9)


def test_strata_are_weighted_by_what_they_hold() -> None:
    # 300 outputs all seen, 120 bad; of 700 others 70 seen, 7 bad: 0.3 · 0.4 + 0.7 · 0.1.
    found = proportions.stratified([Stratum(300, 300, 120), Stratum(700, 70, 7)])

    assert near(found.rate, 0.19, 1e-12)
    assert found.low < 0.19 < found.high


@pytest.mark.parametrize(
    "strata",
    [
        [Stratum(300, 300, 120), Stratum(700, 70, 3)],
        [Stratum(200, 200, 20), Stratum(4_800, 240, 0)],
        [Stratum(10, 10, 3), Stratum(50, 20, 3), Stratum(100, 5, 0)],
    ],
)
def test_the_bounds_over_strata_are_those_of_a_million_draws(strata: list[Stratum]) -> None:
    import numpy as np

    chance, total = np.random.default_rng(1), sum(one.items for one in strata)
    draws = sum(one.items / total * chance.beta(one.bad + 0.5, one.labels - one.bad + 0.5, 1_000_000) for one in strata)

    found = proportions.stratified(strata)

    low, high = np.quantile(draws, [0.025, 0.975])
    assert near(found.low, low, 0.005 * (high - low))
    assert near(found.high, high, 0.005 * (high - low))
    assert proportions.stratified(strata) == found


def test_one_stratum_is_jeffreys() -> None:
    assert proportions.stratified([Stratum(900, 100, 5)]) == proportions.jeffreys(5, 100)


def test_kappa_is_that_of_a_table_worked_by_hand() -> None:
    # 20 and 15 agree of 50: raw .7; by chance (.5·.6 + .5·.4) = .5; kappa (.7 − .5)/.5 = .4.
    rows = agreement.table([("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15)

    assert near(agreement.raw(rows).rate, 0.7, 1e-12)
    assert near(agreement.cohen_kappa(rows).rate, 0.4, 1e-12)
    # AC1: y has the share .55, so chance agreement is 2·.55·.45 = .495, and (.7 − .495)/.505.
    assert near(agreement.gwet_ac1(rows).rate, 0.205 / 0.505, 1e-12)
    # alpha: 30 disagreeing ratings of 100 against 2·55·45/99.
    assert near(agreement.krippendorff_alpha(rows).rate, 1 - 30 / (2 * 55 * 45 / 99), 1e-12)


def test_krippendorffs_own_example_has_his_alpha() -> None:
    # Krippendorff 2011, “Computing Krippendorff's alpha-reliability”, C: four observers, twelve units, gaps.
    units = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]

    assert near(agreement.krippendorff_alpha(agreement.table([tuple(unit) for unit in units])).rate, 0.743, 5e-4)


def test_the_interval_of_kappa_covers_as_often_as_it_says() -> None:
    # Each of two reviewers sees a fair coin rightly with probability r: both agree with r² + (1 − r)², by chance ½.
    chance, covered = random.Random(5), 0
    truth = 2 * (0.9146**2 + 0.0854**2) - 1
    for _ in range(300):
        rows = []
        for _ in range(200):
            bad = chance.random() < 0.5
            one = bad if chance.random() < 0.9146 else not bad
            other = bad if chance.random() < 0.9146 else not bad
            rows.append((str(one), str(other)))
        found = agreement.cohen_kappa(agreement.table(rows))
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 300 <= 0.985


def test_tangos_bounds_are_where_the_score_statistic_reaches_z() -> None:
    found = paired.tango(8, 3, 100, 0.95)

    assert near(found.rate, 0.05, 1e-12)
    for edge in (found.low, found.high):
        assert near(abs(paired._score(8, 3, 100, edge)), 1.959964, 1e-6)
    assert near(paired.tango(3, 8, 100, 0.95).high, -found.low, 1e-9)


def test_tango_needs_no_discordant_items() -> None:
    found = paired.tango(0, 0, 50, 0.95)

    # With none, the score statistic is n d / √(n d(1 − d)): it reaches z where d = z²/(n + z²).
    z2 = 1.959964**2
    assert near(found.high, z2 / (50 + z2), 1e-6)
    assert near(found.low, -z2 / (50 + z2), 1e-6)


def test_one_step_of_the_detector_is_what_the_paper_says() -> None:
    good, bad = Detector(0.05, 2000).after(False), Detector(0.05, 2000).after(True)

    assert [round(one, 12) for one in bad.evidence] == [1.5, 2.0, 3.0, 5.0]
    assert near(good.evidence[0], 0.925 / 0.95, 1e-12)
    assert (bad.labels, bad.bad, bad.since, bad.bad_since) == (1, 1, 1, 1)
    assert (good.labels, good.since) == (1, 0)


def test_the_detector_expects_its_threshold_of_labels_between_false_alarms() -> None:
    # The mean of the M_j minus the number of labels is a martingale at the target itself: E[mean M] = n.
    state, chance, total = Detector(0.05, math.inf), random.Random(11), 0.0
    for _ in range(400):
        one = sequences.watch(state, [chance.random() < 0.05 for _ in range(20)])
        total += one.level
    assert 14 <= total / 400 <= 28


def test_a_confidence_sequence_holds_at_every_look() -> None:
    chance, broken = random.Random(3), 0
    for _ in range(200):
        bad, wrong = 0, False
        for labels in range(1, 401):
            bad += chance.random() < 0.1
            if labels % 20 == 0:
                found = sequences.confidence_sequence(bad, labels)
                wrong = wrong or not found.low <= 0.1 <= found.high
        broken += wrong
    assert broken / 200 <= 0.06


def test_a_confidence_sequence_is_wider_than_an_interval_for_one_look() -> None:
    one, always = proportions.wilson(20, 400), sequences.confidence_sequence(20, 400)

    assert always.low < one.low
    assert always.high > one.high
    assert 1.3 < (always.high - always.low) / (one.high - one.low) < 2.2


def test_holm_and_benjamini_hochberg_are_as_worked_by_hand() -> None:
    chances = [0.01, 0.04, 0.03, 0.005]

    assert [round(one, 12) for one in several.holm(chances)] == [0.03, 0.06, 0.06, 0.02]
    assert [round(one, 12) for one in several.benjamini_hochberg(chances)] == [0.02, 0.04, 0.04, 0.02]


def test_mcnemars_exact_test_is_as_worked_by_hand() -> None:
    # Eight tosses with one head or fewer: (1 + 8) / 256, and as much for one tail or fewer.
    worked = {(1, 7): 18 / 256, (7, 1): 18 / 256, (0, 6): 2 / 64, (0, 1): 1.0, (3, 3): 1.0, (0, 0): 1.0, (2, 3): 1.0}

    assert {pair: round(paired.mcnemar(*pair), 12) for pair in worked} == worked


def test_the_chance_that_one_rate_is_above_another_is_that_of_draws() -> None:
    import numpy as np

    chance = np.random.default_rng(2)
    drawn = (chance.beta(10.5, 90.5, 400_000) > chance.beta(5.5, 95.5, 400_000)).mean()

    assert near(several.chance_above([Stratum(100, 100, 10)], [Stratum(100, 100, 5)]), drawn, 3e-3)
    assert near(several.chance_above([Stratum(9, 9, 2)], [Stratum(9, 9, 2)]), 0.5, 1e-9)


def test_a_difference_lies_where_the_rates_differ() -> None:
    found = several.difference([Stratum(400, 400, 60)], [Stratum(400, 400, 20)])

    assert near(found.rate, 0.1, 1e-12)
    assert 0.05 < found.low < 0.1 < found.high < 0.15
