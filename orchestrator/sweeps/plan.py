"""From an experiment and a space to the trials of a sweep: checked, named and compared with what is on disk (pure)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any

from orchestrator.plan import Planner, Step
from orchestrator.sweeps.policies import SCHEDULERS
from orchestrator.sweeps.sampling import SAMPLES, Point, is_grid, points
from orchestrator.sweeps.search_log import SearchLog
from search_spaces.domains import Choice, Domain, Grid, Space
from search_spaces.runbook import Experiment
from search_spaces.spaces import SPACES
from trainable.config import TrainConfig
from trainable.errors import ConfigError
from trainable.identity import digest, weights_identity

NOT_SWEPT = {
    "mode": "is the experiment's",
    "seed": "is the sweep's: the winners are run again on other seeds",
    "weights": "is the whole run's (--weights)",
    "amp": "is the whole run's",
}
_FINETUNE_ONLY = ("lr_backbone", "stage2_epoch", "stage3_epoch")
_TOGETHER = ("epochs", "stage2_epoch", "stage3_epoch")
"""What is in order or not only together."""
SEARCHES = ("sobol", "random", "optuna")
STARTUP = 8
"""Trials of `--search optuna` that are Sobol points, the default among them: it has to learn from something."""


@dataclass(frozen=True)
class SweepOptions:
    """What is swept and how.

    `num_samples` counts the default configuration; None is 16, and a grid's own size. `confirm` is on how many new
    seeds the best are run again. `budget` is in seconds. `option` is what named the space, for messages.
    """

    space: str = "lr"
    num_samples: int | None = None
    search: str = "sobol"
    scheduler: str = "asha"
    confirm: int = 5
    budget: float | None = None
    option: str = "--space"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("--search", self.search, SEARCHES),
            ("--scheduler", self.scheduler, SCHEDULERS),
        ):
            if value not in known:
                raise ConfigError(f"{name} must be {', '.join(known[:-1])} or {known[-1]}, not {value!r}")
        if self.search == "optuna" and find_spec("optuna") is None:
            raise ConfigError("--search optuna needs a package that is not installed: pip install optuna")
        if self.num_samples is not None and self.num_samples < 2:
            raise ConfigError(f"--num-samples must be at least 2 (the default is one of them), not {self.num_samples}")
        if self.confirm < 0 or self.confirm == 1:
            raise ConfigError(f"--confirm must be 0, or at least 2 seeds, not {self.confirm}")
        if self.budget is not None and not self.budget > 0:
            raise ConfigError(f"--time-budget must be more than 0, not {self.budget:g}")

    @property
    def where(self) -> str:
        """How messages name the space."""
        return f"{self.option} {self.space}"

    @property
    def samples(self) -> int:
        """Draws, the default's place among them."""
        return self.num_samples or SAMPLES


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
    configs = list(_configs(base.name, base.config, space, options))
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
        largest = replace(default, batch=max(default.batch, *_extremes(sweep.space.get("batch", default.batch))))
        steps += [_open(sweep, largest, number, planner) for number in range(len(steps), samples)]
    return replace(sweep, log=log)


def plan_spaces(defaults: Mapping[str, TrainConfig], options: SweepOptions) -> dict[str, Space]:
    """The space that is named, around each experiment's default, tried out: nothing has been read or hashed yet.

    Raises:
        ConfigError: there is no such space, or as `plan_sweep`.
    """
    if options.space in SPACES:
        spaces = {name: SPACES[options.space](default) for name, default in defaults.items()}
    else:
        from orchestrator.sweeps.user_space import load_space

        spaces = dict.fromkeys(defaults, load_space(options.space, options.option))
    for name, default in defaults.items():
        list(_configs(name, default, spaces[name], options))
    return spaces


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


def _configs(name: str, default: TrainConfig, space: Space, options: SweepOptions) -> Iterator[TrainConfig]:
    """The configurations besides the default, none twice: not in other words either, as stages written out would be."""
    check_space(name, default, space, options)
    seen = {digest(default.identity())}
    chosen_later = options.search == "optuna"
    samples, search = (min(options.samples, STARTUP), "sobol") if chosen_later else (options.samples, options.search)
    for point in points(space, samples, search, default.seed):  # type: ignore[arg-type]
        config = to_config(default, point, options)
        if digest(config.identity()) not in seen:
            seen.add(digest(config.identity()))
            yield config


def check_space(experiment: str, default: TrainConfig, space: Space, options: SweepOptions) -> None:
    """Raises ConfigError: what is wrong with the space, naming the parameter."""
    where = options.where
    if not space:
        raise ConfigError(f"{where}: is empty; name at least one parameter")
    known = {f.name for f in fields(TrainConfig)} - set(NOT_SWEPT)
    for name in space:
        if name in NOT_SWEPT:
            raise ConfigError(f"{where}: {name} cannot be swept; it {NOT_SWEPT[name]}")
        if name not in known:
            raise ConfigError(f"{where}: {name}: no such parameter (there are: {' '.join(sorted(known))})")
        if default.mode == "probe" and name in _FINETUNE_ONLY:
            raise ConfigError(f"{where}: {name}: {experiment} has none; a probe trains its head only")
    if options.search == "optuna" and any(isinstance(domain, Grid) for domain in space.values()):
        raise ConfigError(f"{where}: --search optuna has nothing to choose in a grid; try --search sobol")
    if is_grid(space) and options.num_samples is not None:
        size = len(list(points(space, SAMPLES, "sobol", 0)))
        raise ConfigError(f"{where}: a grid has a size of its own ({size} points); leave --num-samples out")
    together = [name for name in space if name in _TOGETHER]
    for names in (together, *([name] for name in space if name not in together)):
        for values in itertools.product(*(_extremes(space[name]) for name in names)):
            to_config(default, dict(zip(names, values, strict=True)), options)


def _extremes(domain: Any) -> Sequence[Any]:
    if isinstance(domain, Grid):
        return domain.values
    if isinstance(domain, Choice):
        return domain.options
    return [domain.at(0.0), domain.at(1 - 1e-9)] if isinstance(domain, Domain) else [domain]


def to_config(default: TrainConfig, point: Point, options: SweepOptions) -> TrainConfig:
    """The default with a point's values.

    Raises:
        ConfigError: they make no run.
    """
    where, types = options.where, {f.name: str(f.type) for f in fields(TrainConfig)}
    values = {name: _fitting(value, types[name], f"{where}: {name}") for name, value in point.items()}
    try:
        return replace(default, **values)
    except ConfigError as error:
        said = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ConfigError(f"{where}: {said}: {error}") from error


def _fitting(value: Any, wanted: str, where: str) -> Any:
    """The value, where it is of the type that is wanted; a whole number will do for a float."""
    kind, _, none = wanted.partition(" | ")
    if kind not in ("int", "float") or (value is None and none):
        return value
    if isinstance(value, bool) or not isinstance(value, int if kind == "int" else int | float):
        raise ConfigError(f"{where}: must be of type {kind}, not {value!r}")
    return value if kind == "int" else float(value)
