"""`--space my_space.py:space`: a user's own space in `ray.tune` syntax."""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from pathlib import Path
from statistics import NormalDist
from typing import Any

from orchestrator.planning.ray_environment import set_environment
from search_spaces.domains import Choice, Domain, Grid, IntRange, LogUniform, Space, Uniform, typed
from trainable.base.errors import ConfigError


def load_space(text: str, option: str = "--space") -> Space:
    """The space that `FILE.py:NAME` names, in terms of `search_spaces.domains`.

    Raises:
        ConfigError: the file does not run, there is no such name in it, or a parameter is nothing that can be drawn.
    """
    file, _, name = text.rpartition(":")
    where = f"{option} {text}"
    set_environment()  # the file imports Ray
    if not file.endswith(".py") or not name.isidentifier():
        raise ConfigError(f"{where}: must be lr, lr-grid, recipe, or FILE.py:NAME")
    if not Path(file).is_file():
        raise ConfigError(f"{where}: no such file: {file}")
    space = _run(Path(file), where).get(name)
    if not isinstance(space, Mapping):
        found = "nothing" if space is None else type(space).__name__
        raise ConfigError(f"{where}: {name} must be a dict of parameters, but {file} has {found} of that name")
    return {str(key): _domain(value, f"{where}: {key}") for key, value in space.items()}


def _run(file: Path, where: str) -> dict[str, Any]:
    """What the file defines. Unlike an import this leaves no __pycache__ beside it, nor reads one."""
    try:
        return runpy.run_path(str(file))
    except (Exception, SystemExit) as error:  # whatever a user's file may do
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        place = f", line {lines[-1].lineno} ({lines[-1].line})" if lines else ""
        raise ConfigError(f"{where}: {file} does not run{place}: {type(error).__name__}: {error}") from error


def _domain(value: Any, where: str) -> Any:
    from ray.tune.search import sample

    try:
        if isinstance(value, Mapping):
            if set(value) == {"grid_search"}:
                return Grid(tuple(map(_plain, value["grid_search"])))
            raise ConfigError("a parameter is a range, a choice, a grid_search or one value, not a dict")
        return _drawn(value, sample) if isinstance(value, sample.Domain) else _plain(value)
    except (ConfigError, TypeError) as error:  # TypeError: what is no whole number, or no list
        raise ConfigError(f"{where}: {error}") from error


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if hasattr(value, "item") else value


def _drawn(value: Any, sample: Any) -> Domain:
    """Tune's domain as one of ours."""
    sampler, step = value.get_sampler(), None
    if isinstance(sampler, sample.Quantized):
        sampler, step = sampler.get_sampler(), _plain(sampler.q)
        if not step > 0:
            raise ConfigError(f"steps must be more than 0, not {step}")
    logarithmic, even = isinstance(sampler, sample.LogUniform), isinstance(sampler, sample.Uniform)
    domain: Domain | None = None
    if isinstance(value, sample.Categorical):
        domain = Choice(tuple(map(_plain, value.categories)))
    elif isinstance(value, sample.Integer) and (logarithmic or even):
        low, high = _whole_steps(index(value.lower), index(value.upper), index(step or 1))
        domain = LogInt(low, high) if logarithmic else IntRange(low, high)
    elif isinstance(value, sample.Float):
        domain = _float(value, sampler, step, sample)
    if domain is None:
        name = "sample_from" if isinstance(value, sample.Function) else f"{type(value).__name__} with {sampler}"
        raise ConfigError(f"tune.{name} cannot be drawn here (ranges, normal, choice and grid_search can)")
    if step is None:
        return domain
    return Steps(domain, step if isinstance(value, sample.Integer) else float(step))


def _whole_steps(lower: int, upper: int, step: int) -> tuple[int, int]:
    """The first and last multiple of `step`. Tune's upper bound is not included, save where there are steps."""
    return -(-lower // step), upper // step if step > 1 else upper - 1


def _float(value: Any, sampler: Any, step: float | None, sample: Any) -> Domain | None:
    """In units of `step`, where there is one, and then not rounded."""
    unit, digits = (1.0, 4) if step is None else (step, 12)
    if isinstance(sampler, sample.Normal):
        return Normal(sampler.mean / unit, sampler.sd / unit, digits)
    if isinstance(sampler, sample.LogUniform):
        return LogUniform(value.lower / unit, value.upper / unit, digits)
    return Uniform(value.lower / unit, value.upper / unit, digits) if isinstance(sampler, sample.Uniform) else None


@dataclass(frozen=True)
class LogInt:
    """`tune.lograndint`, both ends included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ConfigError(f"there is no whole number above 0 from {self.low} to {self.high}")

    def at(self, u: float) -> int:
        return min(self.high, int(self.low * ((self.high + 1) / self.low) ** u))


@dataclass(frozen=True)
class Normal:
    """`tune.randn`."""

    mean: float
    deviation: float
    digits: int = 4

    def at(self, u: float) -> float:
        return typed(NormalDist(self.mean, self.deviation).inv_cdf(min(max(u, 1e-6), 1 - 1e-6)), self.digits)


@dataclass(frozen=True)
class Steps:
    """Tune's q-variants: values in whole multiples of `step`, of which `domain` draws how many."""

    domain: Domain
    step: float

    def at(self, u: float) -> Any:
        stepped = round(self.domain.at(u)) * self.step
        return stepped if isinstance(stepped, int) else typed(stepped, 12)
