"""The comparison after a sweep: macro-F1, the interval and its laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from guesses import Case, guesses
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from orchestrator.sweeps.verdict import Comparison, compare


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """True classes (n,) and two times (s, n) predictions, among four classes."""
    n, s = draw(st.integers(1, 25)), draw(st.integers(2, 5))
    labels = np.array(draw(st.lists(st.integers(0, 3), min_size=n * (1 + 2 * s), max_size=n * (1 + 2 * s))))
    return labels[:n], labels[n : n * (1 + s)].reshape(s, n), labels[n * (1 + s) :].reshape(s, n)


# -- macro-F1


@settings(deadline=None)
@given(cases())
def test_the_figures_of_each_seed_are_macro_f1(case: Case) -> None:
    true, default, other = case
    found = compare(*case, 4, resamples=1)
    for values, runs in ((found.default, default), (found.other, other)):
        expected = [f1_score(true, run, labels=range(4), average="macro", zero_division=0) for run in runs]
        assert values == pytest.approx(expected)


def test_mean_and_standard_deviation_are_over_seeds() -> None:
    found = Comparison((0.1, 0.2, 0.6), (0.2, 0.4, 0.6), -0.1, 0.3)
    assert found.default_mean == pytest.approx(0.3)
    assert found.default_std == pytest.approx(0.07**0.5)
    assert found.other_mean == pytest.approx(0.4)
    assert found.other_std == pytest.approx(0.2)
    assert found.differences == pytest.approx((0.1, 0.2, 0))
    assert found.difference == pytest.approx(0.1)


# -- The interval and the verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.2, "better"),
        (-0.2, -0.01, "worse"),
        (-0.1, 0.1, "cannot tell"),
        (0.0, 0.1, "cannot tell"),
        (-0.1, 0.0, "cannot tell"),
        (1e-16, 1e-16, "cannot tell"),
    ],
)
def test_verdict(low: float, high: float, verdict: str) -> None:
    assert Comparison((0.5, 0.5), (0.5, 0.5), low, high).verdict == verdict


@settings(deadline=None)
@given(cases(), st.integers(0, 9))
def test_swapping_the_two_turns_everything_round(case: Case, seed: int) -> None:
    true, default, other = case
    one = compare(true, default, other, 4, resamples=200, seed=seed)
    two = compare(true, other, default, 4, resamples=200, seed=seed)
    assert (two.low, two.high, two.difference) == (-one.high, -one.low, -one.difference)
    opposite = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
    assert two.verdict == opposite[one.verdict]


@settings(deadline=None)
@given(cases())
def test_equal_predictions_differ_by_nothing(case: Case) -> None:
    true, default, _ = case
    found = compare(true, default, default, 4, resamples=100)
    assert (found.low, found.high, found.verdict) == (0, 0, "cannot tell")


@settings(deadline=None)
@given(cases(), st.permutations(range(4)))
def test_the_numbers_of_the_classes_do_not_matter(case: Case, order: list[int]) -> None:
    one = compare(*case, 4, resamples=100)
    two = compare(*(np.array(order)[labels] for labels in case), 4, resamples=100)
    assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=1e-12)


@settings(deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_seeds_does_not_change_the_figures(case: Case, random: object) -> None:
    true, default, other = case
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    rows, seeds = generator.permutation(len(true)), generator.permutation(len(default))
    one = compare(*case, 4, resamples=1)
    two = compare(true[rows], default[seeds][:, rows], other[seeds][:, rows], 4, resamples=1)
    assert two.default == pytest.approx([one.default[i] for i in seeds])
    assert two.other == pytest.approx([one.other[i] for i in seeds])


def test_the_order_of_rows_and_seeds_hardly_changes_the_interval() -> None:
    """The draws are others, so only up to the resampling."""
    true, default, other = guesses(1, 100, 0.5, 0.6)
    one = compare(true, default, other, 4)
    two = compare(true[::-1], default[::-1, ::-1], other[::-1, ::-1], 4)
    assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=0.05 * (one.high - one.low))


@settings(deadline=None)
@given(cases())
def test_a_seed_gives_the_same_every_time(case: Case) -> None:
    assert compare(*case, 4, resamples=50, seed=3) == compare(*case, 4, resamples=50, seed=3)


def test_another_seed_draws_others() -> None:
    case = guesses(1, 60, 0.5, 0.6)
    assert compare(*case, 4, resamples=50, seed=3).low != compare(*case, 4, resamples=50, seed=4).low


def test_a_large_difference_is_seen() -> None:
    assert compare(*guesses(1, 67, 0.3, 0.8), 4).verdict == "better"
    assert compare(*guesses(1, 67, 0.8, 0.3), 4).verdict == "worse"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, d, o: (t, d[:1], o[:1]), "1 seeds"),
        (lambda t, d, o: (t, d, o[:4]), "shapes do not fit"),
        (lambda t, d, o: (t[:-1], d, o), "shapes do not fit"),
        (lambda t, d, o: (t, d[0], o[0]), "shapes do not fit"),
        (lambda t, d, o: (t[:0], d[:, :0], o[:, :0]), "0 rows"),
        (lambda t, d, o: (t, d + 4, o), "default has classes 4 to 7, but there are 4"),
        (lambda t, d, o: (t, d, o - 9), "other has classes -9"),
        (lambda t, d, o: (t * 1.0, d, o), "true must be integers"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: Callable[..., Case], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(*change(*guesses(1, 20, 0.5, 0.5)), 4)


def test_no_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="0 resamples"):
        compare(*guesses(1, 20, 0.5, 0.5), 4, resamples=0)
