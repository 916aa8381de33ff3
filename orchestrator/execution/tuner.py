"""The MobileNet steps as one Tuner: longest first, retried, each failure its own."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial

from orchestrator.execution.loggers import loggers
from orchestrator.execution.scheduler import Member, OpenSearch, Pool
from orchestrator.execution.work import Work
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Step
from trainable.base.config import NAMED_WEIGHTS, Job, Resources, RunSpec, make_job
from trainable.base.errors import ConfigError
from trainable.ray_trainable import StagedTrainable

MAX_FAILURES = 2
"""How often a trial is taken up again after its process died or raised; it goes on from its last epoch."""

Report = Callable[[str, str, Any], None]


def train(
    work: Work,
    paths: ProjectPaths,
    *,
    report: Report,
    stop: threading.Event,
    trainable: type[tune.Trainable] = StagedTrainable,
) -> None:
    """Run all steps; returns when each has finished or failed, or, after `stop` is set, the epochs in hand have.

    A trial goes on from its own folder, so every call is a new Tuner with a new name and `Tuner.restore` is not
    needed: it would repeat epochs, and ignore steps and resources that are new.
    """

    def choose(name: str) -> dict[str, Any] | None:
        step = work.choose(name)
        return job_of(step, paths, work.resources[name]) if step else None

    pool = Pool({step.name: _member(step, work) for step in work.steps}, work.policies, work.limits, choose)
    shares, memory = work.shares, work.memory  # Tune pickles what `placement` names, and work's `choose` cannot be

    def placement(config: dict[str, Any]) -> PlacementGroupFactory:
        name = config["job"]["experiment"]
        share, asked = shares[name], memory.get(name)
        bundle = {"CPU": float(share.cpus), **({"GPU": share.gpus} if share.gpus else {})}
        return PlacementGroupFactory([{**bundle, "memory": asked} if asked else bundle])

    tuner = tune.Tuner(
        tune.with_resources(trainable, placement),
        param_space={"job": tune.grid_search([job_of(step, paths, work.resources[step.name]) for step in work.steps])},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            scheduler=pool,
            search_alg=OpenSearch(pool),
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=RunConfig(
            name=f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
            storage_path=str(paths.tune.resolve()),
            callbacks=[_Reporter(report, stop, pool), *loggers()],
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            verbose=0,
        ),
    )
    results = tuner.fit()
    # They were for moving paused trials; a trial goes on from its own folder.
    for checkpoint in Path(results.experiment_path).glob("*/checkpoint_*"):
        shutil.rmtree(checkpoint, ignore_errors=True)


def _trials_per_gpu(trial: Job, most: int) -> int:
    from trainable.probes.trials_per_gpu import trials_per_gpu

    return trials_per_gpu(trial, most)


def measure_trials_per_gpu(
    trial: Job, most: int, stop: threading.Event, measure: Callable[[Job, int], int] = _trials_per_gpu
) -> int:
    """How many such trials, up to `most`, a GPU of the cluster should run at once; 1 when stopped (see
    `trainable.probes.trials_per_gpu`).

    Args:
        measure: a trial and `most` to that number, in a process that has the GPU.

    Raises:
        ConfigError: the measuring process ended without an answer.
    """
    import ray
    from ray.exceptions import RayError

    task = ray.remote(num_gpus=1, num_cpus=0, max_retries=0)(measure).remote(trial, most)
    try:
        while not ray.wait([task], timeout=0.5)[0]:
            if stop.is_set():
                ray.cancel(task, force=True)
                return 1
        count: int = ray.get(task)
    except RayError as error:
        raise ConfigError(f"--trials-per-gpu auto: {reason(error)} (give a number instead)") from error
    return count


def _member(step: Step, work: Work) -> Member:
    tail = work.resources[step.name].tail
    if step.experiment.test:  # it may be the default of a sweep, though
        return Member(step.work, step.name if step.name in work.policies else None, tail=tail[0] if tail else None)
    return Member(step.work, step.sweep, fixed=False, open=step.open)


def _trial_name(trial: Trial) -> str:
    """Tune's folder for a trial: finetune_M1, finetune_M1-3 for the third of its sweep."""
    name: str = trial.config["job"]["experiment"]
    return name.replace("#", "-").replace("/", "-seed")


def job_of(step: Step, paths: ProjectPaths, resources: Resources) -> Job:
    """What a process needs to train `step`, which has been identified."""
    assert step.config is not None and step.identity is not None
    csvs = {part: path.resolve() for part, path in paths.training_csvs(step.experiment.split).items()}
    out = paths.run(step.experiment).out.resolve()
    # Trials have working folders of their own.
    weights = step.config.weights
    config = step.config if weights in NAMED_WEIGHTS else replace(step.config, weights=str(Path(weights).resolve()))
    spec = RunSpec(paths.root.resolve(), csvs, out, config, step.experiment.test)
    return {**make_job(spec, resources, step.identity), "experiment": step.name}


class _Reporter(tune.Callback):
    """Tune's events in the words of `Report`; called in the main thread."""

    def __init__(self, report: Report, stop: threading.Event, pool: Pool) -> None:
        self.report, self.stop, self.pool = report, stop, pool

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        # The Tuner pickles itself for `Tuner.restore`, which is not used here; a terminal cannot be pickled.
        return tune.Callback, ()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self.stop.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)  # Tune's own way to end; `fit` has its handler set by now

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.report(trial.config["job"]["experiment"], "start", None)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.report(trial.config["job"]["experiment"], "epoch", result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        name = trial.config["job"]["experiment"]
        why = self.pool.stopped.get(name)
        self.report(name, *(("stopped", (why, trial.last_result or {})) if why else ("done", None)))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.report(trial.config["job"]["experiment"], "failed", reason(trial.get_pickled_error() or trial.get_error()))


def reason(error: BaseException | None) -> str:
    """One line that says why, from an error that went through Ray."""
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).strip().splitlines() if line.strip()] or [""]
    name = type(cause).__name__
    return lines[0] if name in ("ExperimentError", "ConfigError", "InputError") else f"{name}: {lines[-1].strip()}"
