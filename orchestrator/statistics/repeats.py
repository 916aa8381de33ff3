"""The same training with several seeds: how far do the scores lie apart, and where is their mean?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.statistics.values import LEVEL, Difference, Interval, NoInterval


@dataclass(frozen=True)
class Repeats:
    """Scores of several seeds.

    Attributes:
        values: the scores in the order given.
        mean: their mean.
        sd: their standard deviation, with s - 1 in the denominator; None for a single seed.
        interval: of the mean over all seeds that could have been taken.
    """

    values: tuple[float, ...]
    mean: float
    sd: float | None
    interval: Interval | NoInterval


def summarize_seeds(
    values: Sequence[float], lowest: float = 0.0, highest: float = 1.0, level: float = LEVEL
) -> Repeats:
    """Mean, spread and Student's t-interval of the scores of several seeds.

    There is no interval for fewer than three seeds, for scores that are all the same, and where the interval would
    leave the range of the score: then the scores are too few, or too far apart, for Student's assumptions.

    Args:
        values: one score for each seed.
        lowest: the lowest score that is possible.
        highest: the highest score that is possible.
        level: of the interval.

    Raises:
        ValueError: no score, or one that is not a number between `lowest` and `highest`.
    """
    raise NotImplementedError


def compare_seeds(reference: Sequence[float], candidate: Sequence[float], level: float = LEVEL) -> Difference:
    """The mean difference of two methods that were trained with the same seeds; scores between 0 and 1.

    The rules are those of `summarize_seeds`, applied to the differences.

    Args:
        reference: one score for each seed.
        candidate: one score for each seed, in the same order.
        level: of the interval.

    Raises:
        ValueError: no score, not as many on both sides, or one that is not a number between 0 and 1.
    """
    raise NotImplementedError
