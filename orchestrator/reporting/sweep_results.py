"""What a sweep found: reports/sweeps/<EXP>.csv, _confirmation.csv, _verdict.json and _best.json."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.planning.planner import Planner
from orchestrator.planning.settings import Overrides
from orchestrator.planning.steps import Confirmation, Run, Trial
from orchestrator.statistics.values import LEVEL
from orchestrator.sweeps.confirmation import confirmations, ranked
from orchestrator.sweeps.predictions import compare_runs
from orchestrator.sweeps.records import TrialRecord, trial_record
from orchestrator.sweeps.result_files import number_in, read_object
from orchestrator.sweeps.sweep import Sweep
from orchestrator.sweeps.verdict import Comparison
from trainable.base.config import TrainConfig
from trainable.base.errors import ExperimentError
from trainable.base.files import write_csv, write_json
from trainable.base.text import one_line


@dataclass(frozen=True)
class TrialRow:
    """A row of the sweep's table.

    Args:
        values: the swept parameters.
    """

    step: Run | Trial
    number: int
    values: dict[str, Any]
    record: TrialRecord


@dataclass(frozen=True)
class Confirmed:
    """A configuration on new seeds; `against` compares its test macro-F1 with the default's (None for the default)."""

    trial: TrialRow
    seeds: tuple[int, ...]
    val: tuple[float, ...]
    test: tuple[float, ...]
    against: Comparison | None = None

    @property
    def val_mean(self) -> float:
        return statistics.fmean(self.val)


@dataclass(frozen=True)
class SweepResult:
    """A sweep as it stands. `confirmed` has the default first; `chosen` is None until a trial went to its end."""

    sweep: Sweep
    trials: tuple[TrialRow, ...]
    confirmed: tuple[Confirmed, ...]
    chosen: TrialRow | None
    problem: str = ""


def sweep_result(sweep: Sweep, planner: Planner) -> SweepResult:
    """Read what is on disk. The chosen configuration has the best validation macro-F1: the mean over the confirmation's
    seeds where there is one, the sweep's own otherwise. Test scores choose nothing."""
    trials = tuple(
        TrialRow(member, number, sweep.values(member.config), trial_record(member, planner))
        for number, member in enumerate(sweep.members)
    )
    problem = ""
    try:
        confirmed = _confirmed(sweep, planner, trials)
    except ExperimentError as error:
        confirmed, problem = (), str(error)
    best = ranked(sweep, planner)
    chosen = trials[best[0][1]] if best else None
    if confirmed:
        chosen = max(confirmed, key=lambda c: -math.inf if math.isnan(c.val_mean) else c.val_mean).trial
    return SweepResult(sweep, trials, confirmed, chosen, problem)


def _confirmed(sweep: Sweep, planner: Planner, trials: Sequence[TrialRow]) -> tuple[Confirmed, ...]:
    """The configurations whose confirmation is whole, where the default's is."""
    runs = confirmations(sweep, planner) if sweep.options.confirm else {}
    if not runs or any(run.to_do for run in runs[0]):
        return ()
    whole = {number: some for number, some in runs.items() if not any(run.to_do for run in some)}
    return tuple(_one_confirmed(trials[number], some, whole[0]) for number, some in whole.items())


def _one_confirmed(trial: TrialRow, runs: Sequence[Confirmation], default: Sequence[Confirmation]) -> Confirmed:
    seeds = tuple(run.config.seed for run in runs)
    val = tuple(_macro_f1(run.run.val_metrics) for run in runs)
    test = tuple(_macro_f1(run.run.test_metrics) for run in runs)
    pair = [[run.run.out for run in some] for some in (default, runs)]
    return Confirmed(trial, seeds, val, test, compare_runs(*pair) if trial.number else None)


def _macro_f1(path: Path) -> float:
    try:
        return number_in(read_object(path), "macro_f1", path)
    except FileNotFoundError:
        raise ExperimentError(f"{path}: is missing; did the run finish?") from None


def write_sweep(result: SweepResult, planner: Planner) -> None:
    """All files of the sweep below reports/sweeps/."""
    base, paths, parameters = result.sweep.experiment, planner.paths, result.sweep.parameters
    columns = ("trial", *parameters, "stage", "epochs", "best_val_macro_f1", "best_epoch", "seconds", "why_it_stopped",
               "folder")  # fmt: skip
    paths.sweep(base, ".csv").parent.mkdir(parents=True, exist_ok=True)
    write_csv(paths.sweep(base, ".csv"), columns, (_row(trial, planner) for trial in result.trials))
    lines = [
        (c.trial.number, *c.trial.values.values(), seed, round(val, 6), round(test, 6))
        for c in result.confirmed
        for seed, val, test in zip(c.seeds, c.val, c.test, strict=True)
    ]
    columns = ("trial", *parameters, "seed", "val_macro_f1", "test_macro_f1")
    write_csv(paths.sweep(base, "_confirmation.csv"), columns, lines)
    write_json(paths.sweep(base, "_verdict.json"), {"chosen": result.chosen.number if result.chosen else None,
                                                   "compared": [_verdict(c) for c in result.confirmed]})  # fmt: skip
    if result.chosen is not None:
        write_json(
            paths.sweep(base, "_best.json"),
            {"experiments": {base.name: recipe(result.sweep, result.chosen.step.config)}},
        )


def _row(trial: TrialRow, planner: Planner) -> Sequence[Any]:
    record, history = trial.record, trial.record.history
    best = history.scores.index(history.best) + 1 if history.best is not None else None
    folder = trial.step.run.out.relative_to(planner.paths.output).as_posix()
    return (trial.number, *trial.values.values(), history.stages[-1] if history.stages else None, len(history),
            None if history.best is None else round(history.best, 6), best, record.seconds, one_line(record.why),
            folder)  # fmt: skip


def _verdict(found: Confirmed) -> dict[str, Any]:
    values = {
        "trial": found.trial.number,
        "values": found.trial.values,
        "seeds": found.seeds,
        "val_macro_f1": found.val,
        "test_macro_f1": found.test,
    }
    if found.against is None:
        return {**values, "verdict": "default"}
    return {
        **values,
        "difference": found.against.difference,
        "interval": [found.against.low, found.against.high],
        "level": LEVEL,
        "verdict": found.against.verdict,
    }


def recipe(sweep: Sweep, config: TrainConfig) -> dict[str, Any]:
    """A configuration as `--config` takes it: what differs from the runbook's line, and all that was swept.
    Weights and seed are the command line's."""
    found, base = asdict(config), asdict(sweep.experiment)
    unset = {name: field.default for name, field in TrainConfig.__dataclass_fields__.items()}
    names = [name for name in Overrides.model_fields if name not in ("weights", "seed")]
    return {
        name: found[name]
        for name in names
        if found[name] is not None and (name in sweep.parameters or found[name] != base.get(name, unset.get(name)))
    }


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the standard deviation with n - 1 in the denominator; NaN where they do not exist."""
    numbers = np.array(values, float)
    with np.errstate(invalid="ignore"):  # infinite ones
        mean = float(numbers.mean()) if len(numbers) else math.nan
        return mean, float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan
