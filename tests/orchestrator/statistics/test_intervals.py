"""The two kinds of bootstrap intervals, held against SciPy's and against printed tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made_up import answered
from scipy import stats

from orchestrator.statistics import bootstrap
from orchestrator.statistics.bootstrap import bca_ends, percentile_ends
from orchestrator.statistics.resampling import draw, units
from orchestrator.statistics.scores import Margins, all_scores, one_hot

CLASSES = 4
NORMAL = 1.959964


def scores_of(sums: np.ndarray) -> np.ndarray:
    return all_scores(Margins(*np.split(sums, 3, axis=-1)))


def scores_of_rows(true: np.ndarray, answers: np.ndarray, axis: int = -1) -> np.ndarray:
    """Macro-F1 as SciPy wants it: rows along the last axis."""
    truth, said = (labels[..., None] == np.arange(CLASSES) for labels in (true, answers))
    sums = np.concatenate([truth.sum(-2), said.sum(-2), (truth & said).sum(-2)], -1)
    return scores_of(sums)[..., 1]


@pytest.fixture
def unexpanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """SciPy does not expand its intervals."""
    monkeypatch.setattr(bootstrap, "_expanded", lambda units, level: stats.norm.ppf((1 + level) / 2))


@pytest.mark.usefixtures("unexpanded")
@pytest.mark.parametrize(("seed", "n"), [(0, 60), (1, 150), (2, 400)])
def test_bca_is_scipys(seed: int, n: int) -> None:
    case = answered(seed, n, 0.7, 0.7)
    truth, said = one_hot(case.true, CLASSES), one_hot(case.reference, CLASSES)
    of = units(np.concatenate([truth, said, truth * said], 1))
    low, high = bca_ends(of, scores_of, draw(of, scores_of, 20_000, seed), 0.95)
    theirs = stats.bootstrap(
        (case.true, case.reference), scores_of_rows, paired=True, vectorized=True, n_resamples=20_000, batch=500,
        method="BCa", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert (low[1], high[1]) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


@pytest.mark.usefixtures("unexpanded")
def test_percentiles_are_numpys() -> None:
    draws = np.random.default_rng(0).normal(size=(5000, 3))
    low, high = percentile_ends(draws, 100, 0.9)
    np.testing.assert_allclose(low, np.quantile(draws, 0.05, axis=0), atol=0.01)
    np.testing.assert_allclose(high, np.quantile(draws, 0.95, axis=0), atol=0.01)


DRAWS = arrays.arrays(np.float64, st.tuples(st.integers(2, 300), st.just(2)), elements=st.floats(-1, 1))


@given(DRAWS, st.integers(2, 50), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_minus_the_draws_give_minus_the_ends(draws: np.ndarray, n: int, level: float) -> None:
    low, high = percentile_ends(draws, n, level)
    other_low, other_high = percentile_ends(-draws, n, level)
    np.testing.assert_array_equal(other_low, -high)
    np.testing.assert_array_equal(other_high, -low)
    assert (low <= high).all()


@given(DRAWS, st.integers(20, 60), st.sampled_from([0.5, 0.9, 0.95]))
def test_ends_are_draws(draws: np.ndarray, n: int, level: float) -> None:
    for end in percentile_ends(draws, n, level):
        assert all(value in draws[:, column] for column, value in enumerate(end))


@given(st.integers(0, 1000), st.integers(20, 200), st.floats(0.2, 0.95))
def test_bca_ends_are_draws_and_a_higher_level_is_wider(seed: int, n: int, right: float) -> None:
    case = answered(seed, n, right, right)
    truth, said = one_hot(case.true, CLASSES), one_hot(case.reference, CLASSES)
    of = units(np.concatenate([truth, said, truth * said], 1))
    draws = draw(of, scores_of, 300, seed)
    low, high = bca_ends(of, scores_of, draws, 0.95)
    wide_low, wide_high = bca_ends(of, scores_of, draws, 0.99)
    assert (low >= draws.min(0)).all() and (high <= draws.max(0)).all()
    assert (wide_low <= low).all() and (low <= high).all() and (high <= wide_high).all()


# Student's t (0.975) for n - 1 degrees of freedom as in printed tables, three decimals.
@pytest.mark.parametrize(("n", "printed"), [(4, 3.182), (5, 2.776), (20, 2.093), (31, 2.042)])
def test_an_interval_of_means_is_as_wide_as_students(n: int, printed: float) -> None:
    """Drawn means are normal with the standard deviation of n values over n."""
    quantiles = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    drawn = quantiles * ((n - 1) / n) ** 0.5
    low, high = percentile_ends(drawn[:, None], n, 0.95)
    assert (-low[0], high[0]) == pytest.approx((printed, printed), rel=2e-3)
