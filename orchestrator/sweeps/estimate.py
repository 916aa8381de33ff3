"""How long a sweep will take on this machine, from a speed that was measured on it (no torch here)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.planning.costs import epoch_costs
from orchestrator.planning.planner import Step
from orchestrator.sweeps.confirmation import CANDIDATES
from orchestrator.sweeps.policies import Halving, rungs
from orchestrator.sweeps.sweep import Sweep

START_UP = 10.0
"""Seconds for Ray and the first trial's imports."""


@dataclass(frozen=True)
class Load:
    """Trials, epochs, and images in training steps (see `tail.epoch_costs`)."""

    trials: int = 0
    epochs: int = 0
    images: float = 0.0

    def __add__(self, other: Load) -> Load:
        return Load(self.trials + other.trials, self.epochs + other.epochs, self.images + other.images)


def sweep_load(sweep: Sweep) -> Load:
    """What is left of a sweep. With asha as many trials end at each rung as the policy says; median may stop any, so
    it is counted as none."""
    todo = sorted((step for step in sweep.trials if step.to_do), key=lambda step: step.status != "interrupted")
    judged = len(sweep.steps) - 1
    load = Load()
    for place, step in enumerate(todo):
        assert step.config is not None
        ends = _ends_at(step, place, judged, sweep) if step is not sweep.default else step.config.epochs
        load += Load(1, ends, _images(step, ends))
    return load


def _images(step: Step, epochs: int) -> float:
    """The work of so many epochs. What is computed once for all of a sweep's trials is left out."""
    assert step.config is not None
    costs = epoch_costs(step.config, step.rows)
    return sum([costs[1], *costs[1:epochs]]) if len(costs) > 1 else costs[0]


def _ends_at(step: Step, place: int, judged: int, sweep: Sweep) -> int:
    """The epochs of the trial that comes out at `place`."""
    assert step.config is not None
    if sweep.options.scheduler == "asha":
        for rung in rungs(step.config):
            if place >= max(Halving.LEAST_KEPT, math.ceil(rung.keep * judged)):
                return rung.epochs
    return step.config.epochs


def confirmation_load(sweep: Sweep) -> Load:
    """The best and the default on new seeds; which ones they are is not known yet."""
    config, runs = sweep.default.config, sweep.options.confirm * (1 + CANDIDATES)
    assert config is not None
    return Load(runs, runs * config.epochs, runs * _images(sweep.default, config.epochs))


def fixed_load(steps: Sequence[Step]) -> Load:
    configs = [(step, step.config) for step in steps if step.to_do and step.config is not None]
    loads = [Load(1, config.epochs, sum(epoch_costs(config, step.rows))) for step, config in configs]
    return sum(loads, Load())
