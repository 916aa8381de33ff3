"""The last trial of a run gets the CPUs that nobody else has work for (pure: no Ray, no torch).

Threads change the order of float sums, so the moment must not depend on the clock: it is an epoch, told beforehand from
estimated work, and the same for the same steps on the same CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.plan import Step, longest_first
from trainable.config import TrainConfig

FORWARD, LAST_BLOCKS, HEAD = 0.33, 0.1, 0.01
"""What an image costs relative to a whole training step (forward, backward, update): passes through the frozen layers
or in evaluation; training the last two blocks, or the head, on stored features."""
LEAST_IMAGES = 4096
"""Fewer training steps than that are not worth another number of threads."""


def epoch_costs(config: TrainConfig, rows: Sequence[int]) -> list[float]:
    """The estimated work of each epoch, in training steps of one image.

    Args:
        rows: images in train, val and test.
    """
    train, val = rows[0], rows[1]
    costs = []
    for epoch in range(config.epochs):
        stage = config.stage_at(epoch)
        cost = train + FORWARD * val if stage == 3 else (LAST_BLOCKS if stage == 2 else HEAD) * (train + val)
        costs.append(cost + (FORWARD * (2 * train + val) if epoch == 0 else 0.0))
    return costs


def tail(steps: Sequence[Step], slots: int) -> tuple[str, int] | None:
    """Which trial is alone at the end, and from which epoch (from 0) on; None where that is not worth it.

    Args:
        steps: the MobileNet steps, of which the longest start first.
        slots: how many of them run at once; with one, or more than there are steps, there is nothing to give.
    """
    if not 1 < slots <= len(steps):
        return None
    free = [0.0] * slots
    ends: list[tuple[float, float, Step]] = []
    for step in longest_first(steps):
        assert step.config is not None
        slot = free.index(min(free))
        began = free[slot]
        free[slot] += sum(epoch_costs(step.config, step.rows))
        ends.append((free[slot], began, step))
    ends.sort(key=lambda end: end[0])
    (alone_from, _, _), (_, began, last) = ends[-2:]
    return _epoch_after(last, alone_from - began)


def _epoch_after(step: Step, work: float) -> tuple[str, int] | None:
    """The first epoch of stage 3 that begins after `work`, where enough of them are left."""
    assert step.config is not None
    costs = epoch_costs(step.config, step.rows)
    done = 0.0
    for epoch, cost in enumerate(costs):
        if done >= work and step.config.stage_at(epoch) == 3 and sum(costs[epoch:]) >= LEAST_IMAGES:
            return step.name, epoch
        done += cost
    return None
