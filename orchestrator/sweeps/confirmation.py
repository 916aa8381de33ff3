"""The best of a sweep is partly luck: its top two and the default are trained again on new seeds (pure planning)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from orchestrator.planning.planner import Planner, Step
from orchestrator.sweeps.records import record
from orchestrator.sweeps.sweep import Sweep, trial_of

CANDIDATES = 2


def ranked(sweep: Sweep, planner: Planner) -> list[tuple[float, Step]]:
    """The trials that went to their end, the best validation macro-F1 first; of two alike, the one drawn first."""
    records = [(record(step, planner), step) for step in sweep.steps]
    finished = [(found.best or 0.0, step) for found, step in records if found.finished]
    return sorted(finished, key=lambda pair: -pair[0])


def complete(sweep: Sweep, planner: Planner, failed: Collection[str] = ()) -> bool:
    """Whether no trial of the sweep is to run any more, those that `failed` just now aside."""
    return not any(planner.again(step).to_do for step in sweep.steps if step.name not in failed)


def candidates(sweep: Sweep, planner: Planner) -> list[Step]:
    """The default and the best two besides it, where the sweep has come to its end."""
    others = [step for _, step in ranked(sweep, planner) if step.name != sweep.default.name]
    return [sweep.default, *others[:CANDIDATES]] if others else []


def confirmations(sweep: Sweep, planner: Planner) -> dict[str, list[Step]]:
    """The runs on new seeds, by the name of the trial they confirm: on the seeds after the sweep's own, with a test."""
    found: dict[str, list[Step]] = {}
    for step in candidates(sweep, planner):
        assert step.config is not None
        number = sweep.steps.index(step)
        configs = [replace(step.config, seed=step.config.seed + i) for i in range(1, sweep.options.confirm + 1)]
        trials = [trial_of(sweep.base, config, number, test=True) for config in configs]
        found[step.name] = [
            planner.trial(trial, config, sweep.base.name) for trial, config in zip(trials, configs, strict=True)
        ]
    return found


def to_confirm(sweep: Sweep, planner: Planner, failed: Collection[str] = ()) -> list[Step]:
    """Those that are still to run; none before the sweep is complete."""
    if not sweep.options.confirm or not complete(sweep, planner, failed):
        return []
    return [step for steps in confirmations(sweep, planner).values() for step in steps if step.to_do]


def left(sweeps: Sequence[Sweep], planner: Planner) -> list[str]:
    """What of the sweeps is still to run, in words."""
    trials = sum(step.to_do for sweep in sweeps for step in sweep.trials)
    under_way = [sweep for sweep in sweeps if any(step.to_do for step in sweep.steps)]
    runs = sum(len(to_confirm(sweep, planner)) for sweep in sweeps if sweep not in under_way)
    return [
        *([f"{trials} trial(s) of sweeps"] if trials else []),
        *([f"{runs} run(s) on new seeds"] if runs else []),
        *(["then the best on new seeds"] if any(sweep.options.confirm for sweep in under_way) else []),
    ]
