"""The same training with several seeds: how far do the scores lie apart, and where is their mean?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.statistics.values import LEVEL, ROUNDING, Difference, Estimate, Interval, NoInterval

MIN_SEEDS = 3
"""With two seeds Student's interval is 18 times as wide as their distance: it says nothing."""


@dataclass(frozen=True)
class Repeats:
    """Scores of several seeds.

    Attributes:
        values: the scores in the order given.
        mean: their mean, with its interval over all seeds that could have been taken.
        sd: their standard deviation, with s - 1 in the denominator; None for a single seed.
    """

    values: tuple[float, ...]
    mean: Estimate
    sd: float | None


def summarize_seeds(values: Sequence[float], level: float = LEVEL) -> Repeats:
    """Mean, spread and Student's t-interval of the scores of several seeds; scores between 0 and 1.

    There is no interval for fewer than three seeds, for scores that are all the same, and where the interval would
    leave the range of the score: then the scores are too few, or too far apart, for Student's assumptions.

    Args:
        values: one score for each seed.
        level: of the interval.

    Raises:
        ValueError: no score, or one that is not a number between 0 and 1.
    """
    scores = _checked(values)
    sd = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return Repeats(scores, _mean(scores, 0.0, 1.0, level), sd)


def compare_seeds(reference: Sequence[float], candidate: Sequence[float], level: float = LEVEL) -> Difference:
    """The mean difference of two methods that were trained with the same seeds; scores between 0 and 1.

    The rules are those of `summarize_seeds`, applied to the differences. Differences that are all the same but not 0
    have no interval either.

    Args:
        reference: one score for each seed.
        candidate: one score for each seed, in the same order.
        level: of the interval.

    Raises:
        ValueError: no score, not as many on both sides, or one that is not a number between 0 and 1.
    """
    before, after = _checked(reference), _checked(candidate)
    differences = [b - a for a, b in zip(before, after, strict=True)]
    identical = max(map(abs, differences)) <= ROUNDING
    mean = _mean(differences, -1.0, 1.0, level)
    if identical:
        mean = Estimate(0.0, NoInterval("identical: both have the same score with every seed"))
    return Difference(float(np.mean(before)), float(np.mean(after)), mean, identical)


def _mean(values: Sequence[float], lowest: float, highest: float, level: float) -> Estimate:
    mean = math.fsum(values) / len(values)
    if len(values) < MIN_SEEDS:
        seeds = "a single seed" if len(values) == 1 else "two seeds"
        return Estimate(mean, NoInterval(f"{seeds} cannot tell, at least {MIN_SEEDS} are needed"))
    if max(values) - min(values) <= ROUNDING:
        return Estimate(mean, NoInterval("identical: all seeds gave the same score"))
    from scipy.stats import t  # imported by a comparison alone, since it takes longer than a plan

    half = float(t.ppf((1 + level) / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    if mean - half < lowest or mean + half > highest:
        return Estimate(mean, NoInterval(f"{len(values)} seeds cannot tell, their scores lie too far apart"))
    return Estimate(mean, Interval(mean - half, mean + half, "Student's t over seeds", level))


def _checked(values: Sequence[float]) -> tuple[float, ...]:
    scores = tuple(float(value) for value in values)
    wrong = [score for score in scores if not 0 <= score <= 1]
    if wrong or not scores:
        raise ValueError(f"scores must be between 0 and 1, not {wrong[0]}" if wrong else "there is no score")
    return scores
