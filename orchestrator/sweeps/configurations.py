"""From a space to the configurations of a sweep, each checked before anything starts.

Ray is imported here by the first call of `plan_spaces`, since the spaces are written in `ray.tune`'s domains.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from orchestrator.planning.ray_environment import set_environment
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sampling import SAMPLES, Point, is_grid, points
from search_spaces.quantiles import LAST, Space, choices, grid_values, is_domain, quantile
from trainable.base.config import LARGEST_SEED, TrainConfig
from trainable.base.errors import ConfigError
from trainable.cache.hashes import digest

NOT_SWEPT = {
    "mode": "is the experiment's",
    "seed": "is the sweep's: the winners are run again on other seeds",
    "weights": "is the whole run's (--weights)",
    "amp": "is the whole run's",
}
"""Fields of `TrainConfig` that no space may have, and why."""

_FINETUNE_ONLY = ("lr_backbone", "stage2_epoch", "stage3_epoch")

_TOGETHER = ("epochs", "stage2_epoch", "stage3_epoch")
"""Parameters whose values are valid or not in combination: the stages have to begin in order within the epochs."""

STARTUP = 8
"""The first trials of `--search optuna`, which the estimator learns from: the default and seven Sobol points."""


def plan_spaces(defaults: Mapping[str, TrainConfig], options: SweepOptions) -> dict[str, Space]:
    """The space that `options` names, around each experiment's default, with all of its configurations checked.

    This comes before the data is read and hashed, so that a mistake in a space is reported at once.

    Args:
        defaults: experiment to its default configuration.

    Raises:
        ConfigError: there is no such space, or it has an unknown parameter or a value that makes no run, or there are
            no seeds to confirm with.
    """
    set_environment()  # Ray reads its environment when it is imported, by the next line or by a user's file
    from search_spaces.spaces import SPACES

    if options.space in SPACES:
        try:
            spaces = {name: SPACES[options.space](default) for name, default in defaults.items()}
        except ValueError as error:  # Tune's, for a rate whose range ends outside of what a float can hold
            raise ConfigError(f"{options.where}: {error}") from error
    else:
        from orchestrator.sweeps.user_space import load_space

        spaces = dict.fromkeys(defaults, load_space(options.space, options.option))
    for name, default in defaults.items():
        if default.seed + options.confirm > LARGEST_SEED:
            raise ConfigError(f"--confirm {options.confirm}: no such number of seeds between --seed and {LARGEST_SEED}")
        list(configurations(name, default, spaces[name], options))
    return spaces


def configurations(name: str, default: TrainConfig, space: Space, options: SweepOptions) -> Iterator[TrainConfig]:
    """Yield the sweep's configurations besides the default, each identity once.

    Stages at the epochs where the default has them, written out, are the default's identity.

    Args:
        name: the experiment, for messages.

    Raises:
        ConfigError: as `check_space`.
    """
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
    """Check a space for one experiment.

    Raises:
        ConfigError: the space is empty, or has a parameter or a value that makes no run; the message names it.
    """
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
    if options.search == "optuna" and any(grid_values(value) is not None for value in space.values()):
        raise ConfigError(f"{where}: --search optuna has nothing to choose in a grid; try --search sobol")
    if is_grid(space) and options.num_samples is not None:
        size = len(list(points(space, SAMPLES, "sobol", 0)))
        raise ConfigError(f"{where}: a grid has a size of its own ({size} points); leave --num-samples out")
    together = [name for name in space if name in _TOGETHER]
    for names in (together, *([name] for name in space if name not in together)):
        for values in itertools.product(*(extremes(space[name]) for name in names)):
            to_config(default, dict(zip(names, values, strict=True)), options)


def extremes(domain: Any) -> Sequence[Any]:
    """The values of a parameter between which all its others lie: both ends of a range, or all of a choice or grid."""
    for values in (grid_values(domain), choices(domain)):
        if values is not None:
            return values
    return [quantile(domain, 0.0), quantile(domain, LAST)] if is_domain(domain) else [domain]


def to_config(default: TrainConfig, point: Point, options: SweepOptions) -> TrainConfig:
    """The default configuration with a point's values.

    Raises:
        ConfigError: a value is of another type than the parameter, or the values make no run.
    """
    where, types = options.where, {f.name: str(f.type) for f in fields(TrainConfig)}
    values = {name: _fitting(value, types[name], f"{where}: {name}") for name, value in point.items()}
    try:
        return replace(default, **values)
    except ConfigError as error:
        said = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ConfigError(f"{where}: {said}: {error}") from error


def _fitting(value: Any, wanted: str, where: str) -> Any:
    """The value, if it is of the type that is wanted. A whole number is converted where a float is wanted."""
    kind, _, none = wanted.partition(" | ")
    if kind not in ("int", "float") or (value is None and none):
        return value
    if isinstance(value, bool) or not isinstance(value, int if kind == "int" else int | float):
        raise ConfigError(f"{where}: must be of type {kind}, not {value!r}")
    return value if kind == "int" else float(value)
