"""The best of a sweep is partly luck: its top two and the default are trained again on new seeds."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Confirmation
from orchestrator.sweeps.records import trial_record
from orchestrator.sweeps.sweep import Sweep

CANDIDATES = 2


def ranked(sweep: Sweep, planner: Planner) -> list[tuple[float, int]]:
    """The members that went to their end as (validation macro-F1, number), the best first; of two alike, the one that
    was drawn first. One whose score is not a number has no rank."""
    records = [(trial_record(member, planner), number) for number, member in enumerate(sweep.members)]
    finished = [(found.history.best or 0.0, number) for found, number in records if found.finished]
    finished = [(best, number) for best, number in finished if not math.isnan(best)]
    return sorted(finished, key=lambda pair: -pair[0])


def complete(sweep: Sweep, planner: Planner, failed: Collection[str] = ()) -> bool:
    """Whether no trial of the sweep is to run any more, those that `failed` just now aside."""
    return not any(planner.again(member).to_do for member in sweep.members if member.name not in failed)


def candidates(sweep: Sweep, planner: Planner) -> list[int]:
    """The numbers of the default and of the best two besides it; none before a trial besides it went to its end."""
    others = [number for _, number in ranked(sweep, planner) if number != 0]
    return [0, *others[:CANDIDATES]] if others else []


def confirmations(sweep: Sweep, planner: Planner) -> dict[int, list[Confirmation]]:
    """The runs on new seeds, by the number of the member that they confirm: on the seeds after the sweep's own."""
    return {number: _confirmations_of(sweep, number, planner) for number in candidates(sweep, planner)}


def _confirmations_of(sweep: Sweep, number: int, planner: Planner) -> list[Confirmation]:
    config = sweep.members[number].config
    configs = [replace(config, seed=config.seed + i) for i in range(1, sweep.options.confirm + 1)]
    return [planner.confirmation(sweep.experiment, config, number) for config in configs]


def to_confirm(sweep: Sweep, planner: Planner, failed: Collection[str] = ()) -> list[Confirmation]:
    """The confirmations that are still to run; none before the sweep is complete."""
    if not sweep.options.confirm or not complete(sweep, planner, failed):
        return []
    return [step for steps in confirmations(sweep, planner).values() for step in steps if step.to_do]


def under_way(sweep: Sweep) -> bool:
    """Whether some trial was still to run when the sweep was planned."""
    return bool(sweep.unchosen) or any(member.to_do for member in sweep.members)


def remaining(sweeps: Sequence[Sweep], planner: Planner) -> list[str]:
    """What of the sweeps is still to run, in words."""
    trials = sum(trial.to_do for sweep in sweeps for trial in sweep.trials) + sum(sweep.unchosen for sweep in sweeps)
    open_ones = [sweep for sweep in sweeps if under_way(sweep)]
    runs = sum(len(to_confirm(sweep, planner)) for sweep in sweeps if not under_way(sweep))
    return [
        *([f"{trials} trial(s) of sweeps"] if trials else []),
        *([f"{runs} run(s) on new seeds"] if runs else []),
        *(["then the best on new seeds"] if any(sweep.options.confirm for sweep in open_ones) else []),
    ]
