"""What a method scores that has learned nothing: the references of every other score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.statistics.scores import Margins, accuracy, macro_f1


@dataclass(frozen=True)
class Guess:
    """The expected accuracy and macro-F1 of a method that does not look at the image."""

    accuracy: float
    macro_f1: float


def uniform_guess(support: np.ndarray) -> Guess:
    """Every class is answered equally often, by chance.

    Args:
        support: (C,) integers, the number of test rows of each class.

    Raises:
        ValueError: there is no test row.
    """
    return informed_guess(support, np.ones(len(support)))


def informed_guess(support: np.ndarray, frequencies: np.ndarray | None = None) -> Guess:
    """Every class is answered by chance, as often as it is in `frequencies`.

    Both expectations are exact. Of n rows k are of a class, and a answers name it, a ~ Binomial(n, share of the class).
    Given a, it is right in a * k / n of them on average, so its expected F1 is the mean of 2 * (a * k / n) / (k + a).

    Args:
        support: (C,) integers, the number of test rows of each class.
        frequencies: (C,) the number or share of each class, for example of the training rows; None for the test's own.

    Raises:
        ValueError: there is no test row, or a frequency is negative, or all are 0.
    """
    from scipy.stats import binom  # imported by a comparison alone, since it takes longer than a plan

    shares, n = _shares(support, frequencies), int(support.sum())
    answers = np.arange(n + 1)
    f1 = 0.0
    for rows, share in zip(support.tolist(), shares.tolist(), strict=True):
        if rows:
            f1 += float(binom.pmf(answers, n, share) @ (2 * answers * rows / n / (rows + answers)))
    return Guess(float(shares @ support) / n, f1 / len(support))


def majority_guess(support: np.ndarray, frequencies: np.ndarray | None = None) -> Guess:
    """The most frequent class is the answer to every row; of equally frequent ones the first.

    Args:
        support: (C,) integers, the number of test rows of each class.
        frequencies: (C,) the number or share of each class, for example of the training rows; None for the test's own.

    Raises:
        ValueError: there is no test row, or a frequency is negative, or all are 0.
    """
    first = np.arange(len(support)) == np.argmax(_shares(support, frequencies))
    margins = Margins(support, first * support.sum(), first * support)
    return Guess(float(accuracy(margins)), float(macro_f1(margins)))


def _shares(support: np.ndarray, frequencies: np.ndarray | None) -> np.ndarray:
    values = np.asarray(support if frequencies is None else frequencies, np.float64)
    if values.shape != np.shape(support) or not (values >= 0).all() or not values.sum() > 0:
        raise ValueError(f"the frequencies of {len(support)} classes must be 0 or more, and not all 0, not {values}")
    if not np.sum(support) > 0:
        raise ValueError("there is no test row")
    shares: np.ndarray = values / values.sum()
    return shares
