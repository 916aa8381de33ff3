"""What an epoch costs, estimated in training steps of one image: for the order of starting and the hours of `plan`."""

from __future__ import annotations

from collections.abc import Sequence

from trainable.base.config import TrainConfig

FORWARD, LAST_BLOCKS, HEAD = 0.33, 0.1, 0.01
"""What an image costs relative to a whole training step (forward, backward, update): passes through the frozen layers
or in evaluation; training the last two blocks, or the head, on stored features."""
ROWS_PER_PART = 64
"""Rows of FaceAPI that one task evaluates."""


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


def stage_costs(
    config: TrainConfig, rows: Sequence[int], begin: int = 0, end: int | None = None, *, features: bool = True
) -> dict[str, float]:
    """The estimated work of a run's epochs by stage ("1", "2" or "3", as a manifest has them).

    Args:
        rows: images in train, val and test.
        begin, end: the first of the epochs (from 0), and the one after the last; None for the whole run.
        features: the first epoch computes the frozen layers' features, as it does where nobody has kept them.
    """
    costs = epoch_costs(config, rows)
    if not features:
        costs[0] = stage_cost(config.stage_at(0), rows)
    found: dict[str, float] = {}
    for epoch in range(begin, config.epochs if end is None else end):
        stage = str(config.stage_at(epoch))
        found[stage] = found.get(stage, 0.0) + costs[epoch]
    return found
