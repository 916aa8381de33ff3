"""Tables by class (runbook sections 7 and 8), counted by scikit-learn from true and predicted labels.

Training computes its scores every epoch with `trainable.run.metrics`, which a test holds equal to scikit-learn.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

PER_CLASS_COLUMNS = ("class", "precision", "recall", "f1", "support")


def confusion_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count the rows of each pair of classes.

    Args:
        predictions: a row per test row, with the labels `true` and `pred`, each one of `classes`.
        classes: the order of the table's rows and columns.

    Returns:
        Integers; the index has the true classes, the columns have the predicted ones.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    if len(predictions):  # scikit-learn refuses to count nothing
        with warnings.catch_warnings():
            # Of a single class scikit-learn warns that labels may be missing, although all of them are given.
            warnings.filterwarnings("ignore", "A single label was found", UserWarning)
            counts = confusion_matrix(predictions["true"], predictions["pred"], labels=list(classes))
    return pd.DataFrame(counts, index=list(classes), columns=list(classes))


def row_shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Divide each row of a confusion table by its sum; a row without support stays 0."""
    return counts.div(counts.sum(axis=1).clip(lower=1), axis=0)


def per_class_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Compute precision, recall, F1 and support of each class; a score that would divide by zero is 0.

    Args:
        predictions: a row per test row, with the labels `true` and `pred`, each one of `classes`.
        classes: the order of the table's rows.

    Returns:
        The columns of PER_CLASS_COLUMNS: the class, three fractions, and the number of its rows.
    """
    scores = [np.zeros(len(classes)) for _ in range(3)] + [np.zeros(len(classes), np.int64)]
    if len(predictions):  # scikit-learn refuses to count nothing
        labels = predictions["true"], predictions["pred"]
        scores = precision_recall_fscore_support(*labels, labels=list(classes), zero_division=0)
    return pd.DataFrame(dict(zip(PER_CLASS_COLUMNS, (list(classes), *scores), strict=True)))
