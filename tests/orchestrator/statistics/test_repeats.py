"""Scores of several seeds: Student's interval, and when there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.statistics.repeats import compare_seeds, summarize_seeds
from orchestrator.statistics.values import Interval, NoInterval, Verdict

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(SCORES, st.sampled_from([0.9, 0.95]))
def test_the_interval_is_scipys_or_there_is_a_reason(scores: list[float], level: float) -> None:
    found = summarize_seeds(scores, level)
    assert found.mean.value == pytest.approx(np.mean(scores))
    assert found.sd == (None if len(scores) == 1 else pytest.approx(np.std(scores, ddof=1)))
    if isinstance(found.mean.interval, Interval):
        theirs = stats.ttest_1samp(scores, 0).confidence_interval(level)
        assert (found.mean.interval.low, found.mean.interval.high) == pytest.approx((theirs.low, theirs.high))
        assert theirs.low >= 0 and theirs.high <= 1
    elif len(scores) > 2 and max(scores) - min(scores) > 1e-6:
        theirs = stats.ttest_1samp(scores, 0).confidence_interval(level)
        assert theirs.low < 1e-9 or theirs.high > 1 - 1e-9


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([0.83], "a single seed cannot tell, at least 3 are needed"),
        ([0.75, 0.91], "two seeds cannot tell, at least 3 are needed"),
        ([0.83, 0.83], "two seeds cannot tell, at least 3 are needed"),
        ([0.83, 0.83, 0.83], "identical: all seeds gave the same score"),
        ([0.5, 0.8, 0.99], "3 seeds cannot tell, their scores lie too far apart"),
        ([0.01, 0.02, 0.05, 0.3], "4 seeds cannot tell, their scores lie too far apart"),
    ],
)
def test_no_interval_that_cannot_be(scores: list[float], reason: str) -> None:
    """Two seeds around 0.83 once gave 0.83 ± 0.8."""
    assert summarize_seeds(scores).mean.interval == NoInterval(reason)


def test_five_seeds_have_an_interval() -> None:
    found = summarize_seeds([0.81, 0.83, 0.82, 0.84, 0.83]).mean
    assert isinstance(found.interval, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.8118, 0.8402), abs=1e-4)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_exchanging_the_two_turns_the_difference_round(pairs: list[tuple[float, float]]) -> None:
    one, other = zip(*pairs, strict=True)
    ahead, back = compare_seeds(one, other), compare_seeds(other, one)
    assert back.difference.value == pytest.approx(-ahead.difference.value, abs=1e-12)
    opposite = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    assert back.verdict == opposite.get(ahead.verdict, ahead.verdict)


def test_pairs_of_seeds_are_compared_as_pairs() -> None:
    """The seeds differ by much more than the two methods do with the same seed."""
    one, other = [0.60, 0.70, 0.65, 0.75, 0.80], [0.62, 0.71, 0.68, 0.77, 0.81]
    found = compare_seeds(one, other)
    theirs = stats.ttest_rel(other, one).confidence_interval(0.95)
    assert isinstance(found.difference.interval, Interval)
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.verdict, found.reference, found.candidate) == (
        Verdict.BETTER,
        pytest.approx(0.7),
        pytest.approx(0.718),
    )


def test_equal_scores_are_identical_also_with_a_single_seed() -> None:
    for seeds in ([0.8], [0.8, 0.7], [0.8, 0.7, 0.6]):
        found = compare_seeds(seeds, seeds)
        assert (found.verdict, found.difference.value) == (Verdict.NO_DIFFERENCE, 0)
        assert found.reason == "identical: both have the same score with every seed"


def test_two_seeds_cannot_tell_two_methods_apart() -> None:
    found = compare_seeds([0.5, 0.51], [0.7, 0.72])
    assert (found.verdict, found.reason) == (Verdict.CANNOT_TELL, "two seeds cannot tell, at least 3 are needed")


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, math.inf])
def test_what_is_no_score_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        summarize_seeds([0.5, wrong])
    with pytest.raises(ValueError, match="between 0 and 1"):
        compare_seeds([0.5], [wrong])


def test_no_seeds_and_unpaired_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="no score"):
        summarize_seeds([])
    with pytest.raises(ValueError, match="shorter"):
        compare_seeds([0.5, 0.6], [0.5])
