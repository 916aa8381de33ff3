"""From a space to the configurations of a sweep, each checked before anything starts (no torch)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sampling import SAMPLES, Point, is_grid, points
from search_spaces.domains import Choice, Domain, Grid, Space
from search_spaces.spaces import SPACES
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.cache.hashes import digest

NOT_SWEPT = {
    "mode": "is the experiment's",
    "seed": "is the sweep's: the winners are run again on other seeds",
    "weights": "is the whole run's (--weights)",
    "amp": "is the whole run's",
}


_FINETUNE_ONLY = ("lr_backbone", "stage2_epoch", "stage3_epoch")


_TOGETHER = ("epochs", "stage2_epoch", "stage3_epoch")
"""What is in order or not only together."""


STARTUP = 8
"""Trials of `--search optuna` that are Sobol points, the default among them: it has to learn from something."""


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
        list(configurations(name, default, spaces[name], options))
    return spaces


def configurations(name: str, default: TrainConfig, space: Space, options: SweepOptions) -> Iterator[TrainConfig]:
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
        for values in itertools.product(*(extremes(space[name]) for name in names)):
            to_config(default, dict(zip(names, values, strict=True)), options)


def extremes(domain: Any) -> Sequence[Any]:
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
