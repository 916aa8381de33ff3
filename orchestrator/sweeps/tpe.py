"""Optuna's TPE as a function: from what was tried to the next point of a space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.sweeps.sampling import Point
from search_spaces.domains import Choice, Domain, Space
from trainable.base.config import TrainConfig


@dataclass(frozen=True)
class Tried:
    """A trial as the search is told of it: its validation macro-F1, an item an epoch, and how it stands."""

    config: TrainConfig
    scores: tuple[float, ...]
    state: Literal["finished", "stopped", "running"]


def propose(space: Space, tried: Sequence[Tried], seed: int) -> Point:
    """A point by the multivariate tree-structured Parzen estimator (Bergstra et al. 2011; Falkner et al. 2018), which
    counts those that run as poor, so that two at once do not look in the same place.

    Those whose configuration is not of the space are left out.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = {name: domain for name, domain in space.items() if isinstance(domain, Domain)}
    distributions = {name: _distribution(domain) for name, domain in drawn.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in tried:
        params = {name: _place(domain, getattr(trial.config, name)) for name, domain in drawn.items()}
        if None not in params.values():
            study.add_trial(_frozen(optuna, trial, params, distributions))
    places = study.ask(distributions).params
    return {name: _at(drawn[name], places[name]) if name in drawn else value for name, value in space.items()}


def _frozen(optuna: Any, trial: Tried, params: dict[str, Any], distributions: dict[str, Any]) -> Any:
    """Of two that were stopped TPE prefers the one that came further: it holds no stages against each other."""
    states = optuna.trial.TrialState
    state = {"finished": states.COMPLETE, "stopped": states.PRUNED, "running": states.RUNNING}[trial.state]
    value = max(trial.scores) if trial.state == "finished" else None
    shown = {len(trial.scores): trial.scores[-1]} if trial.scores else {}
    return optuna.trial.create_trial(
        state=state, value=value, params=params, distributions=distributions, intermediate_values=shown
    )


def _distribution(domain: Any) -> Any:
    """Where a domain's `at` takes its argument from; a choice has no order."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(domain, Choice):
        return CategoricalDistribution(range(len(domain.options)))
    return FloatDistribution(0.0, 1.0)


def _at(domain: Any, place: float) -> Any:
    return domain.options[int(place)] if isinstance(domain, Choice) else domain.at(min(place, 1 - 1e-9))


def _place(domain: Any, value: Any) -> float | None:
    """The inverse of `_at`: the middle of what gives the value; None where nothing does."""
    if isinstance(domain, Choice):
        return domain.options.index(value) if value in domain.options else None
    if value is None:
        return None
    place = (_first(domain, lambda v: v >= value) + _first(domain, lambda v: v > value)) / 2
    width = _at(domain, 1.0) - _at(domain, 0.0)
    return place if math.isclose(_at(domain, place), value, rel_tol=1e-3, abs_tol=1e-6 * width) else None


def _first(domain: Domain, reached: Callable[[Any], bool]) -> float:
    """The first place whose value is `reached`, by bisection: domains do not decrease."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(_at(domain, middle)) else (middle, high)
    return high
