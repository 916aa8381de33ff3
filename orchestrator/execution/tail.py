"""The last trial of a run gets the CPUs that nobody else has work for (pure: no Ray, no torch).

Threads change the order of float sums, so the moment must not depend on the clock: it is an epoch, told beforehand from
estimated work, and the same for the same steps on the same CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.planning.costs import epoch_costs
from orchestrator.planning.steps import TrainingStep, longest_first

FIRST_TOUCH = 3.0
"""What an image of a process's first stage-3 batch costs once on top, in training steps of one: the system hands out
its memory page by page. Of a virtual machine (`benchmarks.first_touch`: 4.6 MB at 2.4 s a GB, and a step takes 3.7 ms);
where memory is cheaper, the last trial gets its CPUs an epoch or two early at the largest batches."""


LEAST_IMAGES = 4096
"""Fewer training steps than that are not worth another number of threads."""


def tail(steps: Sequence[TrainingStep], slots: int) -> tuple[str, int] | None:
    """Which trial is alone at the end, and from which epoch (from 0) on; None where that is not worth it.

    Args:
        steps: the MobileNet steps, of which the longest start first.
        slots: how many of them run at once; with one, or more than there are steps, there is nothing to give.
    """
    if not 1 < slots <= len(steps):
        return None
    free, held = [0.0] * slots, [0] * slots
    ends: list[tuple[float, float, TrainingStep, list[float]]] = []
    for step in longest_first(steps):
        slot = free.index(min(free))
        began = free[slot]
        costs, held[slot] = _costs(step, held[slot])
        free[slot] += sum(costs)
        ends.append((free[slot], began, step, costs))
    ends.sort(key=lambda end: end[0])
    (alone_from, *_), (_, began, last, costs) = ends[-2:]
    return _epoch_after(last, costs, alone_from - began)


def _costs(step: TrainingStep, held: int) -> tuple[list[float], int]:
    """`epoch_costs`, and what it takes to get memory in a process that has had batches of `held` images; those that it
    has had afterwards."""
    costs = epoch_costs(step.config, step.rows)
    if step.config.mode != "finetune":
        return costs, held
    images = min(step.config.batch, step.rows[0])
    costs[step.config.stage_starts[-1]] += FIRST_TOUCH * max(0, images - held)
    return costs, max(images, held)


def _epoch_after(step: TrainingStep, costs: Sequence[float], work: float) -> tuple[str, int] | None:
    """The first epoch of stage 3 that begins after `work`, where enough of them are left."""
    done = 0.0
    for epoch, cost in enumerate(costs):
        if done >= work and step.config.stage_at(epoch) == 3 and sum(costs[epoch:]) >= LEAST_IMAGES:
            return step.name, epoch
        done += cost
    return None
