"""The quantile functions of `ray.tune`'s domains: the value below which a part `u` of the draws lies.

Tune itself draws at random. Sobol points and Optuna's estimator choose a place in [0, 1) instead, and the quantile
function turns the place into a value: even steps of `u` are even steps of probability. Ray is imported by the first
call and not with this module, because a plan without a sweep does without it. Ray reads its environment when it is
imported, so the caller has set that before (`orchestrator.planning.ray_environment`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from operator import index
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from trainable.base.errors import ConfigError

if TYPE_CHECKING:
    from ray.tune.search.sample import Domain, Sampler

Space = Mapping[str, Any]
"""A search space: a field of `TrainConfig` to a `ray.tune` domain, a `tune.grid_search`, or a constant."""
Quantile = Callable[[float], Any]

LAST = 1 - 1e-9
"""The place of a domain's largest value."""
DIGITS = 4
"""Significant digits of a drawn float, so that a user can type it again."""
STEP_DIGITS = 12
"""Significant digits of a multiple of a step, enough to remove the rounding errors of the multiplication."""


def quantile(domain: Domain, u: float) -> Any:
    """The value of `domain` at the place `u` in [0, 1).

    A float has four significant digits and lies within the domain's bounds. A whole number or a multiple of a step is
    one that Tune itself can draw: the upper bound of `tune.randint` and `tune.lograndint` is excluded, and that of the
    variants with steps included. A choice goes through its options in their order.

    Raises:
        ConfigError: as `quantile_function`.
    """
    return quantile_function(domain)(u)


def quantile_function(domain: Domain) -> Quantile:
    """The function from a place in [0, 1) to a value of `domain`. It never decreases, in a choice's order of options.

    Raises:
        ConfigError: the domain is empty, or of a kind that has no quantile function here (`tune.sample_from`).
        TypeError: a bound of a whole number is no whole number.
    """
    from ray.tune.search import sample

    options = choices(domain)
    if options is not None:
        return _choice(options)
    sampler, step = _sampler_and_step(domain)
    even, logarithmic = (isinstance(sampler, kind) for kind in (sample.Uniform, sample.LogUniform))
    if isinstance(domain, sample.Integer) and (even or logarithmic):
        return _integers(domain, step, logarithmic)
    if isinstance(domain, sample.Float) and (even or logarithmic):
        return _floats(_logarithmic if logarithmic else _even, domain.lower, domain.upper, step)
    if isinstance(domain, sample.Float) and isinstance(sampler, sample.Normal):
        return _floats(_normal, sampler.mean, sampler.sd, step)
    name = "sample_from" if isinstance(domain, sample.Function) else f"{type(domain).__name__} with {sampler}"
    raise ConfigError(f"tune.{name} cannot be drawn here (ranges, normal, choice and grid_search can)")


def is_domain(value: Any) -> bool:
    """Whether a parameter of a space is drawn. A grid and a constant are not."""
    from ray.tune.search.sample import Domain

    return isinstance(value, Domain)


def choices(domain: Any) -> tuple[Any, ...] | None:
    """The options of a `tune.choice`, None for any other parameter."""
    from ray.tune.search.sample import Categorical

    return tuple(map(plain, domain.categories)) if isinstance(domain, Categorical) else None


def grid_values(value: Any) -> tuple[Any, ...] | None:
    """The values of a `tune.grid_search`, None for any other parameter.

    Raises:
        ConfigError: there is no value in it.
        TypeError: it holds no list.
    """
    if not isinstance(value, Mapping) or set(value) != {"grid_search"}:
        return None
    values = tuple(map(plain, value["grid_search"]))
    if not values:
        raise ConfigError("a grid must have at least one value")
    return values


def describe(space: Space) -> str:
    """The space as text that is the same in every process, for a key. (Tune's domains have no `repr` of their own.)"""
    return repr([(name, _describe(value)) for name, value in sorted(space.items())])


def plain(value: Any) -> Any:
    """Python's number for one of NumPy's, anything else as it is."""
    return value.item() if hasattr(value, "item") else value


def typed(value: float, digits: int = DIGITS) -> float:
    """The value rounded to `digits` significant digits."""
    return float(f"{value:.{digits}g}")


def _describe(value: Any) -> str:
    if not is_domain(value):
        return repr(value)
    options = choices(value)
    if options is not None:
        return f"choice of {options!r}"
    sampler, step = _sampler_and_step(value)
    kind, drawing = type(value).__name__, type(sampler).__name__
    return f"{kind} from {value.lower!r} to {value.upper!r}, {drawing} {vars(sampler)}, steps {step!r}"


def _sampler_and_step(domain: Domain) -> tuple[Sampler, Any]:
    """How the domain draws, and in multiples of which step; None for a domain without steps."""
    from ray.tune.search.sample import Quantized

    sampler = domain.get_sampler()
    if not isinstance(sampler, Quantized):
        return sampler, None
    step = plain(sampler.q)
    if not step > 0:
        raise ConfigError(f"steps must be more than 0, not {step}")
    return sampler.get_sampler(), step


def _choice(options: tuple[Any, ...]) -> Quantile:
    if not options:
        raise ConfigError("a choice must have something to choose from")
    return lambda u: options[min(len(options) - 1, int(u * len(options)))]


def _integers(domain: Any, step: Any, logarithmic: bool) -> Quantile:
    """Whole numbers, or whole multiples of `step`. Tune includes the upper bound where there are steps above 1."""
    lower, upper, unit = index(domain.lower), index(domain.upper), index(step or 1)
    low, high = -(-lower // unit), upper // unit if unit > 1 else upper - 1
    if logarithmic and not 0 < low <= high:
        raise ConfigError(f"there is no whole number above 0 from {low} to {high}")
    if not low <= high:
        raise ConfigError(f"there is no whole number from {low} to {high}")
    if logarithmic:
        return lambda u: min(high, int(low * ((high + 1) / low) ** u)) * unit
    return lambda u: min(high, low + int(u * (high - low + 1))) * unit


def _floats(make: Callable[[float, float, int], Quantile], first: float, second: float, step: Any) -> Quantile:
    """The distribution that `make` gives for its two parameters, or its multiples of `step`: these are counted in units
    of the step, so the parameters are too."""
    if step is None:
        return make(float(first), float(second), DIGITS)
    count = make(float(first / step), float(second / step), STEP_DIGITS)
    return lambda u: typed(round(count(u)) * float(step), STEP_DIGITS)


def _even(low: float, high: float, digits: int) -> Quantile:
    if not -math.inf < low <= high < math.inf:
        raise ConfigError(f"a range must have low <= high, not {low} and {high}")
    return lambda u: min(max(typed(low + u * (high - low), digits), low), high)


def _logarithmic(low: float, high: float, digits: int) -> Quantile:
    if not 0 < low <= high < math.inf:
        raise ConfigError(f"a logarithmic range must have 0 < low <= high, not {low} and {high}")
    start, width = math.log(low), math.log(high) - math.log(low)
    return lambda u: min(max(typed(math.exp(start + u * width), digits), low), high)


def _normal(mean: float, deviation: float, digits: int) -> Quantile:
    """A normal distribution. Its outermost millionths have no end, so their places give the value where they begin."""
    distribution = NormalDist(mean, deviation)
    return lambda u: typed(distribution.inv_cdf(min(max(u, 1e-6), 1 - 1e-6)), digits)
