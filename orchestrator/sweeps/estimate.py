"""How much work a sweep is, for `plan --sweep`. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.planning.costs import epoch_costs
from orchestrator.planning.steps import TrainingStep, Trial
from orchestrator.sweeps.confirmation import CANDIDATES
from orchestrator.sweeps.policies import Halving, rungs
from orchestrator.sweeps.sweep import Sweep

START_UP = 10.0
"""Seconds for Ray and the first trial's imports."""


@dataclass(frozen=True)
class Load:
    """An amount of work.

    Args:
        images: training steps of one image (see `orchestrator.planning.costs.epoch_costs`).
    """

    trials: int = 0
    epochs: int = 0
    images: float = 0.0

    def __add__(self, other: Load) -> Load:
        return Load(self.trials + other.trials, self.epochs + other.epochs, self.images + other.images)


def planned_trials(sweep: Sweep) -> list[Trial]:
    """All trials of a sweep, with the template in the place of each that the search has still to choose."""
    return [*sweep.trials, *([sweep.template] * sweep.unchosen if sweep.template else [])]


def sweep_load(sweep: Sweep) -> Load:
    """The work that is left of a sweep."""
    return sum((Load(1, ends, _images(trial, ends)) for trial, ends in planned_ends(sweep)), Load())


def planned_ends(sweep: Sweep) -> list[tuple[Trial, int]]:
    """The trials that are to do, and the epochs after which each is expected to end.

    With halving, as many trials end at each rung as the policy says. The median rule and ASHA may stop any number of
    trials, so none is counted as stopped.
    """
    todo = [trial for trial in planned_trials(sweep) if trial.to_do]
    judged = len(sweep.members) + sweep.unchosen - 1
    ends = []
    if isinstance(sweep.default, Trial) and sweep.default in todo:
        todo.remove(sweep.default)
        ends.append((sweep.default, sweep.default.config.epochs))
    for place, trial in enumerate(sorted(todo, key=lambda trial: trial.status != "interrupted")):
        ends.append((trial, _last_epoch(trial, place, judged, sweep)))
    return ends


def confirmation_load(sweep: Sweep) -> Load:
    """The work of the confirmations. The default stands for the best configurations, which are not known yet."""
    runs, epochs = sweep.options.confirm * (1 + CANDIDATES), sweep.default.config.epochs
    return Load(runs, runs * epochs, runs * _images(sweep.default, epochs))


def fixed_load(steps: Sequence[TrainingStep]) -> Load:
    """The work of the fixed runs that are to do."""
    todo = [step for step in steps if step.to_do]
    loads = [Load(1, step.config.epochs, sum(epoch_costs(step.config, step.rows))) for step in todo]
    return sum(loads, Load())


def _images(step: TrainingStep, epochs: int) -> float:
    """The work of a trial's first epochs, without the features that are computed once for all trials of a sweep."""
    costs = epoch_costs(step.config, step.rows)
    return sum([costs[1], *costs[1:epochs]]) if len(costs) > 1 else costs[0]


def _last_epoch(trial: Trial, place: int, judged: int, sweep: Sweep) -> int:
    """The number of epochs of the trial that comes out at `place`, counted from 0, among `judged` trials."""
    if sweep.options.scheduler == "halving":
        for rung in rungs(trial.config):
            if place >= max(Halving.LEAST_KEPT, math.ceil(rung.keep * judged)):
                return rung.epochs
    return trial.config.epochs
