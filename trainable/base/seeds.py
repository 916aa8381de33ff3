"""One rule for everything random: a seed, a purpose and an index decide a draw (docs/reproducibility.md).

So no draw depends on what was drawn before it, on the number of workers or on where a run was interrupted, and NumPy
and PyTorch alone repeat it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # loaded by the first draw: planning loads nothing heavy

PURPOSES = {
    "sobol": 0, "order": 1, "flip": 2, "dropout": 3, "head": 4, "backbone": 5, "random": 6, "tpe": 7, "bootstrap": 8
}  # fmt: skip
"""The number of each purpose. A number never changes its meaning, since finished results depend on it."""


def seed_sequence(seed: int, purpose: str, *index: int) -> np.random.SeedSequence:
    """NumPy's SeedSequence of the numbers (seed, purpose, index), which seeds a generator of one purpose.

    Args:
        index: what is drawn for: the epoch, the trial, or the trial and the attempt. None is the same as 0.

    Raises:
        KeyError: there is no such purpose.
        ValueError: a number does not fit into 32 bits. NumPy would split it in two, and two purposes of different seeds
            might get the same numbers.
    """
    numbers = (seed, PURPOSES[purpose], *index)
    if not all(0 <= number < 2**32 for number in numbers):
        raise ValueError(f"seed and index must be from 0 to {2**32 - 1}, not {numbers}")
    from numpy.random import SeedSequence

    return SeedSequence(numbers)


def derived_seed(seed: int, purpose: str, *index: int) -> int:
    """A 64-bit seed from `seed_sequence`, for PyTorch's generators."""
    return int(seed_sequence(seed, purpose, *index).generate_state(1, "uint64")[0])


def derived_generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """NumPy's default generator on `seed_sequence`."""
    from numpy.random import default_rng

    return default_rng(seed_sequence(seed, purpose, *index))
