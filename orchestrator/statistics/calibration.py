"""Does a model's confidence say how often it is right? And what would dividing its logits by one number mend?

Source: Guo et al., On calibration of modern neural networks, ICML 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BINS = 15
"""As in the source."""
TEMPERATURES = (1e-2, 1e2)
"""The fitted temperature is between these: where every row is right, a lower one always fits better."""
PROBABILITY_FLOOR = 1e-12
"""A probability of 0 counts as this, because its logarithm would make all other rows meaningless."""


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
        bins: bins of equal width; in an empty one confidence and accuracy are 0.
    """

    n: int
    ece: float
    nll: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


def measure_calibration(
    logits: np.ndarray, true: np.ndarray, temperature: float = 1.0, bins: int = BINS
) -> Calibration:
    """Measure how well softmax(logits / temperature) fits.

    Args:
        logits: (n, C) numbers; `as_logits` makes them from probabilities.
        true: (n,) integers, 0 to C - 1.
        temperature: what the logits are divided by.
        bins: number of bins.

    Raises:
        ValueError: no row, shapes that do not fit, a class out of range, an infinite number or NaN, or a temperature
            that is not positive.
    """
    _check(logits, true)
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature must be positive, not {temperature}")
    log_probabilities = _log_softmax(logits / temperature)
    probabilities, rows = np.exp(log_probabilities), np.arange(len(true))
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    n, sums, hits = (np.bincount(place, weights, bins) for weights in (None, confidence, right))
    whole = np.maximum(n, 1)
    edges = np.linspace(0, 1, bins + 1).tolist()
    found = zip(edges[:-1], edges[1:], n.tolist(), (sums / whole).tolist(), (hits / whole).tolist(), strict=True)
    off = probabilities.copy()
    off[rows, true] -= 1
    return Calibration(
        n=len(true),
        ece=float(np.abs(sums - hits).sum() / len(true)),
        nll=float(-log_probabilities[rows, true].mean()),
        brier=float((off**2).sum(1).mean()),
        bins=tuple(ReliabilityBin(*each) for each in found),
    )


def fit_temperature(logits: np.ndarray, true: np.ndarray) -> float:
    """The temperature in TEMPERATURES that minimises the negative log-likelihood; fit it on validation rows.

    Args:
        logits: (n, C) numbers.
        true: (n,) integers, 0 to C - 1.

    Raises:
        ValueError: no row, shapes that do not fit, a class out of range, an infinite number or NaN.
    """
    from scipy.optimize import minimize_scalar  # imported by a calibration alone, since it takes longer than a plan

    _check(logits, true)
    rows = np.arange(len(true))

    def nll(log_inverse: float) -> float:
        return float(-_log_softmax(logits * math.exp(log_inverse))[rows, true].mean())

    # As a function of 1 / temperature the loss is convex, so it has one valley in its logarithm too.
    bounds = [-math.log(end) for end in reversed(TEMPERATURES)]
    return math.exp(-float(minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-8}).x))


def as_logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits (n, C) whose softmax are the probabilities (n, C); 0 becomes PROBABILITY_FLOOR."""
    return np.log(np.maximum(probabilities, PROBABILITY_FLOOR))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    logarithms: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return logarithms


def _check(logits: np.ndarray, true: np.ndarray) -> None:
    if logits.ndim != 2 or true.shape != logits.shape[:1] or not len(true):
        raise ValueError(f"shapes do not fit: logits {logits.shape}, true {true.shape}")
    if true.dtype.kind not in "iu" or true.min() < 0 or true.max() >= logits.shape[1]:
        raise ValueError(f"true must be integers from 0 to {logits.shape[1] - 1}")
    if not np.isfinite(logits).all():
        raise ValueError("a logit is infinite or not a number")
