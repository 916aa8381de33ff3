"""Scores: scikit-learn's on the same answers, and the trainer's own macro-F1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import Answered, answered, rows
from sklearn import metrics

from orchestrator.statistics import scores
from orchestrator.statistics.scores import NO_CLASS, Margins, confusion_counts, margins
from trainable.run.metrics import classification_metrics

CLASSES = 3
LABELS = range(CLASSES)


def of(case: Answered) -> Margins:
    return margins(confusion_counts(case.true, case.reference, CLASSES))


@given(rows(least=1))
def test_scores_are_scikit_learns(case: Answered) -> None:
    """With NO_CLASS as a class of its own, that no row has."""
    found, pair = of(case), (case.true, case.reference)
    assert scores.accuracy(found) == pytest.approx(metrics.accuracy_score(*pair))
    f1 = metrics.f1_score(*pair, labels=LABELS, average="macro", zero_division=0)
    assert scores.macro_f1(found) == pytest.approx(f1)
    recalls = metrics.recall_score(*pair, labels=np.unique(case.true), average="macro", zero_division=0)
    assert scores.balanced_accuracy(found) == pytest.approx(recalls)


def test_balanced_accuracy_is_scikit_learns() -> None:
    case = answered(1, 200, 0.4, 0.6)
    found = margins(confusion_counts(case.true, case.reference, 4))
    expected = metrics.balanced_accuracy_score(case.true, case.reference)
    assert scores.balanced_accuracy(found) == pytest.approx(expected)


@given(rows(least=1))
def test_kappa_is_scikit_learns(case: Answered) -> None:
    pair = (case.true, case.reference)
    if len({*case.true.tolist(), *case.reference.tolist()}) > 1:  # scikit-learn has NaN for a single class
        assert scores.cohen_kappa(of(case)) == pytest.approx(metrics.cohen_kappa_score(*pair), abs=1e-12)


def test_kappa_of_one_class_is_0() -> None:
    ones = np.ones(5, np.int64)
    assert scores.cohen_kappa(margins(confusion_counts(ones, ones, CLASSES))) == 0


@given(rows(least=1))
def test_scores_of_each_class_are_scikit_learns(case: Answered) -> None:
    found = of(case)
    expected = metrics.precision_recall_fscore_support(case.true, case.reference, labels=LABELS, zero_division=0)
    each = (scores.precision(found), scores.recall(found), scores.f1(found), found.support)
    for ours, theirs in zip(each, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@given(rows(least=1))
def test_counts_are_scikit_learns_with_the_answers_that_are_no_class_last(case: Answered) -> None:
    counts = confusion_counts(case.true, case.reference, CLASSES)
    expected = metrics.confusion_matrix(case.true, case.reference, labels=[*LABELS, NO_CLASS])
    np.testing.assert_array_equal(counts, expected[:-1])
    shares = scores.confusion_shares(counts)
    np.testing.assert_allclose(shares.sum(1), counts.sum(1) > 0)
    np.testing.assert_allclose(shares * counts.sum(1, keepdims=True), counts, atol=1e-9)


@given(rows(least=1))
def test_macro_f1_and_accuracy_are_the_trainers(case: Answered) -> None:
    names = ["기쁨", "분노", "슬픔"]
    told = np.maximum(case.reference, 0)  # a model always answers
    theirs = classification_metrics([names[i] for i in case.true], [names[i] for i in told], names)
    found = margins(confusion_counts(case.true, told, CLASSES))
    assert float(scores.macro_f1(found)) == theirs["macro_f1"]
    assert float(scores.accuracy(found)) == theirs["accuracy"]


@given(st.lists(rows(most=12), min_size=1, max_size=5))
def test_many_tables_at_once_are_scored_like_each_alone(cases: list[Answered]) -> None:
    each = [of(case) for case in cases]
    together = Margins(
        *(np.stack(arrays) for arrays in zip(*((m.support, m.answers, m.hits) for m in each), strict=True))
    )
    np.testing.assert_array_equal(scores.all_scores(together), [scores.all_scores(one) for one in each])


@given(rows(), st.permutations(LABELS))
def test_the_numbers_of_the_classes_do_not_matter(case: Answered, order: list[int]) -> None:
    renamed = np.array([*order, NO_CLASS])  # the last one is for NO_CLASS
    other = Answered(renamed[case.true], renamed[case.reference], case.candidate)
    for name in scores.SCORES:
        score = getattr(scores, name)
        assert score(of(other)) == pytest.approx(score(of(case)), abs=1e-12)


def test_no_row_scores_0() -> None:
    nothing = np.zeros(0, np.int64)
    found = scores.all_scores(margins(confusion_counts(nothing, nothing, CLASSES)))
    np.testing.assert_array_equal(found, np.zeros(4 + 3 * CLASSES))


def test_labels_become_numbers() -> None:
    decomposed = "\u1100\u1175\u1108\u1173\u11b7"  # 기쁨 as macOS writes it
    found = scores.numbered(["슬픔", None, decomposed, "disgusted"], ["기쁨", "슬픔"])
    assert found.tolist() == [1, NO_CLASS, 0, NO_CLASS]


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([0, 1], [0], "shapes do not fit"),
        ([[0]], [[0]], "shapes do not fit"),
        ([0, 3], [0, 0], "true has classes 0 to 3, but there are 3"),
        ([0, -1], [0, 0], "true has classes -1"),
        ([0, 1], [0, 3], "predicted has classes 0 to 3"),
        ([0, 1], [0, -2], "predicted has classes -2"),
        ([0.0, 1.0], [0, 1], "true must be integers"),
    ],
)
def test_what_are_no_classes_is_refused(true: list[int], predicted: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_counts(np.array(true), np.array(predicted), CLASSES)
