"""The scores of one method on a test set, each with its interval or the reason why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.statistics.resampling import RESAMPLES, SEED
from orchestrator.statistics.scores import (
    check_classes,
)
from orchestrator.statistics.values import LEVEL, Estimate

MIN_UNITS = 20
"""With fewer rows or groups the bootstrap holds the truth clearly less often than its level says."""
MIN_EVENTS = 5
"""A bootstrap cannot imagine an error where it has hardly seen one: so many units must have one, and a right row."""


@dataclass(frozen=True)
class ClassEstimates:
    """Precision, recall and F1 of one class, and the number of its rows."""

    name: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int


@dataclass(frozen=True)
class Evaluation:
    """One method on one test set.

    Attributes:
        n: number of rows.
        units: number of groups; of rows, where there are no groups.
        grouped: whether whole groups were resampled.
        accuracy, macro_f1, balanced_accuracy, cohen_kappa: see `scores`.
        per_class: in the order of the classes.
        answered: number of different classes that the method ever answers.
        counts: (C, C + 1) int64, see `scores.confusion_counts`.
    """

    n: int
    units: int
    grouped: bool
    accuracy: Estimate
    macro_f1: Estimate
    balanced_accuracy: Estimate
    cohen_kappa: Estimate
    per_class: tuple[ClassEstimates, ...]
    answered: int
    counts: np.ndarray = field(compare=False)


def evaluate(
    true: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    groups: np.ndarray | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Evaluation:
    """Score the answers of one method.

    Shares of independent rows (accuracy, precision, recall without groups) have Wilson's interval, all other figures
    the percentile interval of a bootstrap over rows, or over groups where there are any.

    Args:
        true: (n,) integers, the class of each row, 0 to C - 1.
        predicted: (n,) integers, the answers: 0 to C - 1, or `scores.NO_CLASS`.
        classes: the names of the C classes; macro-F1 is over all of them.
        groups: (n,) what rows that belong together share, for example the person; None for independent rows.
        level: of the intervals.
        resamples: number of draws.
        seed: seed of the draws.

    Raises:
        ValueError: shapes that do not fit, no integers, or a class out of range.
    """
    check_classes(true, predicted, len(classes))
    raise NotImplementedError
