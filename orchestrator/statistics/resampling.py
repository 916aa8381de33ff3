"""The bootstrap: how far would a figure move if other rows, or other persons, had been in the test set?

Units are drawn with replacement, as many as there are. A unit is a row, or all rows of a person: photos of one person
resemble each other, so rows drawn one by one would give an interval that is too narrow (Davison and Hinkley, Bootstrap
Methods and their Application, section 3.8, 1997). A figure is computed from sums over rows. Units that add the same to
these sums are drawn as one kind, so that a draw of 60,000 rows costs as much as one of a few hundred kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainable.base.seeds import derived_generator

RESAMPLES = 2000
"""Draws for an interval."""
SEED = 1337
"""The seed of all draws: the same data always give the same interval."""
CHUNK = 1_000_000
"""Elements of the largest array of a chunk of draws: some 8 MB."""
FEW_KINDS = 1000
"""With more kinds of units than this, drawing units one by one is faster than drawing how often each kind comes."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""From sums (r, W) over rows to figures (r, S)."""


@dataclass(frozen=True)
class Units:
    """The units of a data set by kind.

    Attributes:
        sums: (T, W) float64, what a unit of each kind adds to the W sums; the kinds are sorted by it, so that neither
            the order of rows nor the numbers of groups have an influence on the draws.
        sizes: (T,) int64, the number of units of each kind.
    """

    sums: np.ndarray
    sizes: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """(W,) float64, the sums over all units."""
        totals: np.ndarray = self.sizes @ self.sums
        return totals


def units(rows: np.ndarray, groups: np.ndarray | None = None) -> Units:
    """Collect rows into units.

    Args:
        rows: (n, W) integers, what each row adds to the sums.
        groups: (n,) the group of each row, for example a person; None for rows that are units themselves.
    """
    if groups is not None:
        _, number = np.unique(groups, return_inverse=True)
        order = np.argsort(number, kind="stable")
        begins = np.flatnonzero(np.diff(number[order], prepend=-1))
        rows = np.add.reduceat(rows[order], begins, axis=0)
    sums, sizes = np.unique(rows, axis=0, return_counts=True)
    return Units(sums.astype(np.float64), sizes)


def draw(of: Units, statistic: Statistic, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """The figures (resamples, S) of resampled units; the same arguments always give the same result."""
    generator, found = derived_generator(seed, "bootstrap"), []
    sums = of.sums.astype(np.float32)  # half the time; sums below 2**24 are exact
    step = max(1, CHUNK // max(int(of.sizes.sum()) if len(of.sizes) > FEW_KINDS else len(of.sizes), of.sums.shape[1]))
    for begin in range(0, resamples, step):
        found.append(statistic((_weights(of.sizes, min(step, resamples - begin), generator) @ sums).astype(np.float64)))
    return np.concatenate(found)


def _weights(sizes: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(resamples, T) float32: how often each kind is drawn, where as many units are drawn as there are."""
    count = int(sizes.sum())
    if len(sizes) <= FEW_KINDS:
        return generator.multinomial(count, sizes / count, size=resamples).astype(np.float32)
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    drawn = kinds[generator.integers(0, count, (resamples, count))]
    bins = drawn + len(sizes) * np.arange(resamples)[:, None]
    return np.bincount(bins.ravel(), minlength=resamples * len(sizes)).reshape(resamples, -1).astype(np.float32)
