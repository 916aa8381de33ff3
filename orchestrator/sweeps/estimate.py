"""How much work is left, and how long it takes: for `plan`, and for a budget. No torch."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.planning.costs import FORWARD, ROWS_PER_PART, stage_costs
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation, Step, TrainingStep, Trial
from orchestrator.sweeps.confirmation import CANDIDATES, to_confirm, under_way
from orchestrator.sweeps.halving import Halving, rungs
from orchestrator.sweeps.rates import FACEAPI, TEST, Rates
from orchestrator.sweeps.sweep import Sweep
from trainable.run.resumption import checkpoint_notes


@dataclass(frozen=True)
class Job:
    """A training, or some rows of FaceAPI, that is left to do.

    Args:
        epochs: those that are left; 0 for FaceAPI.
        costs: by stage, test or FaceAPI (see `orchestrator.sweeps.rates`).
    """

    experiment: str
    epochs: int
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Expected:
    """The time that work is expected to take, in seconds.

    Args:
        clock: until all of it is done.
        devices: of all runs together, as if one ran after the other.
        sources: the runs or measurements that it is taken from.
        unknown: experiments of which nobody knows how fast they go, and which are left out.
    """

    clock: float
    devices: float
    sources: Sequence[str]
    unknown: Sequence[str]


def planned_trials(sweep: Sweep) -> list[Trial]:
    """All trials of a sweep, with the template in the place of each that the search has still to choose."""
    return [*sweep.trials, *([sweep.template] * sweep.unchosen if sweep.template else [])]


def planned_ends(sweep: Sweep) -> list[tuple[Trial, int]]:
    """The trials that are to do, and the epochs after which each is expected to end.

    With halving, as many trials end at each rung as the policy says. The median rule and ASHA may stop any number of
    trials, so none is counted as stopped.
    """
    todo = [trial for trial in planned_trials(sweep) if trial.to_do]
    judged = len(sweep.members) + sweep.unchosen - 1
    ends = []
    if isinstance(sweep.default, Trial) and sweep.default in todo:
        todo.remove(sweep.default)
        ends.append((sweep.default, sweep.default.config.epochs))
    for place, trial in enumerate(sorted(todo, key=lambda trial: trial.status != "interrupted")):
        ends.append((trial, _last_epoch(trial, place, judged, sweep)))
    return ends


def sweep_jobs(sweep: Sweep, planner: Planner) -> list[Job]:
    """What is left of a sweep's trials. Features of frozen layers are computed once, by the default."""
    return [_training(trial, planner, end, features=False) for trial, end in planned_ends(sweep)]


def confirmation_jobs(sweep: Sweep, planner: Planner) -> list[Job]:
    """What is left of a sweep's confirmations. As long as the best are not known, the default stands for them."""
    if under_way(sweep):
        config = sweep.default.config
        costs = stage_costs(config, sweep.default.rows, features=False) | _test_cost(sweep.default)
        return [Job(sweep.name, config.epochs, costs)] * (sweep.options.confirm * (1 + CANDIDATES))
    return [_training(step, planner, features=False) for step in to_confirm(sweep, planner)]


def fixed_jobs(steps: Iterable[Step], planner: Planner) -> list[Job]:
    """What is left of the experiments themselves. FaceAPI looks at a photo once, whatever splits have it."""
    jobs = []
    asked: set[tuple[float, ...]] = set()
    for step in steps:
        if step.to_do and isinstance(step, TrainingStep):
            jobs.append(_training(step, planner))
        elif step.to_do and isinstance(step, FaceApiEvaluation):
            table, before = planner.inputs.faceapi[step.experiment.split], len(asked)
            sides = (table.boxes[side::4] for side in range(4))
            asked.update(zip(table.numbers, *sides, table.upright or bytes(len(table)), strict=True))
            own = planner.settings.faceapi.script is not None  # is called with each split as it is
            whole, rest = divmod(len(table) if own else len(asked) - before, ROWS_PER_PART)
            parts = [ROWS_PER_PART] * whole + [rest] * bool(rest)
            jobs += [Job(step.name, 0, {FACEAPI: float(rows)}) for rows in parts]
    return jobs


def expected(phases: Iterable[Sequence[Job]], rates: Rates, slots: int, cpus: int) -> Expected:
    """The time that jobs take; each phase begins when the one before has ended, as confirmations do.

    Args:
        slots: trainings that run at once.
        cpus: parts of FaceAPI that run at once where the trainings are on GPUs; otherwise these share their slots.
    """
    clock, devices = 0.0, 0.0
    sources: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for phase in phases:
        trainings: list[float] = []
        evaluations: list[float] = []
        for job in phase:
            found = {kind: rates.of(job.experiment, kind) for kind in job.costs}
            known = {kind: rate for kind, rate in found.items() if rate is not None}
            if len(known) < len(found):
                unknown[job.experiment] = None
                continue
            sources.update(dict.fromkeys(rate.source for rate in known.values()))
            seconds = math.fsum(rate.seconds * job.costs[kind] for kind, rate in known.items())
            (evaluations if FACEAPI in job.costs else trainings).append(seconds)
        devices += math.fsum([*trainings, *evaluations])
        if rates.device == "cpu":
            clock += clock_seconds([*trainings, *evaluations], slots)
        else:
            clock += max(clock_seconds(trainings, slots), clock_seconds(evaluations, cpus))
    return Expected(clock, devices, tuple(sources), tuple(unknown))


def clock_seconds(jobs: Sequence[float], slots: int) -> float:
    """The time until jobs of so many seconds are done, `slots` of them at once, the longest first (as in the queue)."""
    if not jobs:
        return 0.0
    ends = [0.0] * max(1, min(slots, len(jobs)))
    for seconds in sorted(jobs, reverse=True):
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def _training(step: TrainingStep, planner: Planner, end: int | None = None, *, features: bool = True) -> Job:
    """What is left of a training until epoch `end`, or its last."""
    end, done = step.config.epochs if end is None else end, _epochs_done(step, planner)
    costs = stage_costs(step.config, step.rows, done, end, features=features)
    return Job(step.experiment.name, max(0, end - done), costs | (_test_cost(step) if step.tests else {}))


def _test_cost(step: TrainingStep) -> dict[str, float]:
    return {TEST: FORWARD * step.rows[2]}


def _epochs_done(step: TrainingStep, planner: Planner) -> int:
    """The epochs of an interrupted training, which may lie in the history."""
    if step.status != "interrupted" or step.identity is None:
        return 0
    place = planner.place(step)
    folders = [step.run.checkpoints, *([place.unfinished_entry(step.identity)] if place else [])]
    notes = [note for folder in folders for note in checkpoint_notes(folder)]
    return next((int(note["epoch"]) for note in notes if note["identity"] == step.identity), 0)


def _last_epoch(trial: Trial, place: int, judged: int, sweep: Sweep) -> int:
    """The number of epochs of the trial that comes out at `place`, counted from 0, among `judged` trials."""
    if sweep.options.scheduler == "halving":
        for rung in rungs(trial.config):
            if place >= max(Halving.LEAST_KEPT, math.ceil(rung.keep * judged)):
                return rung.epochs
    return trial.config.epochs
