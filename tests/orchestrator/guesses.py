"""Predictions of two made-up configurations."""

from __future__ import annotations

import numpy as np

Case = tuple[np.ndarray, np.ndarray, np.ndarray]
"""True classes (n,), predictions (s, n) of the default and of the other configuration."""


def guesses(seed: int, n: int, right: float, other: float, seeds: int = 5) -> Case:
    """Predictions that are right with these probabilities, and one of four classes at random else."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 4, n)
    at_random = generator.integers(0, 4, (2, seeds, n))
    chances = np.array([right, other])[:, None, None]
    before, after = np.where(generator.random((2, seeds, n)) < chances, true, at_random)
    return true, before, after
