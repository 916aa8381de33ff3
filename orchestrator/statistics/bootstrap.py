"""Intervals from a bootstrap, which of two kinds depends on the figure.

- A score has a BCa interval (Efron, Better bootstrap confidence intervals, Journal of the American Statistical
  Association 82, 1987). Draws of macro-F1 lie below the figure itself where classes have few rows. BCa takes other
  percentiles of the draws to make up for that, and for a spread that changes with the figure.
- A difference of two methods has a percentile interval: the two lean to the same side, and BCa made it worse.

Both are expanded for few units: a mean of 20 drawn from 20 varies less than the mean of 20 new ones, and 20 have wider
tails than a normal distribution (Hesterberg, What teachers should know about the bootstrap, The American Statistician
69, 2015). Ends are draws, not values between two draws, so that no end is outside the range of a score.

`python -m pytest -m nightly -s tests/orchestrator/statistics/test_coverage.py` prints how often they hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from orchestrator.statistics.evidence import unit_name
from orchestrator.statistics.resampling import CHUNK, Statistic, Units
from orchestrator.statistics.values import ROUNDING, Interval, NoInterval

Ends = tuple[np.ndarray, np.ndarray]
"""The lower and the upper end of each figure, (S,) each."""


def intervals_or_reasons(
    ends: Ends, reasons: Sequence[str], grouped: bool, level: float
) -> list[Interval | NoInterval]:
    """The interval of each figure that has no reason against it.

    Args:
        ends: of the S intervals.
        reasons: for each figure why it can have no interval; "" where it can.
        grouped: whether a unit is a person.
        level: of the intervals.
    """
    method = f"bootstrap over {unit_name(grouped)}"
    return [
        NoInterval(reason) if reason else Interval(low, high, method, level)
        for reason, low, high in zip(reasons, *(end.tolist() for end in ends), strict=True)
    ]


def percentile_ends(draws: np.ndarray, units: int, level: float) -> Ends:
    """The ends of the expanded percentile interval of draws (resamples, S).

    Minus the draws give minus the ends, to the last bit.
    """
    zero = np.zeros(draws.shape[1])
    return _ends(draws, zero, zero, _expanded(units, level))


def bca_ends(of: Units, statistic: Statistic, draws: np.ndarray, level: float) -> Ends:
    """The ends of the expanded BCa interval of draws (resamples, S), which `resampling.draw` made of the same units."""
    from scipy.special import ndtri  # imported by an interval alone, since it takes longer than a plan

    found, resamples = statistic(of.total[None])[0], len(draws)
    below = ((draws < found).sum(0) + 0.5 * (draws == found).sum(0)) / resamples
    bias = ndtri(np.clip(below, 1 / resamples, 1 - 1 / resamples))
    return _ends(draws, bias, _acceleration(of, statistic), _expanded(int(of.sizes.sum()), level))


def _ends(draws: np.ndarray, bias: np.ndarray, acceleration: np.ndarray, quantile: float) -> Ends:
    from scipy.special import ndtr

    ordered, last = np.sort(draws, axis=0), len(draws) - 1
    ends = []
    for side in (-1, 1):
        shifted = bias + side * quantile
        normal = bias + shifted / np.maximum(1 - acceleration * shifted, ROUNDING)
        outside = np.floor(ndtr(-side * normal) * last).astype(np.int64)
        place = outside if side < 0 else last - outside
        ends.append(np.take_along_axis(ordered, place[None], 0)[0])
    return ends[0], ends[1]


def _expanded(units: int, level: float) -> float:
    """The quantile of a normal distribution that makes an interval of draws as wide as Student's."""
    from scipy.stats import t

    return math.sqrt(units / (units - 1)) * float(t.ppf((1 + level) / 2, units - 1))


def _acceleration(of: Units, statistic: Statistic) -> np.ndarray:
    """How fast the spread of each figure changes with the figure (S,), from leaving out one unit at a time."""
    others = of.total - of.sums
    chunks = np.array_split(others, max(1, others.size // CHUNK))
    without = np.concatenate([statistic(chunk) for chunk in chunks])
    moved = of.sizes @ without / of.sizes.sum() - without
    spread = 6 * (of.sizes @ moved**2) ** 1.5
    return np.divide(of.sizes @ moved**3, spread, out=np.zeros(spread.shape), where=spread > 0)
