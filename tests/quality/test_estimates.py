"""Which labels may speak, how sure they are, and when that is not enough to show."""

from neuro_review.quality.estimates import Basis, Cell, Estimate, estimate, estimates
from neuro_review.quality.periods import Per, Window, first_day, name
from neuro_review.rollups.counting import week_of
from neuro_review.stats.proportions import jeffreys


def test_all_labels_speak_where_everything_was_to_be_reviewed_and_is_decided() -> None:
    found = estimate({("all", "panel"): Cell(20, 20, 1), ("all", "sure"): Cell(180, 180, 9)})

    assert (found.basis, found.used, found.enough) == (Basis.ALL, 200, True)
    assert (found.rate, found.low, found.high) == jeffreys(10, 200)


def test_of_many_at_once_each_is_as_it_is_alone() -> None:
    many = [
        {}, {("all", "sure"): Cell(5, open=5)}, {("must", "sure"): Cell(30, 30, 12), ("let", "panel"): Cell(70, 70, 1)},
        *({("all", "panel"): Cell(n, n, n // 7), ("all", "sure"): Cell(40 + n, 40, 3, n)} for n in range(60)),
    ]  # fmt: skip

    for at_once, alone in zip(estimates(many), map(estimate, many), strict=True):
        assert rounded(at_once) == rounded(alone)


def rounded(one: Estimate) -> list[object]:
    return [round(value, 11) if isinstance(value, float) else value for value in vars(one).values()]


def test_the_panel_alone_speaks_while_much_still_waits() -> None:
    # What was decided so far happened to be the bad half; the panel is a fair draw.
    cells = {("all", "panel"): Cell(100, 100, 5), ("all", "sure"): Cell(900, 200, 100, 700)}

    found = estimate(cells)

    assert (found.basis, found.used, found.open) == (Basis.PANEL, 100, 700)
    assert found.rate == 0.05
    assert found.naive == 105 / 300


def test_where_hardly_anything_waits_the_interval_holds_whatever_it_turns_out_to_be() -> None:
    rest = estimate({("all", "sure"): Cell(990, 990, 50)})
    found = estimate({("all", "sure"): Cell(1_000, 990, 50, 10)})

    assert found.basis is Basis.ALL
    assert found.rate == rest.rate
    # All ten good, or all ten bad.
    assert found.low is not None and rest.low is not None and abs(found.low - rest.low * 0.99) < 1e-12
    assert found.high is not None and rest.high is not None and abs(found.high - (rest.high * 0.99 + 0.01)) < 1e-12


def test_a_part_that_is_let_go_speaks_with_its_panel_and_with_its_own_weight() -> None:
    cells = {
        ("must", "panel"): Cell(30, 30, 12), ("must", "sure"): Cell(270, 270, 108),
        ("safe", "panel"): Cell(70, 70, 7), ("safe", "chance"): Cell(630, 5, 5),  # five that somebody complained of
    }  # fmt: skip

    found = estimate(cells)

    assert (found.basis, found.used) == (Basis.STRATA, 370)
    assert found.rate is not None and abs(found.rate - 0.19) < 1e-12
    assert found.weighted


def test_without_a_panel_label_in_a_part_that_is_let_go_the_panel_speaks_for_all() -> None:
    cells = {("must", "panel"): Cell(40, 40, 4), ("must", "sure"): Cell(60, 60, 6), ("safe", "chance"): Cell(900, 0, 0)}

    assert estimate(cells).basis is Basis.PANEL


def test_too_few_labels_say_how_many_are_missing() -> None:
    few, none = estimate({("all", "sure"): Cell(12, 12, 1)}), estimate({("all", "sure"): Cell(9, 0, 0, 9)})

    # At the likeliest rate of 1.5 in 13, ± 10 points take 1.96² · .115 · .885 / .01 labels.
    assert (few.enough, few.needed) == (False, 40 - 12)
    assert (none.rate, none.enough, none.needed) == (None, False, 30)


def test_a_wide_interval_is_not_enough_either() -> None:
    found = estimate({("all", "sure"): Cell(40, 40, 20)})

    assert not found.enough
    assert found.needed == 97 - 40  # 1.96² · ¼ / 0.1² labels give ± 10 points at one half


def test_days_and_weeks_are_named_as_iso_names_them() -> None:
    monday = Window.of().first  # the first of January 1970, a Thursday, lies in week 0, which began on a Monday

    assert monday == 0
    assert first_day(Per.WEEK, week_of(0)).isoformat() == "1969-12-29"
    assert name(Per.WEEK, first_day(Per.WEEK, week_of(20_781))) == "2026-W48"
    assert name(Per.DAY, first_day(Per.DAY, 20_782)) == "2026-11-25"
