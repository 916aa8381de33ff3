"""Is a swept configuration better than the default on the test rows?

Both configurations are trained with the same s seeds, and each of the 2s runs predicts the same n test rows. The
figure of interest is the difference of their test macro-F1, averaged over the seeds. Other seeds and other test rows
would have given another difference. A bootstrap estimates how much another one: it draws from the rows and from the
seeds at hand, with replacement, many times, and looks at how far the difference moves. The middle 95 % of these
differences is the interval. If the whole interval is above 0 the configuration is better, if it is below 0 it is
worse, and if it holds 0 the data cannot tell.

Rows and seeds are two crossed factors: every seed predicts every row (Owen, The pigeonhole bootstrap, Annals of Applied
Statistics 1, 2007). The bootstrap differs from the textbook's in two ways:

- A draw is the sum of two changes: the change from drawing rows with all seeds kept, and the change from drawing seeds
  with all rows kept. A textbook draw takes drawn seeds on drawn rows. The chance in single predictions would then count
  three times. In the sum it counts twice, which is still on the safe side: the interval is rather too wide.
- The change from drawing seeds is widened, because the mean of five values drawn from the same five varies less than
  the mean of five new ones. `widening` has the factor.

`python -m benchmarks.verdict_coverage` measures how often the interval holds the true difference (docs/results.md).
Two limits: rows count as independent, so with several photos of one person among the test rows the interval is too
narrow. And each verdict stands alone, so of many configurations without any difference up to one in twenty is called
better or worse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from orchestrator.statistics.scores import Margins, macro_f1
from orchestrator.statistics.values import LEVEL, ROUNDING
from trainable.base.seeds import derived_generator

CHUNK = 1_000_000
"""Elements of the largest array in a chunk of resamples; with the arrays computed from it a chunk takes some 30 MB."""


@dataclass(frozen=True)
class Comparison:
    """Test macro-F1 of the default and of another configuration: one value per seed, in the same order of seeds.

    `low` and `high` are the ends of the 95 % interval of the mean difference, other - default.
    """

    default: tuple[float, ...]
    other: tuple[float, ...]
    low: float
    high: float

    @property
    def default_mean(self) -> float:
        return float(np.mean(self.default))

    @property
    def default_std(self) -> float:
        """Standard deviation over the s seeds, with s - 1 in the denominator."""
        return float(np.std(self.default, ddof=1))

    @property
    def other_mean(self) -> float:
        return float(np.mean(self.other))

    @property
    def other_std(self) -> float:
        """Standard deviation over the s seeds, with s - 1 in the denominator."""
        return float(np.std(self.other, ddof=1))

    @property
    def differences(self) -> tuple[float, ...]:
        """Other - default for each seed."""
        return tuple(o - d for d, o in zip(self.default, self.other, strict=True))

    @property
    def difference(self) -> float:
        """The mean of `differences`."""
        return float(np.mean(self.differences))

    @property
    def verdict(self) -> str:
        """Whether the other configuration is "better" or "worse" than the default, or "cannot tell"."""
        if self.low > ROUNDING:
            return "better"
        return "worse" if self.high < -ROUNDING else "cannot tell"


def compare(
    true: np.ndarray, default: np.ndarray, other: np.ndarray, classes: int, *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare the predictions of two configurations; the same arguments always give the same result.

    Args:
        true: (n,) integers, the class of each test row, 0 to `classes` - 1.
        default: (s, n) integers, the classes that the default predicted with each seed.
        other: (s, n) integers, the same for the other configuration, with its seeds in the same order.
        classes: number of training classes; macro-F1 is the mean over all of them.
        resamples: number of draws of rows and seeds.
        seed: seed of the generator that draws.

    Raises:
        ValueError: shapes that do not fit, no row, fewer than two seeds, no integers, or a class out of range.
    """
    _check(true, default, other, classes, resamples)
    table, generator = _columns(true, default, other, classes), derived_generator(seed, "bootstrap")
    found = _macro_f1_by_run(np.ones((1, len(true)), np.float32), table, classes)[0]
    before, after = np.split(found, 2)
    by_seed = after - before
    weights = draw_seeds(len(by_seed), resamples, generator)
    rows = _differences(table, classes, resamples, generator).mean(1)
    low, high = percentiles(rows + widening(len(by_seed)) * (weights @ by_seed - by_seed.mean()))
    return Comparison(tuple(before.tolist()), tuple(after.tolist()), low, high)


def widening(seeds: int) -> float:
    """The factor on the change from drawing seeds that makes a percentile interval as wide as Student's t-interval.

    Two things make the percentile interval of s values too narrow. The mean of s values drawn from s has a standard
    deviation of only sqrt((s - 1) / s) standard errors. And percentiles of a normal distribution lie at 1.96 standard
    errors, where Student's t for s - 1 degrees of freedom is due (Hesterberg, What teachers should know about the
    bootstrap, The American Statistician 69, 2015: the expanded percentile interval). There are many rows, so only the
    change from drawing seeds is widened. If the half-widths of two such parts, each with its own quantile, add up as
    squares, the interval holds the truth at least as often as its level says (Banerjee, Approximate confidence interval
    for linear functions of means of k populations when the population variances are not equal, Sankhya 22, 1960).

    Raises:
        ZeroDivisionError: for fewer than two seeds.
    """
    from scipy.stats import t  # imported by a comparison alone, since it takes longer than a plan

    upper = (1 + LEVEL) / 2
    return math.sqrt(seeds / (seeds - 1)) * float(t.ppf(upper, seeds - 1)) / NormalDist().inv_cdf(upper)


def draw_seeds(seeds: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Draw as many seeds as there are, with replacement; (resamples, seeds) float64, each seed's share of a draw."""
    return generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds


def draw_differences(
    true: np.ndarray, default: np.ndarray, other: np.ndarray, classes: int, resamples: int, seed: int
) -> np.ndarray:
    """Draw n rows with replacement, the same for all runs; (resamples, s) float64, other - default of each seed."""
    table = _columns(true, default, other, classes)
    return _differences(table, classes, resamples, derived_generator(seed, "bootstrap"))


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """The ends of the middle 95 % of (resamples,) draws.

    Both ends are draws and not values between two draws, so that minus the draws gives minus the ends to the last bit.
    """
    ordered = np.sort(draws)
    outside = int((1 - LEVEL) / 2 * len(ordered))
    return float(ordered[outside]), float(ordered[-1 - outside])


def _check(true: np.ndarray, default: np.ndarray, other: np.ndarray, classes: int, resamples: int) -> None:
    if true.ndim != 1 or default.ndim != 2 or default.shape != other.shape or default.shape[1] != len(true):
        raise ValueError(f"shapes do not fit: true {true.shape}, default {default.shape}, other {other.shape}")
    if len(true) < 1 or len(default) < 2 or resamples < 1:
        raise ValueError(f"{len(true)} rows, {len(default)} seeds, {resamples} resamples: at least 1, 2, 1 are needed")
    for name, values in (("true", true), ("default", default), ("other", other)):
        if values.dtype.kind not in "iu":
            raise ValueError(f"{name} must be integers, not {values.dtype}")
        if values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name} has classes {values.min()} to {values.max()}, but there are {classes}")


def _columns(true: np.ndarray, default: np.ndarray, other: np.ndarray, classes: int) -> np.ndarray:
    """(n, (1 + 4s) * C) float32, 0 or 1: each row's true class, each run's prediction, and each run's correct ones.

    Row weights times this table are a resample's support, predictions and hits at once; sums over less than 2**24 rows
    are exact.
    """
    truth, predicted = (np.eye(classes, dtype=np.float32)[each] for each in (true, np.concatenate([default, other])))
    parts = np.concatenate([truth[None], predicted, predicted * truth])
    return parts.transpose(1, 0, 2).reshape(len(true), -1)


def _differences(table: np.ndarray, classes: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(resamples, s) float64: other - default of each seed on drawn rows, computed in chunks that bound the memory."""
    n, width = table.shape
    step, found = max(1, CHUNK // max(n, width)), []
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        # Each resample counts in n bins of its own, so that one bincount serves the chunk.
        bins = generator.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        weights = np.bincount(bins.ravel(), minlength=size * n).reshape(size, n).astype(np.float32)
        before, after = np.split(_macro_f1_by_run(weights, table, classes), 2, axis=1)
        found.append(after - before)
    return np.concatenate(found)


def _macro_f1_by_run(weights: np.ndarray, table: np.ndarray, classes: int) -> np.ndarray:
    """(resamples, 2s) float64: macro-F1 of each run, where a row counts as often as `weights` (resamples, n) says."""
    counts = (weights @ table).astype(np.float64).reshape(len(weights), -1, classes)
    support, rest = counts[:, :1], counts[:, 1:]
    predicted, hits = np.split(rest, 2, axis=1)
    return macro_f1(Margins(support, predicted, hits))
