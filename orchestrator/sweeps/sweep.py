"""From an experiment and a space to the trials of a sweep, compared with what is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Run, Step, Trial
from orchestrator.sweeps.configurations import configurations, extremes, to_config
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.search_log import SearchLog
from search_spaces.quantiles import Space
from search_spaces.runbook import Experiment
from trainable.base.config import TrainConfig


@dataclass
class Sweep:
    """The trials of one experiment's sweep.

    A search such as Optuna's chooses trials while the sweep runs: `choose` adds each of them.

    Args:
        default: the default configuration: in `run-all` the fixed run, otherwise a trial.
        others: the trials besides the default, numbered from 1.
        unchosen: how many more trials the search may choose.
        template: a trial that asks for as much memory as any that may be chosen; None where nothing is chosen late.
        log: where the search's choices are kept.
    """

    experiment: Experiment
    options: SweepOptions
    space: Space
    default: Run | Trial
    others: list[Trial]
    unchosen: int = 0
    template: Trial | None = None
    log: SearchLog | None = None

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.space)

    @property
    def members(self) -> tuple[Run | Trial, ...]:
        """All configurations known so far, by their numbers; the default is number 0."""
        return (self.default, *self.others)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The members that are trials: a default that is a fixed run is none."""
        return tuple(member for member in self.members if isinstance(member, Trial))

    def values(self, config: TrainConfig) -> dict[str, Any]:
        """The swept parameters of a configuration."""
        return {name: getattr(config, name) for name in self.parameters}

    def choose(self, trial: Trial) -> None:
        """Take in a trial that the search has chosen."""
        self.others.append(trial)
        self.unchosen -= 1

    def unchosen_names(self) -> list[str]:
        """The names that the trials still to be chosen will have."""
        first = len(self.members)
        return [f"{self.name}#{number}" for number in range(first, first + self.unchosen)]


def left_to_do(steps: Sequence[Step], sweeps: Sequence[Sweep]) -> list[Step]:
    """Those of the steps and of the sweeps' trials that are not done. Trials that a search has still to choose are not
    among them."""
    return [step for step in (*steps, *(trial for sweep in sweeps for trial in sweep.trials)) if step.to_do]


def plan_sweep(
    base: Run, space: Space, options: SweepOptions, planner: Planner, *, fixed: bool, fresh: bool = False
) -> Sweep:
    """The sweep of an experiment.

    Args:
        base: the experiment's own run, whose configuration is the default.
        fixed: `base` runs in the same command, or is done, and serves as the default's trial.

    Raises:
        ConfigError: the space is empty, or has an unknown parameter or a value that makes no run.
    """
    default = base if fixed else new_trial(base.experiment, base.config, 0, options, planner, fresh=fresh)
    configs = configurations(base.name, base.config, space, options)
    others = [
        new_trial(base.experiment, config, number, options, planner, fresh=fresh)
        for number, config in enumerate(configs, 1)
    ]
    sweep = Sweep(base.experiment, options, space, default, others)
    if options.search == "optuna":
        _prepare_search(sweep, planner, fresh=fresh)
    return sweep


def new_trial(
    experiment: Experiment,
    config: TrainConfig,
    number: int,
    options: SweepOptions,
    planner: Planner,
    *,
    fresh: bool = False,
) -> Trial:
    """A trial of the experiment's sweep, compared with what is on disk."""
    return planner.trial(experiment, config, number, stop_is_final=options.scheduler != "none", fresh=fresh)


def _prepare_search(sweep: Sweep, planner: Planner, *, fresh: bool) -> None:
    """Add the trials that the search chose in earlier commands, and count those that it may still choose."""
    experiment, default, options = sweep.experiment, sweep.default.config, sweep.options
    sweep.log = SearchLog(new_trial(experiment, default, 0, options, planner), sweep.space, planner)
    room = options.samples - len(sweep.members)
    for point in () if fresh else sweep.log.points[:room]:
        config = to_config(default, point, options)
        sweep.others.append(new_trial(experiment, config, len(sweep.members), options, planner))
    if fresh or not sweep.log.exhausted:
        sweep.unchosen = options.samples - len(sweep.members)
    if sweep.unchosen:
        largest = replace(default, batch=max(default.batch, *extremes(sweep.space.get("batch", default.batch))))
        sweep.template = planner.trial(experiment, largest, len(sweep.members), fresh=True)
