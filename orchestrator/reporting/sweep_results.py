"""What a sweep found: reports/sweeps/<EXP>.csv, _confirmation.csv, _verdict.json and _best.json."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.planning.planner import Planner, Step
from orchestrator.planning.settings import Overrides
from orchestrator.sweeps.confirmation import confirmations, ranked
from orchestrator.sweeps.records import Record, record
from orchestrator.sweeps.sweep import Sweep
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json, write_csv, write_json

LEVEL = 0.95


@dataclass(frozen=True)
class Trial:
    """A row of the sweep's table."""

    step: Step
    number: int
    values: dict[str, Any]
    record: Record


@dataclass(frozen=True)
class Confirmed:
    """A configuration on new seeds; `against` compares its test macro-F1 with the default's (None for the default)."""

    trial: Trial
    seeds: tuple[int, ...]
    val: tuple[float, ...]
    test: tuple[float, ...]
    against: Any = None

    @property
    def val_mean(self) -> float:
        return statistics.fmean(self.val)


@dataclass(frozen=True)
class SweepResult:
    """A sweep as it stands. `confirmed` has the default first; `chosen` is None until a trial went to its end."""

    sweep: Sweep
    trials: tuple[Trial, ...]
    confirmed: tuple[Confirmed, ...]
    chosen: Trial | None
    problem: str = ""


def sweep_result(sweep: Sweep, planner: Planner) -> SweepResult:
    """Read what is on disk. The chosen configuration has the best validation macro-F1: the mean over the confirmation's
    seeds where there is one, the sweep's own otherwise. Test scores choose nothing."""
    trials = tuple(
        Trial(step, number, sweep.values(step), record(step, planner))
        for number, step in enumerate(sweep.steps)
        if not step.open
    )
    by_name = {trial.step.name: trial for trial in trials}
    problem = ""
    try:
        confirmed = _confirmed(sweep, planner, by_name)
    except ExperimentError as error:
        confirmed, problem = (), str(error)
    best = ranked(sweep, planner)
    chosen = by_name[best[0][1].name] if best else None
    if confirmed:
        chosen = max(confirmed, key=lambda c: c.val_mean).trial
    return SweepResult(sweep, trials, confirmed, chosen, problem)


def _confirmed(sweep: Sweep, planner: Planner, trials: dict[str, Trial]) -> tuple[Confirmed, ...]:
    """The configurations whose confirmation is whole, where the default's is."""
    from orchestrator.sweeps.predictions import compare_runs

    runs = confirmations(sweep, planner) if sweep.options.confirm else {}
    if not runs or any(step.to_do for step in runs[sweep.default.name]):
        return ()
    folders = {name: [planner.paths.run(s.experiment) for s in steps] for name, steps in runs.items()}
    found = []
    for name, steps in runs.items():
        if any(step.to_do for step in steps):
            continue
        default = name == sweep.default.name
        pair = [[run.out for run in folders[n]] for n in (sweep.default.name, name)]
        seeds = tuple(step.config.seed for step in steps if step.config)
        val = tuple(_macro_f1(run.val_metrics) for run in folders[name])
        test = tuple(_macro_f1(run.test_metrics) for run in folders[name])
        against = None if default else compare_runs(*pair)
        found.append(Confirmed(trials[name], seeds, val, test, against))
    return tuple(found)


def _macro_f1(path: Path) -> float:
    found = read_json(path)
    if not isinstance(found, dict) or "macro_f1" not in found:
        raise ExperimentError(f"{path}: is missing or has no macro_f1; did the run finish?")
    return float(found["macro_f1"])


def write_sweep(result: SweepResult, planner: Planner) -> None:
    """All files of the sweep below reports/sweeps/."""
    base, paths, parameters = result.sweep.base, planner.paths, result.sweep.parameters
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
        write_json(paths.sweep(base, "_best.json"), {"experiments": {base.name: recipe(result.sweep, result.chosen)}})


def _row(trial: Trial, planner: Planner) -> Sequence[Any]:
    r = trial.record
    best = r.scores.index(r.best) + 1 if r.best is not None else None
    out = planner.paths.run(trial.step.experiment).out
    return (trial.number, *trial.values.values(), r.stages[-1] if r.stages else None, len(r.scores),
            None if r.best is None else round(r.best, 6), best, r.seconds, r.why,
            out.relative_to(planner.paths.output).as_posix())  # fmt: skip


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


def recipe(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """The trial's configuration as `--config` takes it: what differs from the runbook's line, and all that was swept.
    Weights and seed are the command line's."""
    assert trial.step.config is not None
    config, base = asdict(trial.step.config), asdict(sweep.base)
    unset = {name: field.default for name, field in type(trial.step.config).__dataclass_fields__.items()}
    names = [name for name in Overrides.model_fields if name not in ("weights", "seed")]
    return {
        name: config[name]
        for name in names
        if config[name] is not None and (name in sweep.parameters or config[name] != base.get(name, unset.get(name)))
    }
