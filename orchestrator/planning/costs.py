"""What an epoch costs, estimated in training steps of one image: for the order of starting and for `plan --sweep`."""

from __future__ import annotations

from collections.abc import Sequence

from trainable.base.config import TrainConfig

FORWARD, LAST_BLOCKS, HEAD = 0.33, 0.1, 0.01
"""What an image costs relative to a whole training step (forward, backward, update): passes through the frozen layers
or in evaluation; training the last two blocks, or the head, on stored features."""


def stage_cost(stage: int, rows: Sequence[int]) -> float:
    """The estimated work of an epoch in a stage (1, 2 or 3), in training steps of one image; a first epoch takes more.

    Args:
        rows: images in train, val and test.
    """
    train, val = rows[0], rows[1]
    return train + FORWARD * val if stage == 3 else (LAST_BLOCKS if stage == 2 else HEAD) * (train + val)


def epoch_costs(config: TrainConfig, rows: Sequence[int]) -> list[float]:
    """The estimated work of each epoch, in training steps of one image.

    Args:
        rows: images in train, val and test.
    """
    costs = [stage_cost(config.stage_at(epoch), rows) for epoch in range(config.epochs)]
    costs[0] += FORWARD * (2 * rows[0] + rows[1])  # the frozen layers' features
    return costs
