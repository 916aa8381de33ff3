"""Wilson's interval and McNemar's test, held against SciPy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.statistics.proportions import Agreement, mcnemar, proportion
from orchestrator.statistics.values import Interval, NoInterval

PARTS = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(PARTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys_and_stays_in_range(part: tuple[int, int], level: float) -> None:
    found, theirs = proportion(*part, level), stats.binomtest(*part).proportion_ci(level, method="wilson")
    assert isinstance(found.interval, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert (found.interval.low == 0, found.interval.high == 1) == (part[0] == 0, part[0] == part[1])


def test_no_rows_have_no_interval() -> None:
    found = proportion(0, 0)
    assert found.value == 0
    assert found.interval == NoInterval("there are no rows")


@pytest.mark.parametrize("part", [(-1, 5), (6, 5)])
def test_a_part_larger_than_the_whole_is_refused(part: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="between 0 and the whole"):
        proportion(*part)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_twice_the_smaller_tail_of_a_fair_coin(one: int, other: int) -> None:
    found = mcnemar(Agreement(7, one, other, 3))
    assert found == pytest.approx(min(1, 2 * stats.binom.cdf(min(one, other), one + other, 0.5)))
    assert found == mcnemar(Agreement(0, other, one, 99))


def test_mcnemar_of_a_textbook() -> None:
    """Agresti, Categorical Data Analysis, table 10.1: 86 against 150 who changed their mind."""
    assert mcnemar(Agreement(794, 150, 86, 570)) == pytest.approx(3.7e-5, rel=0.02)
