"""Made-up answers of two methods to the same rows, for tests of the statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from orchestrator.statistics.scores import NO_CLASS


@dataclass(frozen=True)
class Answered:
    """True classes and the answers of two methods, (n,) int64 each; `groups` are (n,) persons, or None."""

    true: np.ndarray
    reference: np.ndarray
    candidate: np.ndarray
    groups: np.ndarray | None = None


def answered(
    seed: int, n: int, reference: float, candidate: float, classes: int = 4, undetected: float = 0.0
) -> Answered:
    """Answers that are right with these probabilities, and one of the classes at random else.

    The reference gives no answer to a share `undetected` of the rows.
    """
    generator = np.random.default_rng(seed)
    true = generator.integers(0, classes, n)
    at_random = generator.integers(0, classes, (2, n))
    chances = np.array([reference, candidate])[:, None]
    one, other = np.where(generator.random((2, n)) < chances, true, at_random)
    return Answered(true, np.where(generator.random(n) < undetected, NO_CLASS, one), other)


@st.composite
def rows(draw: st.DrawFn, least: int = 0, most: int = 60, classes: int = 3, grouped: bool | None = None) -> Answered:
    """Arbitrary answers; with persons, without, or either."""
    n = draw(st.integers(least, most))
    true = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    one, other = (draw(st.lists(st.integers(-1, classes - 1), min_size=n, max_size=n)) for _ in range(2))
    persons = draw(st.lists(st.integers(0, n), min_size=n, max_size=n))
    with_persons = draw(st.booleans()) if grouped is None else grouped
    arrays = [np.array(values, np.int64) for values in (true, one, other)]
    return Answered(*arrays, np.array(persons, np.int64) if with_persons else None)
