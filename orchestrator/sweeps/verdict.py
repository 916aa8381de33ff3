"""Is a swept configuration better than the default on the test rows? An interval, and "cannot tell" where it holds 0.

Both are trained with the same s seeds and tested on the same n rows. Other seeds and other rows would have given other
figures, so both are drawn again: a bootstrap of two crossed factors (Owen, The pigeonhole bootstrap, Annals of Applied
Statistics 1, 2007). Two things in it are not the textbook's:

- A resample adds what the drawn rows change (all seeds, drawn rows) to what the drawn seeds change (drawn seeds, all
  rows). Drawn seeds on drawn rows would count the chance in single predictions three times; so it counts twice, which
  is still on the safe side.
- What the drawn seeds change is widened, see `widening`. Five values drawn from five lie too close together.

`python -m benchmarks.verdict_coverage` measures what comes of it (docs/results.md). Rows count as independent: with
several photos of one person among the test rows the interval is too narrow. Each verdict stands alone: where there is
no difference, up to one in twenty says that there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
ROUNDING = 1e-9
"""Differences of F1 below this are rounding, not a difference."""
CHUNK = 1_000_000
"""Elements of the largest array in a chunk of resamples: some 30 MB with what is computed from it."""


@dataclass(frozen=True)
class Comparison:
    """Test macro-F1 of the default and of another configuration: one value per seed, in the same order of seeds."""

    default: tuple[float, ...]
    other: tuple[float, ...]
    low: float
    high: float
    """Ends of the 95 % interval of the mean difference, other - default."""

    @property
    def default_mean(self) -> float:
        return float(np.mean(self.default))

    @property
    def default_std(self) -> float:
        """Standard deviation over the seeds, with s - 1 below."""
        return float(np.std(self.default, ddof=1))

    @property
    def other_mean(self) -> float:
        return float(np.mean(self.other))

    @property
    def other_std(self) -> float:
        """Standard deviation over the seeds, with s - 1 below."""
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
        """What may be said of the other one: "better", "worse" or "cannot tell"."""
        if self.low > ROUNDING:
            return "better"
        return "worse" if self.high < -ROUNDING else "cannot tell"


def compare(
    true: np.ndarray, default: np.ndarray, other: np.ndarray, classes: int, *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare the predictions of two configurations; the same arguments always give the same result.

    Args:
        true: (n,) integers, the class of each test row, 0 to `classes` - 1.
        default: (s, n) integers, what the default predicted with each seed.
        other: (s, n) integers, the same for the other configuration, its seeds in the same order.
        classes: number of training classes; macro-F1 is the mean over all of them.
        resamples: how many times rows and seeds are drawn.
        seed: of these draws.

    Raises:
        ValueError: shapes that do not fit, no row, fewer than two seeds, no integers, or a class out of range.
    """
    _check(true, default, other, classes, resamples)
    table, generator = _columns(true, default, other, classes), np.random.default_rng(seed)
    found = _macro_f1_by_run(np.ones((1, len(true)), np.float32), table, classes)[0]
    before, after = np.split(found, 2)
    by_seed = after - before
    weights = draw_seeds(len(by_seed), resamples, generator)
    rows = _differences(table, classes, resamples, generator).mean(1)
    low, high = percentiles(rows + widening(len(by_seed)) * (weights @ by_seed - by_seed.mean()))
    return Comparison(tuple(before.tolist()), tuple(after.tolist()), low, high)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Macro-F1 (...,) of confusion counts (..., C, C), true classes down and predicted ones across.

    As in `trainable.run.metrics`: the mean over all C classes, 0 for one without a row and without a prediction.
    """
    return _mean_f1(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2))


def widening(seeds: int) -> float:
    """The factor on what drawn seeds change that makes a percentile interval as wide as Student's t-interval.

    The mean of s values drawn from s spreads by sqrt((s - 1) / s) of the standard error, and percentiles take the
    normal distribution's 1.96 where Student's is due (Hesterberg, What teachers should know about the bootstrap, The
    American Statistician 69, 2015: the expanded percentile interval). Only the seeds are few, so only they are widened.
    An interval whose squared half-width adds the squares of two such parts, each with its own quantile, holds the truth
    at least as often as it says (Banerjee, Approximate confidence interval for linear functions of means of k
    populations when the population variances are not equal, Sankhya 22, 1960).

    Raises:
        ZeroDivisionError: for fewer than two seeds.
    """
    return math.sqrt(seeds / (seeds - 1)) * student(seeds - 1) / NormalDist().inv_cdf((1 + LEVEL) / 2)


def student(freedom: int) -> float:
    """The x with P(|t| <= x) = 0.95 for Student's t with `freedom` >= 1 degrees of freedom; scipy is no dependency.

    Found by bisection of the closed form for whole degrees (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_within(middle, freedom) < LEVEL else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def draw_seeds(seeds: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(resamples, seeds) float64: the share of each seed among as many drawn with replacement."""
    return generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds


def draw_differences(
    true: np.ndarray, default: np.ndarray, other: np.ndarray, classes: int, resamples: int, seed: int
) -> np.ndarray:
    """(resamples, s) float64: other - default of each seed on n rows drawn with replacement, the same for all runs."""
    table = _columns(true, default, other, classes)
    return _differences(table, classes, resamples, np.random.default_rng(seed))


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """The ends of the middle 95 % of (resamples,) draws.

    Draws themselves, not values between them: then minus the draws gives minus the ends, to the last bit.
    """
    ordered = np.sort(draws)
    outside = int((1 - LEVEL) / 2 * len(ordered))
    return float(ordered[outside]), float(ordered[-1 - outside])


def _student_within(angle: float, freedom: int) -> float:
    """P(|t| <= sqrt(freedom) * tan(angle))."""
    odd, cosine = freedom % 2, math.cos(angle)
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


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
    """(n, (1 + 4s) * C) float32, 0 or 1: each row's true class, what each run says of it, and where that is right.

    Row weights times this are a resample's support, predictions and hits at once; sums below 2**24 rows are exact.
    """
    truly, said = (np.eye(classes, dtype=np.float32)[labels] for labels in (true, np.concatenate([default, other])))
    parts = np.concatenate([truly[None], said, said * truly])
    return parts.transpose(1, 0, 2).reshape(len(true), -1)


def _differences(table: np.ndarray, classes: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(resamples, s): other - default on drawn rows, in chunks that bound the memory."""
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
    """(resamples, 2s): macro-F1 of each run with rows that count as often as `weights` (resamples, n) says."""
    counts = (weights @ table).astype(np.float64).reshape(len(weights), -1, classes)
    support, rest = counts[:, :1], counts[:, 1:]
    said, hits = np.split(rest, 2, axis=1)
    return _mean_f1(hits, support, said)


def _mean_f1(hits: np.ndarray, support: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The mean over the last axis of 2 * hits / (support + said), 0 where nothing is below."""
    below = support + said
    f1: np.ndarray = np.divide(2 * hits, below, out=np.zeros(below.shape), where=below > 0)
    return f1.mean(-1)
