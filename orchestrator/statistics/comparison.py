"""Two methods on the same rows: which one is better, by how much, and in which classes.

Both methods see the same resampled rows or persons, so what is hard for both does not blur their difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.statistics.bootstrap import intervals_or_reasons, percentile_ends
from orchestrator.statistics.evidence import difference_reasons
from orchestrator.statistics.proportions import Agreement, mcnemar
from orchestrator.statistics.resampling import RESAMPLES, SEED, Units, draw, units
from orchestrator.statistics.scores import (
    SCORES,
    Margins,
    all_scores,
    check_classes,
    one_hot,
)
from orchestrator.statistics.values import IDENTICAL, LEVEL, Difference, Estimate, Interval, NoInterval


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
        true, reference, candidate: (n,) integers, the class of each row, 0 to C - 1, and the answers of the two, which
            may also be `scores.NO_CLASS`.
        classes: the names of the C classes.
        groups: (n,) what rows that belong together share, for example the person; None for independent rows.
        level: of the intervals; 1 - 0.05 / k for k candidates of which any may win (Bonferroni).
        resamples: number of draws.
        seed: seed of the draws.

    Raises:
        ValueError: shapes that do not fit, no integers, or a class out of range.
    """
    forth = _units(true, reference, candidate, len(classes), groups)
    back = _units(true, candidate, reference, len(classes), groups)
    grouped, identical = groups is not None, bool(len(true) and (reference == candidate).all())
    reasons = [IDENTICAL] * (len(SCORES) + 3 * len(classes))
    if not identical:
        reasons = difference_reasons(forth, *_both(forth.sums), classes, grouped)
    found: Sequence[Interval | NoInterval] = [NoInterval(reason) for reason in reasons]
    if not all(reasons):
        # Half of the draws with either method first, so that exchanging the two turns the interval round exactly.
        halves = [draw(of, _difference, max(1, resamples // 2), seed) for of in (forth, back)]
        ends = percentile_ends(np.concatenate([halves[0], -halves[1]]), int(forth.sizes.sum()), level)
        found = intervals_or_reasons(ends, reasons, grouped, level)
    pairs = zip(*(all_scores(each).tolist() for each in _both(forth.total)), found, strict=True)
    differences = [Difference(r, c, Estimate(c - r, interval), identical) for r, c, interval in pairs]
    return _comparison(differences, classes, forth, _agreement(reference == true, candidate == true), grouped)


def _units(true: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int, groups: np.ndarray | None) -> Units:
    """Units with the sums of which `_both` makes margins."""
    check_classes(true, first, classes)
    truth, one, other = (one_hot(labels, classes) for labels in (true, first, second))
    return units(np.concatenate([truth, one, truth * one, other, truth * other], 1), groups)


def _comparison(
    differences: Sequence[Difference], classes: Sequence[str], of: Units, agreement: Agreement, grouped: bool
) -> PairedComparison:
    by_class, support = differences[len(SCORES) :], _both(of.total)[0].support.astype(int)
    _, recall, f1 = (by_class[i * len(classes) : (i + 1) * len(classes)] for i in range(3))
    return PairedComparison(
        n=int(support.sum()),
        units=int(of.sizes.sum()),
        grouped=grouped,
        scores=dict(zip(SCORES, differences, strict=False)),
        class_f1=dict(zip(classes, f1, strict=True)),
        class_recall=dict(zip(classes, recall, strict=True)),
        support=dict(zip(classes, support.tolist(), strict=True)),
        agreement=agreement,
        mcnemar_p=None if grouped else mcnemar(agreement),
    )


def _agreement(reference: np.ndarray, candidate: np.ndarray) -> Agreement:
    """Count the rows (n,) by which of the two is right."""
    pairs = ((reference, candidate), (reference, ~candidate), (~reference, candidate), (~reference, ~candidate))
    return Agreement(*(int((one & other).sum()) for one, other in pairs))


def _both(sums: np.ndarray) -> tuple[Margins, Margins]:
    """The margins (r, C) of the reference and of the candidate in the sums (r, 5C)."""
    support, answers, hits, other_answers, other_hits = np.split(sums, 5, axis=-1)
    return Margins(support, answers, hits), Margins(support, other_answers, other_hits)


def _difference(sums: np.ndarray) -> np.ndarray:
    reference, candidate = _both(sums)
    return all_scores(candidate) - all_scores(reference)
