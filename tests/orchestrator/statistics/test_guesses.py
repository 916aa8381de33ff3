"""What a guess scores: every possible guess enumerated, and the majority class counted out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score

from orchestrator.statistics.guesses import informed_guess, majority_guess, uniform_guess

SUPPORT = st.lists(st.integers(0, 4), min_size=2, max_size=3).filter(lambda rows: 0 < sum(rows) <= 6)


def expected(support: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """Accuracy and macro-F1 over all guesses that are possible, weighted by their probability."""
    true = np.repeat(np.arange(len(support)), support)
    accuracy = f1 = 0.0
    for guess in product(range(len(support)), repeat=len(true)):
        weight = float(np.prod(shares[list(guess)]))
        accuracy += weight * accuracy_score(true, guess)
        f1 += weight * f1_score(true, guess, labels=range(len(support)), average="macro", zero_division=0)
    return accuracy, f1


@pytest.mark.parametrize("support", [[3, 2], [1, 3], [0, 3], [2, 1, 1], [2, 0, 1]])
def test_guesses_are_exact(support: list[int]) -> None:
    rows = np.array(support)
    even = np.full(len(rows), 1 / len(rows))
    for found, shares in ((uniform_guess(rows), even), (informed_guess(rows), rows / rows.sum())):
        assert (found.accuracy, found.macro_f1) == pytest.approx(expected(rows, shares))
    frequencies = np.arange(1, len(rows) + 1)
    found = informed_guess(rows, frequencies)
    assert (found.accuracy, found.macro_f1) == pytest.approx(expected(rows, frequencies / frequencies.sum()))


@given(SUPPORT, st.data())
def test_the_majority_class_is_scikit_learns(support: list[int], data: st.DataObject) -> None:
    rows = np.array(support)
    frequencies = np.array(data.draw(st.permutations(range(1, len(rows) + 1))))
    true, train = (np.repeat(np.arange(len(rows)), counts) for counts in (rows, frequencies))
    said = DummyClassifier(strategy="most_frequent").fit(train[:, None], train).predict(true[:, None])
    found = majority_guess(rows, frequencies)
    assert found.accuracy == pytest.approx(accuracy_score(true, said))
    assert found.macro_f1 == pytest.approx(
        f1_score(true, said, labels=range(len(rows)), average="macro", zero_division=0)
    )


def test_the_majority_is_the_tests_own_where_no_other_is_given() -> None:
    assert majority_guess(np.array([1, 6, 3])).accuracy == 0.6


@given(SUPPORT)
def test_an_uninformed_guess_is_right_once_in_c(support: list[int]) -> None:
    assert uniform_guess(np.array(support)).accuracy == pytest.approx(1 / len(support))


@pytest.mark.parametrize("guess", [informed_guess, majority_guess])
@pytest.mark.parametrize("frequencies", [[0, 0], [1, -1], [1, 2, 3], [float("nan"), 1]])
def test_frequencies_that_are_none_are_refused(guess: type, frequencies: list[float]) -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        guess(np.array([1, 2]), np.array(frequencies))


def test_no_test_row_is_refused() -> None:
    with pytest.raises(ValueError, match="no test row"):
        uniform_guess(np.array([0, 0]))
