"""`--space my_space.py:space`: a user's own space in `ray.tune` syntax."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from search_spaces.domains import Choice, Domain, Grid, IntRange, LogUniform, Space, Uniform, typed
from trainable.errors import ConfigError


def load_space(text: str) -> Space:
    """The space that `FILE.py:NAME` names, in terms of `search_spaces.domains`.

    Raises:
        ConfigError: the file does not run, there is no such name in it, or a parameter is nothing that can be drawn.
    """
    file, _, name = text.rpartition(":")
    where = f"--space {text}"
    if not file.endswith(".py") or not name.isidentifier():
        raise ConfigError(f"{where}: must be lr, lr-grid, recipe, or FILE.py:NAME")
    if not Path(file).is_file():
        raise ConfigError(f"{where}: no such file: {file}")
    space = getattr(_module(Path(file), where), name, None)
    if not isinstance(space, Mapping):
        found = "nothing" if space is None else type(space).__name__
        raise ConfigError(f"{where}: {name} must be a dict of parameters, but {file} has {found} of that name")
    return {str(key): _domain(value, f"{where}: {key}") for key, value in space.items()}


def _module(file: Path, where: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"space_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file may do
        raise ConfigError(f"{where}: {file} does not run: {type(error).__name__}: {error}") from error
    return module


def _domain(value: Any, where: str) -> Any:
    from ray.tune.search import sample

    if isinstance(value, Mapping):
        if set(value) == {"grid_search"} and value["grid_search"]:
            return Grid(tuple(value["grid_search"]))
        raise ConfigError(
            f"{where}: a parameter is a range, a choice, a non-empty grid_search or one value, not a dict"
        )
    if not isinstance(value, sample.Domain):
        return value
    sampler, step = value.get_sampler(), None
    if isinstance(sampler, sample.Quantized):
        sampler, step = sampler.get_sampler(), sampler.q
    domain = _unquantized(value, sampler, sample)
    if domain is None:
        raise ConfigError(f"{where}: tune.{type(value).__name__.lower()} with {sampler} cannot be drawn here (ranges, "
                          "normal, choice and grid_search can)")  # fmt: skip
    return Steps(domain, step) if step is not None else domain


def _unquantized(value: Any, sampler: Any, sample: Any) -> Domain | None:
    if isinstance(value, sample.Categorical):
        return Choice(tuple(value.categories))
    logarithmic = isinstance(sampler, sample.LogUniform)
    if isinstance(value, sample.Integer) and isinstance(sampler, sample.Uniform | sample.LogUniform):
        # Tune's upper bound is not included.
        return LogInt(value.lower, value.upper - 1) if logarithmic else IntRange(value.lower, value.upper - 1)
    if isinstance(value, sample.Float):
        if isinstance(sampler, sample.Normal):
            return Normal(sampler.mean, sampler.sd)
        if logarithmic:
            return LogUniform(value.lower, value.upper)
        if isinstance(sampler, sample.Uniform):
            return Uniform(value.lower, value.upper)
    return None


@dataclass(frozen=True)
class LogInt:
    """`tune.lograndint`, both ends included."""

    low: int
    high: int

    def at(self, u: float) -> int:
        return min(self.high, int(math.exp(math.log(self.low) + u * math.log((self.high + 1) / self.low))))


@dataclass(frozen=True)
class Normal:
    """`tune.randn`."""

    mean: float
    deviation: float

    def at(self, u: float) -> float:
        return typed(NormalDist(self.mean, self.deviation).inv_cdf(min(max(u, 1e-6), 1 - 1e-6)))


@dataclass(frozen=True)
class Steps:
    """Tune's q-variants: values in whole multiples of `step`."""

    domain: Domain
    step: float

    def at(self, u: float) -> Any:
        value = self.domain.at(u)
        stepped = round(value / self.step) * self.step
        return int(stepped) if isinstance(value, int) else typed(stepped)
