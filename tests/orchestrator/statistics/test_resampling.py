"""Units and their draws."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orchestrator.statistics import resampling
from orchestrator.statistics.resampling import Units, draw, units

SMALL = arrays.arrays(np.int64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(0, 2))


def same(sums: np.ndarray) -> np.ndarray:
    return sums


@given(SMALL, st.randoms(use_true_random=False), st.booleans())
def test_neither_the_order_of_rows_nor_the_numbers_of_groups_matter(
    rows: np.ndarray, random: object, grouped: bool
) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    groups = generator.integers(0, 5, len(rows))
    order, numbers = generator.permutation(len(rows)), generator.permutation(5) * 7
    one = units(rows, groups if grouped else None)
    two = units(rows[order], numbers[groups][order] if grouped else None)
    np.testing.assert_array_equal(one.sums, two.sums)
    np.testing.assert_array_equal(one.sizes, two.sizes)
    np.testing.assert_array_equal(one.total, rows.sum(0))


def test_the_rows_of_a_group_are_one_unit() -> None:
    found = units(np.array([[1, 0], [2, 0], [0, 5], [3, 0]]), np.array(["b", "a", "b", "c"]))
    assert found.sums.tolist() == [[1, 5], [2, 0], [3, 0]]
    assert found.sizes.tolist() == [1, 1, 1]


def test_equal_units_are_one_kind() -> None:
    found = units(np.array([[2], [1], [1], [2]]), np.array([0, 1, 1, 2]))
    assert (found.sums.tolist(), found.sizes.tolist()) == ([[2]], [3])


@pytest.mark.parametrize("few_kinds", [0, 1000])  # drawn unit by unit, or kind by kind
@pytest.mark.parametrize("chunk", [50, 1_000_000])
def test_as_many_units_are_drawn_as_there_are_each_as_often_as_any(
    monkeypatch: pytest.MonkeyPatch, few_kinds: int, chunk: int
) -> None:
    monkeypatch.setattr(resampling, "FEW_KINDS", few_kinds)  # the test has few rows
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    of = Units(np.eye(4), np.array([1, 2, 3, 14]))
    found = draw(of, same, 5000, 0)
    assert found.shape == (5000, 4)
    assert (found.sum(1) == 20).all()
    np.testing.assert_allclose(found.mean(0), of.sizes, rtol=0.05)
    np.testing.assert_allclose(found.var(0), of.sizes * (1 - of.sizes / 20), rtol=0.1)
    assert np.corrcoef(found[:, 2], found[:, 3])[0, 1] < -0.5


@pytest.mark.parametrize("few_kinds", [0, 1000])
def test_a_seed_gives_the_same_every_time_and_another_seed_does_not(
    monkeypatch: pytest.MonkeyPatch, few_kinds: int
) -> None:
    monkeypatch.setattr(resampling, "FEW_KINDS", few_kinds)  # the test has few rows
    of = units(np.arange(30)[:, None])
    np.testing.assert_array_equal(draw(of, same, 20, 3), draw(of, same, 20, 3))
    assert (draw(of, same, 20, 3) != draw(of, same, 20, 4)).any()


def test_a_kind_is_drawn_as_often_as_its_units_would_be() -> None:
    """The mean of 200 values, 25 of each: its variance over draws is the variance of the values / 200."""
    values = np.repeat(np.arange(8), 25)
    found = draw(units(values[:, None]), same, 20_000, 0)[:, 0] / 200
    assert found.mean() == pytest.approx(values.mean(), rel=0.01)
    assert found.var() == pytest.approx(values.var() / 200, rel=0.05)


@pytest.mark.parametrize("kinds", [100, 30_000])
def test_sixty_thousand_rows_fit_into_memory(kinds: int) -> None:
    of = units(np.arange(60_000)[:, None] % kinds)
    tracemalloc.start()
    draw(of, same, 200, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
