"""The MobileNet steps as one Tuner: longest first, retried, each failure its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial

from orchestrator.paths import ProjectPaths
from orchestrator.plan import Step, longest_first
from orchestrator.ray_session import Share
from trainable.config import Resources, RunSpec
from trainable.ray_trainable import StagedTrainable, job

MAX_FAILURES = 2
"""How often a trial is taken up again after its process died or raised; it goes on from its last epoch."""

Report = Callable[[str, str, Any], None]


def train(
    steps: Sequence[Step],
    paths: ProjectPaths,
    share: Share,
    resources: Mapping[str, Resources],
    memory: Mapping[str, int],
    *,
    report: Report,
    stop: threading.Event,
) -> None:
    """Run all steps; returns when each has finished or failed, or, after `stop` is set, the epochs in hand have.

    A trial goes on from its own folder, so every call is a new Tuner with a new name and `Tuner.restore` is not
    needed: it would repeat epochs, and ignore steps and resources that are new.
    """
    jobs = [_job(step, paths, resources[step.name]) for step in longest_first(steps)]
    bundle = {"CPU": float(share.cpus), **({"GPU": share.gpus} if share.gpus else {})}

    def placement(config: dict[str, Any]) -> PlacementGroupFactory:
        asked = memory.get(config["job"]["experiment"])
        return PlacementGroupFactory([{**bundle, "memory": asked} if asked else bundle])

    trainable = tune.with_resources(StagedTrainable, placement)
    tuner = tune.Tuner(
        trainable,
        param_space={"job": tune.grid_search(jobs)},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.config["job"]["name"],
            trial_dirname_creator=lambda trial: trial.config["job"]["name"],
        ),
        run_config=RunConfig(
            name=f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
            storage_path=str(paths.tune.resolve()),
            callbacks=[_Reporter(report, stop)],
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            verbose=0,
        ),
    )
    tuner.fit()


def _job(step: Step, paths: ProjectPaths, resources: Resources) -> dict[str, Any]:
    assert step.config is not None and step.identity is not None
    csvs = {part: path.resolve() for part, path in paths.training_csvs(step.experiment.split).items()}
    spec = RunSpec(paths.root.resolve(), csvs, paths.run(step.experiment).out.resolve(), step.config)
    return {**job(spec, resources, step.identity), "experiment": step.name}


class _Reporter(tune.Callback):
    """Tune's events in the words of `Report`; called in the main thread."""

    def __init__(self, report: Report, stop: threading.Event) -> None:
        self.report, self.stop = report, stop

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
        self.report(trial.config["job"]["experiment"], "done", None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.report(trial.config["job"]["experiment"], "failed", reason(trial.get_pickled_error() or trial.get_error()))


def reason(error: BaseException | None) -> str:
    """One line that says why, from an error that went through Ray."""
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).strip().splitlines() if line.strip()] or [""]
    name = type(cause).__name__
    return lines[0] if name in ("ExperimentError", "ConfigError", "InputError") else f"{name}: {lines[-1].strip()}"
