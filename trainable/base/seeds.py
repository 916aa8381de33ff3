"""Seeds for single purposes, derived from a run's seed."""

from __future__ import annotations

import numpy as np

_STREAMS = {"init": 0, "order": 1, "flip": 2, "dropout": 3}


def derived_seed(seed: int, stream: str, epoch: int = 0) -> int:
    """A 64-bit seed for one purpose in one epoch; streams do not overlap (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence((seed, _STREAMS[stream], epoch)).generate_state(1, np.uint64)[0])
