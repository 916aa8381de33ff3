"""Macro-F1 against hands and against a second way to count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from trainable.run.metrics import classification_metrics, confusion_counts

CLASSES = ["angry", "happy", "sad"]
PAIRS = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=30)


def test_a_class_without_rows_and_predictions_counts_as_zero() -> None:
    """angry: P 1, R 1/2, F1 2/3. happy: P 2/3, R 1, F1 4/5. sad: nowhere, F1 0, and it is in the mean."""
    metrics = classification_metrics(
        ["angry", "angry", "happy", "happy"], ["angry", "happy", "happy", "happy"], CLASSES
    )
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert metrics["accuracy"] == 0.75
    assert metrics["n"] == 4
    assert list(metrics["per_class"]) == CLASSES
    assert metrics["per_class"]["angry"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2})
    assert metrics["per_class"]["happy"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert metrics["per_class"]["sad"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    metrics = classification_metrics(["angry", "happy"], ["angry", "sad"], CLASSES)
    assert metrics["macro_f1"] == pytest.approx(1 / 3)


@given(PAIRS)
def test_metrics_are_those_of_counting_by_hand(pairs: list[tuple[str, str]]) -> None:
    metrics = classification_metrics([t for t, _ in pairs], [p for _, p in pairs], CLASSES)
    scores = []
    for name in CLASSES:
        hits = sum(t == p == name for t, p in pairs)
        truly, said = sum(t == name for t, _ in pairs), sum(p == name for _, p in pairs)
        scores.append(2 * hits / (truly + said) if truly + said else 0.0)
        assert metrics["per_class"][name]["support"] == truly
        assert metrics["per_class"][name]["recall"] == pytest.approx(hits / truly if truly else 0)
        assert metrics["per_class"][name]["precision"] == pytest.approx(hits / said if said else 0)
    assert metrics["macro_f1"] == pytest.approx(sum(scores) / len(CLASSES))
    assert metrics["accuracy"] == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))


@given(PAIRS)
def test_confusion_counts_have_true_classes_down_and_predicted_across(pairs: list[tuple[str, str]]) -> None:
    counts = confusion_counts([t for t, _ in pairs], [p for _, p in pairs], CLASSES)
    assert counts == [[pairs.count((true, predicted)) for predicted in CLASSES] for true in CLASSES]


def test_nothing_to_count_is_zero_everywhere() -> None:
    assert confusion_counts([], [], CLASSES) == [[0] * 3] * 3
    assert classification_metrics([], [], CLASSES)["macro_f1"] == 0


@given(PAIRS)
def test_metrics_are_scikit_learns_to_the_last_bit(pairs: list[tuple[str, str]]) -> None:
    true, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    found = classification_metrics(true, predicted, CLASSES)["per_class"].values()
    theirs = precision_recall_fscore_support(true, predicted, labels=CLASSES, zero_division=0)
    assert [[row[name] for row in found] for name in ("precision", "recall", "f1", "support")] == [
        column.tolist() for column in theirs
    ]
    assert classification_metrics(true, predicted, CLASSES)["macro_f1"] == float(theirs[2].mean())
