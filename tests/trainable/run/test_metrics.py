"""The metrics of training, compared with counting by hand and with scikit-learn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

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


@settings(deadline=None)
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


@settings(deadline=None)
@given(PAIRS)
def test_confusion_counts_have_true_classes_down_and_predicted_across(pairs: list[tuple[str, str]]) -> None:
    counts = confusion_counts([t for t, _ in pairs], [p for _, p in pairs], CLASSES)
    assert counts == [[pairs.count((true, predicted)) for predicted in CLASSES] for true in CLASSES]


def test_nothing_to_count_is_zero_everywhere() -> None:
    assert confusion_counts([], [], CLASSES) == [[0] * 3] * 3
    assert classification_metrics([], [], CLASSES)["macro_f1"] == 0


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[str], list[str], list[str]]:
    """True labels, predicted labels and classes; some of up to nine classes may have neither rows nor predictions."""
    classes = draw(st.permutations(["기쁨", "당황", "분노", "불안", "상처", "슬픔", "중립", "007", "NA"]))
    classes = classes[: draw(st.integers(1, 9))]
    pairs = st.lists(st.tuples(st.sampled_from(classes), st.sampled_from(classes)), min_size=1, max_size=60)
    true, predicted = zip(*draw(pairs), strict=True)
    return list(true), list(predicted), classes


@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
@settings(deadline=None)
@given(labelled())
def test_metrics_are_scikit_learns_to_the_last_bit(case: tuple[list[str], list[str], list[str]]) -> None:
    """Reports use scikit-learn and every epoch uses numpy, so their figures must be the same."""
    true, predicted, classes = case
    found = classification_metrics(true, predicted, classes)
    theirs = precision_recall_fscore_support(true, predicted, labels=classes, zero_division=0)
    per_class = [
        [row[name] for row in found["per_class"].values()] for name in ("precision", "recall", "f1", "support")
    ]
    assert per_class == [column.tolist() for column in theirs]
    assert found["macro_f1"] == f1_score(true, predicted, labels=classes, average="macro", zero_division=0)
    assert found["accuracy"] == accuracy_score(true, predicted)
    assert confusion_counts(true, predicted, classes) == confusion_matrix(true, predicted, labels=classes).tolist()
