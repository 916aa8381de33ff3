"""The interval of the comparison after a sweep: what is drawn, how wide it is, and what memory it takes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from guesses import guesses
from scipy import stats
from sklearn.metrics import f1_score

from orchestrator.sweeps.verdict import compare, draw_differences, draw_seeds, percentiles, widening
from trainable.base.seeds import derived_generator


def test_the_same_rows_are_drawn_for_both_and_all_seeds() -> None:
    """Two seeds with the same predictions differ by the same on every draw, however hard the rows drawn are."""
    true, default, other = guesses(1, 40, 0.5, 0.6, seeds=1)
    draws = draw_differences(true, default.repeat(2, 0), other.repeat(2, 0), 4, 200, 0)
    assert draws.shape == (200, 2)
    assert (draws[:, 0] == draws[:, 1]).all()
    assert draws[:, 0].std() > 0


def test_draws_are_those_of_a_resample_done_by_hand() -> None:
    true, default, other = guesses(1, 30, 0.4, 0.7, seeds=2)
    rows = derived_generator(5, "bootstrap").integers(0, 30, (50, 30))
    by_hand = [
        [
            f1_score(true[i], o[i], labels=range(4), average="macro", zero_division=0)
            - f1_score(true[i], d[i], labels=range(4), average="macro", zero_division=0)
            for d, o in zip(default, other, strict=True)
        ]
        for i in rows
    ]
    np.testing.assert_allclose(draw_differences(true, default, other, 4, 50, 5), by_hand, atol=1e-12)


def test_seeds_are_drawn_with_replacement() -> None:
    drawn = draw_seeds(5, 4000, np.random.default_rng(0))
    assert drawn.sum(1) == pytest.approx(1)
    assert (drawn == 0).mean() == pytest.approx((4 / 5) ** 5, abs=0.02)


def test_where_only_seeds_differ_the_interval_is_students() -> None:
    """On 4,000 rows drawing rows changes little, and the seeds are far apart."""
    true = np.zeros(4000, np.int64)
    true[2000:] = 1
    default = np.tile(true, (5, 1))
    other = default.copy()
    for run, wrong in enumerate((100, 250, 420, 500, 730)):
        other[run, :wrong] = 1 - other[run, :wrong]
    found = compare(true, default, other, 2)
    half = stats.t.ppf(0.975, 4) * np.std(found.differences, ddof=1) / 5**0.5
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.07)


def test_rows_and_seeds_add_up_as_squares() -> None:
    """Chance in single predictions is in both, and not a third time: that would make it wider by a third."""
    case = guesses(1, 200, 0.5, 0.6)
    found = compare(*case, 4)
    rows = np.quantile(draw_differences(*case, 4, 10_000, 1).mean(1), [0.025, 0.975])
    seeds = stats.t.ppf(0.975, 4) * np.std(found.differences, ddof=1) / 5**0.5
    assert (found.high - found.low) / 2 == pytest.approx(np.hypot((rows[1] - rows[0]) / 2, seeds), rel=0.06)


def test_the_interval_reaches_further_to_the_side_of_a_seed_that_lies_apart() -> None:
    true = np.arange(4000) % 2
    default = np.tile(true, (5, 1))
    other = default.copy()
    other[2, :800] = 1 - other[2, :800]
    found = compare(true, default, other, 2)
    assert found.difference - found.low > 1.5 * (found.high - found.difference)


def test_where_seeds_agree_the_interval_is_that_of_the_rows() -> None:
    true, default, other = guesses(1, 300, 0.5, 0.6, seeds=1)
    found = compare(true, default.repeat(5, 0), other.repeat(5, 0), 4)
    rows = draw_differences(true, default, other, 4, 10_000, 1)[:, 0]
    assert (found.low, found.high) == pytest.approx(np.quantile(rows, [0.025, 0.975]), abs=0.005)


def test_five_seeds_are_enough_to_be_right_nineteen_times_in_twenty() -> None:
    """Only the seeds differ, by normal noise: the plain percentile interval would hold the truth 84 times in 100."""
    generator = np.random.default_rng(0)
    held = {1.0: 0, widening(5): 0}
    for _ in range(1000):
        by_seed = generator.normal(size=5)
        drawn = draw_seeds(5, 1000, generator) @ by_seed - by_seed.mean()
        for factor in held:
            low, high = percentiles(by_seed.mean() + factor * drawn)
            held[factor] += low <= 0 <= high
    plain, widened = held.values()
    assert plain < 870
    assert 930 < widened < 970


# Student's t (0.975) for s - 1 degrees of freedom as in printed tables, three decimals.
TABLE = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262, 31: 2.042}


@pytest.mark.parametrize("seeds", TABLE)
def test_the_widening_turns_a_percentile_interval_into_students(seeds: int) -> None:
    deviation_of_a_drawn_mean = ((seeds - 1) / seeds) ** 0.5
    assert widening(seeds) * 1.95996 * deviation_of_a_drawn_mean == pytest.approx(TABLE[seeds], abs=6e-4)


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(ZeroDivisionError):
        widening(1)


def test_percentiles_are_draws() -> None:
    draws = np.arange(1000.0)[::-1]
    assert percentiles(draws) == (25, 974)
    assert percentiles(-draws) == (-974, -25)
    assert percentiles(np.array([7.0])) == (7, 7)


def test_twenty_thousand_rows_fit_into_memory() -> None:
    case = guesses(1, 20_000, 0.5, 0.5)
    tracemalloc.start()
    compare(*case, 4, resamples=300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_many_classes_on_few_rows_fit_into_memory() -> None:
    """What is large then is the table of counts, not the draws."""
    true = np.arange(3)
    runs = np.zeros((5, 3), np.int64)
    tracemalloc.start()
    compare(true, runs, runs, 200, resamples=5_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
