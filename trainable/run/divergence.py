"""An epoch whose loss is no number is no result (no torch)."""

from __future__ import annotations

import math

from trainable.base.config import TrainConfig
from trainable.base.errors import Diverged


def check_losses(epoch: int, train_loss: float, val_loss: float, config: TrainConfig) -> None:
    """Look at an epoch's mean losses, which any value in the network that is no number reaches.

    Args:
        epoch: counts from 1.

    Raises:
        Diverged: one of them is NaN or infinite.
    """
    for name, loss in (("training", train_loss), ("validation", val_loss)):
        if not math.isfinite(loss):
            rates = f"lr_head {config.lr_head:g}"
            if config.lr_backbone is not None:
                rates += f", lr_backbone {config.lr_backbone:g}"
            raise Diverged(f"the {name} loss of epoch {epoch} is {loss:g}: try smaller learning rates ({rates})")
