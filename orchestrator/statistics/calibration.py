"""Does a model's confidence say how often it is right? And what one number, the temperature, would mend.

Source: Guo et al., On calibration of modern neural networks, ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """The rows whose highest probability is in (low, high]: their mean confidence, and the share that is right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How well probabilities fit on n rows.

    Attributes:
        ece: expected calibration error, the mean distance between confidence and accuracy over the bins, by rows.
        nll: mean negative log-likelihood of the true class, in nats.
        brier: mean over rows of the squared distance between the probabilities and the true class, 0 to 2.
        bins: BINS bins of equal width; in an empty one confidence and accuracy are 0.
    """

    n: int
    ece: float
    nll: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


def calibration(logits: np.ndarray, true: np.ndarray, temperature: float = 1.0, bins: int = BINS) -> Calibration:
    """Measure how well softmax(logits / temperature) fits.

    For probabilities give their logarithms as logits.

    Args:
        logits: (n, C) numbers.
        true: (n,) integers, 0 to C - 1.
        temperature: what the logits are divided by.
        bins: number of bins.

    Raises:
        ValueError: no row, shapes that do not fit, a class out of range, NaN, or a temperature that is not positive.
    """
    raise NotImplementedError


def fit_temperature(logits: np.ndarray, true: np.ndarray) -> float:
    """The temperature that minimises the negative log-likelihood; fit it on validation rows.

    Args:
        logits: (n, C) numbers.
        true: (n,) integers, 0 to C - 1.

    Raises:
        ValueError: no row, shapes that do not fit, a class out of range, or NaN.
    """
    raise NotImplementedError
