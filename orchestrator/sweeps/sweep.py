"""From an experiment and a space to the trials of a sweep: checked, named and compared with what is on disk (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from orchestrator.planning.planner import Planner, Step
from orchestrator.sweeps.configurations import configurations, extremes, to_config
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.search_log import SearchLog
from search_spaces.quantiles import Space
from search_spaces.runbook import Experiment
from trainable.base.config import TrainConfig
from trainable.cache.hashes import digest
from trainable.run.identity import weights_identity


@dataclass(frozen=True)
class Sweep:
    """The trials of one experiment's sweep. The first is the default configuration: in `run-all` the fixed run.

    `steps` changes where the search chooses while the sweep runs: its open steps come last, and are filled in.
    """

    base: Experiment
    options: SweepOptions
    space: Space
    steps: list[Step]
    log: SearchLog | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.space)

    @property
    def default(self) -> Step:
        return self.steps[0]

    @property
    def trials(self) -> tuple[Step, ...]:
        """Those that are not a fixed run of the same `run-all`."""
        return tuple(step for step in self.steps if step.sweep is not None)

    def values(self, step: Step) -> dict[str, Any]:
        """The swept parameters of a trial."""
        return {name: getattr(step.config, name) for name in self.parameters}


def plan_sweep(
    base: Step, space: Space, options: SweepOptions, planner: Planner, *, fixed: bool, fresh: bool = False
) -> Sweep:
    """The sweep of an experiment.

    Args:
        base: the experiment's own step, whose configuration is the default.
        fixed: `base` runs in the same run, or is done, and so is the default's trial.

    Raises:
        ConfigError: the space is empty, or has an unknown parameter or a value that makes no run.
    """
    assert base.config is not None
    sweep = Sweep(base.experiment, options, space, [base] if fixed else [])
    configs = list(configurations(base.name, base.config, space, options))
    for config in configs if fixed else [base.config, *configs]:
        sweep.steps.append(new_trial(sweep, config, len(sweep.steps), planner, fresh=fresh))
    return _with_search(sweep, base.config, planner, fresh) if options.search == "optuna" else sweep


def _with_search(sweep: Sweep, default: TrainConfig, planner: Planner, fresh: bool) -> Sweep:
    """The sweep with what its search chose before, and what it is still to choose."""
    steps, samples = sweep.steps, sweep.options.samples
    log = SearchLog(new_trial(sweep, default, 0, planner), sweep.space, planner)
    for point in () if fresh else log.points[: samples - len(steps)]:
        steps.append(new_trial(sweep, to_config(default, point, sweep.options), len(steps), planner))
    if fresh or not log.exhausted:
        # What is reserved must do for whatever is chosen.
        largest = replace(default, batch=max(default.batch, *extremes(sweep.space.get("batch", default.batch))))
        steps += [_open(sweep, largest, number, planner) for number in range(len(steps), samples)]
    return replace(sweep, log=log)


def trial_of(base: Experiment, config: TrainConfig, number: int, *, test: bool) -> Experiment:
    """The experiment of a trial. Its folder is named by its configuration and seed, so the same trial has the same
    folder in every sweep; its name by its number in this one."""
    values = {"config": config.identity(), "weights": weights_identity(config.weights)}
    seed = values["config"].pop("seed")  # type: ignore[attr-defined]
    name = f"{base.name}#{number}" if not test else f"{base.name}#{number}/{seed}"
    return replace(base, name=name, trial=f"{digest(values)[:10]}-s{seed}", test=test)


def new_trial(sweep: Sweep, config: TrainConfig, number: int, planner: Planner, *, fresh: bool = False) -> Step:
    """A trial of the sweep, held against what is on disk."""
    experiment = trial_of(sweep.base, config, number, test=False)
    stopped_counts = sweep.options.scheduler != "none"
    return planner.trial(experiment, config, sweep.base.name, stopped_counts=stopped_counts, fresh=fresh)


def _open(sweep: Sweep, config: TrainConfig, number: int, planner: Planner) -> Step:
    experiment = replace(sweep.base, name=f"{sweep.base.name}#{number}", trial=f"open-{number}", test=False)
    return replace(planner.trial(experiment, config, sweep.base.name), open=True, why="to be chosen")
