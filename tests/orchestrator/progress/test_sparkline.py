"""Trends: no wider than there is room, higher scores never lower, noise nearly flat."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.progress.sparkline import LEVELS, sparkline

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(SCORES, st.integers(1, 40))
def test_one_bar_a_score_as_long_as_there_is_room(scores: list[float], width: int) -> None:
    line = sparkline(scores, width)
    assert len(line) == min(width, len(scores))
    assert set(line) <= set(LEVELS)


@given(SCORES)
def test_a_higher_score_is_never_drawn_lower(scores: list[float]) -> None:
    heights = [LEVELS.index(bar) for bar in sparkline(scores, len(scores))]
    pairs = sorted(zip(scores, heights, strict=True))
    assert [height for _, height in pairs] == sorted(heights)


@given(SCORES, st.integers(1, 40))
def test_scores_that_only_rise_make_bars_that_only_rise(scores: list[float], width: int) -> None:
    line = sparkline(sorted(scores), width)
    assert list(line) == sorted(line)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40).filter(lambda scores: max(scores) - min(scores) >= 0.02))
def test_the_least_and_the_highest_have_the_lowest_and_the_tallest_bar(scores: list[float]) -> None:
    line = sparkline(scores, 40)
    assert line[scores.index(min(scores))] == LEVELS[0]
    assert line[scores.index(max(scores))] == LEVELS[-1]


def test_noise_is_nearly_flat() -> None:
    assert sparkline([0.500, 0.501, 0.499, 0.500], 8) == "▁▁▁▁"


@given(SCORES, st.integers(1, 40))
def test_what_is_no_number_is_left_out(scores: list[float], width: int) -> None:
    assert sparkline([math.nan, *scores, math.inf], width) == sparkline(scores, width)
    assert sparkline([math.nan], width) == sparkline([], width) == sparkline(scores, 0) == ""
