"""Scores of predicted against true classes, for one table of counts or for thousands of resamples at once.

An answer may be none of the C classes: no face was found, or the method knows a class that the data do not have. Its
number is NO_CLASS, and it is wrong whatever the row's class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np

NO_CLASS = -1
"""The number of an answer that is none of the classes."""
SCORES = ("accuracy", "macro_f1", "balanced_accuracy", "cohen_kappa")
"""The scores of a whole data set, by the names of their functions below."""


@dataclass(frozen=True)
class Margins:
    """All that the scores need to know, arrays (..., C) of counts; leading axes are resamples.

    `support` counts the rows of each true class, `answers` those of each predicted class, and `hits` the rows of each
    class that were predicted rightly.
    """

    support: np.ndarray
    answers: np.ndarray
    hits: np.ndarray


def confusion_counts(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the rows of each true and predicted class.

    Args:
        true: (n,) integers, 0 to `classes` - 1.
        predicted: (n,) integers, 0 to `classes` - 1, or NO_CLASS.
        classes: number of classes C.

    Returns:
        (C, C + 1) int64, true classes down and predicted ones across; the last column counts NO_CLASS.

    Raises:
        ValueError: shapes that do not fit, no integers, or a class out of range.
    """
    check_classes(true, predicted, classes)
    column = np.where(predicted == NO_CLASS, classes, predicted)
    cells = true.astype(np.int64) * (classes + 1) + column
    return np.bincount(cells, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def confusion_shares(counts: np.ndarray) -> np.ndarray:
    """The share of each answer in the rows of a true class, (C, C + 1); 0 in a class without rows."""
    return _ratio(counts, counts.sum(-1, keepdims=True))


def margins(counts: np.ndarray) -> Margins:
    """The margins (C,) of confusion counts (C, C + 1)."""
    return Margins(counts.sum(-1), counts[..., :-1].sum(-2), np.diagonal(counts, axis1=-2, axis2=-1))


def accuracy(of: Margins) -> np.ndarray:
    """The share of right answers (...); 0 where there is no row."""
    return _ratio(of.hits.sum(-1), of.support.sum(-1))


def macro_f1(of: Margins) -> np.ndarray:
    """The mean of F1 over all C classes (...), as in `trainable.run.metrics` (runbook section 7)."""
    mean: np.ndarray = f1(of).mean(-1)
    return mean


def balanced_accuracy(of: Margins) -> np.ndarray:
    """The mean recall over the classes that have rows (...); 0 where there is no row."""
    return _ratio(recall(of).sum(-1), (of.support > 0).sum(-1))


def cohen_kappa(of: Margins) -> np.ndarray:
    """Cohen's kappa (...): agreement beyond that of a guess with the same frequencies of answers, -1 to 1.

    It is 0 where such a guess would be right on every row, or where there is no row.

    Source: Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20, 1960.
    """
    expected = _ratio((of.support * of.answers).sum(-1), of.support.sum(-1).astype(float) ** 2)
    return _ratio(accuracy(of) - expected, 1 - expected)


def precision(of: Margins) -> np.ndarray:
    """The share of right answers among those of each class (..., C); 0 for a class that is never the answer."""
    return _ratio(of.hits, of.answers)


def recall(of: Margins) -> np.ndarray:
    """The share of each class's rows that were predicted rightly (..., C); 0 for a class without rows."""
    return _ratio(of.hits, of.support)


def f1(of: Margins) -> np.ndarray:
    """F1 of each class (..., C); 0 for a class that has neither a row nor an answer."""
    return _ratio(2 * of.hits, of.support + of.answers)


def all_scores(of: Margins) -> np.ndarray:
    """The scores of SCORES, then each class's precision, each recall and each F1: (..., 4 + 3C) float64."""
    whole = np.stack([accuracy(of), macro_f1(of), balanced_accuracy(of), cohen_kappa(of)], -1)
    return np.concatenate([whole, precision(of), recall(of), f1(of)], -1)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """(n, C) int64, 1 in the column of each row's class; a row of zeros for NO_CLASS."""
    return (labels[:, None] == np.arange(classes)).astype(np.int64)


def numbered(labels: Sequence[str | None], classes: Sequence[str]) -> np.ndarray:
    """The class numbers of labels, (n,) int64; NO_CLASS for None and for a label that is none of the classes.

    Labels are compared in Unicode NFC.
    """
    numbers = {normalize("NFC", name): number for number, name in enumerate(classes)}
    known = {label: numbers.get(normalize("NFC", label), NO_CLASS) for label in set(labels) if label is not None}
    return np.array([NO_CLASS if label is None else known[label] for label in labels], np.int64)


def check_classes(true: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    """Check two arrays of class numbers.

    Raises:
        ValueError: shapes that do not fit, no integers, or a class out of range.
    """
    if true.ndim != 1 or predicted.shape != true.shape:
        raise ValueError(f"shapes do not fit: true {true.shape}, predicted {predicted.shape}")
    for name, values, lowest in (("true", true, 0), ("predicted", predicted, NO_CLASS)):
        if values.dtype.kind not in "iu":
            raise ValueError(f"{name} must be integers, not {values.dtype}")
        if len(values) and (values.min() < lowest or values.max() >= classes):
            raise ValueError(f"{name} has classes {values.min()} to {values.max()}, but there are {classes}")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part` / `whole` in float64; 0 where `whole` is 0."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    return np.divide(part, whole, out=np.zeros(shape), where=np.broadcast_to(np.not_equal(whole, 0), shape))
