"""The order in which an epoch sees the training images, and which of them it mirrors.

Both are functions of (seed, epoch) alone, never of worker counts or of what ran before. So a resumed run sees what the
uninterrupted one would have seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainable.base.seeds import derived_seed


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """The permutation of `n` training images in `epoch`: int64, shape (n,)."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(derived_seed(seed, "order", epoch)))


def epoch_flips(seed: int, epoch: int, n: int) -> Tensor:
    """Which images are mirrored in `epoch`, by image, not by place in the order: bool, shape (n,)."""
    return torch.rand(n, generator=torch.Generator().manual_seed(derived_seed(seed, "flip", epoch))) < 0.5
