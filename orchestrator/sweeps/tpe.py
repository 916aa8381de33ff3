"""Optuna's tree-structured Parzen estimator as a function: from the trials so far to the next point of a space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.sweeps.sampling import Point
from search_spaces.quantiles import LAST, Quantile, Space, choices, is_domain, quantile_function
from trainable.base.config import TrainConfig


@dataclass(frozen=True)
class Tried:
    """A trial that the estimator learns from: its validation macro-F1, one value per epoch, and its state."""

    config: TrainConfig
    scores: tuple[float, ...]
    state: Literal["finished", "stopped", "running"]


def propose(space: Space, tried: Sequence[Tried], seed: int) -> Point:
    """Choose a point by the multivariate estimator (Bergstra et al. 2011; Falkner et al. 2018).

    Running trials count as poor, so that two trials at once do not look in the same place. Trials whose configuration
    is not in the space are left out. The same arguments give the same point.

    Args:
        seed: of Optuna's generator; below 2**32.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = {name: domain for name, domain in space.items() if is_domain(domain)}
    distributions = {name: _distribution(domain) for name, domain in drawn.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in tried:
        params = {name: place_of(domain, getattr(trial.config, name)) for name, domain in drawn.items()}
        if None not in params.values():
            study.add_trial(_frozen(optuna, trial, params, distributions))
    places = study.ask(distributions).params
    return {name: value_at(value, places[name]) if name in drawn else value for name, value in space.items()}


def place_of(domain: Any, value: Any) -> float | None:
    """The inverse of `value_at`: the middle of the places that give the value, None where no place does.

    Floats are equal here if they agree to three significant digits.
    """
    options = choices(domain)
    if options is not None:
        return options.index(value) if value in options else None
    if value is None:
        return None
    at = _function(domain)
    place = (_first(at, lambda v: v >= value) + _first(at, lambda v: v > value)) / 2
    width = at(1.0) - at(0.0)
    return place if math.isclose(at(place), value, rel_tol=1e-3, abs_tol=1e-6 * width) else None


def value_at(domain: Any, place: float) -> Any:
    """The domain's value at a place of its Optuna distribution: an option's number, or a place in [0, 1]."""
    options = choices(domain)
    return _function(domain)(place) if options is None else options[int(place)]


def _frozen(optuna: Any, trial: Tried, params: dict[str, Any], distributions: dict[str, Any]) -> Any:
    """The trial as Optuna stores one.

    Only the last score of a stopped trial is reported, since TPE ranks stopped trials by the step they reached and
    then by their score there. Scores of different stages of the training do not compare.
    """
    states = optuna.trial.TrialState
    state = {"finished": states.COMPLETE, "stopped": states.PRUNED, "running": states.RUNNING}[trial.state]
    value = max(trial.scores) if trial.state == "finished" else None
    reported = {len(trial.scores): trial.scores[-1]} if trial.scores else {}
    return optuna.trial.create_trial(
        state=state, value=value, params=params, distributions=distributions, intermediate_values=reported
    )


def _distribution(domain: Any) -> Any:
    """The options' numbers, without an order, for a choice; the places in [0, 1] for anything else."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    options = choices(domain)
    return FloatDistribution(0.0, 1.0) if options is None else CategoricalDistribution(range(len(options)))


def _function(domain: Any) -> Quantile:
    """The domain's quantile function, for places in [0, 1] with both ends."""
    at = quantile_function(domain)
    return lambda place: at(min(place, LAST))


def _first(at: Quantile, reached: Callable[[Any], bool]) -> float:
    """The first place whose value is `reached`, by bisection: quantile functions do not decrease."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(at(middle)) else (middle, high)
    return high
