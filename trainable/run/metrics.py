"""Macro-F1 and its company, over all training classes (runbook section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Metrics = dict[str, Any]


def classification_metrics(true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> Metrics:
    """`macro_f1`, `accuracy`, `n` and `per_class` (precision, recall, f1, support).

    A class without a prediction, or without a row, counts as F1 0 in the mean (zero_division=0): the mean is always
    over all of `classes`.
    """
    if not true:
        nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
        return {"macro_f1": 0.0, "accuracy": 0.0, "n": 0, "per_class": {name: dict(nothing) for name in classes}}
    counts = np.array(confusion_counts(true, predicted, classes), np.int64)
    hits, support, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    precision, recall, f1 = _share(hits, said), _share(hits, support), _share(2 * hits, support + said)
    per_class = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(classes, precision, recall, f1, support, strict=True)
    }
    return {
        "macro_f1": float(f1.mean()),
        "accuracy": int(hits.sum()) / len(true),
        "n": len(true),
        "per_class": per_class,
    }


def confusion_counts(true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> list[list[int]]:
    """Counts, true classes down and predicted ones across."""
    place = {name: i for i, name in enumerate(classes)}
    counts = [[0] * len(classes) for _ in classes]
    for t, p in zip(true, predicted, strict=True):
        counts[place[t]][place[p]] += 1
    return counts


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part` / `whole`; 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
