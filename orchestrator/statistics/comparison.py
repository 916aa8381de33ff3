"""Two methods on the same rows: which one is better, by how much, and in which classes.

Both methods see the same resampled rows or persons, so what is hard for both does not blur their difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.statistics.proportions import Agreement
from orchestrator.statistics.resampling import RESAMPLES, SEED
from orchestrator.statistics.values import LEVEL, Difference

MIN_DISAGREEMENTS = 10
"""Fewer rows or persons on which the answers differ cannot tell two methods apart."""


@dataclass(frozen=True)
class PairedComparison:
    """A candidate against a reference on the same n rows.

    Attributes:
        n: number of rows.
        units: number of groups; of rows, where there are no groups.
        grouped: whether whole groups were resampled.
        scores: by the names of `scores.SCORES`.
        class_f1: the F1 of each class, by its name, in the order of the classes.
        class_recall: the recall of each class, by its name, in the order of the classes.
        support: the number of rows of each class, by its name.
        agreement: the rows by which of the two methods is right.
        mcnemar_p: p-value of McNemar's exact test; None with groups, because it takes rows as independent.
    """

    n: int
    units: int
    grouped: bool
    scores: Mapping[str, Difference]
    class_f1: Mapping[str, Difference]
    class_recall: Mapping[str, Difference]
    support: Mapping[str, int]
    agreement: Agreement
    mcnemar_p: float | None


def compare_paired(
    true: np.ndarray,
    reference: np.ndarray,
    candidate: np.ndarray,
    classes: Sequence[str],
    groups: np.ndarray | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> PairedComparison:
    """Compare the answers of two methods to the same rows.

    Args:
        true: (n,) integers, the class of each row, 0 to C - 1.
        reference: (n,) integers, the answers of the reference: 0 to C - 1, or `scores.NO_CLASS`.
        candidate: (n,) integers, the answers of the candidate, likewise.
        classes: the names of the C classes.
        groups: (n,) what rows that belong together share, for example the person; None for independent rows.
        level: of the intervals; 1 - 0.05 / k for k candidates of which any may win (Bonferroni).
        resamples: number of draws.
        seed: seed of the draws.

    Raises:
        ValueError: shapes that do not fit, no integers, or a class out of range.
    """
    raise NotImplementedError
