"""What a parameter of a search space may be: a range, a choice, a grid, or one value. Data only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from trainable.base.errors import ConfigError


@runtime_checkable
class Domain(Protocol):
    """Where a value is drawn from."""

    def at(self, u: float) -> Any:
        """The value at `u` in [0, 1): even steps of `u` are even steps of probability."""


@dataclass(frozen=True)
class LogUniform:
    """Between `low` and `high`, even in the logarithm; four significant digits, so that a value can be typed."""

    low: float
    high: float
    digits: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < math.inf:
            raise ConfigError(f"a logarithmic range must have 0 < low <= high, not {self.low} and {self.high}")

    def at(self, u: float) -> float:
        value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        return min(max(typed(value, self.digits), self.low), self.high)


@dataclass(frozen=True)
class Uniform:
    """Between `low` and `high`; four significant digits."""

    low: float
    high: float
    digits: int = 4

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= self.high < math.inf:
            raise ConfigError(f"a range must have low <= high, not {self.low} and {self.high}")

    def at(self, u: float) -> float:
        return min(max(typed(self.low + u * (self.high - self.low), self.digits), self.low), self.high)


@dataclass(frozen=True)
class IntRange:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ConfigError(f"there is no whole number from {self.low} to {self.high}")

    def at(self, u: float) -> int:
        return min(self.high, self.low + int(u * (self.high - self.low + 1)))


@dataclass(frozen=True)
class Choice:
    """One of `options`, all as likely."""

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ConfigError("a choice must have something to choose from")

    def at(self, u: float) -> Any:
        return self.options[min(len(self.options) - 1, int(u * len(self.options)))]


@dataclass(frozen=True)
class Grid:
    """Every one of `values`, crossed with the other grids of the space."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ConfigError("a grid must have at least one value")


Space = Mapping[str, Any]
"""Parameter (a field of `TrainConfig`) to `Domain`, `Grid`, or a constant."""


def typed(value: float, digits: int = 4) -> float:
    """The value with so many significant digits."""
    return float(f"{value:.{digits}g}")
