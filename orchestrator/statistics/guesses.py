"""What a method scores that has learned nothing: the references of every other score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Guess:
    """The expected accuracy and macro-F1 of a method that does not look at the image."""

    name: str
    accuracy: float
    macro_f1: float


def uniform_guess(support: np.ndarray) -> Guess:
    """Every class is answered equally often, by chance.

    Args:
        support: (C,) integers, the number of test rows of each class.
    """
    raise NotImplementedError


def informed_guess(support: np.ndarray, frequencies: np.ndarray | None = None) -> Guess:
    """Every class is answered by chance, as often as it is in `frequencies`.

    Args:
        support: (C,) integers, the number of test rows of each class.
        frequencies: (C,) the number or share of each class, for example of the training rows; None for the test's own.

    Raises:
        ValueError: frequencies without a positive sum.
    """
    raise NotImplementedError


def majority_guess(support: np.ndarray, frequencies: np.ndarray | None = None) -> Guess:
    """The most frequent class is the answer to every row; of equally frequent ones the first.

    Args:
        support: (C,) integers, the number of test rows of each class.
        frequencies: (C,) the number or share of each class, for example of the training rows; None for the test's own.

    Raises:
        ValueError: frequencies without a positive sum.
    """
    raise NotImplementedError
